"""Directions of a latent space along which images change most, without labels.

`factorise` is SeFa: Shen and Zhou, "Closed-Form Factorization of Latent Semantics in GANs", 2021, arXiv 2007.06600.
The layers that meet the latent first are affine, h = A z + b, and

    n_k = argmax ‖A n‖²  with ‖n‖ = 1, orthogonal to those before,

the eigenvectors of AᵀA.

`principal` is GANSpace: Härkönen et al., "GANSpace: Discovering Interpretable GAN Controls", 2020, arXiv 2004.02546:
the principal components of styles w, or, for generators without styles, those of the first layer's activations, from
which latents are regressed.

NOTE: SeFa's code scales each row of A to unit length first; the paper does not, and neither does `factorise`.
NOTE: GANSpace has a component's activations regressed on latents by stochastic gradient descent; here it is a linear
    least-squares fit, as in the authors' code for BigGAN.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.data.files import shown
from gan_lightning.inference import ImageName, LatentSampler, Space, frozen
from gan_lightning.latent.output import check_size
from gan_lightning.latent.sheets import SMALLEST, sheet
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.latent.stored import read_tensors, readable, sound, write_tensors

MOST_FEATURES = 1024
"""Number of activations up to which their whole covariance is decomposed; of more, the largest components are found by
repeated multiplication."""
_MEASURED = 4096  # latents whose standard deviation along a direction is measured
_ITERATIONS = 6
_METHODS = ("factorisation", "principal components")


@dataclass(frozen=True)
class Directions:
    """Directions of a latent space, the strongest first.

    Args:
        vectors: of length 1, float32 (K, d).
        scales: length of one step along each: one standard deviation of the latents, float32 (K,).
        shares: share of each in the whole variance, or in the sum of all eigenvalues, float32 (K,).
        space: "z" or "w". Styles w of several layers, (..., d), move together.
        method: "factorisation" or "principal components".
        about: how they were found, as text by name; saved and read as it is.
    """

    vectors: Tensor
    scales: Tensor
    shares: Tensor
    space: Space
    method: str
    about: dict[str, str]

    def __len__(self) -> int:
        """Number of directions."""
        return len(self.vectors)

    def move(self, points: Tensor, number: int, steps: Tensor) -> Tensor:
        """Return points (N, ..., d) moved by `steps` (N,) along a direction, by its number from 0."""
        vector = (self.vectors[number] * self.scales[number]).to(points)
        return points + steps.to(points).view(-1, *[1] * (points.ndim - 1)) * vector

    def check(self, space: LatentSpace) -> None:
        """Check that these are directions of that space.

        Raises:
            ValueError: they are of another space, or of other latents.
        """
        width = space.points([ImageName(0)]).shape[-1]
        if space.name != self.space or width != self.vectors.shape[1]:
            raise ValueError(
                f"the directions are of a space {self.space} of {self.vectors.shape[1]} components, and the model's "
                f"{space.name} has {width}: find the directions of this model by `gan-lightning directions`"
            )

    def save(self, path: Path) -> None:
        """Write them as a safetensors file, whole or not at all."""
        tensors = {"vectors": self.vectors, "scales": self.scales, "shares": self.shares}
        facts = {"space": self.space, "method": self.method, "about": json.dumps(self.about)}
        write_tensors(path, "directions", {name: tensor.float() for name, tensor in tensors.items()}, facts)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it holds anything else.
        """
        tensors, facts = read_tensors(path, "directions", "directions")
        with readable(path, "directions", "directions"):
            vectors, scales, shares = (tensors[name] for name in ("vectors", "scales", "shares"))
            about = json.loads(facts["about"])
        count = vectors.shape[:1]
        whole = vectors.ndim == 2 and vectors.numel() > 0 and scales.shape == shares.shape == count
        named = facts.get("space") in ("z", "w") and facts.get("method") in _METHODS and isinstance(about, dict)
        if not (whole and named and sound(vectors, scales, shares)):
            raise ValueError(f"{shown(path)} holds directions that are damaged: write the file again")
        space = cast(Space, facts["space"])
        return cls(vectors, scales, shares, space, facts["method"], {str(key): str(about[key]) for key in about})


# ---------------------------------------------------------------------- finding directions


