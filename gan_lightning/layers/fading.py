"""Resizing of images to the size that a growing network has reached."""

from torch import Tensor
from torch.nn import functional


def at_level(images: Tensor, behind: int, alpha: float) -> Tensor:
    """Return real images as a growing discriminator looks at them (Karras et al. 2017, arXiv 1710.10196, section 2).

    Args:
        images: float (N, C, H, W), at the final size.
        behind: how many times the newest level is to be doubled to the final size.
        alpha: share of the newest level. Below 1 the images, like the networks, are a mixture of that level and of the
            one before, enlarged without smoothing.

    Returns:
        the images with the details of the level, at their own size.
    """
    whole = shrunk(images, behind)
    if alpha < 1:
        whole = faded(enlarged(shrunk(whole)), whole, alpha)
    return enlarged(whole, 2**behind)


def faded(before: Tensor, newest: Tensor, alpha: float) -> Tensor:
    """Return (1 - alpha) · before + alpha · newest in the dtype of the latter; at 0 and 1 one of them, to the bit."""
    return before.to(newest.dtype).lerp(newest, alpha)


def shrunk(images: Tensor, times: int = 1) -> Tensor:
    """Halve height and width of images some times, by means of 2x2 pixels: the inverse of `enlarged`, to the bit."""
    for _ in range(times):
        images = functional.avg_pool2d(images, 2)
    return images


def enlarged(images: Tensor, times: int = 2) -> Tensor:
    """Enlarge height and width of images by a factor, with repeated pixels."""
    return functional.interpolate(images, scale_factor=times, mode="nearest") if times > 1 else images
