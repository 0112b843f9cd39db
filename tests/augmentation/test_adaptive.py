"""ADA: each transform against its definition, their probabilities, second derivatives, and the updates of p."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage, signal
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.optim import SGD

from gan_lightning.augmentation import AdaptiveAugmentation
from gan_lightning.augmentation.adaptive import SYM6, _Sample, recolor, warp
from gan_lightning.data.batches import ImageBatch
from gan_lightning.losses import AdversarialLoss, NonSaturating, Wasserstein, r1
from gan_lightning.models import DCGAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from gan_lightning.schedules import Cosine
from gan_lightning.training.adversarial import AdversarialModule
from toys import ToyData, ToyGAN, trainer
from training.test_resume import Kill, KilledError, assert_same_end, data_of, fit

GEOMETRY = (
    "x_flip",
    "rotation_90",
    "integer_translation",
    "scale",
    "rotation",
    "anisotropic_scale",
    "fractional_translation",
)
COLORS = ("brightness", "contrast", "luma_flip", "hue", "saturation")
CPU = torch.device("cpu")


def only(*transforms: str, p: float = 1.0) -> AdaptiveAugmentation:
    return AdaptiveAugmentation(p=p, **{name: float(name in transforms) for name in (*GEOMETRY, *COLORS)})


def smooth(count: int, channels: int, height: int, width: int) -> Tensor:
    torch.manual_seed(0)
    coarse = torch.randn(count, channels, height // 4, width // 4)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(-1, 1)


def matrix(*rows: tuple[float, float, float]) -> Tensor:
    return torch.tensor([*rows, (0.0, 0.0, 1.0)])


# ------------------------------------------------------------------ geometry


def test_without_transforms_images_pass_bit_by_bit() -> None:
    for images in (torch.randn(4, 3, 16, 16), torch.randn(4, 1, 9, 14), torch.randn(4, 3, 2, 2)):
        assert torch.equal(AdaptiveAugmentation(p=0)(images), images)
        assert torch.equal(only(p=1)(images), images)
        assert torch.equal(AdaptiveAugmentation(p=1).eval()(images), images)


@pytest.mark.parametrize("size", [(16, 16), (10, 14), (2, 3)])
def test_up_and_down_again_is_the_identity(size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size) * 2 - 1
    # so near to the identity that nothing is seen of it, but not so near as to be left out
    torch.testing.assert_close(
        warp(images, matrix((1, 0, 1e-7), (0, 1, 0)).expand(2, -1, -1)), images, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(("x", "y"), [(3, 0), (-2, 1), (0, -7), (11, 9)])
def test_shifts_by_whole_pixels_are_exact_and_reflect_what_lies_outside(x: int, y: int) -> None:
    images = torch.rand(2, 3, 10, 12) * 2 - 1
    padded = torch.nn.functional.pad(images, (11, 11, 9, 9), mode="reflect")
    expected = padded[..., 9 - y : 19 - y, 11 - x : 23 - x]
    made = warp(images, matrix((1, 0, -x), (0, 1, -y)).expand(2, -1, -1))
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-5)


def resampled_by_scipy(image: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Transform one channel: reflect it far beyond its border, up by two with sym6, bilinear, down by two with sym6."""
    height, width = image.shape
    far = 3 * max(height, width)
    taps = np.array(SYM6) / math.sqrt(2)
    fine = np.pad(image, far, mode="reflect")
    for axis in (0, 1):
        fine = signal.upfirdn(2 * taps, fine, up=2, axis=axis)
    # tap 5 stands on the pixel: pixel i of the padded image is at 2 i + 5
    y, x = np.meshgrid(np.arange(-5, 2 * height + 5), np.arange(-5, 2 * width + 5), indexing="ij")
    places = np.stack([x / 2 - (width - 1) / 2, y / 2 - (height - 1) / 2, np.ones(x.shape)])
    from_x, from_y, _ = np.tensordot(inverse, places, axes=1)
    at = [2 * (from_y + (height - 1) / 2 + far) + 5, 2 * (from_x + (width - 1) / 2 + far) + 5]
    made = ndimage.map_coordinates(fine, at, order=1)
    for axis in (0, 1):
        made = signal.upfirdn(taps[::-1], made, down=1, axis=axis)
    return made[11:-11:2, 11:-11:2]


