import tarfile
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import ImageFolder, PairedFolder, SuperResolutionFolder, UnpairedFolder
from gan_lightning.data.batches import ImageBatch, PairedBatch, UnpairedBatch


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(tmp_path / "cache"))


def grey(path: Path, level: int, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, level).save(path)


def unpacked(archive: Path, target: Path, keep) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(target, [member for member in tar if member.isfile() and keep(member.name)], filter="data")
    return target


def sets(module):
    """All training and all reference items, each as one batch."""
    module.prepare_data()
    module.setup("fit")
    whole = []
    for loader in (module.train_dataloader(), module.val_dataloader()):
        batches = list(loader)
        fields = zip(*batches, strict=True)
        whole.append(type(batches[0])(*(None if parts[0] is None else torch.cat(parts) for parts in fields)))
    return whole


def levels(images) -> list[int]:
    return images[:, 0, 0, 0].tolist()


def test_a_share_is_held_out_that_seed_does_not_change_and_0_evaluates_on_all(tmp_path):
    for number in range(20):
        grey(tmp_path / "images" / f"{number:02}.png", number)
    train, held = sets(ImageFolder(tmp_path / "images", image_size=8, batch_size=1))
    assert len(held.images) == 4  # more than a tenth, for precision and recall
    assert sorted(levels(train.images) + levels(held.images)) == list(range(20))
    assert held.labels is None
    _, other = sets(ImageFolder(tmp_path / "images", image_size=8, batch_size=1, seed=7))
    assert levels(other.images) == levels(held.images)
    train, same = sets(ImageFolder(tmp_path / "images", image_size=8, batch_size=1, holdout=0))
    assert levels(same.images) == sorted(levels(train.images)) == list(range(20))
    with pytest.raises(ValueError, match=r"holdout=1\.0 is out of range"):
        ImageFolder(tmp_path / "images", holdout=1.0)
    with pytest.raises(ValueError, match="leaves none to train on"):
        ImageFolder(tmp_path / "images", image_size=8, holdout=0.99).prepare_data()


def test_sub_folders_are_classes(tmp_path):
    for split, count in [("train", 4), ("test", 2)]:
        for label, name in enumerate(["cat", "dog", "eel"]):
            for number in range(count):
                grey(tmp_path / split / name / f"{split}{number}.png", label * 10)
    module = ImageFolder(tmp_path / "train", test=tmp_path / "test", labelled=True, image_size=8, batch_size=2)
    for batch in sets(module):
        assert isinstance(batch, ImageBatch)
        assert batch.labels.dtype == torch.int64
        assert (batch.labels * 10).tolist() == levels(batch.images)
    assert (module.num_classes, module.classes) == (3, ["cat", "dog", "eel"])
    assert ImageFolder(tmp_path / "train").num_classes is None
    (tmp_path / "train" / "fox").mkdir()
    with pytest.raises(ValueError, match=r"classes without images \(fox\)"):
        module.prepare_data()
    (tmp_path / "train" / "fox").rmdir()
    grey(tmp_path / "test" / "gnu" / "0.png", 0)
    with pytest.raises(ValueError, match=r"test/gnu/0\.png is in no class: .* \(cat, dog, eel\)"):
        module.prepare_data()


@pytest.mark.parametrize(
    ("folders", "in_order"), [(["2", "10", "1"], ["1", "2", "10"]), (["2", "10", "one"], ["10", "2", "one"])]
)
def test_classes_named_by_numbers_are_in_their_order(tmp_path, folders, in_order):
    for name in folders:
        grey(tmp_path / name / "image.png", 0)
    assert ImageFolder(tmp_path, labelled=True).classes == in_order


def test_an_image_outside_of_all_classes_is_named(tmp_path):
    grey(tmp_path / "cat" / "0.png", 0)
    grey(tmp_path / "stray.png", 0)
    with pytest.raises(ValueError, match=r"stray\.png is in no class"):
        ImageFolder(tmp_path, labelled=True).prepare_data()


def test_real_faces_of_another_shape(real_data):
    module = ImageFolder(real_data / "faces-orl", labelled=True, image_size=(56, 46), channels=1, batch_size=20)
    train, held = sets(module)
    assert train.images.shape == (360, 1, 56, 46)
    assert held.images.shape == (40, 1, 56, 46)
    assert module.num_classes == 40
    with Image.open(real_data / "faces-orl" / "s1" / "1.pgm") as face:  # the first of all files, by their names
        expected = np.asarray(face.resize((46, 56), Image.Resampling.BICUBIC))
    whole = module._load(module.train)
    assert (whole.batch(torch.tensor([0])).images[0, 0].numpy() == expected).all()


