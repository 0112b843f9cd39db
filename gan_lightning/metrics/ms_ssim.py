"""Multi-scale structural similarity among the images of a set: a measure of missing diversity."""

import torch
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from gan_lightning.metrics.image_sets import ImageSet, PooledImageMetric, disjoint_pairs, over_pairs
from gan_lightning.ranges import NonNegativeInt, PositiveInt

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first: Wang et al. 2003
SMALLEST = {5: 176, 4: 99, 3: 44, 2: 22, 1: 11}  # smallest side in pixels for each number of scales
BATCH = 64  # pairs at a time


class MultiScaleSSIM(PooledImageMetric):
    """MS-SSIM between random pairs of one set, Odena et al. 2017 (1610.09585): a measure of visible diversity.

    In [0, 1], lower is more diverse: 1 if all images of a class are equal. It has a meaning only beside the value of
    the real images, which is returned with it. It does not detect quality, or modes of equal texture.

    If both sets have classes, pairs are drawn within each class and the value is the mean of the classes' means.
    Otherwise pairs are drawn from the whole set, as in Karras et al. 2018 (10,000 pairs). No image is in two pairs.
    Classes with fewer than two images in either set do not count.

    It is torchmetrics' MS-SSIM: 11-tap Gaussian, sigma 1.5, reflected borders, negative terms as 0; the mean over
    channels.
    NOTE: five scales need images of 176 pixels. Smaller images have four scales (from 99 pixels of the smaller side),
        three
    (44), two (22) or one (11), the finest ones, with weights scaled up to the same sum. Such values only compare with
    values at the same size.

    Args:
        num_pairs: number of pairs of each set, over all its classes.
        seed: seed of the pairs.
    """

    def __init__(self, num_pairs: PositiveInt = 10_000, seed: NonNegativeInt = 0) -> None:
        super().__init__()
        self.num_pairs = num_pairs
        self.seed = seed

    @torch.no_grad()
    def compute(self) -> dict[str, Tensor]:
        """Return `{"ms_ssim": ..., "ms_ssim_real": ...}`, for generated and for real images.

        Raises:
            TooFewSamplesError: no class has two images of each set.
            ValueError: images have fewer than 11 pixels a side, or two sizes.
        """
        real, fake = self.sets(2, "a pair")
        of_real, of_fake = self._groups(real, fake)
        return {"ms_ssim": self._mean(fake.images, of_fake), "ms_ssim_real": self._mean(real.images, of_real)}

    def _groups(self, *sets: ImageSet) -> list[list[Tensor]]:
        """Return for each set the groups of images (n,), by their indices, within which pairs are drawn."""
        all_labels = [images.labels for images in sets if images.labels is not None]
        if len(all_labels) < len(sets):
            return [[torch.arange(len(images.images), device=images.images.device)] for images in sets]
        of_classes = [[(labels == c).nonzero()[:, 0] for labels in all_labels] for c in torch.cat(all_labels).unique()]
        smallest = [min(map(len, members)) for members in of_classes]
        self.require(max(smallest), 2, "a pair of one class")
        counted = [members for members, size in zip(of_classes, smallest, strict=True) if size >= 2]
        return [list(groups) for groups in zip(*counted, strict=True)]

    def _mean(self, images: Tensor, groups: list[Tensor]) -> Tensor:
        """Return the mean over groups of the mean over pairs."""
        random = torch.Generator().manual_seed(self.seed)
        weights = scale_weights(min(images.shape[2:]))
        drawn = [disjoint_pairs(members, max(1, self.num_pairs // len(groups)), random) for members in groups]
        first, second = (torch.cat(side) for side in zip(*drawn, strict=True))

        def similarity(a: Tensor, b: Tensor) -> Tensor:
            return multiscale_structural_similarity_index_measure(
                a.float(), b.float(), data_range=255.0, betas=weights, reduction="none"
            )

        values = over_pairs(similarity, images, (first, second), BATCH, "MS-SSIM")
        return torch.stack([of_group.mean() for of_group in values.split([len(side) for side, _ in drawn])]).mean()


def scale_weights(side: int) -> tuple[float, ...]:
    """Return the weights of the scales for images whose smaller side has `side` pixels."""
    for scales, smallest in SMALLEST.items():
        if side >= smallest:
            share = sum(WEIGHTS) / sum(WEIGHTS[:scales])
            return tuple(weight * share for weight in WEIGHTS[:scales])
    raise ValueError(f"MS-SSIM needs images of at least {min(SMALLEST.values())} pixels a side, and these have {side}")
