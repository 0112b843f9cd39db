"""Which attributes change with one that is moved, and how often a generator shows each: an analysis of its biases.

One attribute is moved by the gradient of a classifier, up and down, and nothing is held. The changes of each other
attribute's log odds since the start are regressed on those of the moved one, over all steps of all images,

    Δa_j = α + β Δt.

Steps of one image depend on each other: the intervals come from a bootstrap over images (Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993, chapters 6 and 13: percentiles).

A classifier has biases of its own. The same regression over images in place of steps, among samples and among real
images, and the shares of the attributes in both, tell one from the other. Intervals of shares are Wilson's (1927),
those of their differences Newcombe's method 10 (1998), which combines two of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest
from torch import Tensor

from gan_lightning.classifiers import Classifier
from gan_lightning.inference import ImageName
from gan_lightning.latent.editing import ascend
from gan_lightning.latent.spaces import LatentSpace

RESAMPLES = 2000
"""Number of bootstrap samples."""
SHOWN = 9
"""Attributes in the plot."""
_PATHS = 60  # images whose paths are drawn
_LEVEL = 0.95
_IN_A_ROW = 3

Interval = tuple[float, float]


class Relation(NamedTuple):
    """How one attribute changes with the moved one; intervals are of 95%.

    Args:
        name: of the attribute.
        slope: β, change of its log odds for a change of the moved one's by 1.
        slope_interval: of β.
        correlation: of the changes, in [-1, 1]; 0 if one of them is constant.
        correlation_interval: of it.
        covariance: of the changes, with its sign.
        intercept: α.
    """

    name: str
    slope: float
    slope_interval: Interval
    correlation: float
    correlation_interval: Interval
    covariance: float
    intercept: float


@dataclass(frozen=True)
class Relations:
    """Relations of all other attributes to one, the largest absolute covariance first.

    Args:
        moved: name of the attribute that is moved.
        found: the relations.
        lines: α and β of each bootstrap sample, float64 (B, 2), by the attribute's name.
    """

    moved: str
    found: Sequence[Relation]
    lines: Mapping[str, Tensor]


def changes(
    space: LatentSpace,
    classifier: Classifier,
    attribute: int,
    points: Tensor,
    names: Sequence[ImageName],
    labels: Tensor | None = None,
    steps: int = 30,
    lr: float = 0.02,
) -> Tensor:
    """Move an attribute up and down, and return the changes of all log odds, float32 (1 + 2 · steps, N, K).

    Args:
        space: the latent space.
        classifier: gives log odds and gradients.
        attribute: number of the attribute that is moved.
        points: of the images, (N, ...).
        names: the images whose noise is used.
        labels: class of each image, int64 (N,). None = the model has no classes.
        steps: number of steps each way.
        lr: see `gan_lightning.latent.editing.ascend`.
    """
    up, down = (
        ascend(
            space, classifier, attribute, points, names, labels, None, lr=lr, steps=steps, lower=lower, title=title
        ).path
        for lower, title in ((False, "up"), (True, "down"))
    )
    return torch.cat([up, down[1:]]) - up[:1]


def relate(values: Tensor, names: Sequence[str], moved: int, seed: int = 0) -> Relations:
    """Regress each attribute on one.

    Args:
        values: of the attributes in several observations of each image, (S, N, K).
        names: of the attributes.
        moved: number of the attribute on which others are regressed.
        seed: seed of the bootstrap.

    Raises:
        ValueError: that attribute does not vary.
    """
    middle = values.double().mean(dim=(0, 1))
    y = values.double() - middle
    x = y[:, :, moved]
    number = len(values) * values.shape[1]
    # sums over the observations of each image
    own = torch.stack([x.sum(dim=0), x.square().sum(dim=0)], dim=1)  # (N, 2)
    others = torch.stack([y.sum(dim=0), y.square().sum(dim=0), (x[:, :, None] * y).sum(dim=0)], dim=1)  # (N, 3, K)

    def fit(weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return α, β, correlation and covariance, each (B, K), with weights (B, N) of the images."""
        mean_x, square_x = (weights @ own / number).T[:, :, None]
        mean_y, square_y, product = torch.einsum("bn,nsk->sbk", weights, others) / number
        variance_x, variance_y = square_x - mean_x.square(), square_y - mean_y.square()
        covariance = product - mean_x * mean_y
        slope = covariance / variance_x.where(variance_x > 0, torch.nan)
        together = (variance_x * variance_y).clamp_min(0).sqrt()
        correlation = torch.where(together > 0, covariance / together, 0.0).clamp(-1, 1)
        return mean_y + middle - slope * (mean_x + middle[moved]), slope, correlation, covariance

    if not x.square().sum() > 0:
        raise ValueError(
            f"the log odds of {names[moved]!r} do not change at all, since no gradient of the classifier reaches the "
            "latents: try another classifier"
        )
    intercept, slope, correlation, covariance = (part[0] for part in fit(torch.ones(1, values.shape[1]).double()))
    random = torch.Generator().manual_seed(seed)
    drawn = torch.randint(values.shape[1], (RESAMPLES, values.shape[1]), generator=random)
    weights = torch.zeros(RESAMPLES, values.shape[1]).double().scatter_add_(1, drawn, torch.ones_like(drawn).double())
    resampled = fit(weights)
    ends = torch.tensor([(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]).double()
    slopes, correlations = (part.nanquantile(ends, dim=0).T.tolist() for part in resampled[1:3])
    order = ranked(covariance, moved)
    return Relations(
        names[moved],
        [
            Relation(
                names[j],
                slope[j].item(),
                tuple(slopes[j]),
                correlation[j].item(),
                tuple(correlations[j]),
                covariance[j].item(),
                intercept[j].item(),
            )
            for j in order
        ],
        {names[j]: torch.stack([resampled[0][:, j], resampled[1][:, j]], dim=1) for j in order},
    )


def ranked(covariance: Tensor, moved: int) -> list[int]:
    """Return the numbers of the attributes by absolute covariance (K,) with the moved one, without that itself."""
    return [j for j in covariance.abs().argsort(descending=True, stable=True).tolist() if j != moved]


# ---------------------------------------------------------------------- shares


class Share(NamedTuple):
    """How many images have an attribute."""

    having: int
    images: int

    @property
    def value(self) -> float:
        """The share."""
        return self.having / self.images

    @property
    def interval(self) -> Interval:
        """Wilson's 95% interval."""
        found = binomtest(self.having, self.images).proportion_ci(_LEVEL, "wilson")
        return float(found.low), float(found.high)

    def minus(self, other: "Share") -> tuple[float, Interval]:
        """Return the difference to another share, and Newcombe's 95% interval."""
        difference = self.value - other.value
        (low, high), (other_low, other_high) = self.interval, other.interval
        below = ((self.value - low) ** 2 + (other_high - other.value) ** 2) ** 0.5
        above = ((high - self.value) ** 2 + (other.value - other_low) ** 2) ** 0.5
        return difference, (difference - below, difference + above)


def shares(odds: Tensor, classifier: Classifier) -> dict[str, Share]:
    """Count the images that have each attribute by log odds (N, K) above 0, or that are of each class."""
    if classifier.kind == "classes":
        counts = odds.argmax(dim=1).bincount(minlength=odds.shape[1])
    else:
        counts = (odds > 0).sum(dim=0)
    return {name: Share(count, len(odds)) for name, count in zip(classifier.names, counts.tolist(), strict=True)}


# ---------------------------------------------------------------------- pictures


def relation_figure(relations: Relations, values: Tensor, names: Sequence[str]) -> Figure:
    """Draw a panel for each of the attributes that change most: paths of images, the fitted line and its 95% band.

    Args:
        relations: the regressions.
        values: the changes, (S, N, K).
        names: of the attributes in `values`.
    """
    drawn = relations.found[:SHOWN]
    columns = min(_IN_A_ROW, len(drawn))
    rows = -(-len(drawn) // columns)
    figure = Figure(figsize=(3.6 * columns + 0.4, 2.9 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    x = values[:, :, names.index(relations.moved)].double()
    for axes, relation in zip(panels, drawn, strict=False):
        _panel(axes, relation, relations.lines[relation.name], x, values[:, :, names.index(relation.name)])
    for axes in panels[len(drawn) :]:
        axes.remove()
    figure.supxlabel(f"change of the log odds of {relations.moved}", fontsize=10, parse_math=False)
    figure.supylabel("change of the log odds", fontsize=10)
    return figure


def _panel(axes: Axes, relation: Relation, lines: Tensor, x: Tensor, y: Tensor) -> None:
    order = x.argsort(dim=0)[:, :_PATHS]
    axes.plot(
        x[:, :_PATHS].gather(0, order).numpy(), y[:, :_PATHS].gather(0, order).numpy(), color="C0", lw=0.6, alpha=0.25
    )
    at = torch.linspace(float(x.min()), float(x.max()), 50, dtype=torch.float64)
    low, high = (lines[:, :1] + lines[:, 1:] * at).nanquantile(torch.tensor([0.025, 0.975]).double(), dim=0)
    axes.fill_between(at.numpy(), low.numpy(), high.numpy(), color="C1", alpha=0.35, lw=0)
    axes.plot(at.numpy(), (relation.intercept + relation.slope * at).numpy(), color="C1")
    axes.set_title(f"{relation.name}   slope {relation.slope:+.2f}", fontsize=10, loc="left", parse_math=False)
    axes.grid(alpha=0.25)


def share_figure(groups: Mapping[str, Mapping[str, Share]]) -> Figure:
    """Draw the shares of attributes in groups of images, with 95% intervals.

    Args:
        groups: shares by the attribute's name, for each group by its name; the first has all attributes.
    """
    names = list(next(iter(groups.values())))
    figure = Figure(figsize=(6.5, 1.2 + (0.16 + 0.14 * len(groups)) * len(names)), layout="constrained")
    axes = figure.subplots()
    for place, (group, counted) in enumerate(groups.items()):
        rows = [i for i, name in enumerate(names) if name in counted]
        of = [counted[names[i]] for i in rows]
        errors = [[each.value - each.interval[0] for each in of], [each.interval[1] - each.value for each in of]]
        heights = [i + 0.22 * (place - (len(groups) - 1) / 2) for i in rows]
        axes.errorbar([each.value for each in of], heights, xerr=errors, fmt="o", ms=4, capsize=2, label=group)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.invert_yaxis()
    axes.set_xlabel("share of the images, with 95% intervals")
    axes.grid(alpha=0.25)
    figure.legend(loc="outside upper center", ncols=len(groups), fontsize=9, frameon=False)
    return figure
