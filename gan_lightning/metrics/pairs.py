"""How near generated images come to the very ones that they should be: translation of pairs, super-resolution.

Everything is measured on 8 bits, as images are saved, so that a score is that of the files that a model writes. Grey
images count as RGB of three equal channels, and what is transparent lies over white (`gan_lightning.data.images`).
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
_WINDOW = 11  # pixels, a side of SSIM's


class PSNR(PairMetric):
    """Peak signal-to-noise ratio, `psnr` or `psnr_y`: the mean over pairs of 10 log10(255² / MSE), in decibels.

    Higher is better. The MSE of a pair is over all its pixels and channels. Equal images, whose ratio is infinite,
    count 100 dB, and no pair counts more.

    Args:
        channels: "rgb", or "y" as for super-resolution: the luma Y of ITU-R 601, 16 to 235, not rounded.
        border: pixels that are left out on each side; super-resolution by 4 is published with 4.
    """

    def __init__(self, channels: Channels = "rgb", border: NonNegativeInt = 0) -> None:
        super().__init__(_name("psnr", channels))
        self.channels: Channels = channels
        self.border = border

    def measure(self, made: Tensor, wanted: Tensor) -> Tensor:
        """Decibels of each pair, float64 (N,), of uint8 images (N, C, H, W)."""
        made, wanted = (_shown(images, self.channels, self.border) for images in (made, wanted))
        error = (made - wanted).square().mean(dim=(1, 2, 3))
        return (10 * torch.log10(255**2 / error)).clamp(max=MOST_DECIBELS)


class SSIM(PairMetric):
    """Structural similarity, `ssim` or `ssim_y`, Wang et al. 2004: the mean over pairs, at most 1, higher is better.

    As published: Gaussian windows of 11x11 pixels, sigma 1.5, that lie wholly inside the image; K1 = 0.01, K2 = 0.03,
    range 255; the mean over windows and channels. By torchmetrics, less its windows that reach over the border.

    Args:
        channels: see `PSNR`.
        border: see `PSNR`.
    """

    def __init__(self, channels: Channels = "rgb", border: NonNegativeInt = 0) -> None:
        super().__init__(_name("ssim", channels))
        self.channels: Channels = channels
        self.border = border

    def measure(self, made: Tensor, wanted: Tensor) -> Tensor:
        """Similarity of each pair, float64 (N,), of uint8 images (N, C, H, W).

        Raises:
            ValueError: where the images have no room for a window.
        """
        # float64: variances are differences of squares here, which TF32 in a GPU's convolutions would drown
        made, wanted = (_shown(images, self.channels, self.border) for images in (made, wanted))
        if min(made.shape[2:]) < _WINDOW:
            raise ValueError(
                f"SSIM has windows of {_WINDOW}x{_WINDOW} pixels, and the images, less a border of {self.border}, are "
                f"of {made.shape[2]}x{made.shape[3]}: leave it out for images as small"
            )
        _, similarity = structural_similarity_index_measure(
            made, wanted, data_range=255.0, reduction="none", return_full_image=True
        )
        over = _WINDOW // 2
        return similarity[:, :, over:-over, over:-over].mean(dim=(1, 2, 3))


class L1(PairMetric):
    """Mean absolute difference, `l1`, of pixels, channels and pairs: a share of the range, 0 to 1; lower is better."""

    def __init__(self) -> None:
        super().__init__("l1")

    def measure(self, made: Tensor, wanted: Tensor) -> Tensor:
        """Mean difference of each pair, float64 (N,), of uint8 images (N, C, H, W)."""
        made, wanted = (_shown(images, "rgb", 0) for images in (made, wanted))
        return (made - wanted).abs().mean(dim=(1, 2, 3)) / 255


class PairedLPIPS(PairMetric):
    """LPIPS, `lpips`, Zhang et al. 2018 (1801.03924): the mean over pairs, 0 up, lower is better.

    Args:
        distance: between two batches of images, float (N, 3, H, W) in [-1, 1]. None: `LPIPS("alex")`.

    Raises:
        FileNotFoundError: when there is no file of AlexNet's weights, see `LPIPS`.
    """

    def __init__(self, distance: PairDistance | None = None) -> None:
        super().__init__("lpips")
        self.distance = distance or LPIPS("alex")

    @torch.no_grad()
    def measure(self, made: Tensor, wanted: Tensor) -> Tensor:
        """Distance of each pair (N,), of uint8 images (N, C, H, W)."""
        made, wanted = (to_float(to_channels(images, 3)) for images in (made, wanted))
        return self.distance(made, wanted)


def _name(metric: str, channels: Channels) -> str:
    if channels not in ("rgb", "y"):
        raise ValueError(f'channels is "rgb" or "y", not {channels!r}')
    return metric if channels == "rgb" else f"{metric}_y"


def _shown(images: Tensor, channels: Channels, border: int) -> Tensor:
    """What of uint8 images (N, C, H, W) is compared, as float64 in [0, 255].

    Raises:
        ValueError: where nothing is left inside the border.
    """
    height, width = images.shape[2:]
    if not 0 <= 2 * border < min(height, width):
        raise ValueError(f"images of {height}x{width} pixels have no border of {border} to leave out: choose another")
    shown = to_channels(images[:, :, border : height - border, border : width - border], 3).double()
    if channels == "rgb":
        return shown
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=shown.dtype, device=shown.device).view(1, 3, 1, 1)
    return 16 + (shown * weights).sum(dim=1, keepdim=True) / 255
