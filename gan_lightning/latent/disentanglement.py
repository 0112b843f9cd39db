"""Measures of disentanglement of a model's latent spaces, for factors that can be measured on its images.

The definitions stand in `gan_lightning.metrics.disentanglement` and `gan_lightning.metrics.PerceptualPathLength`.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.classifiers import Classifier
from gan_lightning.data.images import to_float
from gan_lightning.extractors.digits import DigitClassifier
from gan_lightning.inference import ImageName, Space
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.metrics.base import TooFewSamplesError
from gan_lightning.metrics.disentanglement import (
    conditional_entropy,
    entropy,
    information_gaps,
    linear_classifier,
    mutual_information,
    quantile_bins,
)
from gan_lightning.metrics.path_length import PerceptualPathLength
from gan_lightning.metrics.perceptual import PairDistance
from gan_lightning.metrics.strokes import stroke_measures

BINS = 20
"""Number of equally frequent values that a continuous component or factor is cut into, as is usual for MIG."""
SHOWN = 24
"""Components that the picture shows at most."""


class Factors(NamedTuple):
    """What is measured on N images, by name.

    Args:
        classes: logits (N, K) of K exclusive classes, and the names of these.
        attributes: a logit (N,), positive if the image has the attribute.
        measures: a number (N,) of any unit.
    """

    classes: Mapping[str, tuple[Tensor, tuple[str, ...]]] = {}
    attributes: Mapping[str, Tensor] = {}
    measures: Mapping[str, Tensor] = {}

    @classmethod
    def joined(cls, parts: "list[Factors]") -> "Factors":
        """Return the factors of the images of all parts, one after another."""
        first = parts[0]
        return cls(
            {
                name: (torch.cat([part.classes[name][0] for part in parts]), names)
                for name, (_, names) in first.classes.items()
            },
            {name: torch.cat([part.attributes[name] for part in parts]) for name in first.attributes},
            {name: torch.cat([part.measures[name] for part in parts]) for name in first.measures},
        )

    def levels(self, bins: int) -> dict[str, Tensor]:
        """Return each factor as a number of its values, int64 (N,); measures are cut into quantile bins."""
        return {
            **{name: logits.argmax(dim=1) for name, (logits, _) in self.classes.items()},
            **{name: (logit > 0).long() for name, logit in self.attributes.items()},
            **{name: quantile_bins(measure[:, None], bins)[:, 0] for name, measure in self.measures.items()},
        }

    def splits(self) -> dict[str, Tensor]:
        """Return each way to cut the images in two, as scores (N,): the sign is the side, the magnitude how sure it is.

        A class is cut from all others, and a measure at its median.
        """
        cuts: dict[str, Tensor] = {}
        for name, (logits, names) in self.classes.items():
            for i, each in enumerate(names):
                rest = logits[:, [j for j in range(len(names)) if j != i]].logsumexp(dim=1)
                cuts[f"{name} {each}"] = logits[:, i] - rest
        cuts.update(self.attributes)
        cuts.update({name: measure - measure.median() for name, measure in self.measures.items()})
        return cuts


Measurer = Callable[[Tensor], Factors]
"""Measures the factors of images, uint8 (N, C, H, W)."""


class DigitFactors:
    """Class and strokes of handwritten digits, by the classifier that ships with the package and by measurement."""

    def __init__(self) -> None:
        self.network = DigitClassifier()

    def __call__(self, images: Tensor) -> Factors:
        """Measure white digits on black, uint8 (N, C, H, W)."""
        logits = self.network.to(images.device)(images).logits
        assert logits is not None
        return Factors({"digit": (logits, tuple(map(str, range(logits.shape[1]))))}, {}, stroke_measures(images))


class ClassifierFactors:
    """The classes or the attributes that a classifier tells apart.

    Args:
        classifier: the classifier, on the device of the images.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Factors:
        """Measure images, uint8 (N, C, H, W)."""
        logits = self.classifier(to_float(images))
        if self.classifier.kind == "classes":
            return Factors({"class": (logits, self.classifier.names)})
        return Factors({}, dict(zip(self.classifier.names, logits.unbind(dim=1), strict=True)))


