"""Perceptual path length: the change of the image for a small step through latent space."""

import copy
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from gan_lightning.draws import ImageDraws
from gan_lightning.inference import LatentSampler
from gan_lightning.inference.paths import lerp, unit_slerp
from gan_lightning.metrics.base import GeneratorMetric
from gan_lightning.metrics.perceptual import LPIPS, PairDistance
from gan_lightning.metrics.progress import progress, rank_and_world
from gan_lightning.ranges import NonNegativeInt, PositiveFloat, PositiveInt

LARGEST = 256  # pixels: larger images are averaged down
OUTLIERS = (0.01, 0.99)  # quantiles beyond which distances do not count
_PATHS = 1  # the name of a stream of random numbers


class PerceptualPathLength(GeneratorMetric):
    """PPL, Karras et al. 2019 (1812.04948): E[d(G(p(t)), G(p(t + ε)))] / ε² over random paths p between two latents.

    From 0, lower is smoother. The default settings are those of StyleGAN2's published numbers (1912.04958), except the
    space, since most generators have no w. Distances below the 1st and above the 99th percentile do not count.

    In z, paths are great circles (slerp). NOTE: the published code uses the unit sphere, which makes no difference for
    its networks, since they normalise z; here latents have the prior's mean length (√d of a normal one), which other
    networks expect. In w, paths are straight lines. Both ends of a step share their class, drawn uniformly, and the
    generator's own noise. The generator is the averaged one, in evaluation mode and float32. Images larger than 256
    pixels are averaged down by an integer factor.

    Args:
        space: "z" or "w"; "w" needs a generator with styles, see `gan_lightning.inference.LatentSampler`.
        sampling: start of a step on its path: "end" (t = 0) or "full" (t uniform in [0, 1]).
        num_pairs: number of steps, over all ranks together.
        epsilon: length of a step, as a share of its path.
        crop: compare only the middle of the image (rows 3/8 to 7/8, columns 2/8 to 6/8), where FFHQ's faces are.
        distance: a distance between two batches of images, float (N, C, H, W) in [-1, 1]. None = `LPIPS("vgg")`.
        batch_size: number of steps at a time.
        seed: seed of all draws; a path is the same on any number of ranks.

    Raises:
        FileNotFoundError: there is no file of VGG16's weights, see `LPIPS`.
        ValueError: the space or the sampling has another name.
    """

    fake_distances: list[Tensor]

    def __init__(
        self,
        space: Literal["z", "w"] = "z",
        sampling: Literal["end", "full"] = "end",
        num_pairs: PositiveInt = 50_000,
        epsilon: PositiveFloat = 1e-4,
        crop: bool = False,
        distance: PairDistance | None = None,
        batch_size: PositiveInt = 16,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        if space not in ("z", "w") or sampling not in ("end", "full"):
            raise ValueError(
                f"paths lie in space 'z' or 'w', sampled 'end' or 'full', and not in {space!r}, {sampling!r}"
            )
        self.space = space
        self.sampling = sampling
        self.num_pairs = num_pairs
        self.epsilon = epsilon
        self.crop = crop
        self.distance = distance or LPIPS("vgg")
        self.batch_size = batch_size
        self.seed = seed
        self.add_state("fake_distances", [], dist_reduce_fx="cat")

    @torch.no_grad()
    def update(self, sampler: Any) -> None:
        """Measure this rank's share of the paths.

        Args:
            sampler: the `LatentSampler` of a model.

        Raises:
            TypeError: the model does not make its images from latents.
            ValueError: the generator does not have the requested space, or makes NaN or infinite images.
        """
        if not isinstance(sampler, LatentSampler):
            raise TypeError(
                "PerceptualPathLength walks between latents, and this model makes its images from none: leave it out"
            )
        if self.space not in sampler.spaces:
            raise ValueError(
                f"{type(sampler.network).__name__} has no space {self.space!r}, that is, no mapping(z) and "
                "synthesis(w): set space: z"
            )
        sampler = copy.copy(sampler)
        sampler.network = copy.deepcopy(sampler.network).float()
        rank, world = rank_and_world()
        paths = range(self.num_pairs * rank // world, self.num_pairs * (rank + 1) // world)
        for start in progress("path length", range(0, len(paths), self.batch_size)):
            self.fake_distances.append(self._steps(sampler, paths[start : start + self.batch_size]))

    def _steps(self, sampler: LatentSampler, paths: range) -> Tensor:
        """Return distances (len(paths),) over steps of these paths, over ε²; a path depends on its number only."""
        count, device = len(paths), sampler.device
        with ImageDraws((self.seed, int(self.update_count), _PATHS), paths):
            a, b = sampler.draw(2 * count).chunk(2)
            labels = torch.randint(sampler.num_classes, (count,), device=device) if sampler.num_classes else None
            t = torch.rand(count, device=device, dtype=torch.float64)
        t = t if self.sampling == "full" else torch.zeros_like(t)
        styles = [sampler.map(end, labels) for end in (a, b)] if self.space == "w" else None

        def images(t: Tensor) -> Tensor:
            if styles is None:
                w = sampler.map((sampler.prior.length(a.shape[1]) * unit_slerp(a, b, t)).float(), labels)
            else:
                w = lerp(styles[0], styles[1], t).float()
            noise = (self.seed, int(self.update_count))  # the same at both ends of a step
            return sampler.render(sampler.synthesize(w, labels, noise, paths.start))

        before, after = (self._compared(images(at)) for at in (t, t + self.epsilon))
        if not (before.isfinite().all() and after.isfinite().all()):
            raise ValueError(
                f"{type(sampler.network).__name__} makes NaN or infinite pixels: training has diverged; go back to an "
                "earlier checkpoint"
            )
        return self.distance(before, after) / self.epsilon**2

    def _compared(self, images: Tensor) -> Tensor:
        """Return the compared part of images (N, C, H, W), at the compared size."""
        height, width = images.shape[2:]
        factor = min(height, width) // LARGEST
        if self.crop:
            images = images[:, :, height // 8 * 3 : height // 8 * 7, width // 8 * 2 : width // 8 * 6]
        return F.avg_pool2d(images, factor) if factor > 1 else images

    def compute(self) -> dict[str, Tensor]:
        """Return `{"ppl": ..., "ppl_std": ...}`: mean and population standard deviation of the steps that count."""
        kept = len(self.fake_distances)
        self.require(kept, 1, "call update first")
        distances = dim_zero_cat(self.fake_distances).double()
        low = distances.quantile(OUTLIERS[0], interpolation="lower")
        high = distances.quantile(OUTLIERS[1], interpolation="higher")
        distances = distances[(distances >= low) & (distances <= high)]
        return {"ppl": distances.mean(), "ppl_std": distances.std(correction=0)}
