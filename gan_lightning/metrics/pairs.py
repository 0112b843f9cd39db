"""Comparison of generated images with their targets: translation of pairs, super-resolution.

Images are measured with 8 bits, as they are saved, so that a score is that of a model's files. Grey images count as RGB
of three equal channels, and transparency is laid over white (`gan_lightning.data.images`).
"""

from typing import Literal

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from gan_lightning.data.images import to_channels, to_float
from gan_lightning.metrics.base import PairMetric
from gan_lightning.metrics.perceptual import LPIPS, PairDistance
from gan_lightning.ranges import NonNegativeInt

Channels = Literal["rgb", "y"]

MOST_DECIBELS = 100.0
_WINDOW = 11  # side of SSIM's window, in pixels


class PSNR(PairMetric):
    """Peak signal-to-noise ratio, `psnr` or `psnr_y`: the mean over pairs of 10 log10(255² / MSE), in decibels.

    Higher is better. The MSE of a pair is over all its pixels and channels. A pair counts at most 100 dB, as do equal
    images, whose ratio is infinite.

    Args:
        channels: "rgb", or "y" as for super-resolution: the luma Y of ITU-R 601, 16 to 235, not rounded.
        border: number of pixels to leave out on each side; super-resolution by 4 is published with 4.
    """

    def __init__(self, channels: Channels = "rgb", border: NonNegativeInt = 0) -> None:
        super().__init__(_name("psnr", channels))
        self.channels: Channels = channels
        self.border = border

    def measure(self, fake: Tensor, target: Tensor) -> Tensor:
        """Return the decibels of each pair, float64 (N,), for uint8 images (N, C, H, W)."""
        fake, target = (_compared(images, self.channels, self.border) for images in (fake, target))
        error = (fake - target).square().mean(dim=(1, 2, 3))
        return (10 * torch.log10(255**2 / error)).clamp(max=MOST_DECIBELS)


class SSIM(PairMetric):
    """Structural similarity, `ssim` or `ssim_y`, Wang et al. 2004: the mean over pairs, at most 1, higher is better.

    As published: Gaussian windows of 11x11 pixels, sigma 1.5, entirely inside the image; K1 = 0.01, K2 = 0.03, range
    255; the mean over windows and channels. By torchmetrics, without its windows that reach over the border.

    Args:
        channels: see `PSNR`.
        border: see `PSNR`.
    """

    def __init__(self, channels: Channels = "rgb", border: NonNegativeInt = 0) -> None:
        super().__init__(_name("ssim", channels))
        self.channels: Channels = channels
        self.border = border

    def measure(self, fake: Tensor, target: Tensor) -> Tensor:
        """Return the similarity of each pair, float64 (N,), for uint8 images (N, C, H, W).

        Raises:
            ValueError: the images are smaller than a window.
        """
        # float64, since variances are small differences of squares, which TF32 in a GPU's convolutions would lose
        fake, target = (_compared(images, self.channels, self.border) for images in (fake, target))
        if min(fake.shape[2:]) < _WINDOW:
            raise ValueError(
                f"SSIM has windows of {_WINDOW}x{_WINDOW} pixels, and the images, less a border of {self.border}, are "
                f"of {fake.shape[2]}x{fake.shape[3]}: leave it out for images as small"
            )
        _, similarity = structural_similarity_index_measure(
            fake, target, data_range=255.0, reduction="none", return_full_image=True
        )
        over = _WINDOW // 2
        return similarity[:, :, over:-over, over:-over].mean(dim=(1, 2, 3))


class L1(PairMetric):
    """Mean absolute difference, `l1`, over pixels, channels and pairs, as a share of the range; lower is better."""

    def __init__(self) -> None:
        super().__init__("l1")

    def measure(self, fake: Tensor, target: Tensor) -> Tensor:
        """Return the mean difference of each pair, float64 (N,), for uint8 images (N, C, H, W)."""
        fake, target = (_compared(images, "rgb", 0) for images in (fake, target))
        return (fake - target).abs().mean(dim=(1, 2, 3)) / 255


class PairedLPIPS(PairMetric):
    """LPIPS, `lpips`, Zhang et al. 2018 (1801.03924): the mean over pairs, 0 up, lower is better.

    Args:
            distance: a distance between two batches of images, float (N, 3, H, W) in [-1, 1]. None = `LPIPS("alex")`.

        Raises:
            FileNotFoundError: there is no file of AlexNet's weights, see `LPIPS`.
    """

    def __init__(self, distance: PairDistance | None = None) -> None:
        super().__init__("lpips")
        self.distance = distance or LPIPS("alex")

    @torch.no_grad()
    def measure(self, fake: Tensor, target: Tensor) -> Tensor:
        """Return the distance of each pair (N,), for uint8 images (N, C, H, W)."""
        fake, target = (to_float(to_channels(images, 3)) for images in (fake, target))
        return self.distance(fake, target)


def _name(metric: str, channels: Channels) -> str:
    if channels not in ("rgb", "y"):
        raise ValueError(f'channels is "rgb" or "y", not {channels!r}')
    return metric if channels == "rgb" else f"{metric}_y"


def _compared(images: Tensor, channels: Channels, border: int) -> Tensor:
    """Return the compared part of uint8 images (N, C, H, W), as float64 in [0, 255].

    Raises:
        ValueError: nothing is left inside the border.
    """
    height, width = images.shape[2:]
    if not 0 <= 2 * border < min(height, width):
        raise ValueError(f"images of {height}x{width} pixels have no border of {border} to leave out: choose another")
    shown = to_channels(images[:, :, border : height - border, border : width - border], 3).double()
    if channels == "rgb":
        return shown
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=shown.dtype, device=shown.device).view(1, 3, 1, 1)
    return 16 + (shown * weights).sum(dim=1, keepdim=True) / 255