@pytest.mark.parametrize(
    "inverse",
    [
        matrix((-1, 0, 0), (0, 1, 0)),
        matrix((0, -1, 0), (1, 0, 0)),
        matrix((1.4, 0, 0), (0, 0.7, 0)),
        matrix((1, 0, 3.3), (0, 1, -1.6)),
        matrix((0.8, -0.6, 0), (0.6, 0.8, 0)),
        matrix((-1.1, -0.9, 2.5), (1.2, -0.4, 7.1)),
    ],
    ids=["mirror", "quarter turn", "scale", "shift", "rotation", "all at once"],
)
@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
def test_resampling_is_that_of_scipy(inverse: Tensor, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    image = torch.rand(size) * 2 - 1
    expected = resampled_by_scipy(image.double().numpy(), inverse.double().numpy())
    made = warp(image[None, None], inverse[None])[0, 0]
    torch.testing.assert_close(made, torch.from_numpy(expected).float(), rtol=0, atol=1e-4)


def test_mirror_images_and_turns_are_where_torch_puts_them() -> None:
    images = torch.nn.functional.interpolate(smooth(8, 1, 16, 16), scale_factor=2, mode="bicubic")
    for inverse, expected in (
        (matrix((-1, 0, 0), (0, 1, 0)), images.flip(-1)),
        (matrix((-1, 0, 0), (0, -1, 0)), images.flip(-1, -2)),
        (matrix((0, -1, 0), (1, 0, 0)), images.rot90(1, (-2, -1))),
        (matrix((0, 1, 0), (-1, 0, 0)), images.rot90(-1, (-2, -1))),
    ):
        made = warp(images, inverse.expand(8, -1, -1))
        # sym6 is not quite symmetric: the difference is that of a shift by about a tenth of a pixel
        assert (made - expected).abs().mean() < 0.15 * (expected - expected.roll(1, -1)).abs().mean()


def geometry(name: str, p: float, count: int = 40_000, width: int = 32, height: int = 16) -> Tensor:
    torch.manual_seed(0)
    return only(name, p=p).draw_geometry(count, width, height, CPU)


def share(happened: Tensor) -> float:
    return float(happened.float().mean())


def changed(matrices: Tensor) -> Tensor:
    eye = torch.eye(*matrices.shape[1:])
    return (matrices != eye).flatten(1).any(dim=1)


@pytest.mark.parametrize(
    ("name", "of_p"),
    # half of all flips, a quarter of all turns and, of 32x16 pixels, an eighth of a quarter of all shifts do nothing
    [
        ("x_flip", 1 / 2),
        ("rotation_90", 3 / 4),
        ("integer_translation", 1 - 1 / 8 / 4),
        *((name, 1) for name in GEOMETRY[3:]),
    ],
)
@pytest.mark.parametrize("p", [0.25, 1])
def test_each_geometric_transform_happens_with_its_probability(name: str, of_p: float, p: float) -> None:
    assert share(changed(geometry(name, p))) == pytest.approx(p * of_p, abs=0.01)
    half = AdaptiveAugmentation(p=p, **dict.fromkeys((*GEOMETRY, *COLORS), 0.0) | {name: 0.5})
    assert share(changed(half.draw_geometry(40_000, 32, 16, CPU))) == pytest.approx(p / 2 * of_p, abs=0.01)


@pytest.mark.parametrize(("name", "of_p"), [(name, 1 / 2 if name == "luma_flip" else 1) for name in COLORS])
@pytest.mark.parametrize("p", [0.25, 1])
def test_each_color_transform_happens_with_its_probability(name: str, of_p: float, p: float) -> None:
    torch.manual_seed(0)
    colors = only(name, p=p).draw_colors(40_000, CPU)
    assert share(changed(colors)) == pytest.approx(p * of_p, abs=0.01)


def test_above_one_every_transform_happens() -> None:
    pipeline = AdaptiveAugmentation(p=1.3)
    assert share(changed(pipeline.draw_geometry(1000, 32, 32, CPU))) == 1
    assert not pipeline.draw_geometry(1000, 32, 32, CPU).isnan().any()


def test_flips_and_quarter_turns() -> None:
    flips = geometry("x_flip", 1)
    assert torch.equal(flips[:, 0, 0].unique(), torch.tensor([-1.0, 1.0]))
    assert torch.equal(flips[:, 1:], torch.eye(3)[1:].expand(len(flips), -1, -1))
    turns = geometry("rotation_90", 1)
    cos, sin = turns[:, 0, 0].round(), turns[:, 1, 0].round()
    kinds, counts = torch.stack([cos, sin], dim=1).unique(dim=0, return_counts=True)
    assert kinds.tolist() == [[-1, 0], [0, -1], [0, 1], [1, 0]]
    assert counts.min() / counts.max() > 0.95


def test_integer_translations_are_uniform_up_to_an_eighth() -> None:
    matrices = geometry("integer_translation", 1)
    for row, most in ((0, 4), (1, 2)):
        shift = matrices[:, row, 2]
        values, counts = shift.unique(return_counts=True)
        assert values.tolist() == [*range(-most, most + 1)]
        torch.testing.assert_close(
            counts[1:-1] / len(shift), torch.full((2 * most - 1,), 0.5 / most), rtol=0, atol=0.01
        )
        assert share(shift.abs() == most) == pytest.approx(0.5 / most, abs=0.01)


def test_scales_rotations_and_fractional_translations_have_the_papers_strengths() -> None:
    matrices = geometry("scale", 1)
    assert torch.equal(matrices[:, 0, 0], matrices[:, 1, 1])
    assert float(matrices[:, 0, 0].log2().std()) == pytest.approx(0.2, rel=0.03)
    matrices = geometry("anisotropic_scale", 1)
    torch.testing.assert_close(matrices[:, 0, 0] * matrices[:, 1, 1], torch.ones(len(matrices)))
    assert float(matrices[:, 0, 0].log2().std()) == pytest.approx(0.2, rel=0.03)
    shifts = geometry("fractional_translation", 1)[:, :2, 2]
    assert float(shifts[:, 0].std()) == pytest.approx(32 / 8, rel=0.03)
    assert float(shifts[:, 1].std()) == pytest.approx(16 / 8, rel=0.03)
    rotations = geometry("rotation", 1)[:, :2, :2]
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(2).expand_as(rotations), rtol=0, atol=1e-5)
    angles = torch.atan2(rotations[:, 1, 0], rotations[:, 0, 0])
    assert (torch.histc(angles, 8, -math.pi, math.pi) / len(angles) - 1 / 8).abs().max() < 0.01


