import os
import struct
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lightning.data.files import holds, image_files, image_kind, pages, read_image, shown, write_image


def saved(path: Path, values: np.ndarray, mode: str | None = None, **options) -> Path:
    image = Image.fromarray(values)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def noise(*shape: int, dtype=np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def test_image_files_are_found_at_any_depth_in_one_order(tmp_path):
    for name in ["b.JPG", "a/z.png", "a.png", "a/.hidden.png", ".thumbnails/a.png", "notes.txt", "a/b/c.webp"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [file.relative_to(tmp_path).as_posix() for file in image_files(tmp_path)]
    assert found == ["a.png", "a/b/c.webp", "a/z.png", "b.JPG"]


def link(path: str, target: str, hard: bool = False) -> Callable[[Path], None]:
    """Return a function that makes a link in a folder."""

    def make(folder: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        place = folder / path
        if hard:
            place.hardlink_to(folder / target)
        else:
            place.symlink_to(target)

    return make


LINKS: dict[str, tuple[list[Callable[[Path], None]], list[str]]] = {  # what is made beside a.png and b.png, and found
    "a circle": ([link("self", "."), link("sub/up", "..")], ["a.png", "b.png"]),
    "a file twice": ([link("0.png", "a.png"), link("sub/a.png", "../a.png")], ["a.png", "b.png"]),
    "hard links": ([link("z.png", "a.png", hard=True), link("0", "z.png")], ["a.png", "b.png"]),
    "a file outside, twice": (
        [link("1.png", "../out/c.png"), link("2.png", "../out/c.png")],
        ["1.png", "a.png", "b.png"],
    ),
    "a folder outside, twice": ([link("x", "../out"), link("y", "../out")], ["a.png", "b.png", "x/c.png"]),
    "a hidden place": ([link("1.png", "../out/.d.png")], ["1.png", "a.png", "b.png"]),
}


@pytest.mark.parametrize("case", LINKS)
def test_each_file_counts_once_whatever_links_lead_to_it(tmp_path, case):
    makers, wanted = LINKS[case]
    for name in ("in/a.png", "in/b.png", "out/c.png", "out/.d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        saved(tmp_path / name, noise(2, 2))
    for make in makers:
        make(tmp_path / "in")
    assert [file.relative_to(tmp_path / "in").as_posix() for file in image_files(tmp_path / "in")] == wanted


def save_pages(path: Path, *frames: np.ndarray, smaller_copies: Sequence[int] = ()) -> None:
    """Write a TIFF file of several pages, some of which are marked as smaller copies of others."""
    images = [Image.fromarray(frame) for frame in frames]
    for number, image in enumerate(images):
        image.encoderinfo = {"tiffinfo": {254: int(number in smaller_copies)}}
    images[0].save(path, save_all=True, append_images=images[1:], tiffinfo=images[0].encoderinfo["tiffinfo"])


DEEP = noise(4, 5, dtype=np.uint16)
PAGES: dict[str, tuple[list[np.ndarray], dict[str, Any], list[int | None]]] = {  # frames, how saved, numbers of pages
    "one page": ([noise(4, 5)], {}, [None]),
    "several": ([noise(4, 5), noise(4, 5) // 2, noise(4, 5) // 4], {}, [1, 2, 3]),
    "other sizes": ([noise(4, 5), noise(9, 2), noise(1, 1)], {}, [1, 2, 3]),
    "other kinds": ([noise(4, 5), noise(4, 5, 3), noise(4, 5, 4), DEEP], {}, [1, 2, 3, 4]),
    "a smaller copy": ([noise(8, 8), noise(4, 4), noise(8, 8) // 2], {"smaller_copies": [1]}, [1, 3]),
}


@pytest.mark.parametrize("case", PAGES)
def test_each_page_of_a_tiff_file_is_an_image(tmp_path, case):
    frames, how, numbers = PAGES[case]
    save_pages(tmp_path / "a.tif", *frames, **how)
    saved(tmp_path / "a#1.png", noise(2, 2))
    assert [page.number for page in pages(tmp_path)] == [None, *numbers]
    assert [page.name(tmp_path) for page in pages(tmp_path)][1:] == [f"a.tif#{n}" if n else "a.tif" for n in numbers]
    for page in pages(tmp_path)[1:]:
        values = frames[(page.number or 1) - 1]
        image = read_image(page)
        assert (image.numpy() == values.reshape(*values.shape[:2], -1).transpose(2, 0, 1)).all()
        assert (image_kind(page).height, image_kind(page).width) == values.shape[:2]
    if numbers != [None]:
        with pytest.raises(ValueError, match=rf"a.tif cannot be read .*it has {len(numbers)} pages: name one"):
            read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_animations_are_refused_and_stills_are_read(tmp_path, suffix):
    still, *others = (Image.fromarray(noise(8, 8, 3) // divisor) for divisor in (1, 2, 3))
    still.save(tmp_path / f"still.{suffix}")
    still.save(tmp_path / f"moving.{suffix}", save_all=True, append_images=others)
    assert read_image(tmp_path / f"still.{suffix}").shape == (3, 8, 8)
    with pytest.raises(ValueError, match=rf"moving.{suffix} .*an animation of 3 frames"):
        read_image(tmp_path / f"moving.{suffix}")


def test_a_name_may_be_any_that_the_system_takes(tmp_path):
    names = [
        b"caf\xe9.png",
        "na\u00efve.png".encode(),
        b"new\nline.png",
        b" .png",
        b"n" * 251 + b".PNG",
        b"a.png",
        b"A.png",
    ]
    names += [b"no_suffix", b"esc\x1b[31m.png", b"-dash.png", b"x#2.png"]
    for name in names:
        Image.fromarray(noise(2, 2)).save(io := BytesIO(), format="PNG")
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(io.getvalue())
    for name in (".hidden.png", "._a.png", ".DS_Store", "Thumbs.db", "README"):
        (tmp_path / name).write_text("no image")
    found = image_files(tmp_path)
    assert sorted(os.fsencode(file.name) for file in found) == sorted(names)
    assert all(read_image(file).shape == (1, 2, 2) for file in found)
    assert all(shown(file).isprintable() for file in found)


def test_what_is_left_out_and_may_hold_images_is_said(tmp_path):
    saved(tmp_path / "a.png", noise(2, 2))
    for name in ("b.heic", "c.zip"):
        (tmp_path / name).touch()
    with pytest.warns(UserWarning, match="heic is not read: convert"), pytest.warns(UserWarning, match="zip .* unpack"):
        assert len(image_files(tmp_path)) == 1


def test_an_empty_or_absent_folder_is_named(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=f"{tmp_path} holds no images"):
        image_files(tmp_path)
    with pytest.raises(FileNotFoundError, match="absent is not a folder"):
        image_files(tmp_path / "absent")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_grey_and_colour_with_and_without_alpha_are_read_as_they_are(tmp_path, channels):
    values = noise(5, 7, channels).squeeze()
    image = read_image(saved(tmp_path / "image.png", values))
    assert image.dtype == torch.uint8
    assert (image.numpy() == values.reshape(5, 7, channels).transpose(2, 0, 1)).all()
    assert image.is_contiguous()


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bit_grey_keeps_its_levels(tmp_path, suffix):
    values = np.arange(65536, dtype=np.uint16).reshape(128, 512)
    image = read_image(saved(tmp_path / f"deep.{suffix}", values))
    assert image.dtype == torch.uint16
    assert (image.numpy() == values[None]).all()


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_16_bit_colour_of_png_keeps_its_levels(tmp_path, channels):
    values = torch.from_numpy(noise(channels, 50, 70, dtype=np.uint16))
    write_image(values, tmp_path / "deep.png")
    assert torch.equal(read_image(tmp_path / "deep.png"), values)
    with Image.open(tmp_path / "deep.png") as image:  # as others see it
        seen = np.asarray(image)[:, :, [0, 3] if channels == 2 else slice(None)]
        assert (seen == values.permute(1, 2, 0).numpy() >> 8).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_level_of_16_bits_becomes_an_alpha_channel(tmp_path, channels):
    values = torch.from_numpy(noise(channels, 4, 5, dtype=np.uint16))
    write_image(values, tmp_path / "deep.png")
    content = (tmp_path / "deep.png").read_bytes()
    chunk = b"tRNS" + values[:, 2, 3].numpy().astype(">u2").tobytes()
    at = content.index(b"IDAT") - 4
    content = content[:at] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", crc32(chunk)) + content[at:]
    (tmp_path / "deep.png").write_bytes(content)
    image = read_image(tmp_path / "deep.png").int()
    assert image_kind(tmp_path / "deep.png") == (4, 5, True, True)
    assert torch.equal(image[:-1], values.int())
    assert (image[-1] == 0).nonzero().tolist() == [[2, 3]]
    assert image[-1].max() == 65535


def test_what_is_written_is_read_again(tmp_path):
    for suffix in (".png", ".TIF", ".tiff", ".webp"):
        for channels in (1, 2, 3, 4):
            for dtype in (np.uint8, np.uint16):
                image = torch.from_numpy(noise(channels, 9, 11, dtype=dtype))
                file = tmp_path / "a" / f"image{suffix}"
                if not holds(suffix, channels, dtype == np.uint16, 11):
                    with pytest.raises(
                        ValueError, match=rf"cannot hold an image of {channels} channels .* write a .png"
                    ):
                        write_image(image, file)
                elif (dtype, channels) != (np.uint16, 2):  # which Pillow reads as 8-bit
                    write_image(image, file)
                    assert torch.equal(read_image(file), image)
                    kind = image_kind(file)
                    assert kind == (9, 11, channels in (2, 4), dtype == np.uint16)
                    file.unlink()
    assert not list((tmp_path / "a").iterdir())


def test_jpeg_is_near_what_was_written(tmp_path):
    smooth = torch.linspace(0, 255, 32).to(torch.uint8).expand(3, 32, 32).contiguous()
    for channels in (1, 3):
        write_image(smooth[:channels], tmp_path / "image.JPG")
        assert (read_image(tmp_path / "image.JPG").int() - smooth[:channels].int()).abs().max() <= 3


def test_formats_say_what_they_hold():
    assert holds(".PNG", 4, True, 100_000)
    assert not holds(".jpg", 4, False, 10)
    assert not holds(".jpeg", 1, True, 10)
    assert not holds(".jpg", 3, False, 70_000)
    assert not holds(".webp", 3, False, 20_000)
    assert not holds(".gif", 1, False, 10)


def test_one_bit_becomes_black_and_white(tmp_path):
    image = read_image(saved(tmp_path / "bits.png", np.array([[0, 255, 0]], np.uint8), "1"))
    assert image.tolist() == [[[0, 255, 0]]]


def test_palettes_become_colours(tmp_path):
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    file = saved(tmp_path / "palette.png", colours, "P")
    assert Image.open(file).mode == "P"
    assert (read_image(file).numpy() == colours.transpose(2, 0, 1)).all()


def test_a_transparent_colour_becomes_an_alpha_channel(tmp_path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putdata([0, 1])
    palette.save(tmp_path / "palette.png", transparency=1)
    assert read_image(tmp_path / "palette.png").flatten(1).T.tolist() == [[255, 0, 0, 255], [0, 255, 0, 0]]
    file = saved(tmp_path / "grey.png", np.array([[10, 20]], np.uint8), transparency=20)
    assert read_image(file).flatten(1).T.tolist() == [[10, 255], [20, 0]]


def test_other_colour_spaces_become_rgb(tmp_path):
    file = saved(tmp_path / "print.jpg", np.full((8, 8, 3), 255, np.uint8), "CMYK")
    assert Image.open(file).mode == "CMYK"
    assert read_image(file).shape == (3, 8, 8)
    assert (read_image(file) >= 253).all()


def test_the_orientation_that_a_camera_noted_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it turned clockwise
    values = noise(4, 6)
    assert (read_image(saved(tmp_path / "turned.png", values, exif=exif)).numpy()[0] == np.rot90(values, -1)).all()


def test_a_damaged_file_is_named(tmp_path):
    whole = saved(tmp_path / "whole.png", noise(40, 40, 3)).read_bytes()
    bad = {"cut.png": whole[: len(whole) // 2], "empty.jpg": b"", "text.png": b"no image at all"}
    # a header that promises more pixels than any machine holds
    bad["huge.png"] = whole[:16] + struct.pack(">II", 2**30, 2**30) + whole[24:]
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{tmp_path / name} cannot be read as an image .*: fix or remove it"):
            read_image(tmp_path / name)


def test_pixels_of_no_known_range_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"real.tif .*no known range"):
        read_image(saved(tmp_path / "real.tif", np.ones((2, 2), np.float32)))
    with pytest.raises(ValueError, match=r"wide.tif .*more than 16 bits"):
        read_image(saved(tmp_path / "wide.tif", np.full((2, 2), 70000, np.int32)))


def test_real_files_of_all_kinds_are_read(real_data):
    assert read_image(real_data / "faces-orl/s1/1.pgm").shape == (1, 112, 92)
    membrane = image_files(real_data / "membranes/images")[0]
    assert read_image(membrane).shape == (1, 512, 512)