@torch.no_grad()
def factorise(space: LatentSpace, count: int = 20, seed: int = 0) -> Directions:
    """Find the directions that change the first layers' outputs most, in closed form (SeFa).

    Args:
        space: the latent space. In z these are the layers that z enters; in w, all that styles enter.
        count: number of directions at most.
        seed: seed of the latents whose standard deviations along the directions are measured.

    Raises:
        ValueError: no layer is affine in these latents.
    """
    layers = FirstLayers(space)
    start = torch.zeros_like(space.points([ImageName(0)]))
    width = start.shape[-1]
    at_zero = layers.outputs(start).double()
    responses = []
    for numbers in torch.arange(width).split(space.batch_size):
        units = F.one_hot(numbers, width).to(start).view(len(numbers), *[1] * (start.ndim - 2), width)
        responses.append(layers.outputs(start + units).double() - at_zero)
    columns = torch.cat(responses)  # of A, as rows
    values, vectors = torch.linalg.eigh(columns @ columns.T)
    if values[-1] <= 0:
        raise _nothing_varies()
    shares = values.clamp_min(0) / values.clamp_min(0).sum()
    about = {"network": type(space.sampler.network).__name__, "layers": ", ".join(layers.names)}
    return _directions(space, vectors.T.flip(0)[:count], shares.flip(0)[:count], "factorisation", about, seed)


@torch.no_grad()
def principal(space: LatentSpace, count: int = 20, samples: int = 10_000, seed: int = 0) -> Directions:
    """Find directions by principal components of styles w, or of the first layer's activations (GANSpace).

    In z, the components are those of the activations that enter the second layer, or, of a generator of one layer, of
    the outputs of the first; a direction is the linear least-squares fit of the latents to a component.

    Args:
        space: the latent space.
        count: number of directions at most.
        samples: number of latents to draw, 2 or more.
        seed: seed of the latents.

    Raises:
        ValueError: no layer is affine in these latents, or nothing varies.
    """
    about = {"network": type(space.sampler.network).__name__, "samples": str(samples), "seed": str(seed)}

    def drawn() -> Iterator[tuple[Tensor, Tensor | None]]:
        with tqdm(total=samples, desc="principal components", unit="latent", disable=None) as bar:
            for z, labels in space.draws(samples, seed=seed):
                yield (z if space.name == "z" else _together(space.sampler.map(z, labels))), labels
                bar.update(len(z))

    if space.name == "w":
        components = Components.of(lambda: (w for w, _ in drawn()), count)
        vectors = components.vectors
    else:
        layers = FirstLayers(space)
        about["layers"] = ", ".join(layers.names)
        count = min(count, space.sampler.latent_dim)
        components = Components.of(lambda: (layers.activations(z, labels) for z, labels in drawn()), count)
        # with coordinates c of variance 1 and no correlation, the fit z = D c is the mean of z cᵀ
        fit: Any = 0
        for z, labels in drawn():
            fit = fit + components.coordinates(layers.activations(z, labels)).T @ z.double()
        vectors = F.normalize(fit, dim=1)
    return _directions(space, vectors, components.shares, "principal components", about, seed)


def _directions(
    space: LatentSpace, vectors: Tensor, shares: Tensor, method: str, about: dict[str, str], seed: int
) -> Directions:
    """Return directions from vectors of length 1, with their signs fixed, and steps of one standard deviation."""
    largest = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True))
    vectors = (vectors * largest.sign()).float()
    spread = []
    for z, labels in space.draws(_MEASURED, seed=seed):
        points = z if space.name == "z" else _together(space.sampler.map(z, labels))
        spread.append(points @ vectors.T)
    scales = torch.cat(spread).double().std(dim=0).float()
    return Directions(vectors.cpu(), scales.cpu(), shares.float().cpu(), space.name, method, about)


def _nothing_varies() -> ValueError:
    return ValueError(
        "the latents change nothing in the generator's first layer, since its training had collapsed: take an earlier "
        "checkpoint"
    )


def _together(w: Tensor) -> Tensor:
    """Return styles (N, ..., d) as (N, d): the mean over layers, if each has its own."""
    return w.flatten(1, -2).mean(dim=1) if w.ndim > 2 else w