def test_a_rotation_comes_before_the_anisotropic_scale_or_after_it() -> None:
    torch.manual_seed(0)
    p = 0.5
    matrices = only("rotation", "anisotropic_scale", p=p).draw_geometry(40_000, 32, 32, CPU)[:, :2, :2]
    # the squared lengths of S's rows and columns are inverse to each other; a rotation on its left changes that of the
    # rows, one on its right that of the columns
    turned = [(matrices.square().sum(dim=dim).prod(dim=1) - 1).abs() > 1e-5 for dim in (2, 1)]
    each = 1 - math.sqrt(1 - p)
    assert share(turned[0]) == pytest.approx(p * each, abs=0.01)
    assert share(turned[1]) == pytest.approx(p * each, abs=0.01)
    assert share(turned[0] & turned[1]) == pytest.approx(p * each * each, abs=0.01)


# ------------------------------------------------------------------ colours


def colors_of(name: str) -> Tensor:
    torch.manual_seed(0)
    return only(name).draw_colors(20_000, CPU)


def test_brightness_and_contrast_have_the_papers_strengths() -> None:
    colors = colors_of("brightness")
    assert torch.equal(colors[:, :, :3], torch.eye(3).expand(20_000, 3, 3))
    assert torch.equal(colors[:, 0, 3], colors[:, 2, 3])
    assert float(colors[:, 0, 3].std()) == pytest.approx(0.2, rel=0.03)
    colors = colors_of("contrast")
    torch.testing.assert_close(colors, colors[:, :1, :1] * torch.eye(3, 4))
    assert float(colors[:, 0, 0].log2().std()) == pytest.approx(0.5, rel=0.03)


def test_a_luma_flip_turns_grey_over_and_keeps_what_is_not_grey() -> None:
    colors = colors_of("luma_flip")
    flipped = colors[changed(colors)][:1]
    grey, red_not_cyan = torch.full((1, 3, 1, 1), 0.4), torch.tensor([0.4, -0.2, -0.2]).view(1, 3, 1, 1)
    torch.testing.assert_close(recolor(grey, flipped), -grey)
    torch.testing.assert_close(recolor(red_not_cyan, flipped), red_not_cyan)
    torch.testing.assert_close(recolor(grey[:, :1], flipped), -grey[:, :1])


