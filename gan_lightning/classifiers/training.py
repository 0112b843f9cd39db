"""The training of a classifier on stored images, and its accuracy on images held back from it.

AdamW, one learning-rate cycle, weight decay 0.05, no augmentation, float32: the recipe of
`gan_lightning.metrics.ClassificationAccuracy`, which measures generators by it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.classifiers.classifier import SMALL, Accuracy, Classifier, Kind
from gan_lightning.data.images import to_float
from gan_lightning.metrics.classifier_training import LEARNING_RATE, fit, repeatable
from gan_lightning.ranges import NonNegativeInt, PositiveFloat, PositiveInt, ShareBelowOne, checked

LARGE_LEARNING_RATE = 1e-3
"""Highest learning rate for torchvision's networks, some of which diverge at that of the small one."""


@checked
def train(
    images: Tensor,
    targets: Tensor,
    names: Sequence[str],
    kind: Kind = "classes",
    backbone: str = SMALL,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    epochs: PositiveInt = 20,
    batch_size: PositiveInt = 128,
    lr: PositiveFloat | None = None,
    seed: NonNegativeInt = 0,
    held_back: ShareBelowOne | Tensor = 0.2,
    device: torch.device | str = "cpu",
) -> Classifier:
    """Train a classifier. Neither the global random state nor the batch size of its use affects it.

    Args:
        images: uint8 (N, C, H, W).
        targets: class of each image, int64 (N,), or its attributes, 0 or 1, any number type (N, K).
        names: of the classes or attributes, in the order of their numbers.
        kind: "classes" or "attributes".
        backbone: see `Classifier`.
        size: see `Classifier`. None = that of the images.
        channels: see `Classifier`. None = 1 for grey images and the small network, else 3.
        epochs: number of passes over the training images.
        batch_size: number of images of a step.
        lr: the highest learning rate. None = 0.005 for the small network and 0.001 for others.
        seed: of the initial weights, the order of images, and the images held back.
        held_back: share of the images that are not trained on, or, bool (N,), which they are. Accuracy is measured on
            them; with none there is no accuracy. See `held_back_images`.
        device: the device to train on.

    Returns:
        The classifier, in evaluation mode and without gradients of its weights.

    Raises:
        ValueError: there are no classes to tell apart in the training images, the arguments do not fit, or the network
            has diverged.
    """
    device = torch.device(device)
    targets = _checked(images, targets, names, kind)
    kept = held_back if isinstance(held_back, Tensor) else held_back_images(targets, held_back, seed)
    if kept.shape != (len(images),) or kept.dtype != torch.bool:
        raise ValueError(f"the images held back are given by a bool for each of {len(images)} images")
    _check_trained(targets[~kept], names, kind)
    grey = images.shape[1] < 3 and backbone == SMALL
    with repeatable(seed, device):
        classifier = Classifier(
            names,
            kind,
            (images.shape[2], images.shape[3]) if size is None else size,
            (1 if grey else 3) if channels is None else channels,
            backbone,
        ).to(device)
        classifier.try_out()
        loss = F.cross_entropy if kind == "classes" else F.binary_cross_entropy_with_logits
        rate = lr or (LEARNING_RATE if backbone == SMALL else LARGE_LEARNING_RATE)
        fit(classifier, images[~kept], targets[~kept], loss, epochs, batch_size, "training the classifier", rate)
    classifier.requires_grad_(False)
    if not all(value.isfinite().all() for value in classifier.state_dict().values()):
        raise ValueError(f"the training of {backbone} has diverged: choose a lower learning rate than {rate:g}")
    classifier.accuracy = measure(classifier, images[kept], targets[kept], batch_size) if bool(kept.any()) else None
    return classifier


def held_back_images(targets: Tensor, share: float, seed: int = 0) -> Tensor:
    """Choose images to hold back at random, the same share of each class or combination of attributes; bool (N,).

    Args:
        targets: int64 (N,), or (N, K).
        share: share of the images, below 1.
        seed: of the choice.
    """
    random = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(targets), generator=random)
    _, groups = targets.cpu()[order].unique(dim=0, return_inverse=True)
    order = order[groups.argsort(stable=True)]
    # every (1 / share)th of the sorted images, from a random start
    start = torch.rand((), generator=random, dtype=torch.float64)
    places = (torch.arange(len(order) + 1, dtype=torch.float64) * share + start).floor()
    kept = torch.zeros(len(order), dtype=torch.bool)
    kept[order] = places.diff() > 0
    return kept


@torch.no_grad()
def measure(classifier: Classifier, images: Tensor, targets: Tensor, batch_size: int = 128) -> Accuracy:
    """Measure the accuracy of a classifier.

    Args:
        classifier: the classifier.
        images: uint8 (N, C, H, W), at least one.
        targets: class of each, int64 (N,), or its attributes, 0 or 1, (N, K).
        batch_size: number of images that pass through the network at a time.
    """
    parts = []
    with tqdm(total=len(images), desc="measuring", unit="image", disable=None, delay=2) as bar:
        for part in images.split(batch_size):
            parts.append(classifier(to_float(part.to(classifier.device))).cpu())
            bar.update(len(part))
    logits, targets = torch.cat(parts), targets.cpu()
    if classifier.kind == "classes":
        right = logits.argmax(dim=1) == targets
        each = {name: right[targets == number] for number, name in enumerate(classifier.names)}
        shares = {name: some.double().mean().item() for name, some in each.items() if len(some)}
        return Accuracy(right.double().mean().item(), shares, len(images))
    right = ((logits > 0) == (targets > 0)).double()
    return Accuracy(
        right.mean().item(), dict(zip(classifier.names, right.mean(dim=0).tolist(), strict=True)), len(images)
    )


def _checked(images: Tensor, targets: Tensor, names: Sequence[str], kind: Kind) -> Tensor:
    """Return the targets as int64 classes (N,) or float32 attributes (N, K)."""
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise ValueError(f"a classifier is trained on uint8 images (N, C, H, W), not {images.dtype} of {images.ndim}d")
    shape = (len(images),) if kind == "classes" else (len(images), len(names))
    if targets.shape != shape:
        raise ValueError(f"targets of shape {tuple(targets.shape)} do not fit: {kind} of these images have {shape}")
    if kind == "attributes":
        if not ((targets == 0) | (targets == 1)).all():
            raise ValueError("attributes are 0 or 1, and there are others")
        return targets.float()
    if targets.is_floating_point() or not ((targets >= 0) & (targets < len(names))).all():
        raise ValueError(f"classes are whole numbers from 0 to {len(names) - 1}, and there are others")
    return targets.long()


def _check_trained(targets: Tensor, names: Sequence[str], kind: Kind) -> None:
    """Raise ValueError unless each class, or each attribute with both of its values, is among the targets."""
    if kind == "classes":
        counts = targets.bincount(minlength=len(names))
        if missing := [name for name, count in zip(names, counts.tolist(), strict=True) if not count]:
            raise ValueError(f"no image of class {missing[0]!r} is left for the training: give it more images")
        return
    for name, share in zip(names, targets.mean(dim=0).tolist() if len(targets) else [0.0] * len(names), strict=True):
        if share in (0, 1):
            raise ValueError(
                f"the attribute {name!r} is {share:.0f} in all {len(targets):,} training images, so that nothing can "
                "be learnt: leave it out, or add images"
            )
