"""`gan-lightning edit` and `correlate`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.classifiers import Classifier
from gan_lightning.classifiers.classifier import is_classifier
from gan_lightning.classifiers.labelled import Labelled, attributes_of
from gan_lightning.data.files import shown, write_whole
from gan_lightning.data.images import to_float, write_png
from gan_lightning.evaluation.pictures.canvas import write_figure
from gan_lightning.evaluation.sources import FolderImages
from gan_lightning.inference import ImageName, Space
from gan_lightning.inference.devices import Device, find_device
from gan_lightning.latent.commands.common import check_picture, load, one_class
from gan_lightning.latent.correlation import (
    Relations,
    Share,
    changes,
    relate,
    relation_figure,
    share_figure,
    shares,
)
from gan_lightning.latent.directions import Directions
from gan_lightning.latent.editing import (
    Ascent,
    ascend,
    before_and_after,
    log_odds,
    numbers_to_hold,
    path_figure,
    report,
    save_latents,
)
from gan_lightning.latent.names import image_names
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.ranges import Finite, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Range, checked

Probability = Annotated[float, Range(0, 1, open_low=True, open_high=True)]
Several = Annotated[int, Range(2)]
HALF = 0.5
"""Target below which an attribute is lowered."""
MOVED = 3.0
"""Standard deviations of an edit along a direction, unless told otherwise."""


@checked
def edit(
    checkpoint: Path,
    by: Path,
    out: Path,
    attribute: str | None = None,
    direction: PositiveInt | None = None,
    step: Finite | None = None,
    seeds: str = "0-7",
    classes: str | None = None,
    target: Probability = 0.9,
    hold: str | None = None,
    lambda_hold: NonNegativeFloat = 0.1,
    lr: PositiveFloat = 0.02,
    steps: PositiveInt = 200,
    judge: Path | None = None,
    space: Space | None = None,
    truncation: PositiveFloat | None = None,
    psi: Finite = 1.0,
    batch_size: PositiveInt = 64,
    device: Device = "auto",
    trusted: list[str] | str | None = None,
) -> None:
    """Change one attribute of images by the gradient of a classifier, and hold others; or go along a direction.

    Three files are written: a picture of the images before and after; beside it, under the same name with
    -latents.safetensors, their latents; and, for a classifier, with -path.png, a plot of all attributes over the steps.
    Generator and classifier do not change. A class of the model's stays: only z, or the styles of that class, move.

    Args:
        checkpoint: The model: a checkpoint (.ckpt), a run's folder (its best checkpoint), an export, or
            hf://owner/name.
        by: A classifier that `train-classifier` wrote, or directions that `directions` wrote.
        out: Picture (.png) to write.
        attribute: For a classifier: name of the attribute or class to change.
        direction: For directions: number of the direction, from 1 as in their picture.
        step: For directions: standard deviations to go, below 0 for the other way. Null: 3.
        seeds: Images to edit, named as in `sample`.
        classes: One class for all images. Null: image k of a seed has class k modulo the number of classes.
        target: Probability of the attribute at which an image stops. Below 0.5, the attribute is lowered.
        hold: Attributes that are held: names such as glasses,hat, or all, or none. Null: all others of attributes, none
            of classes.
        lambda_hold: Weight of the mean squared change of the held attributes' log odds.
        lr: Length of the longest step, as a share of the length of z, or of the spread of styles.
        steps: Number of steps at most.
        judge: A second classifier, by which the change is judged too: an edit may deceive the first one by pixels that
            nobody sees.
        space: z or w. Null: that of the directions, or w for models with styles, else z.
        truncation: Largest magnitude of a latent's component, as if larger ones were drawn again. Null: no limit.
        psi: For models with styles w: share of the way from the mean style of the class to each style. 1: no
            truncation.
        batch_size: Number of images that pass through the networks at a time.
        device: Device of the networks. Auto: the GPU if there is one.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.

    Raises:
        ValueError: the model makes no images from latents, or attribute, direction and files do not fit.
        OSError: a file is missing or cannot be written.
    """
    check_picture(out)
    names = image_names(seeds)
    place = find_device(device)
    guide = _guide(by, place)
    second = None if judge is None else Classifier.load(judge, place)
    if isinstance(guide, Directions):
        if direction is None or attribute is not None:
            raise ValueError(f"{shown(by)} holds directions: name one by --direction, a number from 1 to {len(guide)}")
        if direction > len(guide):
            raise ValueError(f"{shown(by)} has {len(guide)} directions, and none with the number {direction}")
    elif attribute is None or direction is not None or step is not None:
        raise ValueError(f"{shown(by)} holds a classifier: name what changes by --attribute, one of {guide.listed}")
    sampler = load(checkpoint, device, trusted)
    label = one_class(classes, sampler)
    where = LatentSpace(sampler, space or (guide.space if isinstance(guide, Directions) else None), psi, batch_size)
    labels = where.sampler.classes_of(names)
    if labels is not None and label is not None:
        labels = torch.full_like(labels, label)
    before = where.points(names, labels, truncation)
    said: list[str] = []
    first = None
    if isinstance(guide, Directions):
        guide.check(where)
        far = MOVED if step is None else step
        after = guide.move(before, (direction or 1) - 1, torch.full((len(names),), far))
        how = f"{far:g} steps along direction {direction}"
    else:
        number, first = guide.number(attribute or ""), attribute
        if second is not None:
            second.number(guide.names[number])
        held = numbers_to_hold(guide, hold, number)
        found = ascend(
            where, guide, number, before, names, labels, target, held, lambda_hold, lr, steps, lower=target < HALF
        )
        after = found.points
        how = f"{first} to {target:g}, holding {', '.join(guide.names[each] for each in held) or 'nothing'}"
        said.append(_outcome(found, number, names, target))
        said.append(report(guide, found.path[0], found.path[-1], first, f"by {shown(by)}"))
    if second is not None:
        odds, moved = (log_odds(where, second, points, names, labels) for points in (before, after))
        said.append(report(second, odds, moved, first, f"by the judge {shown(judge or by)}"))
    picture = before_and_after(where, before, after, names, labels)
    save_latents(out.with_name(f"{out.stem}-latents.safetensors"), where, after, names, labels, how)
    if not isinstance(guide, Directions):
        write_figure(path_figure(guide, number, found, target), out.with_name(f"{out.stem}-path.png"))
    write_png(picture, out)
    if said:
        print(*said, sep="\n")


def _guide(by: Path, device: torch.device) -> Classifier | Directions:
    """Read the file that holds a classifier or directions."""
    if not by.is_file():
        raise FileNotFoundError(f"there is no file {shown(by)}: `gan-lightning train-classifier` writes a classifier")
    if is_classifier(by):
        return Classifier.load(by, device)
    try:
        return Directions.load(by)
    except ValueError as error:
        raise ValueError(
            f"{shown(by)} holds neither a classifier nor directions: give a file that `gan-lightning train-classifier` "
            "or `gan-lightning directions` wrote"
        ) from error


def _outcome(found: Ascent, number: int, names: Sequence[ImageName], target: float) -> str:
    """Return a line for each image, which says whether the target was reached, and a line for all."""
    lines, first = [], found.scores[0, :, number].tolist()
    for i, (name, last) in enumerate(zip(names, found.scores[-1, :, number].tolist(), strict=True)):
        steps = int(found.steps[i])
        if not found.reached[i]:
            way = f"{steps} steps spent, target not reached"
        else:
            way = f"target reached after {steps} steps" if steps else "had the target already"
        lines.append(f"  {name!s:<10}  {first[i]:.3f} -> {last:.3f}   {way}")
    reached, already = int(found.reached.sum()), int((found.reached & (found.steps == 0)).sum())
    sign = "or less" if target < HALF else "or more"
    lines.append(
        f"{reached - already} of {len(lines) - already} images reached a probability of {target:g} {sign}"
        + (f"; {already} others had it already" if already else "")
    )
    return "\n".join(lines)


@checked
def correlate(
    checkpoint: Path,
    classifier: Path,
    out: Path,
    attribute: str | None = None,
    n: Several = 256,
    steps: PositiveInt = 30,
    lr: PositiveFloat = 0.02,
    data: Path | None = None,
    attributes: Path | None = None,
    samples: Several = 2000,
    seed: NonNegativeInt = 0,
    classes: str | None = None,
    space: Space | None = None,
    truncation: PositiveFloat | None = None,
    psi: Finite = 1.0,
    batch_size: PositiveInt = 64,
    device: Device = "auto",
    trusted: list[str] | str | None = None,
) -> None:
    """Measure which attributes change when one is moved by a classifier's gradient, and how often samples show each.

    Each other attribute's change is regressed on that of the moved one, with bands of 95% from a bootstrap over images.
    Two or three files are written: a picture of the regressions; beside it, under the same name with .json, all
    numbers; and, where there are data, with -shares.png, the shares of the attributes in samples and data.

    Args:
        checkpoint: The model: a checkpoint (.ckpt), a run's folder (its best checkpoint), an export, or
            hf://owner/name.
        classifier: A classifier that `train-classifier` wrote.
        out: Picture (.png) to write.
        attribute: Name of the attribute or class that is moved.
        n: Number of images that are moved.
        steps: Number of steps up, and as many down.
        lr: Length of a step, as a share of the length of z, or of the spread of styles.
        data: Folder of real images, to compare with the samples. Null: there is no comparison.
        attributes: Table of the real images' attributes (.csv), as in `train-classifier`: their true shares are shown
            too. Null: the classifier alone judges the images.
        samples: Number of images for the shares.
        seed: Seed of the images, and of the bootstrap.
        classes: One class for all images. Null: image k of a seed has class k modulo the number of classes.
        space: z or w. Null: w for models with styles, else z.
        truncation: Largest magnitude of a latent's component, as if larger ones were drawn again. Null: no limit.
        psi: For models with styles w: share of the way from the mean style of the class to each style. 1: no
            truncation.
        batch_size: Number of images that pass through the networks at a time.
        device: Device of the networks. Auto: the GPU if there is one.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.

    Raises:
        ValueError: the model makes no images from latents, or classifier and data do not fit.
        OSError: a file is missing or cannot be written.
    """
    check_picture(out)
    if attributes is not None and data is None:
        raise ValueError("--attributes has the attributes of real images, and none are given: name them by --data")
    judge = Classifier.load(classifier, find_device(device))
    if attribute is None:
        raise ValueError(f"the attribute that is moved is missing: name it by --attribute, one of {judge.listed}")
    moved = judge.number(attribute)
    if len(judge.names) < 2:
        raise ValueError(f"{shown(classifier)} knows {judge.listed} alone, with which nothing can change")
    real = None if data is None else _real(judge, data, attributes)
    sampler = load(checkpoint, device, trusted)
    label = one_class(classes, sampler)
    where = LatentSpace(sampler, space, psi, batch_size)

    def drawn(count: int) -> tuple[Tensor, list[ImageName], Tensor | None]:
        names = [ImageName(seed, number) for number in range(count)]
        labels = where.sampler.classes_of(names)
        labels = labels if labels is None or label is None else torch.full_like(labels, label)
        return where.points(names, labels, truncation), names, labels

    values = changes(where, judge, moved, *drawn(n), steps, lr)
    relations = relate(values, judge.names, moved, seed)
    among_samples = log_odds(where, judge, *drawn(samples), "samples")
    odds = {"samples": among_samples}
    groups = {"samples": shares(among_samples, judge)}
    if real is not None:
        odds["data"] = _of_folder(judge, real.images, batch_size)
        groups["data"] = shares(odds["data"], judge)
        if len(real.names):
            groups["data, true"] = _true_shares(real)
    across = {name: relate(each[None], judge.names, moved, seed) for name, each in odds.items()}
    facts = {
        "moved": judge.names[moved],
        "images": n,
        "steps": steps,
        "lr": lr,
        "space": where.name,
        "seed": seed,
        "moved_by_gradient": [relation._asdict() for relation in relations.found],
        "over_images": {name: [relation._asdict() for relation in each.found] for name, each in across.items()},
        "shares": {
            name: {
                key: {**share._asdict(), "share": share.value, "interval": share.interval}
                for key, share in each.items()
            }
            for name, each in groups.items()
        },
    }
    write_figure(relation_figure(relations, values, judge.names), out)
    if real is not None:
        write_figure(share_figure(groups), out.with_name(f"{out.stem}-shares.png"))
    write_whole(out.with_suffix(".json"), lambda part: part.write_text(json.dumps(facts, indent=2) + "\n"))
    print(_table(relations, across, groups))


def _real(judge: Classifier, folder: Path, table: Path | None) -> Labelled:
    """Find real images, and their attributes if there is a table; without one there are no names."""
    if table is None:
        return Labelled(FolderImages(folder), torch.zeros(0), [], "attributes")
    if judge.kind == "classes":
        raise ValueError("--attributes goes with a classifier of attributes, and this one is of classes: leave it out")
    return attributes_of(folder, table, list(dict.fromkeys(name.partition("=")[0] for name in judge.names)))


@torch.no_grad()
def _of_folder(judge: Classifier, images: FolderImages, batch_size: int) -> Tensor:
    """Return the log odds of real images, float32 (N, K)."""
    images = images.resized(judge.size)
    images.batch_size = batch_size
    parts = []
    with tqdm(total=len(images), desc="data", unit="image", disable=None) as bar:
        for batch in images:
            parts.append(judge.log_odds(to_float(batch.images.to(judge.device))).cpu())
            bar.update(len(parts[-1]))
    return torch.cat(parts)


def _true_shares(real: Labelled) -> dict[str, Share]:
    counts = dict(zip(real.names, real.targets.sum(dim=0).tolist(), strict=True))
    return {name: Share(count, len(real.targets)) for name, count in counts.items()}


def _table(relations: Relations, across: Mapping[str, Relations], groups: Mapping[str, Mapping[str, Share]]) -> str:
    """Return the numbers in lines."""
    width = max(len(name) for name in groups["samples"])

    def interval(ends: tuple[float, float]) -> str:
        return f"[{ends[0]:+.2f}, {ends[1]:+.2f}]"

    lines = [f"change of log odds for a change of {relations.moved} by 1, with 95% intervals over images; correlations"]
    others = {name: {each.name: each for each in found.found} for name, found in across.items()}
    for each in relations.found:
        correlations = "  ".join(
            f"{name} {found[each.name].correlation:+.2f} {interval(found[each.name].correlation_interval)}"
            for name, found in others.items()
        )
        lines.append(
            f"  {each.name:<{width}}  {each.slope:+.2f} {interval(each.slope_interval)}  moved "
            f"{each.correlation:+.2f} {interval(each.correlation_interval)}  over {correlations}"
        )
    lines.append(f"shares of the images, with 95% intervals{', and samples minus data' if 'data' in groups else ''}")
    for name, share in groups["samples"].items():
        found = [
            f"{group} {of[name].value:.3f} [{of[name].interval[0]:.3f}, {of[name].interval[1]:.3f}]"
            for group, of in groups.items()
            if name in of
        ]
        if "data" in groups:
            difference, ends = share.minus(groups["data"][name])
            found.append(f"{difference:+.3f} [{ends[0]:+.3f}, {ends[1]:+.3f}]")
        lines.append(f"  {name:<{width}}  " + "  ".join(found))
    return "\n".join(lines)
