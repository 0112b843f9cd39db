"""Sums and differences of the mean latents of groups of images.

Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
2015, arXiv 1511.06434, figure 7.

NOTE: means, sums and differences of normal latents have other lengths than latents; in z they are brought back to the
mean length of the latents that they are made of. The authors leave the lengths as they are.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gan_lightning.inference import ImageName
from gan_lightning.latent.ends import End, Inverter, place, read_ends
from gan_lightning.latent.sheets import sheet
from gan_lightning.latent.spaces import LatentSpace

SHOWN = 8
"""Images of a group that the picture shows at most; all count."""
_SIGN = re.compile(r"(?:^\s*|\s+)([+-])\s+")
_NAMED = re.compile(r"(?P<name>[^@]*?)\s*:\s*(?P<images>\d[\d\s,:-]*|(?:\d[\d\s,:-]*)?@.*)", re.DOTALL)


class Group(NamedTuple):
    """A term of a formula: the mean of some images' latents, added or subtracted."""

    sign: int  # 1 or -1
    name: str
    images: list[End]

    def caption(self, first: bool) -> str:
        """Return its sign and name."""
        return f"\N{MINUS SIGN} {self.name}" if self.sign < 0 else self.name if first else f"+ {self.name}"


class Latents(NamedTuple):
    """Points of a latent space, with the mixture of classes at each."""

    points: Tensor  # (N, ...)
    weights: Tensor | None  # (N, num_classes)
    noise: list[ImageName]  # the image whose noise each has


def groups(formula: str) -> list[Group]:
    """Read a formula such as `smiling: 3,17 - neutral: 0-2 + man: 8,9`.

    Terms are separated by + or - between spaces. Each has its images, named as in `gan_lightning.latent.ends` (images
    of one's own as in `me: @me.jpg`), and before them, if it is to have a name, that and a colon.

    Raises:
        ValueError: the formula is none such, or has one term only.
    """
    start, *parts = _SIGN.split(formula)
    pieces = ["+", start, *parts] if start.strip() else parts
    terms = []
    for sign, piece in zip(pieces[::2], map(str.strip, pieces[1::2]), strict=True):
        named = None if piece[:1].isdigit() or piece[:1] == "@" else _NAMED.fullmatch(piece)
        name, images = (piece, piece) if named is None else (named["name"], named["images"])
        try:
            terms.append(Group(1 if sign == "+" else -1, name, read_ends(images)))
        except ValueError as error:
            raise ValueError(
                f"the term {piece!r} cannot be read ({error}): give a formula such as "
                "'smiling: 3,17 - neutral: 0-2 + man: 8,9'"
            ) from error
    if len(terms) < 2:
        raise ValueError(
            f"the formula {formula.strip()!r} has no second term: add or subtract one, by + or - between spaces"
        )
    return terms


class Sum(NamedTuple):
    """A formula's latents."""

    members: list[Latents]  # of each group
    means: list[Latents]  # of each group, one point each
    result: Latents  # one point


def add(
    space: LatentSpace,
    terms: Sequence[Group],
    label: int | None = None,
    truncation: float | None = None,
    inverter: Inverter | None = None,
) -> Sum:
    """Add and subtract the mean latents of groups of images.

    Classes of z are averaged, added and subtracted as latents are; styles include their class.

    Args:
        space: the latent space.
        terms: the groups.
        label: the class of all images. None = image k has class k modulo the number of classes.
        truncation: in z, see `gan_lightning.inference.Prior.draw`.
        inverter: finds the points of images of one's own. None = `invert`.
    """
    members, means = [], []
    for term in terms:
        placed = place(space, term.images, label, truncation, inverter)
        classes = placed.weights(space)
        weights = None if classes is None else classes.double()
        members.append(Latents(placed.points, weights, placed.noise))
        mean = placed.points.double().mean(dim=0, keepdim=True)
        means.append(Latents(mean, None if weights is None else weights.mean(dim=0, keepdim=True), placed.noise[:1]))
    signed = [(term.sign, mean) for term, mean in zip(terms, means, strict=True)]
    total = torch.stack([sign * mean.points for sign, mean in signed]).sum(dim=0)
    mixture = [sign * mean.weights for sign, mean in signed if mean.weights is not None]
    every = torch.cat([latents.points for latents in members])
    return Sum(
        members,
        [
            Latents(space.rescaled(mean.points, own.points), mean.weights, mean.noise)
            for mean, own in zip(means, members, strict=True)
        ],
        Latents(space.rescaled(total, every), torch.stack(mixture).sum(dim=0) if mixture else None, means[0].noise),
    )


def sum_sheet(space: LatentSpace, terms: Sequence[Group], total: Sum) -> Tensor:
    """Draw the images of each group in a column, with that of its mean below, and the result, uint8 (3, H, W)."""
    shown = [latents.points[:SHOWN] for latents in total.members]
    parts = [
        *(Latents(latents.points[:SHOWN], latents.weights, latents.noise[:SHOWN]) for latents in total.members),
        *total.means,
        total.result,
    ]
    noise = [name for part in parts for name in part.noise]
    points = torch.cat([part.points for part in parts])
    weights = [part.weights[: len(part.points)] for part in parts if part.weights is not None]
    images = torch.cat(list(space.images(points, noise, torch.cat(weights).float() if weights else None)))
    own = images.split([*map(len, shown), *[1] * (len(terms) + 1)])
    depth = max(map(len, shown))
    columns = [
        [*members, *[None] * (depth - len(members)), mean[0]]
        for members, mean in zip(own[: len(terms)], own[len(terms) : -1], strict=True)
    ]
    columns.append([*[None] * depth, own[-1][0]])
    captions = [term.caption(not i) for i, term in enumerate(terms)]
    return sheet(list(zip(*columns, strict=True)), [*captions, "= result"], [*[""] * depth, "mean"])