def test_hue_turns_about_the_axis_of_greys_by_any_angle() -> None:
    linear = colors_of("hue")[:, :, :3]
    torch.testing.assert_close(linear @ linear.mT, torch.eye(3).expand_as(linear), rtol=0, atol=1e-5)
    torch.testing.assert_close(linear.det(), torch.ones(20_000))
    torch.testing.assert_close(linear @ torch.ones(3), torch.ones(20_000, 3))
    angles = ((linear.diagonal(dim1=1, dim2=2).sum(dim=1) - 1) / 2).clamp(-1, 1).acos()
    assert (torch.histc(angles, 8, 0, math.pi) / 20_000 - 1 / 8).abs().max() < 0.01
    # a third of a circle takes red to green to blue, or the other way
    third = linear[(angles - 2 * math.pi / 3).abs().argmin()]
    assert third.round().sum(dim=0).tolist() == third.round().sum(dim=1).tolist() == [1, 1, 1]
    assert third.round().trace() == 0


def test_saturation_scales_the_distance_from_grey() -> None:
    linear = colors_of("saturation")[:, :, :3]
    torch.testing.assert_close(linear @ torch.ones(3), torch.ones(20_000, 3), rtol=0, atol=1e-4)
    factor = linear @ torch.tensor([1.0, -1, 0])
    torch.testing.assert_close(factor, factor[:, :1] * torch.tensor([1.0, -1, 0]), rtol=0, atol=1e-4)
    assert float(factor[:, 0].log2().std()) == pytest.approx(1, rel=0.03)
    assert float(factor[:, 0].log2().mean()) == pytest.approx(0, abs=0.03)


def test_grey_images_become_what_rgb_would_on_average() -> None:
    torch.manual_seed(0)
    colors = AdaptiveAugmentation(p=0.7).draw_colors(64, CPU)
    grey = torch.rand(64, 1, 3, 4) * 2 - 1
    expected = recolor(grey.expand(-1, 3, -1, -1), colors).mean(dim=1, keepdim=True)
    torch.testing.assert_close(recolor(grey, colors), expected, rtol=1e-4, atol=1e-5)


def test_other_colors_are_refused_unless_they_are_left_alone() -> None:
    pairs = smooth(2, 6, 16, 16)
    for pipeline in (AdaptiveAugmentation(), AdaptiveAugmentation().eval()):  # eval: the check before the first step
        with pytest.raises(ValueError, match=r"not of 6 channels: set brightness, contrast, luma_flip, hue and sat"):
            pipeline(pairs)
    assert only(*GEOMETRY)(pairs).shape == pairs.shape


# ------------------------------------------------------------------ derivatives


def test_sampling_is_differentiable_twice() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    grid = torch.rand(2, 3, 6, 2, dtype=torch.float64) * 2 - 1
    assert gradcheck(lambda x: _Sample.apply(x, grid).square(), images)
    assert gradgradcheck(lambda x: _Sample.apply(x, grid).square(), images)


def test_r1_is_taken_at_the_images_before_they_are_augmented() -> None:
    torch.manual_seed(0)
    real, direction = smooth(4, 3, 12, 12), torch.randn(3, 12, 12)
    weight = torch.randn(3, 12, 12, requires_grad=True)
    pipeline = AdaptiveAugmentation(p=0.8)

    def penalty(w: Tensor) -> Tensor:
        torch.manual_seed(1)
        return r1(lambda images: (pipeline(images) * w).sum(dim=(1, 2, 3)), real)

    assert penalty(weight).item() != pytest.approx(weight.square().sum().item(), rel=0.01)
    (gradient,) = torch.autograd.grad(penalty(weight), weight)
    # D is linear and the penalty quadratic, so that a finite difference is exact
    with torch.no_grad():
        ahead, behind = weight + direction, weight - direction
    numeric = (penalty(ahead.requires_grad_()) - penalty(behind.requires_grad_())) / 2
    torch.testing.assert_close((gradient * direction).sum(), numeric, rtol=1e-3, atol=1e-2)


# ------------------------------------------------------------------ p


def play(pipeline: AdaptiveAugmentation, logits: Any, batches: int, size: int = 64) -> list[float]:
    """Return p after each batch of `size` images, all of which get `logits` from D."""
    seen = []
    for batch in range(1, batches + 1):
        pipeline.observe(torch.tensor(logits), threshold=0.0)
        pipeline.adapt(batch, size, lambda tensors: None)
        seen.append(float(pipeline.p))
    return seen


