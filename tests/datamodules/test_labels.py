"""Folders of label maps: classes by level and by colour, instances, hold-outs, the cache, and early errors."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import LabelFolder
from gan_lightning.data.batches import PairedBatch
from gan_lightning.layers.labels import levels_of

SIZE = 24
PALETTE = ["#ff0000", "#00ff00", "#0000ff"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(tmp_path / "cache"))


def save(values: np.ndarray, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Ten label maps of three classes in blocks of 6x6, their colours and instances; pictures are 60 · class."""
    random = np.random.default_rng(0)
    block = np.ones((6, 6), np.uint8)
    for number in range(10):
        classes = np.kron(random.permutation(16).reshape(4, 4) % 3, block).astype(np.uint8)
        instances = np.kron(np.arange(16).reshape(4, 4), block).astype(np.uint16) * 100
        colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)[classes]
        picture = np.repeat(60 * classes[..., None], 3, axis=2)
        kinds = {"levels": classes, "colours": colours, "instances": instances, "pictures": picture}
        for name, values in kinds.items():
            save(values, tmp_path / name / f"{number}.png")
    return tmp_path / "levels", tmp_path / "pictures"


def module_of(labels: Path, pictures: Path, **how) -> LabelFolder:
    known = {} if {"num_classes", "palette", "levels"} & how.keys() else {"num_classes": 3}
    module = LabelFolder(labels, pictures, **{"image_size": SIZE, "batch_size": 4, "eval_batch_size": 4} | known | how)
    module.prepare_data()
    module.setup("fit")
    return module


def served(module: LabelFolder, training: bool) -> PairedBatch:
    loader = module.train_dataloader() if training else module.val_dataloader()
    stored = next(iter(loader))
    module.trainer = SimpleNamespace(training=training)
    return module.on_after_batch_transfer(stored, 0)


def check(batch: PairedBatch) -> None:
    """Check that sources are label maps, and that each picture belongs to its label map."""
    levels = levels_of(batch.source)[:, :1]
    assert set(levels.unique().tolist()) == {0, 1, 2}
    assert torch.equal(levels_of(batch.target), (60 * levels).expand(-1, 3, -1, -1))


@pytest.mark.parametrize("training", [True, False])
def test_levels_and_colours_give_the_same_classes_and_stay_aligned(folders, training):
    labels, pictures = folders
    how = {"load_size": SIZE, "image_size": 16, "flip": True}
    by_level = served(module_of(labels, pictures, **how), training)
    check(by_level)
    assert by_level.source.shape == (4 if training else 2, 1, 16, 16)
    (labels.parent / "palette.txt").write_text("\n".join(PALETTE))
    for palette in (PALETTE, labels.parent / "palette.txt"):
        by_colour = served(module_of(labels.parent / "colours", pictures, palette=palette, **how), training)
        assert torch.equal(by_colour.source, by_level.source)


def test_levels_in_another_order_and_void_as_the_last_class(folders):
    module = module_of(*folders, levels=[2, 0], void=[1])
    assert module.num_classes == 3
    expected = levels_of(served(module_of(*folders), False).source)
    found = levels_of(served(module, False).source)
    assert torch.equal(found, torch.tensor([1, 2, 0])[expected])


def test_instances_are_two_more_channels_cut_alike(folders):
    labels, pictures = folders
    module = module_of(labels, pictures, instances=labels.parent / "instances", load_size=SIZE, image_size=20)
    batch = served(module, True)
    check(batch)
    levels = levels_of(batch.source)
    numbers = 256 * levels[:, 1] + levels[:, 2]
    assert set(numbers.unique().tolist()) == {100 * number for number in range(16)}
    for image, classes in zip(numbers, levels[:, 0], strict=True):
        for number in image.unique():
            assert len(classes[image == number].unique()) == 1


def test_labels_are_resampled_to_the_nearest_pixel(folders):
    batch = served(module_of(*folders, image_size=17), False)
    assert set(levels_of(batch.source).unique().tolist()) == {0, 1, 2}
    assert len(levels_of(batch.target).unique()) > 3  # pictures are not