@dataclass(frozen=True)
class SpaceReport:
    """The measures of one latent space.

    Args:
        components: names of the components.
        information: I(component; factor) / H(factor), for each factor a list over components, each in [0, 1].
        gaps: the mutual information gap of each factor, in [0, 1]; higher is better.
        mig: their mean.
        entropies: H(Y | X) in nats of each cut that a plane makes through the space; lower is better.
        separability: the exponential of their sum, 1 or more; lower is better.
        left_out: cuts with all samples on one side.
        ppl: perceptual path length; lower is smoother. None = not measured.
    """

    components: list[str]
    information: dict[str, list[float]]
    gaps: dict[str, float]
    mig: float
    entropies: dict[str, float]
    separability: float
    left_out: list[str]
    ppl: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return all fields as JSON has them."""
        return asdict(self)


def disentanglement(
    spaces: list[LatentSpace],
    measure: Measurer,
    n: int = 10_000,
    bins: int = BINS,
    seed: int = 0,
    paths: int = 10_000,
    distance: PairDistance | None = None,
) -> dict[Space, SpaceReport]:
    """Measure latent spaces of one model on the same images.

    A generator's class is one more component of z; in styles it is contained. Styles of several layers count by their
    mean.

    Args:
        spaces: latent spaces of one sampler, without truncation.
        measure: measures the factors.
        n: number of images.
        bins: number of values that a continuous component or factor is cut into.
        seed: seed of the images, and of the paths.
        paths: number of paths whose length is measured; 0 = none are.
        distance: the distance between images on a path; see `PerceptualPathLength`.

    Raises:
        ValueError: no factor varies, or the model makes NaN.
        ModuleNotFoundError: scikit-learn is missing.
    """
    linear_classifier()  # fail before the work
    points, labels, factors = _samples(spaces, measure, n, seed)
    levels = {name: codes for name, codes in factors.levels(bins).items() if bool((codes != codes[0]).any())}
    if not levels:
        raise ValueError(
            f"none of the factors {', '.join(factors.levels(bins))} varies among {n:,} images: give others"
        )
    reports: dict[Space, SpaceReport] = {}
    for space in spaces:
        codes, names = _components(space, points[space.name], labels, bins)
        information = torch.stack([mutual_information(codes, level) for level in levels.values()], dim=1)
        entropies = torch.stack([entropy(level) for level in levels.values()])
        gaps = dict(zip(levels, information_gaps(information, entropies).tolist(), strict=True))
        cut, left_out = _cuts(points[space.name], factors, space.name)
        ppl = None
        if paths:
            metric = PerceptualPathLength(
                space.name, "end", paths, distance=distance, batch_size=space.batch_size, seed=seed
            )
            metric.update(space.sampler)
            ppl = metric.compute()["ppl"].item()
        reports[space.name] = SpaceReport(
            names,
            dict(zip(levels, (information / entropies).T.tolist(), strict=True)),
            gaps,
            sum(gaps.values()) / len(gaps),
            cut,
            float(torch.tensor([*cut.values()], dtype=torch.float64).sum().exp()),
            left_out,
            ppl,
        )
    return reports


def _samples(
    spaces: list[LatentSpace], measure: Measurer, n: int, seed: int
) -> tuple[dict[Space, Tensor], Tensor | None, Factors]:
    """Make images, and return their points (n, d) in each space, their classes (n,), and their factors."""
    sampler = spaces[0].sampler
    points: dict[Space, list[Tensor]] = {space.name: [] for space in spaces}
    classes: list[Tensor] = []
    factors: list[Factors] = []
    size = spaces[0].batch_size
    with tqdm(total=n, desc="measured images", unit="image", disable=None) as bar:
        for start in range(0, n, size):
            names = [ImageName(seed, number) for number in range(start, min(start + size, n))]
            labels = sampler.classes_of(names)
            if labels is not None:
                classes.append(labels)
            for space in spaces:
                found = space.points(names, labels)
                points[space.name].append(found.flatten(1, -2).mean(dim=1) if found.ndim > 2 else found)
            last = spaces[-1]
            (images,) = last.images(last.points(names, labels), names, labels, None)
            factors.append(measure(images))
            bar.update(len(images))
    joined = {name: torch.cat(parts) for name, parts in points.items()}
    return joined, torch.cat(classes) if classes else None, Factors.joined(factors)


def _components(space: LatentSpace, points: Tensor, labels: Tensor | None, bins: int) -> tuple[Tensor, list[str]]:
    """Return the components of points as codes int64 (n, components), and their names."""
    joint = space.sampler.prior.one_hot(points.shape[1]) if space.name == "z" else ()
    single = [i for i in range(points.shape[1]) if not any(run.start <= i < run.stop for run in joint)]
    columns = [quantile_bins(points[:, single], bins)] if single else []
    names = [f"{space.name}{i}" for i in single]
    for run in joint:
        columns.append(points[:, run].argmax(dim=1, keepdim=True))
        names.append(f"{space.name}{run.start}-{run.stop - 1}")
    if labels is not None and space.name == "z":
        columns.append(labels[:, None])
        names.append("class")
    if len(names) < 2:
        raise ValueError("the model has a single latent component, and a gap lies between two: it cannot be measured")
    return torch.cat(columns, dim=1), names


def _cuts(points: Tensor, factors: Factors, name: Space) -> tuple[dict[str, float], list[str]]:
    """Return the conditional entropy of each cut, and the names of those that the samples do not show."""
    found: dict[str, float] = {}
    left_out: list[str] = []
    for cut, scores in tqdm(factors.splits().items(), desc=f"planes in {name}", unit="plane", disable=None):
        try:
            found[cut] = conditional_entropy(points, scores)
        except TooFewSamplesError:
            left_out.append(cut)
    return found, left_out


def table(reports: Mapping[Space, SpaceReport]) -> str:
    """Return the measures as a table for people: one row a measure, one column a space."""
    rows: list[tuple[str, list[Any]]] = [
        ("mutual information gap (1 is best)", [report.mig for report in reports.values()]),
        *(
            (f"  {name}", [report.gaps[name] for report in reports.values()])
            for name in next(iter(reports.values())).gaps
        ),
        ("separability (1 is best)", [report.separability for report in reports.values()]),
        ("perceptual path length (0 is best)", [report.ppl for report in reports.values()]),
    ]
    rows = [row for row in rows if row[1][0] is not None]
    width = max(len(name) for name, _ in rows)
    lines = [" " * width + "".join(f"{name:>12}" for name in reports)]
    lines += [f"{name:<{width}}" + "".join(f"{value:>12.4g}" for value in values) for name, values in rows]
    for name, report in reports.items():
        for factor, shares in report.information.items():
            best = max(range(len(shares)), key=shares.__getitem__)
            lines.append(f"{factor} is told best by {report.components[best]} ({100 * shares[best]:.0f} % in {name})")
        if report.left_out:
            lines.append(f"not in the separability of {name}, since no sample differs: {', '.join(report.left_out)}")
    return "\n".join(lines)


def information_figure(reports: Mapping[Space, SpaceReport]) -> Figure:
    """Draw the share of each factor's entropy that single components tell, the strongest components first."""
    figure = Figure(figsize=(1.5 + 0.36 * SHOWN, 1.2 + sum(0.9 + 0.32 * len(each.gaps) for each in reports.values())))
    axes = figure.subplots(len(reports), squeeze=False)[:, 0]
    for axis, (name, report) in zip(axes, reports.items(), strict=True):
        shares = torch.tensor([*report.information.values()])
        order = shares.max(dim=0).values.argsort(descending=True)[:SHOWN]
        axis.imshow(shares[:, order].numpy(), vmin=0, vmax=1, cmap="viridis", aspect="auto")
        axis.set_xticks(range(len(order)), [report.components[i] for i in order.tolist()], rotation=90, fontsize=8)
        axis.set_yticks(range(len(shares)), [*report.information], fontsize=8)
        axis.set_title(f"share of each factor told by single components of {name}; MIG {report.mig:.3f}", fontsize=9)
        for row, column in ((i, j) for i in range(len(shares)) for j in range(len(order))):
            share = float(shares[row, order[column]])
            if share >= 0.1:
                axis.text(
                    column, row, f"{share:.1f}", ha="center", va="center", fontsize=7, color="k" if share > 0.6 else "w"
                )
    figure.tight_layout()
    return figure