def test_p_rises_from_0_to_1_in_500_000_images_of_overfitting_and_goes_on() -> None:
    seen = play(AdaptiveAugmentation(), [3.0], batches=10_000)
    reached = next(i for i, p in enumerate(seen, start=1) if p >= 1 - 1e-4)
    assert reached * 64 == pytest.approx(500_000, abs=4 * 64)
    assert seen[-1] == pytest.approx(10_000 * 64 / 500_000, rel=1e-3)
    assert seen[:4] == [0, 0, 0, pytest.approx(4 * 64 / 500_000)]


def test_p_falls_to_0_and_no_further() -> None:
    seen = play(AdaptiveAugmentation(p=0.1, adjustment=6400), [-3.0, 2.0], batches=24)
    assert seen[3::4] == pytest.approx([0.06, 0.02, 0, 0, 0, 0], abs=1e-6)


@pytest.mark.parametrize(("real", "up"), [(7, False), (8, False), (9, True)])
def test_p_follows_the_share_of_real_images_that_d_takes_for_real(real: int, up: bool) -> None:
    # r_t of 7, 8 and 9 out of 10 are 0.4, 0.6 and 0.8
    logits = [0.1] * real + [-50.0] * (10 - real)
    pipeline = AdaptiveAugmentation(p=0.5, target=0.6001)
    assert (play(pipeline, logits, batches=4)[-1] > 0.5) == up


def test_r_is_the_mean_over_four_batches_and_all_their_parts() -> None:
    for fourth, up in (((-2.0, -2.0), False), ((0.0, 2.0), True)):  # r_t of 4 / 8 and of 7 / 8
        pipeline = AdaptiveAugmentation(p=0.5)
        for batch, logits in enumerate([(2.0, 2.0)] * 3 + [fourth], start=1):
            for logit in logits:  # patch maps, as parts of a batch
                pipeline.observe(torch.full((3, 1, 2, 2), logit), threshold=0.0)
            pipeline.adapt(batch, 8, lambda tensors: None)
        assert (pipeline.p > 0.5) == up
        assert pipeline.signs == 0


def test_logits_count_from_the_losss_threshold() -> None:
    pipeline = AdaptiveAugmentation(p=0.5, interval=1)
    pipeline.observe(torch.tensor([0.4]), threshold=0.5)
    pipeline.adapt(1, 64, lambda tensors: None)
    assert pipeline.p < 0.5


@pytest.mark.parametrize("wrong", [{"p": -0.1}, {"interval": 0}, {"adjustment": 0}])
def test_settings_without_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="out of range: make it"):
        AdaptiveAugmentation(**wrong)


# ------------------------------------------------------------------ in the game


class Sure(ToyGAN):
    """A discriminator that judges everything as real, and learns nothing."""

    def __init__(self, loss: AdversarialLoss | None = None, **base: Any) -> None:
        still = partial(SGD, lr=0.0)
        super().__init__(loss=loss, generator_optimizer=still, discriminator_optimizer=still, **base)
        torch.nn.init.constant_(self.discriminator.net[-1].bias, 100.0)

    def discriminator_loss(self, batch: ImageBatch, fake: Tensor) -> dict[str, Tensor]:
        return {"adversarial": self.adversarial_loss(self.discriminate(batch.images), self.discriminate(fake))}


@pytest.mark.parametrize(
    "how", [{}, {"n_critic": 2}, {"accumulate": 4}, {"loss": NonSaturating(0.9)}], ids=["", "n_critic", "parts", "loss"]
)
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_p_moves_in_d_s_turns_alone(how: dict[str, Any], precision: Any) -> None:
    model = Sure(augmentation=AdaptiveAugmentation(adjustment=640), **how)
    trainer(max_epochs=2, precision=precision).fit(model, ToyData(batches=5, size=8))
    assert float(model.augmentation.p) == pytest.approx(2 * 4 * 8 / 640)
    assert float(model.augmentation.signs) == 2  # of batches 9 and 10


def test_a_fixed_p_stays_whatever_the_loss() -> None:
    model = Sure(loss=Wasserstein(), augmentation=AdaptiveAugmentation(p=0.3, target=None))
    trainer(max_epochs=2).fit(model, ToyData())
    assert float(model.augmentation.p) == pytest.approx(0.3)
    assert not [name for name in model.state_dict() if name.startswith("augmentation")]