def test_a_share_is_held_out_or_a_test_folder_is_used(folders):
    labels, pictures = folders
    module = module_of(labels, pictures, instances=labels.parent / "instances", holdout=0.3)
    assert (len(module._training.storage), len(module._reference)) == (7, 3)
    module = module_of(labels, pictures, held_out=["3", "7"])
    held = module._reference.batch(torch.arange(2)).source[:, 0].numpy()
    assert (held == np.stack([np.asarray(Image.open(labels / f"{name}.png")) for name in (3, 7)])).all()
    for folder in ("levels", "pictures", "instances"):
        source = np.asarray(Image.open(labels.parent / folder / "0.png"))
        save(source, labels.parent / f"test_{folder}" / "a.png")
    test = {"test": labels.parent / "test_levels", "test_images": labels.parent / "test_pictures"}
    instances = {"instances": labels.parent / "instances", "test_instances": labels.parent / "test_instances"}
    module = module_of(labels, pictures, **test, **instances)
    assert (len(module._training.storage), len(module._reference)) == (10, 1)
    assert module._reference.batch(torch.arange(1)).source.shape == (1, 3, SIZE, SIZE)


def test_the_description_has_the_labels_and_the_names(folders, tmp_path):
    palette = tmp_path / "palette.txt"
    palette.write_text("#ff0000 road\n#00ff00 tree\n")
    module = module_of(folders[0].parent / "colours", folders[1], palette=palette, void=["#0000ff"])
    module.trainer = SimpleNamespace(training=False)
    description = module.describe()
    assert description.num_classes == 3
    assert description.class_names == ("road", "tree", "void")
    assert description.labels == {256 + 0xFF0000: 0, 256 + 0x00FF00: 1, 256 + 0x0000FF: 2}
    assert module_of(*folders, class_names=["a", "b", "c"]).classes == ["a", "b", "c"]


def test_a_changed_palette_decodes_anew(folders):
    labels, pictures = folders[0].parent / "colours", folders[1]
    one = levels_of(served(module_of(labels, pictures, palette=PALETTE), False).source)
    other = levels_of(served(module_of(labels, pictures, palette=PALETTE[::-1]), False).source)
    assert torch.equal(other, 2 - one)


def test_labels_without_a_class_are_named_with_their_file(folders):
    labels, pictures = folders
    with pytest.raises(ValueError, match=r"10 of 10 images.*levels/0\.png \(it has 1 grey levels .*: 2;"):
        module_of(labels, pictures, num_classes=2)
    colours = labels.parent / "colours"
    values = np.asarray(Image.open(colours / "4.png")).copy()
    values[3, 3] = 1, 2, 3
    save(values, colours / "4.png")
    with pytest.raises(ValueError, match=r"1 of 10 images .*colours/4\.png \(it has 1 colours .* palette: #010203"):
        module_of(colours, pictures, palette=PALETTE)
    with pytest.raises(ValueError, match="it has colours, and the labels are grey levels"):
        module_of(colours, pictures)


def test_instances_in_colour_or_without_partner(folders):
    labels, pictures = folders
    with pytest.raises(ValueError, match="it has 3 channels, and instance maps are grey"):
        module_of(labels, pictures, instances=pictures)
    (labels.parent / "instances" / "5.png").unlink()
    with pytest.raises(ValueError, match=r"1 images of .*levels and .*instances have no partner"):
        module_of(labels, pictures, instances=labels.parent / "instances")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"num_classes": 3, "levels": [0, 1]}, "give exactly one of them"),
        ({}, "give exactly one of them"),
        ({"palette": ["red", "#00ff00"]}, "'red' is no label"),
        ({"num_classes": 300}, "256 is no label"),
        ({"levels": [0, 0]}, "name a class twice"),
        ({"num_classes": 3, "class_names": ["a"]}, "class_names names 1 classes, and the label maps have 3"),
        ({"num_classes": 3, "test_instances": Path("x")}, "give instance maps for both sets, or for neither"),
    ],
)
def test_settings_that_do_not_fit_together(folders, how, message):
    with pytest.raises(ValueError, match=message):
        LabelFolder(*folders, **how)
