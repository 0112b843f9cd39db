"""Resizing of images to the size that a growing network has reached."""

from torch import Tensor
from torch.nn import functional


def at_size(images: Tensor, size: int, alpha: float) -> Tensor:
    """Resize real images for a growing discriminator (Karras et al. 2017, arXiv 1710.10196, section 2).

    Args:
        images: float (N, C, H, W), at the final size.
        size: height and width of the newest level.
        alpha: share of the newest level. Below 1 the images, like the networks, are a mixture of that size and of half
            that size, enlarged without smoothing.
    """
    whole = functional.adaptive_avg_pool2d(images, size)
    return whole if alpha >= 1 else enlarged(functional.avg_pool2d(whole, 2)).lerp(whole, alpha)


def enlarged(images: Tensor, times: int = 2) -> Tensor:
    """Enlarge height and width of images by a factor, with repeated pixels."""
    return functional.interpolate(images, scale_factor=times, mode="nearest") if times > 1 else images