def test_a_scheduled_p_is_a_function_of_the_images_seen_and_resumes_with_them(tmp_path: Path) -> None:
    def model() -> DCGAN:
        pipeline = AdaptiveAugmentation(p=0.5, target=None, schedule=Cosine(40, initial=0.0, final=1.0, unit="image"))
        return DCGAN(DCGANGenerator(**SMALL), DCGANDiscriminator(**SMALL), augmentation=pipeline)

    played, data = Sure(augmentation=model().augmentation), ToyData(batches=5, size=8)
    seen: list[float] = []
    played.augmentation.register_forward_hook(lambda m, *_: seen.append(float(m.p)) if m.training else None)
    trainer(max_epochs=1).fit(played, data)
    expected = [0.25 * (1 - math.cos(math.pi * k / 5)) for k in range(5)]
    assert list(dict.fromkeys(seen)) == pytest.approx(expected)
    whole = fit(model, data_of(dcgan), tmp_path)
    killed = {"trainer": {"callbacks": [Kill(7, tmp_path / "stop.ckpt")]}}
    with pytest.raises(KilledError):
        fit(model, data_of(dcgan), tmp_path, **killed)
    assert_same_end(whole, fit(model, data_of(dcgan), tmp_path, ckpt_path=tmp_path / "stop.ckpt"))


def test_a_schedule_beside_a_target_is_refused() -> None:
    with pytest.raises(ValueError, match="either its target or a schedule"):
        AdaptiveAugmentation(schedule=Cosine(10))


def test_cutout_covers_a_rectangle_of_half_the_sides_with_grey() -> None:
    pipeline = AdaptiveAugmentation(p=1.0, target=None, cutout=1.0, **dict.fromkeys((*GEOMETRY, *COLORS), 0.0))
    torch.manual_seed(0)
    cut = pipeline(torch.ones(2000, 1, 16, 32)) == 0
    assert cut.any(dim=3).sum(dim=(1, 2)).max() == 8
    assert cut.any(dim=2).sum(dim=(1, 2)).max() == 16
    # the middle is anywhere, so that half a side, less 1/32 beyond either end, is covered on average
    assert cut.float().mean().item() == pytest.approx((0.5 - 2 / 32) ** 2, abs=0.02)
    pipeline.p.fill_(0.3)
    assert (pipeline(torch.ones(2000, 1, 16, 32)) == 0).flatten(1).any(1).float().mean() == pytest.approx(0.3, abs=0.04)


def test_a_loss_without_a_threshold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"only compares logits with each other: choose another loss, or a constant p"):
        trainer(max_epochs=1).fit(Sure(loss=Wasserstein(), augmentation=AdaptiveAugmentation()), ToyData())


def test_a_model_that_hides_its_logits_is_refused() -> None:
    class Hidden(Sure):
        def discriminator_loss(self, batch: ImageBatch, fake: Tensor) -> dict[str, Tensor]:
            return {"own": self.discriminate(fake).logits[0].mean() - self.discriminate(batch.images).logits[0].mean()}

    with pytest.raises(RuntimeError, match=r"logits of real images, and there were none.*call self\.adversarial_loss"):
        trainer(max_epochs=1).fit(Hidden(augmentation=AdaptiveAugmentation()), ToyData())


SMALL: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 4}


def dcgan() -> DCGAN:
    # r_t is always above this target: p rises to 0.4, 0.8 and 1.2
    ada = AdaptiveAugmentation(target=-1.1, adjustment=80)
    return DCGAN(DCGANGenerator(**SMALL), DCGANDiscriminator(**SMALL), n_critic=2, accumulate=2, augmentation=ada)


@pytest.mark.parametrize("batches", [7, 10], ids=["in mid-epoch", "after an epoch's last batch"])
def test_a_killed_run_resumes_exactly(batches: int, tmp_path: Path) -> None:
    whole = fit(dcgan, data_of(dcgan), tmp_path)
    assert float(whole["state_dict"]["augmentation.p"]) == pytest.approx(1.2)
    path = tmp_path / "killed.ckpt"
    with pytest.raises(KilledError):
        fit(dcgan, data_of(dcgan), tmp_path, trainer={"callbacks": [Kill(batches, path)]})
    assert_same_end(whole, fit(dcgan, data_of(dcgan), tmp_path, ckpt_path=path))
    loaded = AdversarialModule.load_from_checkpoint(path).augmentation
    assert isinstance(loaded, AdaptiveAugmentation)
    assert loaded.adjustment == 80
    assert float(loaded.p) == pytest.approx(batches // 4 * 0.4)
