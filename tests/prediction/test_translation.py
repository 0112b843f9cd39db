"""One image of any size, depth and kind; whole and in tiles."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gan_lightning.data.batches import PairedBatch, UnpairedBatch
from gan_lightning.data.files import image_files, read_image
from gan_lightning.data.images import to_channels, to_float, to_uint8, to_uint16
from gan_lightning.inference import Policy
from gan_lightning.models import Pix2Pix
from gan_lightning.networks import PatchGAN
from gan_lightning.prediction import FolderTranslation, ImageTranslation, translate_image
from gan_lightning.recording import Network
from models.test_cyclegan import cyclegan
from models.test_dcgan import dcgan
from models.test_pix2pix import pix2pix


class Local(Network):
    """Sees 7 pixels to each side at most; keeps the size of its input or doubles it."""

    multiple, minimum = 2, 4

    def __init__(self, inputs: int = 1, outputs: int = 3, scale: int = 1, norm: bool = False) -> None:
        super().__init__()
        self.in_channels, self.scale = inputs, scale
        self.seen: list[tuple[int, ...]] = []
        self.net = nn.Sequential(
            nn.Conv2d(inputs, 8, 3, padding=1),
            nn.InstanceNorm2d(8) if norm else nn.Identity(),
            nn.Tanh(),
            nn.Conv2d(8, 8, 4, stride=2, padding=1),
            nn.InstanceNorm2d(8) if norm else nn.Identity(),
            nn.Tanh(),
            nn.Upsample(scale_factor=2 * scale),
            nn.Conv2d(8, outputs, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, source: Tensor) -> Tensor:
        self.seen.append(tuple(source.shape))
        return self.net(source)


def translator(generator: nn.Module) -> Pix2Pix:
    return Pix2Pix(generator, PatchGAN(in_channels=4, width=4, receptive_field=16))


def local(**how: Any) -> Pix2Pix:
    torch.manual_seed(0)
    return translator(Local(**how))


def noise(*shape: int, dtype: torch.dtype = torch.uint8, seed: int = 0) -> Tensor:
    """Stored images with some structure: each half brighter than the one before."""
    made = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    made[..., shape[-1] // 2 :] = (made[..., shape[-1] // 2 :] + 1) / 2
    return (to_uint8 if dtype == torch.uint8 else to_uint16)(made * 2 - 1)


def levels_apart(first: Tensor, second: Tensor) -> int:
    return int((first.int() - second.int()).abs().max())


# ---------------------------------------------------------------------- whole images


@pytest.mark.parametrize("dropout", [True, False])
@pytest.mark.parametrize("statistics", [True, False])
def test_pix2pix_makes_what_evaluation_and_previews_show(dropout: bool, statistics: bool) -> None:
    model = pix2pix(policy=Policy(dropout, "instance" if statistics else "running"))
    images = noise(3, 1, 32, 48)
    sources = to_float(images)
    for image, source in zip(images, sources, strict=True):
        torch.manual_seed(5)
        alone = to_uint8(model.translate(source[None]))[0]
        assert torch.equal(translate_image(model.translator, image, seed=5), alone)
    batch = PairedBatch(sources, torch.zeros(3, 3, 32, 48))
    together = to_uint8(model.generate(batch))
    shown, columns = model.preview(batch, 3)
    singly = torch.stack([translate_image(model.translator, image) for image in images])
    if dropout:  # drawn for a batch at once
        assert not torch.equal(singly, together)
    else:
        assert torch.equal(to_uint8(shown[1::columns]), together)
        assert levels_apart(singly, together) <= 1  # the others in a batch change nothing but floats' last digits


@pytest.mark.parametrize("direction", ["a_to_b", "b_to_a"])
def test_cyclegan_makes_what_evaluation_and_previews_show(direction: Any) -> None:
    model = cyclegan()
    images = noise(3, 3, 32, 48)
    singly = torch.stack([translate_image(model.translator, image, direction) for image in images])
    for image, made in zip(images, singly, strict=True):
        assert torch.equal(made, to_uint8(model.translate(to_float(image)[None], direction))[0])
    batch = UnpairedBatch(to_float(images), to_float(images))
    shown, columns = model.preview(batch, 3)
    together = to_uint8(shown[(1 if direction == "a_to_b" else 4) :: columns])
    assert levels_apart(singly, together) <= 1  # other sums in another order
    assert (singly != together).float().mean() < 0.001
    if direction == "a_to_b":
        assert torch.equal(together, to_uint8(model.generate(batch)))
        assert torch.equal(singly[0], translate_image(model.translator, images[0]))


def test_any_size_is_padded_by_reflection_and_cut_back() -> None:
    model = cyclegan()
    image = noise(3, 30, 41)
    padded = nn.functional.pad(to_float(image)[None], (0, 3, 0, 2), "reflect")
    expected = to_uint8(model.translate(padded))[0, :, :30, :41]
    assert torch.equal(translate_image(model.translator, image), expected)
    for size in [(1, 1), (3, 70), (8, 5)]:
        assert translate_image(model.translator, noise(3, *size)).shape == (3, *size)


@pytest.mark.parametrize(("given", "made"), [(1, 3), (2, 4), (3, 3), (4, 4)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_depth_and_alpha_are_the_sources_and_channels_the_networks(given: int, made: int, dtype: torch.dtype) -> None:
    model = local()
    image = noise(given, 20, 24, dtype=dtype)
    result = translate_image(model.translator, image)
    assert result.dtype == dtype
    assert result.shape == (made, 20, 24)
    expected = model.translate(to_float(to_channels(image[None], 1)))
    assert torch.equal(result[:3], (to_uint8 if dtype == torch.uint8 else to_uint16)(expected)[0])
    if made == 4:
        assert torch.equal(result[3], image[-1])


def test_16_bits_go_through_the_network_as_they_are() -> None:
    model = local()
    deep = noise(1, 20, 24, dtype=torch.uint16)
    shallow = (deep.int() // 257 * 257).to(torch.uint16)
    made = translate_image(model.translator, deep)
    assert not torch.equal(made, translate_image(model.translator, shallow))
    assert len(made.unique()) > 256


def test_a_network_of_rgba_makes_the_alpha_itself() -> None:
    model = local(inputs=4, outputs=4)
    opaque, clear = noise(3, 20, 24), noise(4, 20, 24)
    full = torch.cat([opaque, torch.full((1, 20, 24), 255, dtype=torch.uint8)])
    assert torch.equal(translate_image(model.translator, opaque), to_uint8(model.translate(to_float(full)[None]))[0])
    assert torch.equal(translate_image(model.translator, clear), to_uint8(model.translate(to_float(clear)[None]))[0])
    assert translate_image(model.translator, noise(2, 20, 24)).shape == (4, 20, 24)


def test_noise_has_a_seed_of_its_own() -> None:
    model = pix2pix()
    image = noise(1, 32, 32)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = translate_image(model.translator, image, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(translate_image(model.translator, image, seed=1), first)
    assert not torch.equal(translate_image(model.translator, image, seed=2), first)


# ---------------------------------------------------------------------- tiles


@pytest.mark.parametrize("size", [(150, 171), (40, 150), (151, 33)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
@pytest.mark.parametrize("scale", [1, 2])
def test_tiles_equal_the_whole_image_where_they_overlap_enough(
    size: tuple[int, int], dtype: torch.dtype, scale: int
) -> None:
    model = local(scale=scale)
    image = noise(1, *size, dtype=dtype)
    whole = translate_image(model.translator, image, tile=200)
    assert whole.shape == (3, scale * size[0], scale * size[1])
    tiled = translate_image(
        model.translator, image, tile=64, overlap=28
    )  # a quarter of it is what the network sees to a side
    assert levels_apart(tiled, whole) <= 1
    assert (tiled != whole).float().mean() < 0.01
    apart = levels_apart(translate_image(model.translator, image, tile=64, overlap=0), whole)
    assert apart > (5 if dtype == torch.uint8 else 1000)


def test_the_network_never_sees_more_than_a_tile() -> None:
    model = local()
    generator: Any = model.generator
    translate_image(model.translator, noise(1, 300, 7), tile=63, overlap=16)
    assert {shape[0] for shape in generator.seen} == {1}
    assert {shape[2:] for shape in generator.seen} == {(4, 4), (64, 8)}  # the try-out, and tiles


def steps(image: Tensor) -> Tensor:
    """Mean absolute difference between neighbouring columns (W - 1,)."""
    return image.float().diff(dim=2).abs().mean(dim=(0, 1))


def test_instance_norm_leaves_no_seams() -> None:
    """The halves of the image differ in brightness, and so do the statistics of tiles."""
    model = local(inputs=1, norm=True)
    across = torch.linspace(-0.9, 0.9, 256)
    image = to_uint8(
        (across + 0.005 * torch.randn(1, 128, 256, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    )
    translation = ImageTranslation(model.translator, tile=64, overlap=28)
    edges = [edge - 1 for start in (0, 32, 64, 96, 128, 160, 192) for edge in (start, start + 64) if 0 < edge < 256]

    found = steps(translation(image))
    elsewhere = torch.tensor([i not in edges for i in range(255)])
    assert found[edges].max() <= found[elsewhere].max()
    assert found[edges].mean() < 1.1 * found[elsewhere].mean()

    # each tile by its own statistics, side by side: what this is to prevent
    cut = torch.cat([translate_image(model.translator, part) for part in image.split(32, dim=2)], dim=2)
    seams = steps(cut)[31::32]
    assert seams.mean() > 2 * steps(cut).mean()


def test_all_tiles_are_normalised_alike() -> None:
    model = local(inputs=1, norm=True)
    image = noise(1, 128, 160)
    translation = ImageTranslation(model.translator, tile=64, overlap=28)
    tiled = translation(image)
    starts = [(top, left) for top in (0, 32, 64) for left in (0, 32, 64, 96)]
    statistics = translation._measure(image, starts, [64, 64], seed=0)
    assert len(statistics) == 2
    with statistics:
        whole = to_uint8(model.translate(to_float(image)[None]))[0]
    assert levels_apart(tiled, whole) <= 1
    # the sample stands for the image
    own = translate_image(model.translator, image).float()
    by_tiles = torch.cat([translate_image(model.translator, part) for part in image.split(64, dim=2)], dim=2).float()
    assert (tiled.float() - own).abs().mean() < 0.5 * (by_tiles - own).abs().mean()


def test_alpha_is_carried_over_tiles_and_scales() -> None:
    image = noise(4, 100, 130)
    image[3] = (torch.arange(130) * 255 / 129).to(torch.uint8)
    assert torch.equal(translate_image(local(inputs=3).translator, image, tile=64, overlap=28)[3], image[3])
    enlarged = translate_image(local(inputs=3, scale=2).translator, image, tile=64, overlap=28)
    assert enlarged.shape == (4, 200, 260)
    assert levels_apart(enlarged[3], enlarged[3].mT.contiguous().mT) == 0
    torch.testing.assert_close(enlarged[3, ::2, 1:-1:2].float(), image[3, :, :-1].float(), atol=2, rtol=0)
    assert enlarged[3].float().diff(dim=1).abs().max() <= 2


def test_what_lies_under_transparency_does_not_show() -> None:
    image = noise(4, 20, 24)
    image[3, :, :12] = 0
    other = image.clone()
    other[:3, :, :12] = 7
    assert torch.equal(
        translate_image(local(inputs=3).translator, image), translate_image(local(inputs=3).translator, other)
    )


class Classes(Local):
    """A network of class maps, in which the class depends on the place in a tile."""

    classes = 3

    def forward(self, source: Tensor) -> Tensor:
        return (torch.linspace(-1.4, 1.4, source.shape[3]).expand_as(source) + 0.1 * source).clamp(-1, 1).round()


def test_maps_of_classes_are_not_blended() -> None:
    made = translate_image(translator(Classes()).translator, noise(1, 90, 150), tile=64, overlap=30)
    assert set(made.unique().tolist()) == {0, 128, 255}


def test_a_real_photograph_has_no_seams(real_data: Any) -> None:
    image = read_image(image_files(real_data / "membranes/images")[0])
    torch.manual_seed(0)
    model = cyclegan()
    made = translate_image(model.translator, image, tile=256, overlap=64)
    assert made.shape == (3, 512, 512)
    found = steps(made)
    edges = [127, 255, 383]
    assert found[edges].max() <= found.quantile(0.99)


# ---------------------------------------------------------------------- what does not fit


def test_models_directions_and_sizes_that_do_not_fit_are_named(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="DCGAN does not translate images"):
        FolderTranslation(dcgan(), tmp_path, tmp_path.parent / "out")
    with pytest.raises(ValueError, match="there is no direction 'b_to_a': choose a_to_b"):
        ImageTranslation(pix2pix().translator, "b_to_a")
    with pytest.raises(ValueError, match="there is no direction 'AtoB': choose a_to_b or b_to_a"):
        ImageTranslation(cyclegan().translator, "AtoB")
    with pytest.raises(ValueError, match="tiles of 32 pixels cannot overlap by 17: choose 0 to 16"):
        ImageTranslation(cyclegan().translator, tile=30, overlap=17)
    with pytest.raises(ValueError, match="Conv2d does not state its multiple"):
        ImageTranslation(translator(nn.Conv2d(3, 3, 3)).translator)
    with pytest.raises(ValueError, match=r"Local takes 5 channels, but image files have 1 \(grey\), 3"):
        ImageTranslation(local(inputs=5).translator)
    with pytest.raises(ValueError, match="Local makes 2 channels, but"):
        translate_image(local(outputs=2).translator, noise(1, 20, 20))


def test_a_scale_that_is_not_stated_is_found_out() -> None:
    model = local(scale=2)
    model.generator.scale = 1  # type: ignore[assignment]
    with pytest.raises(ValueError, match="Local makes an image of 8x8 from one of 4x4, but states that its scale is 1"):
        translate_image(model.translator, noise(1, 20, 20))
