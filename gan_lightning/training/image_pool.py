"""A pool of earlier fakes for a discriminator to learn from (Shrivastava et al. 2017, arXiv 1612.07828)."""

import torch
from torch import Tensor


class ImagePool:
    """Keeps up to `size` images and returns, for each new one, itself or an earlier one.

    The pool first fills, and returns the new images. Then each image is, with probability 1/2, exchanged for a random
    one of the pool, and otherwise returned (as in CycleGAN's code).

    Args:
        size: number of images to keep. 0 = the pool returns the new images.
    """

    def __init__(self, size: int) -> None:
        if size < 0:
            raise ValueError(f"an image pool holds 0 images or more, not {size}")
        self.size = size
        self.images: Tensor | None = None  # (up to `size`, C, H, W), without a graph

    @torch.no_grad()
    def exchange(self, images: Tensor) -> Tensor:
        """Exchange new images (N, C, H, W) for images of the same shape, new and old."""
        images = images.detach()
        if self.size == 0:
            return images
        kept = images[:0] if self.images is None else self.images[: self.size].to(images)
        free = self.size - len(kept)
        if free:
            kept = torch.cat([kept, images[:free]])
        out = images.clone()
        # one after another, so that a stored image may be drawn again by a later one of the same batch
        for i in range(free, len(images)):
            if torch.rand(()) < 0.5:
                place = int(torch.randint(self.size, ()))
                out[i] = kept[place]
                kept[place] = images[i]
        self.images = kept
        return out

    def state_dict(self) -> dict[str, Tensor | None]:
        """Return the kept images, on the CPU; None before the first."""
        return {"images": None if self.images is None else self.images.cpu()}

    def load_state_dict(self, state: dict[str, Tensor | None]) -> None:
        """Restore the result of `state_dict`, of a pool of any size."""
        self.images = state["images"]
