"""ADA: Training Generative Adversarial Networks with Limited Data.

Karras, Aittala, Hellsten, Laine, Lehtinen, Aila, 2020. arXiv 2006.06676.

Every image that D sees passes a pipeline of transforms, each of which is applied with probability p (section 2). As
long as p is below about 0.8, such transforms do not appear in G's images (section 2.2). D's overfitting,

    r_t = E[sign(D(x))]  over real images x,                                                          (equation 1)

sets p (section 3). Every 4 batches p rises if r_t > 0.6 and falls if it is less, at a rate that moves it from 0 to 1 in
500,000 images.

The pipeline consists of the paper's pixel blitting, geometric and colour transforms (appendix B; "bgc" in the authors'
code), with its strengths, which are the same for all data sets. Cutout (R3GAN has it) is off unless it is asked for.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.augmentation.base import Augmentation
from gan_lightning.ranges import Finite, NonNegativeFloat, PositiveFloat, PositiveInt
from gan_lightning.schedules import Schedule

# The low-pass filter of the wavelet sym6 (Daubechies, 1992), of unit norm. It is orthogonal to its shifts by even
# numbers, so that upsampling and then downsampling with it changes nothing.
SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
PEAK = 5  # the tap at the pixel itself: the largest, and nearest to the filter's centre of mass
TRANSLATION = 0.125  # largest integer translation, and standard deviation of fractional ones, as a share of the size
SCALE = ANISOTROPY = 0.2  # standard deviations, in octaves
BRIGHTNESS = 0.2  # standard deviation, where black to white is 2
CONTRAST = 0.5  # standard deviation, in octaves
SATURATION = 1.0  # standard deviation, in octaves
CUTOUT = 0.5  # width and height of the rectangle, as a share of the image's


class AdaptiveAugmentation(Augmentation):
    """ADA, for grey and RGB images of any height and width from 2 pixels up (square for quarter turns).

    Args:
        p: the probability of each transform: its start value, or its constant value.
        target: the r_t that p aims at. None = p is constant, and then a setting and not part of a checkpoint. An
            adaptive p needs an adversarial loss whose logits have a threshold (not a critic's).
        interval: number of batches between two changes of p.
        adjustment: number of images in which p goes from 0 to 1 while r_t stays above its target.
        x_flip: factor on p for a left-right flip; 0 turns the transform off. The arguments below are factors on p too.
        rotation_90: factor for a rotation by 0, 90, 180 or 270 degrees.
        integer_translation: factor for a shift by whole pixels, up to 1/8 of width and height either way.
        scale: factor for a scale of 2^N(0, 0.2).
        rotation: factor for a rotation by any angle, before the anisotropic scale, after it, or both.
        anisotropic_scale: factor for a scale of the width by 2^N(0, 0.2), and of the height by its inverse.
        fractional_translation: factor for a shift by N(0, 1/8) of width and height.
        brightness: factor for the addition of N(0, 0.2).
        contrast: factor for a multiplication by 2^N(0, 0.5).
        luma_flip: factor for an exchange of light and dark in the same hue.
        hue: factor for a rotation by any angle about the grey axis. Hue and saturation leave grey images unchanged.
        saturation: factor for a multiplication of the saturation by 2^N(0, 1).
        cutout: factor for mid-grey in a rectangle of half the width and height, anywhere.
        schedule: factor on a constant p over time. None = no change.

    Attributes:
        p: the present probability, a scalar tensor. It has no upper bound, as in the authors' code: above 1, every
            transform is applied each time.

    NOTE: an image is extended beyond its borders by endless reflection. The authors' code pads as far as the transforms
        of a batch reach, which a GPU would have to report to the CPU each time, and at most by one image. Pixels
        farther out, which few transforms reach, are mid-grey there.
    NOTE: an image without a geometric transform stays equal bit by bit: it does not pass the filters, which
        would leave rounding errors.
    """

    p: Tensor
    signs: Tensor

    def __init__(
        self,
        p: NonNegativeFloat = 0.0,
        target: Finite | None = 0.6,
        interval: PositiveInt = 4,
        adjustment: PositiveFloat = 500_000,
        x_flip: NonNegativeFloat = 1.0,
        rotation_90: NonNegativeFloat = 1.0,
        integer_translation: NonNegativeFloat = 1.0,
        scale: NonNegativeFloat = 1.0,
        rotation: NonNegativeFloat = 1.0,
        anisotropic_scale: NonNegativeFloat = 1.0,
        fractional_translation: NonNegativeFloat = 1.0,
        brightness: NonNegativeFloat = 1.0,
        contrast: NonNegativeFloat = 1.0,
        luma_flip: NonNegativeFloat = 1.0,
        hue: NonNegativeFloat = 1.0,
        saturation: NonNegativeFloat = 1.0,
        cutout: NonNegativeFloat = 0.0,
        schedule: Schedule | None = None,
    ) -> None:
        super().__init__()
        if schedule is not None and target is not None:
            raise ValueError(
                "ADA's p follows either its target or a schedule: set target to null, or leave out schedule"
            )
        self.target, self.interval, self.adjustment = target, interval, adjustment
        self.x_flip, self.rotation_90, self.integer_translation = x_flip, rotation_90, integer_translation
        self.scale, self.rotation, self.anisotropic_scale = scale, rotation, anisotropic_scale
        self.fractional_translation = fractional_translation
        self.brightness, self.contrast, self.luma_flip = brightness, contrast, luma_flip
        self.hue, self.saturation, self.cutout = hue, saturation, cutout
        self.schedule, self.start = schedule, float(p)

        adapts = target is not None
        self.register_buffer("p", torch.tensor(float(p)), persistent=adapts)
        # the sum of r_t, averaged over processes, over the batches since the last change of p
        self.register_buffer("signs", torch.zeros(()), persistent=adapts)
        self._observed: list[Tensor] = []  # in the current batch, on this process

    # ------------------------------------------------------------------ p

    def follow(self, factor: float) -> None:
        """Set p to its constant value times the present factor of its schedule. Called at the start of each batch."""
        self.p.fill_(self.start * factor)

    def observe(self, real_logits: Tensor, threshold: float | None) -> None:
        """Record D's logits of real images, of any shape, and the threshold above which D takes an image for real.

        Raises:
            ValueError: p adapts and there is no threshold.
        """
        if self.target is None or not self.training:
            return
        if threshold is None:
            raise ValueError(
                "ADA adapts p by the sign of D's logits, but this loss only compares logits with each other: choose "
                "another loss, or a constant p (model.init_args.augmentation.init_args: target: null, p: 0.3)"
            )
        self._observed.append((real_logits.detach() - threshold).sign().mean())

    def adapt(self, batches: int, images: int, average: Callable[[list[Tensor]], None]) -> None:
        """Change p every `interval` batches. Called at the end of each batch.

        Args:
            batches: number of batches so far, with this one.
            images: number of images of this batch, over all processes.
            average: replaces tensors by their mean over processes.

        Raises:
            RuntimeError: p adapts, but nothing was observed.
        """
        if self.target is None:
            return
        if not self._observed:
            raise RuntimeError(
                "ADA adapts p by the logits of real images, and there were none in this batch: let the model's "
                "discriminator_loss call self.adversarial_loss(real, fake), or choose a constant p "
                "(model.init_args.augmentation.init_args: target: null, p: 0.3)"
            )
        mean = torch.stack(self._observed).mean()
        self._observed.clear()
        average([mean])
        self.signs += mean
        if batches % self.interval == 0:
            direction = (self.signs / self.interval - self.target).sign()
            self.p.add_(direction, alpha=images * self.interval / self.adjustment).clamp_(min=0)
            self.signs.zero_()

    # ------------------------------------------------------------------ the pipeline

    def check(self, images: Tensor, parts: Sequence[int]) -> None:
        """Raise ValueError if the judged image is neither grey nor RGB, unless all colour transforms are off."""
        colours = (self.brightness, self.contrast, self.luma_flip, self.hue, self.saturation)
        if parts[-1] not in (1, 3) and any(colours):
            raise ValueError(
                f"ADA transforms colours of grey and RGB images, not of {parts[-1]} channels: set brightness, "
                "contrast, luma_flip, hue and saturation to 0 in model.init_args.augmentation.init_args"
            )

    def augment(self, images: Tensor, parts: Sequence[int]) -> Tensor:
        """Apply blitting and geometric transforms in one step, then colours of grey and RGB images."""
        count, _, height, width = images.shape
        images = warp(images, self.draw_geometry(count, width, height, images.device))
        if {1, 3} & {*parts}:
            colors = self.draw_colors(count, images.device)
            separate = images.split([*parts], dim=1)
            images = torch.cat([recolor(i, colors) if i.shape[1] in (1, 3) else i for i in separate], dim=1)
        return images * self.draw_mask(count, width, height, images.device) if self.cutout else images

    def draw_geometry(self, count: int, width: int, height: int, device: torch.device) -> Tensor:
        """Draw for each of `count` images the matrix from a place in the result back to a place in the image.

        Returns:
            (count, 3, 3), for homogeneous (x, y, 1) in pixels from the centre. The first transform stands leftmost,
            since the way back reaches it last.
        """
        rand, randn = partial(torch.rand, device=device), partial(torch.randn, device=device)

        flipped = self._maybe(self.x_flip * self.p, (2 * rand(count)).floor(), 0)
        inverse = _scaling(1 - 2 * flipped, torch.ones_like(flipped))
        quarters = self._maybe(self.rotation_90 * self.p, (4 * rand(count)).floor(), 0)
        inverse = inverse @ _rotation(math.pi / 2 * quarters)
        shift = self._maybe(self.integer_translation * self.p, TRANSLATION * (2 * rand(count, 2) - 1), 0)
        inverse = inverse @ _translation(-(width * shift[:, 0]).round(), -(height * shift[:, 1]).round())

        factor = self._maybe(self.scale * self.p, (SCALE * randn(count)).exp2(), 1)
        inverse = inverse @ _scaling(1 / factor, 1 / factor)
        # this probability makes at least one of the two rotations as likely as one transform
        before_or_after = 1 - (1 - self.rotation * self.p).clamp(min=0).sqrt()
        angle = self._maybe(before_or_after, math.pi * (2 * rand(count) - 1), 0)
        inverse = inverse @ _rotation(angle)
        factor = self._maybe(self.anisotropic_scale * self.p, (ANISOTROPY * randn(count)).exp2(), 1)
        inverse = inverse @ _scaling(1 / factor, factor)
        angle = self._maybe(before_or_after, math.pi * (2 * rand(count) - 1), 0)
        inverse = inverse @ _rotation(angle)
        shift = self._maybe(self.fractional_translation * self.p, TRANSLATION * randn(count, 2), 0)
        return inverse @ _translation(-width * shift[:, 0], -height * shift[:, 1])

    def draw_colors(self, count: int, device: torch.device) -> Tensor:
        """Draw for each of `count` images an affine map of its colours: (count, 3, 4), for homogeneous (r, g, b, 1)."""
        rand, randn = partial(torch.rand, device=device), partial(torch.randn, device=device)
        identity = torch.eye(3, device=device)
        grey = torch.full((3, 3), 1 / 3, device=device)  # the projection onto the axis of greys

        brightness = self._maybe(self.brightness * self.p, BRIGHTNESS * randn(count), 0)
        colors = torch.cat([identity.expand(count, 3, 3), brightness.view(-1, 1, 1).expand(-1, 3, 1)], dim=2)
        colors = self._maybe(self.contrast * self.p, (CONTRAST * randn(count, 1, 1)).exp2(), 1) * colors
        flipped = self._maybe(self.luma_flip * self.p, (2 * rand(count, 1, 1)).floor(), 0)
        colors = (identity - 2 * flipped * grey) @ colors
        angle = self._maybe(self.hue * self.p, math.pi * (2 * rand(count, 1, 1) - 1), 0)
        # Rodrigues' formula for the axis (1, 1, 1) / sqrt(3), whose cross product is a difference of two shifts
        cross = (identity.roll(1, 0) - identity.roll(-1, 0)) / math.sqrt(3)
        colors = (torch.lerp(grey, identity, angle.cos()) + angle.sin() * cross) @ colors
        factor = self._maybe(self.saturation * self.p, (SATURATION * randn(count, 1, 1)).exp2(), 1)
        return torch.lerp(grey, identity, factor) @ colors

    def draw_mask(self, count: int, width: int, height: int, device: torch.device) -> Tensor:
        """Draw for each of `count` images a mask (count, 1, height, width) that is 0 in the rectangle cut out."""
        half = self._maybe(self.cutout * self.p, torch.full((count,), CUTOUT / 2, device=device), 0)
        x, y = torch.rand(count, 2, device=device).unbind(1)  # the middle of the rectangle
        columns = (torch.arange(width, device=device) + 0.5) / width
        rows = (torch.arange(height, device=device) + 0.5) / height
        kept_columns = (columns - x[:, None]).abs() >= half[:, None]
        kept_rows = (rows - y[:, None]).abs() >= half[:, None]
        return (kept_columns[:, None, None, :] | kept_rows[:, None, :, None]).float()

    @staticmethod
    def _maybe(probability: Tensor, drawn: Tensor, neutral: float) -> Tensor:
        """Keep each image's drawn value (N, ...) with a probability, and replace it by `neutral` otherwise."""
        kept = torch.rand(len(drawn), device=drawn.device) < probability
        return torch.where(kept.view(-1, *[1] * (drawn.dim() - 1)), drawn, neutral)


def recolor(images: Tensor, colors: Tensor) -> Tensor:
    """Map the colours of images (N, 1 or 3, H, W) by (N, 3, 4); grey gets the mean of the three resulting channels."""
    if images.shape[1] == 1:
        gain, offset = colors[:, :, :3].sum(dim=2).mean(dim=1), colors[:, :, 3].mean(dim=1)
        return images * gain.view(-1, 1, 1, 1) + offset.view(-1, 1, 1, 1)
    colors = colors[..., None, None]
    return (colors[:, :, :3] * images[:, None]).sum(dim=2) + colors[:, :, 3]


def warp(images: Tensor, inverse: Tensor) -> Tensor:
    """Resample images at the places that matrices give.

    Images are upsampled by two with sym6, sampled bilinearly, and downsampled by two with sym6. This keeps detail that
    plain bilinear sampling would blur (appendix B). Shifts by whole pixels are exact; mirror images and quarter turns
    are not, since sym6 is not symmetric.

    Args:
        images: float (N, C, H, W). They are reflected about the centres of the border pixels.
        inverse: (N, 3, 3), see `AdaptiveAugmentation.draw_geometry`. An identity leaves its image unchanged.

    Returns:
        Images of the same shape, twice differentiable in the images.
    """
    height, width = images.shape[2:]
    up_y, down_y = _filters(height, images.device)
    up_x, down_x = _filters(width, images.device)
    # positions of the result's pixels at twice the resolution, from its centre
    x = torch.arange(down_x.shape[1], device=images.device) - (PEAK + width - 1)
    y = torch.arange(down_y.shape[1], device=images.device)[:, None] - (PEAK + height - 1)
    # and their sources: elementwise, since a matrix product may round coordinates to TF32
    from_x, from_y = (row[:, 0] * x + row[:, 1] * y + 2 * row[:, 2] for row in inverse[..., None, None].unbind(1)[:2])
    grid = torch.stack([_normalise(from_x, width), _normalise(from_y, height)], dim=-1)
    resampled: Tensor = _Sample.apply(up_y @ images @ up_x.T, grid)
    untouched = (inverse == torch.eye(3, device=images.device)).all(dim=2).all(dim=1)
    return torch.where(untouched.view(-1, 1, 1, 1), images, down_y @ resampled @ down_x.T)


def _normalise(position: Tensor, size: int) -> Tensor:
    """Convert positions at twice the resolution, from the centre, to `grid_sample`'s range [-1, 1] over one period."""
    period = 4 * (size - 1)
    return (position + (size - 1)).remainder(period) * (2 / period) - 1


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # the cached tensors must serve in training too
def _filters(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the filters along one dimension as matrices, which include borders and parity.

    The first, (4 size - 3, size), extends by reflection to one period and upsamples by two. Its last row equals its
    first, for the interpolation between them. The second, (size, 2 size + 10), downsamples by two; its input begins at
    -5. Pixel i is at 2i.
    """
    taps = torch.tensor(SYM6)
    period = 2 * (size - 1)
    up, down = torch.zeros(2 * period + 1, size), torch.zeros(size, 2 * size + len(SYM6) - 2)
    pixel = torch.arange(size)
    for k in range(len(SYM6)):
        target = torch.arange((k - PEAK) % 2, 2 * period + 1, 2)
        source = period // 2 - ((target - k + PEAK) // 2 % period - period // 2).abs()
        up[target, source] += math.sqrt(2) * taps[k]
        down[pixel, 2 * pixel + k] = taps[k] / math.sqrt(2)
    return up.to(device), down.to(device)


class _Sample(torch.autograd.Function):
    """Bilinear sampling at a grid from -1 to 1, any number of times differentiable in the images.

    torch's own `grid_sample` was differentiable only once before its version 2.14.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return F.grid_sample(images, grid, align_corners=True)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _Scatter.apply(gradient, grid, ctx.shape), None


class _Scatter(torch.autograd.Function):
    """The transpose of `_Sample`."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        images = gradient.new_empty(()).expand(shape)  # sampling is linear in them: only their shape is read
        backward = torch.ops.aten.grid_sampler_2d_backward
        return backward(gradient, images, grid, 0, 0, True, [True, False])[0]  # bilinear, zeros, align_corners

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return _Sample.apply(gradient, grid), None, None


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def _rotation(angle: Tensor) -> Tensor:
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], dim=1).view(-1, 3, 3)


def _translation(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return torch.stack([one, zero, x, zero, one, y, zero, zero, one], dim=1).view(-1, 3, 3)
