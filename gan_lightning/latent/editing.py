"""Edits of images by the gradient of a classifier: one attribute changes, others are held.

The generator and the classifier are frozen, and the latents of an image move along the gradient of

    s · t(z) - λ · mean over the held attributes j of (a_j(z) - a_j(z_0))²,

where t and a_j are log odds, log(p / (1 - p)), that the classifier gives the image, z_0 are the latents at the start,
and s is 1 to raise the attribute and -1 to lower it. For attributes, log odds are the classifier's logits; for classes,
the logit minus the logsumexp of the others.

The idea is that of activation maximisation (Nguyen et al., "Synthesizing the preferred inputs for neurons in neural
networks via deep generator networks", 2016, arXiv 1605.09304), applied to the attributes of a generator's images.

NOTE: the usual penalty on the other attributes is the norm of their change, and not its square: its gradient at the
    start is undefined, and it holds either everything or nothing.
NOTE: a step has a given length in place of a given factor of the gradient, since gradients of classifiers differ by
    orders of magnitude. A step that does not raise the objective is taken back, and the image's next ones are half as
    long. Latents z keep the length that they have at the start.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.classifiers import Classifier
from gan_lightning.inference import ImageName, frozen
from gan_lightning.inference.identity import fingerprint
from gan_lightning.latent.sheets import sheet
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.latent.stored import write_tensors

IN_A_ROW = 8
"""Images side by side in the picture of an edit."""
MOST_CURVES = 12
"""Attributes in a plot: the edited one, and those that change most."""
_MEASURED = 1000  # styles whose spread is measured
_LONGER, _SHORTER = 1.5, 0.5  # factors of an image's steps


class Ascent(NamedTuple):
    """Latents that have moved along the gradient of an objective.

    Args:
        points: at the end, (N, ...).
        path: log odds of all attributes at the start and after each step, float32 (S + 1, N, K); constant for an image
            that has stopped.
        steps: number of steps that each image took, int64 (N,).
        reached: whether the probability of the attribute reached the target, bool (N,).
    """

    points: Tensor
    path: Tensor
    steps: Tensor
    reached: Tensor

    @property
    def scores(self) -> Tensor:
        """Probabilities of all attributes at the start and after each step, float32 (S + 1, N, K)."""
        return self.path.sigmoid()


def ascend(
    space: LatentSpace,
    classifier: Classifier,
    attribute: int,
    points: Tensor,
    names: Sequence[ImageName],
    labels: Tensor | None = None,
    target: float | None = 0.9,
    hold: Sequence[int] = (),
    lambda_hold: float = 0.1,
    lr: float = 0.02,
    steps: int = 200,
    lower: bool = False,
    title: str | None = "editing",
) -> Ascent:
    """Move images along the gradient of a classifier, see the module. An image does not depend on others.

    Args:
        space: the latent space; its batch size is the number of images at a time.
        classifier: gives the log odds.
        attribute: number of the attribute or class that changes.
        points: of the images at the start, (N, ...).
        names: the images whose noise is used, one for each point, by generators with noise of their own.
        labels: class of each image, int64 (N,), which stays. None = the model has no classes.
        target: an image stops at this probability of the attribute. None = it takes all steps.
        hold: numbers of the attributes that are held.
        lambda_hold: λ.
        lr: length of the longest step, as a share of the length of z, or of the root mean square distance of styles w
            from their mean.
        steps: number of steps at most.
        lower: lower the attribute, down to the target.
        title: name of the progress bar. None = there is none.
    """
    with torch.inference_mode(False), torch.no_grad():  # gradients need ordinary tensors
        return _ascend(
            space,
            classifier,
            attribute,
            points.clone(),
            names,
            labels,
            target,
            hold,
            lambda_hold,
            lr,
            steps,
            lower,
            title,
        )


def _ascend(
    space: LatentSpace,
    classifier: Classifier,
    attribute: int,
    points: Tensor,
    names: Sequence[ImageName],
    labels: Tensor | None,
    target: float | None,
    hold: Sequence[int],
    lambda_hold: float,
    lr: float,
    steps: int,
    lower: bool,
    title: str | None,
) -> Ascent:
    sign = -1.0 if lower else 1.0
    aim = None if target is None else sign * torch.tensor(target).logit().item()
    fixed = points.flatten(1).norm(dim=1) if space.name == "z" else None
    unit = torch.full((len(points),), _spread(space), device=points.device) if fixed is None else fixed
    held = torch.tensor(list(hold), dtype=torch.int64, device=points.device)
    parts = []
    with (
        frozen(space.sampler.network, classifier),
        tqdm(total=steps * len(points), desc=title, unit="step", disable=True if title is None else None) as bar,
    ):
        for start in range(0, len(points), space.batch_size):
            rows = slice(start, start + space.batch_size)
            part = None if labels is None else labels[rows]
            moving = _Moving(space, classifier, attribute, sign, held, lambda_hold, points[rows], names[rows], part)
            parts.append(moving.ascend(aim, lr * unit[rows], steps, fixed is not None, bar))
    return Ascent(
        torch.cat([part.points for part in parts]),
        torch.cat([part.path for part in parts], 1),
        torch.cat([part.steps for part in parts]),
        torch.cat([part.reached for part in parts]),
    )


class _Moving:
    """A batch of images on their way."""

    def __init__(
        self,
        space: LatentSpace,
        classifier: Classifier,
        attribute: int,
        sign: float,
        held: Tensor,
        lambda_hold: float,
        points: Tensor,
        names: Sequence[ImageName],
        labels: Tensor | None,
    ) -> None:
        self.space, self.classifier = space, classifier
        self.attribute, self.sign, self.held, self.lambda_hold = attribute, sign, held, lambda_hold
        self.points, self.names, self.labels = points.detach(), names, labels
        self.start: Tensor | None = None  # log odds at the start

    def ascend(self, aim: float | None, lengths: Tensor, steps: int, on_sphere: bool, bar: tqdm) -> Ascent:
        """Take steps of at most these lengths (N,), up to an aim for the log odds; with z at its length, if so."""
        everything = torch.arange(len(self.points), device=self.points.device)
        odds, objective, gradient = self._evaluate(self.points, everything)
        self.start = odds.clone()
        points, length, taken = self.points.clone(), lengths.clone(), torch.zeros_like(everything)
        radius = points.flatten(1).norm(dim=1)
        path = [odds.to("cpu", copy=True)]
        for _ in range(steps):
            active = everything if aim is None else everything[self.sign * odds[:, self.attribute] < aim]
            if not len(active):
                break
            moved = points[active] + _times(length[active], _direction(gradient[active], points[active], on_sphere))
            if on_sphere:
                moved = _times(radius[active] / moved.flatten(1).norm(dim=1).clamp_min(1e-12), moved)
            new_odds, new_objective, new_gradient = self._evaluate(moved, active)
            better = new_objective > objective[active]
            kept = active[better]
            points[kept], odds[kept] = moved[better], new_odds[better]
            objective[kept], gradient[kept] = new_objective[better], new_gradient[better]
            length[active] = torch.where(better, _LONGER, _SHORTER) * length[active]
            length = length.minimum(lengths)
            taken[active] += 1
            path.append(odds.to("cpu", copy=True))
            bar.update(len(active))
        bar.total -= steps * len(points) - int(taken.sum())
        reached = self.sign * odds[:, self.attribute] >= (torch.inf if aim is None else aim)
        path += path[-1:] * (steps + 1 - len(path))
        return Ascent(points, torch.stack(path), taken.cpu(), reached.cpu())

    def _evaluate(self, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return log odds (n, K), objective (n,) and its gradient (n, ...) at points of some of the images."""
        names = [self.names[row] for row in rows.tolist()]
        labels = None if self.labels is None else self.labels[rows]
        with torch.enable_grad():
            points = points.clone().requires_grad_()
            odds = self.classifier.log_odds(self.space.synthesize(points, names, labels))
            objective = self.sign * odds[:, self.attribute]
            if len(self.held) and self.start is not None:
                change = odds[:, self.held] - self.start[rows][:, self.held]
                objective = objective - self.lambda_hold * change.square().mean(dim=1)
            (gradient,) = torch.autograd.grad(objective.sum(), [points])
        if not (odds.isfinite().all() and gradient.isfinite().all()):
            raise ValueError(
                "the classifier's log odds of the images, or their gradients, are NaN or infinite: the training of the "
                "generator or of the classifier had diverged"
            )
        return odds.detach(), objective.detach(), gradient


