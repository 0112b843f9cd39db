"""DiffAugment: its ranges by numbers, a draw of its own for each image, gradients, and none of it in evaluation."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from gan_lightning.augmentation import AdaptiveAugmentation, Augmentation, DiffAugment
from toys import ToyData, ToyGAN, trainer


def only(part: str) -> DiffAugment:
    return DiffAugment(**{name: name == part for name in ("color", "translation", "cutout")})


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_color_is_brightness_then_saturation_then_contrast_in_their_ranges(channels: int) -> None:
    torch.manual_seed(0)
    image = torch.rand(1, channels, 4, 5) * 2 - 1
    many = only("color")(image.expand(5000, -1, -1, -1))
    mean = image.mean()
    brightness = many.mean(dim=(1, 2, 3)) - mean
    # within a pixel channels differ by saturation times contrast; the channels' means differ from pixel to pixel by
    # contrast alone
    grey, greys = image.mean(dim=1, keepdim=True), many.mean(dim=1, keepdim=True)
    contrast = ((greys - greys.mean((1, 2, 3), keepdim=True)) / (grey - mean)).flatten(1).median(dim=1).values
    for drawn, low, high in ((brightness, -0.5, 0.5), (contrast, 0.5, 1.5)):
        assert low <= drawn.min() + 1e-5
        assert drawn.min() < low + 0.01
        assert high - 0.01 < drawn.max() < high + 1e-5
    saturation = torch.ones(5000)
    if channels > 1:
        saturation = ((many - greys) / (image - grey)).flatten(1).median(dim=1).values / contrast
        assert -1e-5 <= saturation.min() < 0.01
        assert 1.99 < saturation.max() < 2 + 1e-4
    brightness, saturation, contrast = (d.view(-1, 1, 1, 1) for d in (brightness, saturation, contrast))
    expected = mean + brightness + contrast * (grey - mean) + contrast * saturation * (image - grey)
    torch.testing.assert_close(many, expected, rtol=0, atol=1e-3)
    drawn = torch.corrcoef(torch.stack([d.flatten() for d in (brightness, saturation, contrast)]))
    assert (drawn - torch.diag(drawn.diag())).nan_to_num().abs().max() < 0.06  # each independent of the others


def test_color_is_unbiased() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 3, 3) * 2 - 1
    torch.testing.assert_close(
        only("color")(image.expand(50_000, -1, -1, -1)).mean(dim=0, keepdim=True), image, rtol=0, atol=0.02
    )


@pytest.mark.parametrize(("height", "width", "most_y", "most_x"), [(16, 24, 2, 3), (28, 20, 4, 3)])
def test_translations_are_whole_pixels_up_to_an_eighth_and_bring_zeros_in(
    height: int, width: int, most_y: int, most_x: int
) -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 2, height, width) + 0.5  # nowhere zero
    padded = torch.nn.functional.pad(image, (most_x, most_x, most_y, most_y))
    made, counts = only("translation")(image.expand(10_000, -1, -1, -1)).unique(dim=0, return_counts=True)
    expected = [
        padded[0, :, most_y - y : most_y - y + height, most_x - x : most_x - x + width]
        for y in range(-most_y, most_y + 1)
        for x in range(-most_x, most_x + 1)
    ]
    assert torch.equal(made, torch.stack(expected).unique(dim=0))
    assert counts.min() / counts.max() > 0.6


@pytest.mark.parametrize(("height", "width"), [(8, 12), (9, 6), (15, 8)])
def test_cutout_is_a_hole_of_half_the_sides_centred_anywhere(height: int, width: int) -> None:
    torch.manual_seed(0)
    made = only("cutout")(torch.ones(20_000, 1, height, width))[:, 0]
    for hole, size in (((made == 0).any(dim=2), height), ((made == 0).any(dim=1), width)):
        whole = int(size / 2 + 0.5)
        assert hole.sum(dim=1).max() == whole
        # where it lies half outside, what remains is half a hole
        assert hole.sum(dim=1).min() == whole - whole // 2
        patterns, counts = hole.unique(dim=0, return_counts=True)
        assert len(patterns) == size + (whole % 2 == 0)
        assert counts.min() / counts.max() > 0.8
    rectangle = (made == 0).any(dim=2)[:, :, None] & (made == 0).any(dim=1)[:, None]
    assert torch.equal(made == 0, rectangle)


@pytest.mark.parametrize("augmentation", [DiffAugment(), AdaptiveAugmentation(p=1)], ids=["diffaugment", "ada"])
def test_each_image_and_each_call_has_draws_of_its_own(augmentation: Augmentation) -> None:
    torch.manual_seed(0)
    images = (torch.rand(1, 3, 16, 16) * 2 - 1).expand(16, -1, -1, -1)
    assert len(augmentation(images).unique(dim=0)) == 16
    assert not torch.equal(augmentation(images), augmentation(images))


@pytest.mark.parametrize("augmentation", [DiffAugment(), AdaptiveAugmentation(p=1)], ids=["diffaugment", "ada"])
def test_gradients_reach_the_images_through_exactly_what_was_drawn(augmentation: Augmentation) -> None:
    images = torch.rand(8, 3, 12, 12, requires_grad=True)
    direction, weight = torch.randn(2, 8, 3, 12, 12)

    def judged(step: float) -> Tensor:
        torch.manual_seed(0)
        return (augmentation(images + step * direction) * weight).sum()

    (gradient,) = torch.autograd.grad(judged(0), images)
    # the transforms are linear, so that a finite difference is exact
    torch.testing.assert_close((gradient * direction).sum(), (judged(1) - judged(-1)) / 2, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("augmentation", [DiffAugment(), AdaptiveAugmentation(p=1)], ids=["diffaugment", "ada"])
def test_half_precision_images_are_augmented_in_full_precision(augmentation: Augmentation) -> None:
    images = torch.rand(8, 3, 12, 12).bfloat16()
    torch.manual_seed(0)
    expected = augmentation(images.float())
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(augmentation(images), expected)


class Counting(DiffAugment):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def augment(self, images: Tensor, parts: Sequence[int]) -> Tensor:
        self.calls += 1
        return super().augment(images, parts)


def test_images_are_augmented_for_d_in_both_turns_and_nowhere_else() -> None:
    model = ToyGAN(augmentation=(counting := Counting()))
    trainer(limit_val_batches=2).validate(model, ToyData())
    model.preview(next(iter(ToyData().train_dataloader())), 4)
    assert counting.calls == 0
    trainer(max_epochs=1, limit_val_batches=2).fit(model, ToyData(batches=4))
    assert counting.calls == 4 * 3  # real and fake in D's turn, fake in G's
    images = torch.rand(2, 1, 4, 4)
    assert torch.equal(counting.eval()(images), images)


def test_a_checkpoint_says_what_augmented(tmp_path: Any) -> None:
    from gan_lightning.models import DCGAN
    from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator

    small: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 4}
    model = DCGAN(DCGANGenerator(**small), DCGANDiscriminator(**small), augmentation=DiffAugment(cutout=False))
    run = trainer(tmp_path)
    run.strategy.connect(model)
    run.save_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    loaded = DCGAN.load_from_checkpoint(tmp_path / "model.ckpt").augmentation
    assert isinstance(loaded, DiffAugment)
    assert (loaded.color, loaded.translation, loaded.cutout) == (True, True, False)


# ------------------------------------------------------------------ several images of one place


def two_of(image: Tensor) -> Tensor:
    return torch.cat([image, image], dim=1)


@pytest.mark.parametrize("augmentation", [DiffAugment(), AdaptiveAugmentation(p=1)], ids=["diffaugment", "ada"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_one_place_are_transformed_alike(augmentation: Augmentation, channels: int) -> None:
    images = torch.rand(16, channels, 16, 16) * 2 - 1
    torch.manual_seed(0)
    first, second = augmentation(two_of(images), [channels, channels]).split(channels, dim=1)
    torch.testing.assert_close(first, second)
    torch.manual_seed(0)
    torch.testing.assert_close(first, augmentation(images), rtol=1e-4, atol=1e-5)  # as an image alone would be


@pytest.mark.parametrize("augmentation", [DiffAugment(), AdaptiveAugmentation(p=1)], ids=["diffaugment", "ada"])
def test_colours_of_one_image_do_not_run_into_another(augmentation: Augmentation) -> None:
    images, others = (torch.rand(16, 3, 16, 16) * 2 - 1 for _ in range(2))
    made = []
    for beside in (images, others):
        torch.manual_seed(0)
        made.append(augmentation(torch.cat([beside, images], dim=1), [3, 3])[:, 3:])
    torch.testing.assert_close(*made)


@pytest.mark.parametrize(
    "augmentation",
    [DiffAugment(translation=False, cutout=False), AdaptiveAugmentation(p=1, rotation_90=0, integer_translation=0)],
    ids=["diffaugment", "ada"],
)
def test_planes_of_classes_are_moved_but_have_no_colours(augmentation: Augmentation) -> None:
    if isinstance(augmentation, AdaptiveAugmentation):
        for name in ("x_flip", "scale", "rotation", "anisotropic_scale", "fractional_translation"):
            setattr(augmentation, name, 0.0)
    planes, images = torch.rand(4, 7, 16, 16), torch.rand(4, 3, 16, 16)
    made = augmentation(torch.cat([planes, images], dim=1), [7, 3])
    assert torch.equal(made[:, :7], planes)
    assert not torch.allclose(made[:, 7:], images)