def test_real_photographs_of_cifar(real_data, tmp_path):
    root = unpacked(real_data / "cifar10_jpg.tar.gz", tmp_path, lambda name: name.endswith("5.jpg") and "/00" in name)
    (train,) = {path.parent.parent for path in root.rglob("*.jpg") if path.parent.parent.name == "train"}
    module = ImageFolder(train, labelled=True, image_size=32, batch_size=1, flip=True)
    batch, _ = sets(module)
    assert module.num_classes == len(batch.labels.unique())
    assert 60 < batch.images.float().mean() < 180


def test_pairs_side_by_side_in_either_direction(tmp_path):
    for number in range(6):
        pair = np.full((8, 16), number * 10, np.uint8)
        pair[:, 8:] += 5
        (tmp_path / "train").mkdir(exist_ok=True)
        Image.fromarray(pair).save(tmp_path / "train" / f"{number}.png")
    for direction, difference in [("AtoB", 5), ("BtoA", -5)]:
        module = PairedFolder(
            tmp_path / "train", direction=direction, image_size=8, batch_size=1, holdout=0.2, channels_target=1
        )
        for batch in sets(module):
            assert isinstance(batch, PairedBatch)
            assert batch.source.shape[1:] == (3, 8, 8)
            assert batch.target.shape[1:] == (1, 8, 8)
            assert (batch.target[:, 0].int() - batch.source[:, 0].int() == difference).all()


def test_pages_are_trained_on_and_matched_by_their_numbers(tmp_path):
    for folder, shift in ("a", 0), ("b", 100):
        (tmp_path / folder).mkdir()
        frames = [Image.new("L", (8, 8 + level), level + shift) for level in range(5)]
        frames[0].save(tmp_path / folder / "pages.tif", save_all=True, append_images=frames[1:])
        grey(tmp_path / folder / "single.png", 50 + shift)
    training, reference = sets(ImageFolder(tmp_path / "a", image_size=8, channels=1, batch_size=4, holdout=0.3))
    assert sorted(levels(training.images) + levels(reference.images)) == [0, 1, 2, 3, 4, 50]
    pairs = PairedFolder(
        tmp_path / "a",
        train_b=tmp_path / "b",
        image_size=8,
        batch_size=4,
        channels_source=1,
        channels_target=1,
        held_out=["pages#2", "single"],
    )
    training, reference = sets(pairs)
    assert sorted(levels(reference.source)) == [1, 50]
    assert sorted(levels(training.source)) == [0, 2, 3, 4]
    assert all((pair.target.int() - pair.source.int() == 100).all() for pair in (training, reference))


def test_names_composed_and_decomposed_are_partners(tmp_path):
    for folder, form in ("a", "NFC"), ("b", "NFD"):
        for level, letter in enumerate("éüñå"):
            grey(tmp_path / folder / f"{normalize(form, letter)}.png", level)
    module = PairedFolder(tmp_path / "a", train_b=tmp_path / "b", image_size=8, batch_size=2, held_out=["é"])
    training, reference = sets(module)
    assert torch.equal(training.source, training.target)
    assert levels(reference.source) == levels(reference.target) == [0]


def test_parallel_folders_are_matched_by_name_whatever_the_suffix(tmp_path):
    for split in ("train", "test"):
        for number in range(4):
            grey(tmp_path / f"{split}A" / "deep" / f"{number}.png", number * 10)
            grey(tmp_path / f"{split}B" / "deep" / f"{number}.bmp", number * 10 + 5)
    folders = {
        "train": tmp_path / "trainA",
        "train_b": tmp_path / "trainB",
        "test": tmp_path / "testA",
        "test_b": tmp_path / "testB",
    }
    train, reference = sets(PairedFolder(**folders, image_size=8, batch_size=1))
    assert len(train.source) == len(reference.source) == 4
    assert (train.target.int() - train.source.int() == 5).all()
    train, _ = sets(PairedFolder(**folders, image_size=8, batch_size=1, direction="BtoA"))
    assert (train.target.int() - train.source.int() == -5).all()