def _times(factors: Tensor, values: Tensor) -> Tensor:
    """Return values (N, ...) times factors (N,)."""
    return factors.view(-1, *[1] * (values.ndim - 1)) * values


def _direction(gradient: Tensor, points: Tensor, on_sphere: bool) -> Tensor:
    """Return gradients (N, ...) of length 1, without their part along the points, if these keep their length."""
    flat, at = gradient.flatten(1), points.flatten(1)
    if on_sphere:
        at = at / at.norm(dim=1, keepdim=True).clamp_min(1e-12)
        flat = flat - (flat * at).sum(dim=1, keepdim=True) * at
    return (flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-12)).view_as(gradient)


@torch.no_grad()
def _spread(space: LatentSpace) -> float:
    """Return the root mean square distance of styles from their mean."""
    styles = torch.cat([space.sampler.map(z, labels).flatten(1) for z, labels in space.draws(_MEASURED)]).double()
    return (styles - styles.mean(dim=0)).square().sum(dim=1).mean().sqrt().item()


@torch.no_grad()
def log_odds(
    space: LatentSpace,
    classifier: Classifier,
    points: Tensor,
    names: Sequence[ImageName],
    labels: Tensor | None = None,
    title: str | None = None,
) -> Tensor:
    """Return the log odds of the images of points, float32 (N, K) on the CPU; see `Classifier.log_odds`."""
    parts = []
    with tqdm(total=len(points), desc=title, unit="image", disable=True if title is None else None) as bar:
        for start in range(0, len(points), space.batch_size):
            rows = slice(start, start + space.batch_size)
            part = None if labels is None else labels[rows].to(points.device)
            parts.append(classifier.log_odds(space.synthesize(points[rows], names[rows], part)).cpu())
            bar.update(len(parts[-1]))
    return torch.cat(parts)


