"""A pool of earlier fakes for a discriminator to learn from (Shrivastava et al. 2017, arXiv 1612.07828)."""

import torch
from torch import Tensor


class ImagePool:
    """Keeps up to `size` images and hands back, for each new one, itself or an earlier one.

    The pool first fills, handing back what comes in. From then on each image is, with probability 1/2, exchanged for a
    random one of the pool, and otherwise handed back (as the authors of CycleGAN do).

    Args:
        size: how many images are kept. 0 = none: what comes in is handed back.
    """

    def __init__(self, size: int) -> None:
        if size < 0:
            raise ValueError(f"an image pool holds 0 images or more, not {size}")
        self.size = size
        self.images: Tensor | None = None  # (up to `size`, C, H, W), without a graph

    @torch.no_grad()
    def exchange(self, images: Tensor) -> Tensor:
        """New images (N, C, H, W), to as many of the same shape, new and old."""
        images = images.detach()
        if self.size == 0:
            return images
        kept = images[:0] if self.images is None else self.images[: self.size].to(images)
        free = self.size - len(kept)
        if free:
            kept = torch.cat([kept, images[:free]])
        out = images.clone()
        # one after another, so that an image put in place may be drawn again by a later one of the same batch
        for i in range(free, len(images)):
            if torch.rand(()) < 0.5:
                place = int(torch.randint(self.size, ()))
                out[i] = kept[place]
                kept[place] = images[i]
        self.images = kept
        return out

    def state(self) -> Tensor | None:
        """The images kept, on the CPU, for an exact resume. None = there is none yet."""
        return None if self.images is None else self.images.cpu()

    def load_state(self, state: Tensor | None) -> None:
        """Take back what `state` returned, of a pool of any size."""
        self.images = state
