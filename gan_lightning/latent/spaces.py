"""The latent spaces of a model: points in them, ways between points, and the images of points."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.inference import ImageName, LatentSampler, Sampler, Space
from gan_lightning.inference.mixing import ClassMixture
from gan_lightning.inference.paths import lerp, slerp
from gan_lightning.inference.pixels import checked_pixels

Way = Literal["arc", "line"]
"""The form of a way between two points."""
AVERAGED = 10_000
"""Number of latents whose styles give the mean style, as in StyleGAN2's projector."""
_BLOCK = 4096  # latents that are drawn at a time


class LatentSpace:
    """One latent space of a model.

    Args:
        sampler: the model's sampler.
        name: "z", or "w" for a model with styles. None = the last one that the model has.
        psi: truncation in w, for models with styles (Karras et al. 2019, arXiv 1812.04948): each style is w̄ + psi ·
            (w - w̄), w̄ the mean style of its class. 1 = none.
        batch_size: number of images that pass through the network at a time.
        cutoff: number of layers that psi truncates the styles of, from the first on. None = all. Points of w are then
            styles of each layer, (N, L, d).
        way: form of the ways between points: arcs around the origin, or straight lines. None = arcs in z, on which
            latents keep their length, and lines in w.

    Raises:
        ValueError: the model has no such space, or fewer layers with styles of their own, or makes its images from no
            latents.
    """

    def __init__(
        self,
        sampler: Sampler,
        name: Space | None = None,
        psi: float = 1.0,
        batch_size: int = 64,
        cutoff: int | None = None,
        way: Way | None = None,
    ) -> None:
        if not isinstance(sampler, LatentSampler):
            raise ValueError(f"{type(sampler).__name__} makes images from no latents: give a model that does")
        network = type(sampler.network).__name__
        if name is not None and name not in sampler.spaces:
            raise ValueError(f"{network} has no space {name}, since it has no styles: use the space z")
        if psi != 1 and "w" not in sampler.spaces:
            raise ValueError(
                f"psi={psi:g} truncates styles, and {network} has none: leave it out, or truncate z by truncation"
            )
        if cutoff is not None and not 0 < cutoff < sampler.num_styles:
            layers = f"{sampler.num_styles} layers" if sampler.num_styles > 1 else "one style for all of its layers"
            fix = f"give 1 to {sampler.num_styles - 1}, or leave it out" if sampler.num_styles > 1 else "leave it out"
            raise ValueError(
                f"cutoff={cutoff} truncates the styles of the first layers, and {network} has {layers}: {fix}"
            )
        self.sampler = sampler
        self.name: Space = name or sampler.spaces[-1]
        self.psi, self.cutoff = psi, cutoff
        self.batch_size = batch_size
        self.way: Way = way or ("arc" if self.name == "z" else "line")
        if self.way == "arc" and self.name != "z":
            raise ValueError("way=arc is for latents z, and styles w lie around no origin: use way: line, or space: z")
        self._means: dict[int | None, Tensor] = {}
        self._spreads: dict[int | None, float] = {}

    # ------------------------------------------------------------------ points

    @torch.no_grad()
    def points(
        self, names: Sequence[ImageName], labels: Tensor | None = None, truncation: float | None = None
    ) -> Tensor:
        """Return the points of images by their names, float32 (N, ...).

        Args:
            names: of the images.
            labels: class of each image, int64 (N,). None = as in `LatentSampler.classes_of`.
            truncation: in z, see `Prior.draw`.
        """
        labels = self.sampler.classes_of(names) if labels is None else labels.to(self.sampler.device)
        parts = []
        for rows in self._batches(len(names)):
            z = self.sampler.latents_of(names[rows], truncation)
            part = None if labels is None else labels[rows]
            parts.append(z if self.name == "z" else self._truncated(self.sampler.map(z, part), part))
        return torch.cat(parts)

    def between(self, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        """Return the points at t (N,) on the ways from a to b, both (N, ...): arcs or straight lines, see `way`."""
        return slerp(a, b, t) if self.way == "arc" else lerp(a, b, t).to(a.dtype)

    def rescaled(self, points: Tensor, like: Tensor) -> Tensor:
        """Return points (N, ...) with the mean length of others in z, and as they are in w; float32.

        A mean of n normal latents is 1/√n as long as they, a sum √n times: a generator has not learnt from such.
        """
        if self.name == "z":
            points = points * (like.double().norm(dim=1).mean() / points.norm(dim=1, keepdim=True).clamp_min(1e-12))
        return points.float()

    # ------------------------------------------------------------------ coordinates for optimisers

    @cached_property
    def point_shape(self) -> torch.Size:
        """Shape of one point."""
        return self.points([ImageName(0)]).shape[1:]

    def flat(self, points: Tensor) -> Tensor:
        """Return points (N, ...) as (N, d): z themselves; of styles that each layer has its own of, the mean."""
        return points.flatten(1, -2).mean(dim=1) if points.ndim > 2 else points

    def free(self, points: Tensor) -> Tensor:
        """Return coordinates without bounds (N, d), of any size, from which `at` makes these points (N, ...).

        In w, layers share their coordinates: those of styles that differ between layers are the mean over layers.
        """
        return self.sampler.prior.free(points) if self.name == "z" else self.flat(points)

    def at(self, coordinates: Tensor) -> Tensor:
        """Return the points (N, ...) at coordinates (N, d); see `free`. Differentiable."""
        if self.name == "z":
            return self.sampler.prior.bounded(coordinates)
        between = [1] * (len(self.point_shape) - 1)
        return coordinates.view(len(coordinates), *between, -1).expand(-1, *self.point_shape)

    @torch.no_grad()
    def spread(self, label: int | None = None) -> float:
        """Return √(E‖p - p̄‖²) over the flat points p of random images.

        Args:
            label: in w, the class of the images, and p̄ is its mean style. None = of a model without classes. In z, p̄
                is 0, and classes do not matter.
        """
        key = None if self.name == "z" else label
        if key not in self._spreads:
            mean = 0 if self.name == "z" else self.flat(self.mean_style(key)[None]).double()
            total: Any = 0
            for z, labels in self.draws(AVERAGED, key):
                points = z if self.name == "z" else self.flat(self.sampler.map(z, labels))
                total = total + (points.double() - mean).square().sum()
            self._spreads[key] = float(total / AVERAGED) ** 0.5
        return self._spreads[key]

    # ------------------------------------------------------------------ images

    @cached_property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the model's images, or of the pictures of its outputs."""
        _, channels, height, width = self.sampler.render(self.make([ImageName(0)])).shape
        return channels, height, width

    @torch.no_grad()
    def make(self, names: Sequence[ImageName], labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Make the outputs of these names as `Sampler.make` does; psi truncates their styles."""
        labels = self.sampler.classes_of(names) if labels is None else labels.to(self.sampler.device)
        return self._outputs(self.points(names, labels, truncation), names, labels)

    @torch.no_grad()
    def images(
        self, points: Tensor, names: Sequence[ImageName], classes: Tensor | None = None, title: str | None = "images"
    ) -> Iterator[Tensor]:
        """Make the images of points, and yield them in batches, uint8 (n, C, H, W).

        Args:
            points: (N, ...).
            names: the images whose noise is used, one for each point, by generators with noise of their own.
            classes: class of each image, int64 (N,), or a mixture of classes for each, float (N, num_classes). None =
                as in `LatentSampler.classes_of`. Styles w include the class already.
            title: name of the progress bar. None = there is none.

        Raises:
            ValueError: pixels are NaN or infinite, or the generator cannot mix classes.
        """
        if classes is None:
            classes = self.sampler.classes_of(names)
        with tqdm(total=len(points), desc=title, unit="image", disable=True if title is None else None) as bar:
            for rows in self._batches(len(points)):
                part = None if classes is None else classes[rows].to(self.sampler.device)
                if part is not None and part.is_floating_point():
                    images = self._mixed(points[rows], names[rows], part)
                else:
                    images = self.synthesize(points[rows], names[rows], part)
                yield checked_pixels(images)
                bar.update(len(images))

    def _mixed(self, points: Tensor, names: Sequence[ImageName], weights: Tensor) -> Tensor:
        labels = weights.argmax(dim=1)
        if torch.equal(weights, F.one_hot(labels, weights.shape[1]).to(weights)):
            return self.synthesize(points, names, labels)
        with ClassMixture(labels, weights) as mixture:
            images = self.synthesize(points, names, labels)
        if not mixture.used:
            raise ValueError(
                f"{type(self.sampler.network).__name__} takes its classes neither as one-hot vectors nor by an "
                "embedding, so that nothing lies between them: give one class"
            )
        return images

    def synthesize(self, points: Tensor, names: Sequence[ImageName], labels: Tensor | None) -> Tensor:
        """Make the images of points, float32 (N, C, H, W), of these classes and with these images' noise.

        Outputs of another kind are rendered to pictures. Differentiable.
        """
        return self.sampler.render(self._outputs(points, names, labels))

    def _outputs(self, points: Tensor, names: Sequence[ImageName], labels: Tensor | None) -> Tensor:
        if self.name == "z" and "w" in self.sampler.spaces:
            points = self._truncated(self.sampler.map(points, labels), labels)
        return self.sampler.synthesize(points, labels, names=names)

    def _batches(self, count: int) -> Iterator[slice]:
        return (slice(start, start + self.batch_size) for start in range(0, count, self.batch_size))

    # ------------------------------------------------------------------ styles

    def _truncated(self, w: Tensor, labels: Tensor | None) -> Tensor:
        """Return styles w (N, ...) truncated by psi towards the mean of their classes, up to the cut-off."""
        if self.psi == 1:
            return w
        classes: list[int | None] = [None] * len(w) if labels is None else labels.tolist()
        truncated = torch.lerp(torch.stack([self.mean_style(each) for each in classes]), w, self.psi)
        if self.cutoff is None:
            return truncated
        first, others = (
            self.sampler.each_layer(truncated)[:, : self.cutoff],
            self.sampler.each_layer(w)[:, self.cutoff :],
        )
        return torch.cat([first, others], dim=1)

    @torch.no_grad()
    def mean_style(self, label: int | None = None) -> Tensor:
        """Return the mean style w̄ (...) of a class; None = of a model without classes."""
        if label not in self._means:
            total: Any = 0
            for z, labels in self.draws(AVERAGED, label):
                total = total + self.sampler.map(z, labels).double().sum(dim=0)
            self._means[label] = (total / AVERAGED).float()
        return self._means[label]

    @torch.no_grad()
    def draws(self, count: int, label: int | None = None, seed: int = 0) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield random latents z float32 (n, latent_dim), and their classes if there are any, int64 (n,), in batches.

        Args:
            count: number of draws.
            label: the class of all. None = the classes in turn.
            seed: seed of the draws; neither the batch size nor the device changes them.
        """
        sampler = self.sampler
        random = torch.Generator().manual_seed(seed)
        for start in range(0, count, _BLOCK):
            block = sampler.prior.draw(min(_BLOCK, count - start), sampler.latent_dim, generator=random)
            for rows in self._batches(len(block)):
                z = block[rows].to(sampler.device)
                labels = sampler.classes(len(z), start + rows.start)
                yield z, labels if labels is None or label is None else torch.full_like(labels, label)
