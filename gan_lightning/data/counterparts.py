"""Images of one domain as they look in another, where a formula tells it: the truth that coupled models are held to."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import max_pool2d

from gan_lightning.recording import Recorded


class Counterpart(Recorded, ABC):
    """A function from images of a first domain to the images of a second one that they belong to."""

    name: ClassVar[str]
    """The name of the second domain."""

    @abstractmethod
    def __call__(self, images: Tensor) -> Tensor:
        """Map images float (N, C, H, W) in [-1, 1] to their counterparts, of the same shape and range."""


class Negative(Counterpart):
    """The negative: black becomes white, and white black."""

    name = "negatives"

    def __call__(self, images: Tensor) -> Tensor:
        """Return -x for images x float (N, C, H, W) in [-1, 1]."""
        return -images


class Edges(Counterpart):
    """The edges around bright strokes: the dilation by a square of 3×3 pixels, minus the image.

    Liu, Tuzel, "Coupled Generative Adversarial Networks", 2016, arXiv 1606.07536: the authors' code.
    """

    name = "edges"

    def __call__(self, images: Tensor) -> Tensor:
        """Return the edges of images float (N, C, H, W) in [-1, 1]; -1 where there is none."""
        return max_pool2d(images, 3, stride=1, padding=1) - images - 1
