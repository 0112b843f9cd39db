"""Images of a model as they are stored."""

from torch import Tensor

from gan_lightning.data.images import to_uint8


def checked_pixels(images: Tensor) -> Tensor:
    """Convert float images (N, C, H, W) in [-1, 1] to uint8.

    Raises:
        ValueError: there are NaN or infinite pixels.
    """
    return to_uint8(checked(images))


def checked(outputs: Tensor) -> Tensor:
    """Return a model's outputs, of any kind.

    Raises:
        ValueError: there are NaN or infinite values.
    """
    if not outputs.isfinite().all():
        raise ValueError(
            "the model generated NaN or infinite pixels: its training had diverged; take an earlier checkpoint"
        )
    return outputs
