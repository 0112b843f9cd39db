"""Sums of mean latents, and the table of their images."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gan_lightning.inference import LatentSampler
from gan_lightning.latent import LatentSpace, add, groups
from gan_lightning.latent.commands.images import arithmetic
from gan_lightning.latent.sheets import sheet
from models.test_cgan import cgan
from toys import StyledGenerator, ToyGenerator, read_png

HOW: dict[str, Any] = {"trusted": ["toys"], "device": "cpu"}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("0,1 - 2", [(1, "0,1", [(0, 0), (1, 0)]), (-1, "2", [(2, 0)])]),
        (
            "a man: 3-4 - man: 5:7 + woman:0:2",
            [(1, "a man", [(3, 0), (4, 0)]), (-1, "man", [(5, 7)]), (1, "woman", [(0, 2)])],
        ),
        ("- x-y: 1 + 2", [(-1, "x-y", [(1, 0)]), (1, "2", [(2, 0)])]),
    ],
)
def test_formulas(formula: str, expected: list[Any]) -> None:
    assert groups(formula) == expected


@pytest.mark.parametrize(
    ("formula", "sentence"),
    [
        ("0,1", "has no second term"),
        ("", "has no second term|cannot be read"),
        ("0 + ", "has no second term|cannot be read"),
        ("man: 1 + woman", "the term 'woman' cannot be read"),
        ("0 + 5-3", "the term '5-3' cannot be read .*give 3-5"),
    ],
)
def test_a_formula_that_is_none(formula: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        groups(formula)


def test_in_z_results_have_the_length_of_latents() -> None:
    torch.manual_seed(0)
    sampler = LatentSampler(ToyGenerator(latent_dim=256))
    total = add(LatentSpace(sampler), groups("0-2 - 3-5 + 6-8"))
    a, b, c = (latents.points for latents in total.members)
    direction = a.mean(dim=0) - b.mean(dim=0) + c.mean(dim=0)
    length = torch.cat([a, b, c]).norm(dim=1).mean()
    torch.testing.assert_close(total.result.points, (direction / direction.norm() * length)[None])
    torch.testing.assert_close(
        total.means[1].points, (b.mean(dim=0) / b.mean(dim=0).norm() * b.norm(dim=1).mean())[None]
    )


def test_in_w_results_are_the_plain_sum() -> None:
    torch.manual_seed(0)
    sampler = LatentSampler(StyledGenerator(num_classes=3))
    total = add(LatentSpace(sampler), groups("0:1,0:2 - 3 + 4"), label=2)
    a, b, c = (latents.points for latents in total.members)
    torch.testing.assert_close(total.result.points, a.mean(dim=0, keepdim=True) - b + c)
    names = [name for term in groups("0:1,0:2 - 3 + 4") for name in term.images]
    assert total.result.weights is None
    styles = sampler.map(sampler.latents_of(names), torch.full((4,), 2))
    torch.testing.assert_close(torch.cat([a, b, c]), styles)


def test_classes_of_z_are_added_too() -> None:
    torch.manual_seed(0)
    space = LatentSpace(cgan().sampler)
    total = add(space, groups("0:0,0:1 - 0:1 + 0:2"))  # images of the classes 0 and 1, 1, 2
    assert total.result.weights is not None
    assert total.result.weights.tolist() == [[0.5, -0.5, 1.0]]
    of_one = add(space, groups("0:0,0:1 - 0:1 + 0:2"), label=1)
    assert of_one.result.weights is not None
    assert of_one.result.weights.tolist() == [[0.0, 1.0, 0.0]]


def test_a_column_a_group_and_one_for_the_result(styled: Path, plain: Path, tmp_path: Path) -> None:
    arithmetic(styled, "a: 0,1,2 - 3 + b: 0:4,0:5", tmp_path / "w.png", psi=0.7, **HOW)
    arithmetic(styled, "0-9 - 3", tmp_path / "z.png", classes="1", space="z", truncation=1.0, **HOW)
    arithmetic(plain, "0 + 1", tmp_path / "plain.png", **HOW)
    heights = [read_png(tmp_path / f"{name}.png").shape[1] for name in ("w", "z", "plain")]
    assert heights == [22 + rows * 68 for rows in (4, 9, 2)]  # of ten images, eight are shown
    for formula, how, sentence in (
        ("0 + 1", {"classes": "0,1"}, "names 2 classes"),
        ("0 + 1", {"space": "v"}, "v"),
        ("0", {}, "no second term"),
    ):
        with pytest.raises(ValueError, match=sentence):
            arithmetic(styled, formula, tmp_path / "x.png", **HOW, **how)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"x\.gif cannot be written: name a picture"):
        arithmetic(plain, "0 + 1", tmp_path / "x.gif", **HOW)


def test_a_sheet_has_its_images_pixel_for_pixel() -> None:
    image = torch.randint(256, (3, 40, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    drawn = sheet([[image, None], [None, image]], ["one", ""], ["", "a long caption"])
    large = image.repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert drawn.shape[1] == 22 + 2 * 84
    left = drawn.shape[2] - 2 * 68
    assert torch.equal(drawn[:, 22:102, left : left + 64], large)
    assert torch.equal(drawn[:, 106:186, left + 68 : left + 132], large)
    assert (drawn[:, 106:186, left : left + 64] == 255).all()
    assert (drawn[:, :, : left - 4] < 128).any()  # the captions
    assert (drawn[:, :22, left:] < 128).any()