def numbers_to_hold(classifier: Classifier, text: str | None, attribute: int) -> list[int]:
    """Read the attributes that an edit holds.

    Args:
        classifier: knows them.
        text: names, separated by commas; `all` others; or `none`. None = all others of attributes, and none of classes,
            which cannot be held while another rises.
        attribute: number of the edited one.

    Raises:
        ValueError: the classifier does not know them, or the edited one is among them.
    """
    others = [number for number in range(len(classifier.names)) if number != attribute]
    if text is None:
        return others if classifier.kind == "attributes" else []
    if text.strip() in ("all", "none") and text.strip() not in classifier.names:
        return others if text.strip() == "all" else []
    held = [classifier.number(name.strip()) for name in text.strip("[]").split(",")]
    if attribute in held:
        raise ValueError(f"{classifier.names[attribute]!r} is edited, and cannot be held at the same time: hold others")
    return list(dict.fromkeys(held))


# ---------------------------------------------------------------------- pictures and files


def before_and_after(
    space: LatentSpace, before: Tensor, after: Tensor, names: Sequence[ImageName], labels: Tensor | None = None
) -> Tensor:
    """Draw the images of points (N, ...) before and after an edit, below each other, uint8 (3, H, W)."""
    images = [
        torch.cat(list(space.images(points, names, labels, title)))
        for points, title in ((before, "before"), (after, "after"))
    ]
    strips = []
    for start in range(0, len(names), IN_A_ROW):
        rows = slice(start, start + IN_A_ROW)
        empty = [None] * (min(len(names), IN_A_ROW) - len(names[rows])) if start else []
        captions = [str(name) for name in names[rows]] + [""] * len(empty)
        strips.append(sheet([[*some[rows], *empty] for some in images], captions, ["before", "after"]))
    width = max(strip.shape[2] for strip in strips)
    return torch.cat([torch.nn.functional.pad(strip, (0, width - strip.shape[2]), value=255) for strip in strips], 1)