def test_images_without_a_partner_are_named(tmp_path):
    for name in ["a/1.png", "a/2.png", "b/2.png", "b/3.png"]:
        grey(tmp_path / name, 0)
    with pytest.raises(ValueError, match=r"2 images of .* have no partner .*a/1\.png, .*b/3\.png"):
        PairedFolder(tmp_path / "a", train_b=tmp_path / "b").prepare_data()
    grey(tmp_path / "a" / "2.bmp", 0)
    with pytest.raises(ValueError, match=r"2\.bmp and .*2\.png share a name"):
        PairedFolder(tmp_path / "a", train_b=tmp_path / "b").prepare_data()


def test_folders_that_do_not_fit_together_are_refused():
    paths = (
        {"test_b": "d"},
        {"test": "c", "test_b": "d"},
        {"train_b": "b", "test": "c"},
        {"train_b": "b", "test_b": "d"},
    )
    for wrong in paths:
        with pytest.raises(ValueError, match="do not fit together"):
            PairedFolder("a", **wrong)
    with pytest.raises(ValueError, match="give a folder for both, or for neither"):
        UnpairedFolder("a", "b", test_a="c")
    with pytest.raises(ValueError, match=r"image_size=\(64, 64\) cannot be cut from load_size=\(32, 32\)"):
        ImageFolder("a", image_size=64, load_size=32)


def test_real_emoji_with_transparency_as_pairs(real_data, tmp_path):
    folders = []
    for name in ("google", "twitter"):
        archive = real_data / f"emoji_{name}.tar.gz"
        folder = unpacked(archive, tmp_path / name, lambda path: Path(path).stem.startswith("1f60"))
        folders.append(next(folder.rglob("*.png")).parent)
    module = PairedFolder(folders[0], train_b=folders[1], channels_target=4, image_size=32, load_size=40, batch_size=1)
    train, held = sets(module)
    assert len(train.source) + len(held.source) == len(list(folders[0].iterdir())) >= 8
    assert train.source.shape[1:] == (3, 40, 40)
    assert train.target.shape[1:] == (4, 40, 40)
    assert (train.source[:, :, 0, 0] == 255).all()  # transparent corners: over white in RGB, kept in RGBA
    assert (train.target[:, 3, 0, 0] == 0).sum() > len(train.target) / 2
    assert (train.target[:, 3] == 255).any()


def test_real_membranes_and_their_labels_are_pairs(real_data):
    membranes = real_data / "membranes"
    module = PairedFolder(
        membranes / "images",
        train_b=membranes / "labels",
        channels_source=1,
        channels_target=1,
        batch_size=1,
        image_size=64,
        load_size=512,
    )
    batch, _ = sets(module)
    assert batch.source.shape == (26, 1, 512, 512)
    assert set(batch.target.unique().tolist()) <= {0, 255}


