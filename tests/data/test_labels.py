"""Label files: codes of classes, palettes, and errors that list the labels without a class."""

import numpy as np
import pytest

from gan_lightning.data.labels import LabelCodes, classes_of, code_of, colour_of, name_of, read_palette


def test_codes_of_levels_and_colours():
    assert [code_of(0), code_of(255), code_of("#000000"), code_of("#0100ff")] == [0, 255, 256, 256 + 0x0100FF]
    assert [name_of(code_of(label)) for label in (7, "#0a0b0c")] == ["7", "#0a0b0c"]
    assert [colour_of(7), colour_of(code_of("#0a0b0c"))] == [None, (10, 11, 12)]
    for wrong in (256, -1, "red", "#12345", "#12345g", 1.5):
        with pytest.raises(ValueError, match="is no label"):
            code_of(wrong)


def test_void_is_one_more_class():
    codes = LabelCodes.of([3, 0], void=[255, 254])
    assert codes.num_classes == 3
    assert codes.table == {3: 0, 0: 1, 255: 2, 254: 2}
    assert LabelCodes.of([3, 0]).num_classes == 2


@pytest.mark.parametrize(
    ("classes", "void", "message"),
    [
        ([1, 1], [], "name a class twice"),
        ([1, 2], [2], "name a class twice"),
        ([1, "#000001"], [], "are grey levels and colours"),
        ([1, 2], ["#000001"], "are grey levels and colours"),
        ([1], [], "2 to 256 classes, and not 1"),
        ([f"#{number:06x}" for number in range(257)], [], "2 to 256 classes, and not 257"),
    ],
)
def test_codes_that_cannot_be(classes, void, message):
    with pytest.raises(ValueError, match=message):
        LabelCodes.of(classes, void)


def test_grey_levels_of_any_form_become_classes():
    table = LabelCodes.of([0, 10, 20], void=[255]).table
    grey = np.array([[0, 20], [10, 255]], np.uint8)
    for values in (grey, grey[..., None], np.stack([grey, grey * 0], -1), np.stack([grey] * 3, -1), grey.astype("u2")):
        assert classes_of(values, table).tolist() == [[0, 2], [1, 3]]
    with pytest.raises(ValueError, match=r"2 grey levels that are not in the labels of the classes: 7, 9; add them"):
        classes_of(np.array([[9, 7, 0]], np.uint8), table)
    with pytest.raises(ValueError, match=r"that are not in the labels of the classes: 300"):
        classes_of(np.array([[300]], np.uint16), table)
    with pytest.raises(ValueError, match="it has colours, and the labels are grey levels"):
        classes_of(np.array([[[0, 0, 10]]], np.uint8), table)


def test_colours_become_classes_in_8_and_16_bits_and_with_alpha():
    table = LabelCodes.of(["#804080", "#000000"], void=["#ffffff"]).table
    colours = np.array([[[128, 64, 128], [255, 255, 255], [0, 0, 0]]], np.uint8)
    alpha = np.full((1, 3, 1), 9, np.uint8)
    for values in (colours, np.concatenate([colours, alpha], -1), colours.astype(np.uint16) * 257):
        assert classes_of(values, table).tolist() == [[0, 2, 1]]
    assert classes_of(np.array([[0, 255]], np.uint8), table).tolist() == [[1, 2]]  # a file of greys alone
    with pytest.raises(ValueError, match=r"1 colours that are not in the palette: #804081; add them, as a class"):
        classes_of(np.array([[[128, 64, 129]]], np.uint8), table)


def test_palettes_in_text_files(tmp_path):
    file = tmp_path / "palette.txt"
    file.write_text("#804080 road\n\n  #F423e8   side walk \n#464646\n")
    assert read_palette(file) == (["#804080", "#F423e8", "#464646"], ["road", "side walk", "#464646"])
    assert LabelCodes.of(read_palette(file)[0]).num_classes == 3
    file.write_text("#804080 road\n70 70 70 building\n")
    with pytest.raises(ValueError, match=r"line 2 of .*palette.txt begins with '70'"):
        read_palette(file)
    file.write_bytes(b"\x89PNG\xff")
    with pytest.raises(ValueError, match=r"palette\.txt is not text"):
        read_palette(file)
