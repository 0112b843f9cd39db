"""Mixtures of styles, and truncation up to a cut-off layer."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gan_lightning.inference import LatentSampler
from gan_lightning.latent import ImageName, LatentSpace, image_names, mixed, mixing_sheet
from gan_lightning.latent.commands.images import arithmetic, directions, interpolate, sample
from gan_lightning.latent.commands.mixing import mix
from gan_lightning.networks import StyleGANGenerator
from gan_lightning.networks.styled import StyledGenerator
from models.test_dcgan import dcgan
from models.test_stylegan import stylegan
from toys import StyledGenerator as OneStyle
from toys import checkpoint, read_png

NAMES = image_names("0-2")


class Striped(StyledGenerator):
    """Four layers, whose styles are the columns of a grey 4x4 image."""

    def __init__(self, num_classes: int = 0) -> None:
        super().__init__(4)
        self.latent_dim, self.num_classes, self.num_styles = 4, num_classes, 4
        self.mapping = lambda z, *labels: z.tanh() / 2 + (labels[0][:, None] / 10 if labels else 0)

    def synthesis(self, w: Tensor, noise: Any = "fresh") -> Tensor:
        return self.each_layer(w).mT[:, None]


def space(network: Any, **how: Any) -> LatentSpace:
    return LatentSpace(LatentSampler(network), **how)


def test_each_layer_has_the_style_of_its_image() -> None:
    where = space(Striped())
    w = where.points(NAMES)
    both = mixed(where, w[:1], w[1:2], [1, 3])
    assert torch.equal(both[0], torch.stack([w[0], w[1], w[0], w[1]]))
    assert torch.equal(mixed(where, w, w.flip(0), []), where.sampler.each_layer(w))
    assert torch.equal(mixed(where, w, w.flip(0), range(4)), where.sampler.each_layer(w.flip(0)))
    assert torch.equal(mixed(where, w, w, [2]), where.sampler.each_layer(w))


@pytest.mark.parametrize("classes", [0, 3])
def test_rows_are_coarse_and_columns_are_fine(classes: int) -> None:
    where = space(Striped(classes), batch_size=2)
    picture = mixing_sheet(where, NAMES[:2], [ImageName(5), ImageName(6), ImageName(7)])
    w = where.points([*NAMES[:2], *image_names("5-7")])
    bottom, right = picture.shape[1] - 4, picture.shape[2] - 4

    def cell(row: int, column: int) -> Tensor:
        """The image in a row and column, 0 to 1 and 0 to 2; the row's and the column's own images are at -1."""
        top, left = bottom - 68 * (2 - row) + 4, right - 68 * (3 - column) + 4
        return picture[0, top : top + 64, left : left + 64][8::16, 8::16]

    for row in range(2):
        for column in range(3):
            values = torch.stack([w[row], w[row], w[2 + column], w[2 + column]], dim=1)
            assert torch.equal(cell(row, column), (values * 127.5 + 128).clamp(0, 255).byte())
        assert torch.equal(cell(row, -1), torch.stack([w[row]] * 4, dim=1).mul(127.5).add(128).byte())
    assert torch.equal(cell(-1, 1), torch.stack([w[3]] * 4, dim=1).mul(127.5).add(128).byte())


def test_no_layer_is_the_row_and_all_layers_are_the_column_to_the_bit() -> None:
    torch.manual_seed(0)
    where = space(StyleGANGenerator(6, 5, image_size=16, channels=1, width=4))  # whose noise has no weight yet
    w = where.points(NAMES)
    for layers, same in (([], w), (range(6), w.flip(0))):
        made = where.sampler.synthesize(mixed(where, w, w.flip(0), layers), names=NAMES)
        assert torch.equal(made, where.sampler.synthesize(same, names=NAMES))


def test_psi_truncates_up_to_the_cutoff() -> None:
    network = Striped()
    whole, first, plain = space(network, psi=0.5), space(network, psi=0.5, cutoff=3), space(network)
    w, truncated, cut = (each.points(NAMES) for each in (plain, whole, first))
    assert cut.shape == (3, 4, 4)
    assert torch.equal(cut[:, :3], truncated[:, None].expand(-1, 3, -1))
    assert torch.equal(cut[:, 3], w)
    in_z = space(network, name="z", psi=0.5, cutoff=3)
    torch.testing.assert_close(in_z.make(NAMES), first.make(NAMES))
    assert torch.equal(space(network, cutoff=3).make(NAMES), plain.make(NAMES))
    for cutoff in (0, 4):
        with pytest.raises(ValueError, match=f"cutoff={cutoff} .* Striped has 4 layers: give 1 to 3, or leave it out"):
            space(network, psi=0.5, cutoff=cutoff)
    with pytest.raises(ValueError, match="StyledGenerator has one style for all of its layers: leave it out"):
        space(OneStyle(), psi=0.5, cutoff=2)


def test_the_commands_take_a_cutoff_and_mix_writes_a_picture(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path, how = checkpoint(stylegan(), tmp_path / "model.ckpt"), {"psi": 0.7, "cutoff": 3, "device": "cpu"}
    mix(path, tmp_path / "mix.png", rows="0,1", columns="5:0-2", layers="2-4,5", **how)
    assert read_png(tmp_path / "mix.png").float().std() > 0
    sample(path, tmp_path / "images", seeds="0-2", **how)
    interpolate(path, tmp_path / "strip.png", steps=3, **how)
    arithmetic(path, "a: 0,1 - 2", tmp_path / "sum.png", **how)
    for method in ("sefa", "pca"):
        directions(path, tmp_path / f"{method}.safetensors", method, samples=64, count=4, seeds="0", show=2, **how)
    before = (tmp_path / "images" / "samples.json").read_text()
    assert '"cutoff": 3' in before
    with pytest.raises(FileExistsError):
        sample(path, tmp_path / "images", seeds="0-2", psi=0.7, device="cpu")


@pytest.mark.parametrize(
    ("build", "wrong", "said"),
    [
        (dcgan, {}, "DCGANGenerator has no styles that could be mixed: give a model with a space w"),
        (stylegan, {"layers": "0-6"}, "StyleGANGenerator has no layer 6: its layers with styles are 0 to 5"),
        (stylegan, {"layers": "x"}, "'x' is neither a number nor a range: give numbers such as 4, 0-3 or 0,2,5"),
        (stylegan, {"rows": "a"}, "'a' names no image"),
        (stylegan, {"cutoff": 6}, "cutoff=6 .* has 6 layers: give 1 to 5"),
        (stylegan, {"classes": "1"}, "this model makes images without classes"),
    ],
)
def test_what_cannot_be_mixed_is_said(build: Any, wrong: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = checkpoint(build(), tmp_path / "model.ckpt")
    with pytest.raises(ValueError, match=said):
        mix(path, tmp_path / "mix.png", device="cpu", **wrong)
    assert not (tmp_path / "mix.png").exists()


def test_one_style_for_all_layers_cannot_be_mixed() -> None:
    with pytest.raises(ValueError, match="StyledGenerator has one style for all of its layers, so that nothing can be"):
        mixing_sheet(space(OneStyle()), NAMES, NAMES)