def path_figure(classifier: Classifier, attribute: int, found: Ascent, target: float | None = None) -> Figure:
    """Draw the probabilities of the attributes over the steps: their means over the images.

    The edited attribute has a thin line for each image too. Of many attributes, those that change most are drawn.
    """
    scores = found.scores[: int(found.steps.max()) + 1]
    mean = scores.mean(dim=1)
    change = (mean - mean[0]).abs().amax(dim=0)
    change[attribute] = torch.inf
    shown_ones = change.argsort(descending=True, stable=True)[:MOST_CURVES].tolist()
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(scores[:, :, attribute], color="black", linewidth=0.5, alpha=0.3)
    for place, number in enumerate(shown_ones):
        style = {"color": "black", "linewidth": 2.5} if not place else {"color": f"C{(place - 1) % 10}"}
        axes.plot(mean[:, number], label=classifier.names[number], linestyle="--" if place > 10 else "-", **style)
    if target is not None:
        axes.axhline(target, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlabel="step", ylabel="probability", ylim=(-0.02, 1.02), xlim=(0, max(1, len(scores) - 1)))
    axes.grid(alpha=0.25)
    axes.set_title(
        f"means over {scores.shape[1]} images; thin: {classifier.names[attribute]} of each",
        fontsize=10,
        parse_math=False,
    )
    legend = figure.legend(loc="outside right upper", fontsize=9, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def save_latents(
    path: Path, space: LatentSpace, points: Tensor, names: Sequence[ImageName], labels: Tensor | None, how: str
) -> None:
    """Write the latents of edited images as a safetensors file.

    Args:
        path: the file.
        space: the latent space.
        points: of the images, (N, ...).
        names: of the images that were edited, whose noise they have.
        labels: class of each, int64 (N,). None = the model has no classes.
        how: the edit, in words.
    """
    tensors = {"points": points.float(), "noise": torch.tensor([[*name] for name in names], dtype=torch.int64)}
    if labels is not None:
        tensors["labels"] = labels
    facts = {
        "space": space.name,
        "model": fingerprint(space.sampler.network),
        "names": json.dumps([str(name) for name in names]),
        "about": json.dumps({"edit": how}),
    }
    write_tensors(path, "latents", tensors, facts)


def report(classifier: Classifier, before: Tensor, after: Tensor, first: str | None = None, title: str = "") -> str:
    """Return a table of the probabilities before and after an edit, from log odds (N, K): means over the images.

    Args:
        classifier: gave the log odds.
        before: log odds before.
        after: log odds after.
        first: name of the attribute that comes first. The others follow by the size of their mean absolute change.
        title: first line.
    """
    p, q = before.double().sigmoid(), after.double().sigmoid()
    moved = (q - p).abs().mean(dim=0)
    order = moved.clone()
    if first is not None:
        order[classifier.number(first)] = torch.inf
    width = max(map(len, classifier.names))
    lines = [
        f"  {classifier.names[i]:<{width}}  {p[:, i].mean():.3f} -> {q[:, i].mean():.3f}   {moved[i]:.3f}"
        for i in order.argsort(descending=True, stable=True).tolist()
    ]
    return "\n".join([f"{title}: mean probability before -> after, and mean absolute change", *lines])
