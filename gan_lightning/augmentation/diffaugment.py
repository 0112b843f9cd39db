"""DiffAugment: Differentiable Augmentation for Data-Efficient GAN Training.

Zhao, Liu, Lin, Zhu, Han, 2020. arXiv 2006.10738.

    L_D = E_x[f_D(-D(T(x)))] + E_z[f_D(D(T(G(z))))]            L_G = E_z[f_G(-D(T(G(z))))]

T is always applied and differentiable, and each image gets a new draw each time. Its strengths are those of the
authors' code.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_lightning.augmentation.base import Augmentation

_COLOURS = 4  # most channels of an image that has colours: RGBA


class DiffAugment(Augmentation):
    """Random colours, shifts and holes, for images with any number of channels.

    Beside another image, one of more than four channels keeps its values, such as a label map of one plane a class.
    The paper's policies: all three with StyleGAN2 (colour and cutout on all of CIFAR), translation and cutout with
    BigGAN on CIFAR.

    Args:
        color: brightness, x + U(-0.5, 0.5); then saturation, the distance to the mean over channels times U(0, 2); then
            contrast, the distance to the mean over the image times U(0.5, 1.5). Grey images have no saturation.
        translation: a shift by whole pixels, up to an eighth of height and width either way, filled with zeros
            (mid-grey).
        cutout: a hole of half the height and width, filled with zeros (mid-grey), with its centre anywhere in the
            image.
    """

    def __init__(self, color: bool = True, translation: bool = True, cutout: bool = True) -> None:
        super().__init__()
        self.color, self.translation, self.cutout = color, translation, cutout

    def augment(self, images: Tensor, parts: Sequence[int]) -> Tensor:
        """Apply colour, translation and cutout, in this order."""
        if self.color:
            images = _recolor(images, parts)
        if self.translation:
            images = _translate(images)
        if self.cutout:
            images = _cut_out(images)
        return images


def _recolor(images: Tensor, parts: Sequence[int]) -> Tensor:
    brightness, saturation, contrast = (torch.rand(len(images), 1, 1, 1, device=images.device) for _ in range(3))
    recolored = []
    for image in images.split([*parts], dim=1):
        bright = image + (brightness - 0.5)
        saturated = torch.lerp(bright.mean(dim=1, keepdim=True), bright, 2 * saturation)
        changed = torch.lerp(saturated.mean(dim=(1, 2, 3), keepdim=True), saturated, contrast + 0.5)
        recolored.append(changed if len(parts) == 1 or image.shape[1] <= _COLOURS else image)
    return torch.cat(recolored, dim=1)


def _translate(images: Tensor) -> Tensor:
    for dim in (2, 3):
        size = images.shape[dim]
        source = _positions(images, dim) + _integers(images, -_part(size, 0.125), _part(size, 0.125))
        inside = (source >= 0) & (source < size)
        images = images.gather(dim, source.clamp(0, size - 1).expand_as(images)) * inside
    return images


def _cut_out(images: Tensor) -> Tensor:
    hole = torch.ones((), dtype=torch.bool, device=images.device)
    for dim in (2, 3):
        size = images.shape[dim]
        width = _part(size, 0.5)
        # an even hole has its centre between two pixels, so that it has one more possible position
        start = _integers(images, 0, size - width % 2) - width // 2
        position = _positions(images, dim)
        hole = hole & (position >= start) & (position < start + width)
    return images * ~hole


def _part(size: int, share: float) -> int:
    """Return a share of `size`, rounded to the nearest integer, halves up."""
    return int(size * share + 0.5)


def _positions(images: Tensor, dim: int) -> Tensor:
    """Return 0, 1, 2, ... along one dimension of the images, in a shape that broadcasts with them."""
    return torch.arange(images.shape[dim], device=images.device).view([-1 if d == dim else 1 for d in range(4)])


def _integers(images: Tensor, low: int, high: int) -> Tensor:
    """Draw an integer for each image, (N, 1, 1, 1), uniform from low to high, both included."""
    return torch.randint(low, high + 1, (len(images), 1, 1, 1), device=images.device)
