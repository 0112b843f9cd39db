"""Cross-entropy of a class for every pixel, with the U-Net's weights of borders.

Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015, arXiv 1505.04597,
section 3.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.functional import center_crop

from gan_lightning.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat
from gan_lightning.recording import Recorded


def border_weights(cells: Tensor, weight: float = 10.0, sigma: float = 5.0) -> Tensor:
    """Return the second term of equation 2: weight · exp(-(d1 + d2)² / (2 sigma²)), large in narrow gaps between cells.

    d1 and d2 are the distances, in pixels, of a pixel outside of all cells to the nearest cell and the second nearest.
    A cell is a connected area (4 neighbours). It is computed on the CPU.

    NOTE: pixels inside of cells have no such term; the paper does not mention them.
    NOTE: cells further away than 5 sigma are ignored: they would add less than weight · 4e-6.

    Args:
        cells: bool (N, H, W), True inside cells.
        weight: w0, the largest possible value.
        sigma: width of the borders, in pixels.

    Returns:
        float32 (N, H, W), on the device of `cells`.
    """
    reach = math.ceil(5 * sigma)
    weights = np.zeros(cells.shape, np.float32)
    for where, out in zip(cells.cpu().numpy(), weights, strict=True):
        numbered, _ = ndimage.label(where)
        nearest, second = np.full((2, *where.shape), np.inf)
        for number, (rows, columns) in enumerate(ndimage.find_objects(numbered), start=1):
            around = tuple(slice(max(0, part.start - reach), part.stop + reach) for part in (rows, columns))
            distance = ndimage.distance_transform_edt(numbered[around] != number)
            second[around] = np.minimum(second[around], np.maximum(nearest[around], distance))
            nearest[around] = np.minimum(nearest[around], distance)
        gap = np.exp(-np.square(nearest + second) / (2 * sigma**2))
        out[:] = np.where(where, 0, weight * gap)
    return torch.from_numpy(weights).to(cells.device)


class PixelCrossEntropy(Recorded):
    """The mean over pixels of w(x) · -log p(x), p the softmax of the true class's logit and w = w_c + `border_weights`.

    The mean is not divided by the sum of the weights: heavier pixels make the loss larger.

    Args:
        class_weights: w_c of each class, in their order. The paper balances the classes' frequencies in the training
            set. None = 1 for all.
        border_weight: w0. 10 in the paper; 0 turns the term off.
        border_sigma: sigma of the border weights, in pixels.
        cell_class: the class whose connected areas are the cells.
    """

    def __init__(
        self,
        class_weights: Sequence[NonNegativeFloat] | None = None,
        border_weight: NonNegativeFloat = 10.0,
        border_sigma: PositiveFloat = 5.0,
        cell_class: NonNegativeInt = 1,
    ) -> None:
        self.class_weights = class_weights
        self.border_weight = border_weight
        self.border_sigma = border_sigma
        self.cell_class = cell_class

    def __call__(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Return the loss of logits (N, K, h, w) for the middle of images with `classes`, int64 (N, H, W).

        Raises:
            ValueError: the numbers of class_weights and of classes differ.
        """
        if self.class_weights is not None and len(self.class_weights) != logits.shape[1]:
            raise ValueError(
                f"there are {len(self.class_weights)} class_weights and {logits.shape[1]} classes: give one for each"
            )
        middle = list(logits.shape[2:])
        true = center_crop(classes, middle)
        each = self.class_weights or [1.0] * logits.shape[1]
        weights = torch.tensor(each, device=logits.device)[true]
        if self.border_weight:  # computed on whole images, since cells beyond the middle have borders too
            borders = border_weights(classes == self.cell_class, self.border_weight, self.border_sigma)
            weights = weights + center_crop(borders, middle)
        return (weights * F.cross_entropy(logits.float(), true, reduction="none")).mean()
