"""Names of images and classes, in words."""

from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules import MNIST, ImageFolder
from gan_lightning.data.images import write_png
from gan_lightning.evaluation.sources import load_sampler
from gan_lightning.export import save
from gan_lightning.inference import LatentSampler
from gan_lightning.latent.commands.images import sample
from gan_lightning.latent.names import class_folder, class_numbers, image_names
from models.test_cgan import cgan
from toys import StyledGenerator, trainer


@pytest.mark.parametrize(
    ("text", "count", "names"),
    [
        ("7", 1, [(7, 0)]),
        ("0-2,9", 1, [(0, 0), (1, 0), (2, 0), (9, 0)]),
        ("3, 1", 2, [(3, 0), (3, 1), (1, 0), (1, 1)]),
        ("[4:12, 5:0-1]", 3, [(4, 12), (5, 0), (5, 1)]),
        (f"{10**17}", 1, [(10**17, 0)]),
    ],
)
def test_seeds_and_images_of_seeds(text: str, count: int, names: list[tuple[int, int]]) -> None:
    assert image_names(text, count) == names


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "'' names no image"),
        ("-3", "'-3' names no image"),
        ("1,,2", "'' names no image"),
        ("a-b", "'a-b' names no image"),
        ("1.5", r"'1\.5' names no image"),
        ("9-3", "give 3-9"),
        ("0-999999999999", "more than 1,000,000 images"),
        (f"{10**30}", "names no image"),
    ],
)
def test_what_names_no_image_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        image_names(text)


def test_classes_by_number_and_name() -> None:
    sampler: Any = LatentSampler(StyledGenerator(num_classes=12))
    assert class_numbers("3,0-2", sampler) == [3, 0, 1, 2]
    assert class_numbers("all", sampler) == list(range(12))
    assert class_folder(sampler, 3) == "03"
    sampler.class_names = [*"abcdefghi", "../x", "cat", "1"]
    assert class_numbers("cat, b, 1, 5", sampler) == [10, 1, 11, 5]  # a name comes before a number
    assert [class_folder(sampler, number) for number in (9, 10)] == ["09", "cat"]
    for text, sentence in (("12", "no class '12': its classes are 0 to 11, or a, b"), ("dog", "no class 'dog'")):
        with pytest.raises(ValueError, match=sentence):
            class_numbers(text, sampler)
    with pytest.raises(ValueError, match="makes images without classes"):
        class_numbers("0", LatentSampler(StyledGenerator()))


def test_images_of_many_seeds_are_those_of_each() -> None:
    torch.manual_seed(0)
    sampler = LatentSampler(StyledGenerator(num_classes=3))
    names = image_names("5:3-4,2,5:5,2:7")
    together = sampler.make(names)
    alone = torch.cat([sampler.sample(1, seed=name.seed, first=name.number) for name in names])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(super(LatentSampler, sampler).make(names), alone)  # by runs of one seed
    labels = torch.tensor([2, 1, 0, 0, 1])
    torch.testing.assert_close(sampler.make(names, labels, 0.5)[:1], sampler.sample(1, labels[:1], 0.5, 5, 3))


def test_a_checkpoint_knows_the_names_of_its_classes(tmp_path: Path) -> None:
    for number, name in enumerate(("bird", "cat", "dog")):
        for copy in range(2):
            write_png(torch.full((1, 16, 16), 40 * number, dtype=torch.uint8), tmp_path / f"data/{name}/{copy}.png")
    data = ImageFolder(tmp_path / "data", labelled=True, holdout=0, image_size=16, channels=1, batch_size=4)
    fitted = trainer(tmp_path, max_steps=1, limit_val_batches=0)
    fitted.fit(cgan(), data)
    fitted.save_checkpoint(tmp_path / "named.ckpt")
    loaded = load_sampler(tmp_path / "named.ckpt").sampler
    assert loaded.class_names == ("bird", "cat", "dog")
    sample(tmp_path / "named.ckpt", tmp_path / "images", n=1, classes="dog,cat", device="cpu")
    assert {path.parent.name for path in (tmp_path / "images").rglob("*.png")} == {"cat", "dog"}
    again = trainer(tmp_path, max_steps=2, limit_val_batches=0)
    again.fit(resumed := cgan(), data, ckpt_path=tmp_path / "named.ckpt")
    assert resumed.class_names == ("bird", "cat", "dog")
    save(loaded, tmp_path / "export")
    sample(tmp_path / "export", tmp_path / "images", n=1, classes="dog,bird", device="cpu")
    assert {path.parent.name for path in (tmp_path / "images").rglob("*.png")} == {"bird", "cat", "dog"}
    assert MNIST(tmp_path, name="FashionMNIST").classes[1] == "Trouser"