def test_pairs_in_tiles_are_aligned_and_named_ones_held_out_whole(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("0", "1", "2"):
        values = rng.integers(0, 128, (16, 24), np.uint8)
        for folder, image in (("a", values), ("b", values + 100)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / folder / f"{name}.png")
    module = PairedFolder(
        tmp_path / "a",
        train_b=tmp_path / "b",
        held_out=["1"],
        tiles=6,
        image_size=8,
        channels_source=1,
        channels_target=1,
        batch_size=1,
        eval_batch_size=6,
    )
    train, reference = sets(module)
    assert (len(train.source), len(reference.source)) == (12, 6)
    for batch in (train, reference):
        assert torch.equal(batch.source + 100, batch.target)
    held = np.asarray(Image.open(tmp_path / "a" / "1.png"))
    tiles = [held[top : top + 8, left : left + 8] for top in (0, 8) for left in (0, 8, 16)]
    assert np.array_equal(reference.source[:, 0], np.stack(tiles))


def test_both_sides_of_one_file_come_in_tiles(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (8, 32), np.uint8)
    Image.fromarray(values).save(tmp_path / "pair.png")
    _, pair = sets(
        PairedFolder(tmp_path, holdout=0, tiles=2, image_size=8, channels_source=1, channels_target=1, batch_size=1)
    )
    for images, left in ((pair.source, 0), (pair.target, 16)):
        assert np.array_equal(images[:, 0], np.stack([values[:, left : left + 8], values[:, left + 8 : left + 16]]))


def test_pairs_of_unequal_size_have_no_tiles(tmp_path):
    grey(tmp_path / "a" / "x.png", 0, (16, 8))
    grey(tmp_path / "b" / "x.png", 0, (16, 9))
    with pytest.raises(ValueError, match=r"x.png has 16x8 pixels and .*x.png 16x9: .* equally large"):
        PairedFolder(tmp_path / "a", train_b=tmp_path / "b", tiles=2, image_size=8).prepare_data()
    with pytest.raises(ValueError, match="tiles=0 is out of range"):
        PairedFolder(tmp_path / "a", tiles=0)


TWICE: dict[str, tuple[type, dict[str, str]]] = {  # folders that hold an image in common; b links to one of a
    "test links to train": (ImageFolder, {"train": "a", "test": "b"}),
    "test in train": (ImageFolder, {"train": ".", "test": "c"}),
    "super-resolution": (SuperResolutionFolder, {"train": ".", "test": "c"}),
    "pairs": (PairedFolder, {"train": "a", "train_b": "c", "test": "b", "test_b": "d"}),
    "unpaired": (UnpairedFolder, {"train_a": "a", "train_b": "c", "test_a": "d", "test_b": "c"}),
    "both domains": (UnpairedFolder, {"train_a": "a", "train_b": "b"}),
}


@pytest.mark.parametrize("case", TWICE)
def test_no_image_is_both_trained_on_and_held_out(tmp_path, case):
    for folder in "acd":
        for level in range(8):
            grey(tmp_path / "images" / folder / f"{level}.png", level)
    (tmp_path / "images" / "b").mkdir()
    (tmp_path / "images" / "b" / "0.png").symlink_to("../a/3.png")
    kind, folders = TWICE[case]
    arguments = {name: tmp_path / "images" / folder for name, folder in folders.items()}
    with pytest.raises(ValueError, match=r"hold the same \d images .*take them out"):
        kind(**arguments, image_size=8).prepare_data()


def test_unpaired_domains_of_unequal_size(tmp_path):
    for folder, count in [("trainA", 3), ("trainB", 8), ("testA", 4), ("testB", 2)]:
        for number in range(count):
            grey(tmp_path / folder / f"{number}.png", number + 100 * folder.endswith("B"))
    module = UnpairedFolder(
        tmp_path / "trainA",
        tmp_path / "trainB",
        test_a=tmp_path / "testA",
        test_b=tmp_path / "testB",
        image_size=8,
        batch_size=1,
        channels_a=1,
    )
    train, reference = sets(module)
    assert isinstance(train, UnpairedBatch)
    assert sorted(levels(train.real_b)) == list(range(100, 108))
    assert set(levels(train.real_a)) == {0, 1, 2}
    assert train.real_a.shape[1] == 1
    assert (levels(reference.real_a), levels(reference.real_b)) == ([0, 1], [100, 101])
    module = UnpairedFolder(tmp_path / "trainA", tmp_path / "trainB", image_size=8, batch_size=1, holdout=0.25)
    train, held = sets(module)
    assert len(train.real_a) == 6
    assert len(held.real_a) == len(held.real_b) == 1


def test_16_bit_grey_reaches_the_network_exactly(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (16, 16), np.uint16)
    (tmp_path / "images").mkdir()
    Image.fromarray(values).save(tmp_path / "images" / "deep.png")
    module = ImageFolder(tmp_path / "images", image_size=16, channels=1, bits=16, holdout=0, batch_size=1)
    batch, _ = sets(module)
    images = module.on_after_batch_transfer(batch, 0).images
    assert (images.double().add(1).mul(32767.5).round()[0, 0].numpy() == values).all()


def test_an_empty_folder_and_a_corrupt_image_are_reported_before_training(tmp_path):
    (tmp_path / "images").mkdir()
    for labelled in (False, True):
        with pytest.raises(FileNotFoundError, match="images holds no images"):
            ImageFolder(tmp_path / "images", labelled=labelled).prepare_data()
        with pytest.raises(FileNotFoundError, match="absent is not a folder"):
            ImageFolder(tmp_path / "absent", labelled=labelled).prepare_data()
    (tmp_path / "images" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ValueError, match=r"bad\.png"):
        ImageFolder(tmp_path / "images").prepare_data()
