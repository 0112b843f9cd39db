"""Images at the size that a growing network has reached."""

from torch import Tensor
from torch.nn import functional


def at_size(images: Tensor, size: int, alpha: float) -> Tensor:
    """Real images as a growing discriminator sees them (Karras et al. 2017, arXiv 1710.10196, section 2).

    Args:
        images: float (N, C, H, W), at the final size.
        size: height and width of the newest level.
        alpha: its share; below 1 the images fade, as the networks do, between half that size, enlarged without
            smoothing, and the size itself.
    """
    whole = functional.adaptive_avg_pool2d(images, size)
    return whole if alpha >= 1 else enlarged(functional.avg_pool2d(whole, 2)).lerp(whole, alpha)


def enlarged(images: Tensor, times: int = 2) -> Tensor:
    """Images so many times as high and wide, each pixel repeated."""
    return functional.interpolate(images, scale_factor=times, mode="nearest") if times > 1 else images