class Components:
    """Principal components of features.

    Args:
        mean: of the features, float64 (F,).
        vectors: orthonormal, float64 (K, F), the largest first.
        variances: along each, float64 (K,).
        total: variance of all features together.
    """

    def __init__(self, mean: Tensor, vectors: Tensor, variances: Tensor, total: Tensor) -> None:
        self.mean, self.vectors, self.variances = mean, vectors, variances
        self.shares = variances / total

    @classmethod
    def of(cls, features: Callable[[], Iterator[Tensor]], count: int) -> Self:
        """Find components with memory for one batch and a matrix.

        Args:
            features: gives batches (n, F), the same at each call. Up to `MOST_FEATURES` features it is called twice,
                otherwise a few times more.
            count: number of components at most.

        Raises:
            ValueError: the features do not vary.
        """
        number, first = 0, None
        total: Any = 0
        for batch in features():
            first = batch[0].double() if first is None else first  # subtracted, against cancellation
            number += len(batch)
            total = total + (batch.double() - first).sum(dim=0)
        assert first is not None
        mean = first + total / number

        def times(matrix: Tensor | None) -> Tensor:
            """Return the covariance times a matrix (F, K), or itself."""
            product: Any = 0
            for batch in features():
                centred = batch.double() - mean
                product = product + centred.T @ (centred if matrix is None else centred @ matrix)
            return product / number

        if len(mean) <= MOST_FEATURES:
            covariance = times(None)
            spread, (values, vectors) = covariance.trace(), torch.linalg.eigh(covariance)
        else:  # subspace iteration
            spread = sum((batch.double() - mean).square().sum() for batch in features()) / number
            random = torch.randn(len(mean), count + 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
            basis = torch.linalg.qr(random.to(mean.device)).Q
            for _ in range(_ITERATIONS):
                basis = torch.linalg.qr(times(basis)).Q
            values, vectors = torch.linalg.eigh(basis.T @ times(basis))
            vectors = basis @ vectors
        kept = values.flip(0)[:count] > 1e-12 * spread
        if not kept.any():
            raise _nothing_varies()
        return cls(mean, vectors.T.flip(0)[:count][kept], values.flip(0)[:count][kept], spread)

    def coordinates(self, features: Tensor) -> Tensor:
        """Return the coordinates of features (n, F) along the components, of variance 1, float64 (n, K)."""
        return (features.double() - self.mean) @ self.vectors.T / self.variances.sqrt()


# ---------------------------------------------------------------------- the layers that meet the latent first


class _FoundError(Exception):
    """All that is wanted of a pass through the network is known, and the rest of it is not needed."""


class FirstLayers:
    """The layers of a generator that meet the points of a latent space first, and are affine in them.

    Any part with a matrix or kernels counts as a layer. They are found by a pass in which no gradient leaves a layer.
    A norm of the points in front of a layer is passed over, as SeFa's code does for ProGAN: the layer gets the points.

    Args:
        space: the latent space.

    Raises:
        ValueError: there are none.
    """

    def __init__(self, space: LatentSpace) -> None:
        self.space = space
        network: nn.Module = space.sampler.network
        self._layers = {part: name for name, part in network.named_modules() if _has_matrix(part)}
        self._first: set[nn.Module] = set()
        others: set[nn.Module] = set()  # that are not affine
        point = space.points([ImageName(0)])
        probes = torch.randn(2, *point.shape[1:], generator=torch.Generator().manual_seed(0)).to(point)
        points = torch.stack([torch.zeros_like(probes[0]), *probes, probes.sum(dim=0)])
        while True:
            found = self._meeting(points, others)
            bent = {part for part, outputs in found.items() if not _is_affine(outputs)}
            if not bent:
                break
            others |= bent
        self._first = set(found)
        self.names = [self._layers[part] for part in found]
        if not found:
            raise ValueError(
                f"no layer of {type(network).__name__} is affine in {space.name}, so that nothing can be factorised: "
                "use another space, or principal components of styles"
            )

    def outputs(self, points: Tensor) -> Tensor:
        """Return the outputs of all these layers for points (N, ...), side by side, (N, F)."""
        return torch.cat(list(self._meeting(points, set(self._layers) - self._first).values()), 1)

    def _meeting(self, points: Tensor, ignored: set[nn.Module]) -> dict[nn.Module, Tensor]:
        """Return the outputs of the layers that points reach without passing through another, besides those ignored."""
        found: dict[nn.Module, Tensor] = {}
        met: set[nn.Module] = set()

        def before(part: nn.Module, args: Any, kwargs: Any) -> Any:
            met.discard(part)
            if not any(_is_traced(value) for value in (*args, *kwargs.values())):
                return None
            met.add(part)
            return tuple(_without_norm(value, points) if _is_traced(value) else value for value in args), kwargs

        def after(part: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            if part not in met or not _is_traced(output):  # the latter of a whole whose parts meet the points first
                return None
            earlier = [found[part]] if part in found else []  # a layer may be used several times
            found[part] = torch.cat([*earlier, output.detach().flatten(1)], 1)
            return output.detach().clone()  # what follows may change it in place

        watched = [part for part in self._layers if part not in ignored]
        points = points.detach().requires_grad_()
        with torch.enable_grad():
            self._pass(points, None, watched, before, after)
        return found

    def activations(self, points: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the input of the layer that follows, or, if none does, the outputs of these, (N, F)."""
        found: list[Tensor] = []
        own: list[Tensor] = []

        def before(part: nn.Module, args: Any, kwargs: Any) -> None:
            inputs = [value for value in (*args, *kwargs.values()) if _is_traced(value)]
            if part not in self._first and inputs:
                found.append(inputs[0].detach().flatten(1))
                raise _FoundError

        def after(part: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            if part not in self._first:
                return None
            own.append(output.detach().flatten(1))
            return output.detach().requires_grad_().clone()  # what follows may change it in place

        with torch.enable_grad():
            self._pass(points.detach(), labels, list(self._layers), before, after)
        return found[0] if found else torch.cat(own, 1)

    def _pass(
        self, points: Tensor, labels: Tensor | None, watched: Sequence[nn.Module], before: Any, after: Any
    ) -> None:
        """Pass points through the network, with hooks on some of its parts, and without gradients of its weights."""
        sampler: LatentSampler = self.space.sampler
        names = [ImageName(0)] * len(points)
        handles = [part.register_forward_pre_hook(before, with_kwargs=True) for part in watched]
        handles += [part.register_forward_hook(after, with_kwargs=True) for part in watched]
        try:
            with frozen(sampler.network):
                self.space.synthesize(points, names, sampler.classes_of(names) if labels is None else labels)
        except _FoundError:
            pass
        finally:
            for handle in handles:
                handle.remove()


def _has_matrix(part: nn.Module) -> bool:
    own = [*part.parameters(recurse=False)]
    parametrised = getattr(part, "parametrizations", None)
    own += [] if parametrised is None else [*parametrised.parameters()]
    return any(tensor.dim() >= 2 for tensor in own)


def _without_norm(value: Tensor, points: Tensor) -> Tensor:
    """Return a layer's input with points in place of multiples of them, if these are its first columns."""
    width = points.shape[-1]
    if value.dim() != 2 or points.dim() != 2 or len(value) != len(points) or value.shape[1] < width:
        return value
    own, others = value[:, :width], value[:, width:]
    with torch.no_grad():
        expected = F.normalize(points, dim=1) * own.norm(dim=1, keepdim=True)
        if not torch.allclose(own, expected, rtol=1e-4, atol=1e-4 * float(own.abs().max())):
            return value
    return torch.cat([points, others], dim=1)


def _is_traced(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _is_affine(outputs: Tensor) -> bool:
    """Return whether outputs for the points 0, a, b and a + b are those of an affine map."""
    zero, a, b, both = outputs.double()
    return bool((both - a - b + zero).abs().max() <= 1e-4 * max(1e-12, float((a - zero).abs().max())))


# ---------------------------------------------------------------------- pictures


def walk_sheet(
    space: LatentSpace,
    directions: Directions,
    names: Sequence[ImageName],
    labels: Tensor | None = None,
    numbers: Sequence[int] = range(8),
    reach: float = 3.0,
    steps: int = 7,
    truncation: float | None = None,
) -> Tensor:
    """Draw images moved along directions: a strip for each direction and image, uint8 (3, H, W).

    Args:
        space: the latent space of the directions.
        directions: the directions.
        names: the images in the middle of the strips.
        labels: class of each, int64 (N,). None = as in `LatentSampler.classes_of`.
        numbers: which directions, from 0.
        reach: distance of the ends of a strip from its middle, in steps of the directions.
        steps: images of a strip.
        truncation: in z, see `gan_lightning.inference.Prior.draw`.
    """
    check_size(len(numbers) * len(names) * SMALLEST, steps * SMALLEST)
    labels = space.sampler.classes_of(names) if labels is None else labels
    walked = torch.linspace(-reach, reach, steps)
    points = space.points(names, labels, truncation).repeat_interleave(steps, 0)
    moved = torch.cat([directions.move(points, number, walked.repeat(len(names))) for number in numbers])
    noise = [name for name in names for _ in range(steps)] * len(numbers)
    classes = None if labels is None else labels.repeat_interleave(steps).repeat(len(numbers))
    images = torch.cat(list(space.images(moved, noise, classes))).split(steps)
    captions = [f"{number + 1}   {100 * float(directions.shares[number]):.1f} %" for number in numbers]
    rows = [caption if first else "" for caption in captions for first in (True, *[False] * (len(names) - 1))]
    columns = [f"{step:+.3g}" if abs(step) > 1e-6 else "0" for step in walked.tolist()]
    return sheet([list(strip) for strip in images], columns, rows)
