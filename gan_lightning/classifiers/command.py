"""`gan-lightning train-classifier`."""

from pathlib import Path
from typing import Literal

from torch import Tensor

from gan_lightning.classifiers.classifier import SMALL, Classifier, check_backbone
from gan_lightning.classifiers.labelled import Labelled, attributes_of, classes_of
from gan_lightning.classifiers.training import held_back_images, train
from gan_lightning.data.files import shown
from gan_lightning.inference.devices import Device, find_device
from gan_lightning.ranges import NonNegativeInt, PositiveFloat, PositiveInt, ShareBelowOne, checked

HELD_BACK = 0.2
"""Share of images held back, unless another is given, or the table of attributes sets images apart."""


@checked
def train_classifier(
    data: Path,
    out: Path,
    attributes: Path | None = None,
    columns: str | None = None,
    backbone: str = SMALL,
    size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None,
    channels: Literal[1, 3] | None = None,
    epochs: PositiveInt = 20,
    batch_size: PositiveInt = 128,
    lr: PositiveFloat | None = None,
    held_back: ShareBelowOne | None = None,
    seed: NonNegativeInt = 0,
    device: Device = "auto",
) -> None:
    """Train a classifier of images, of classes or of attributes, for `edit` and `correlate`.

    Its accuracy on images held back from the training is printed, for each class or attribute.

    Args:
        data: Folder of images. Its sub-folders are classes, unless there is a table of attributes.
        out: File of the classifier (.safetensors) to write.
        attributes: Table of attributes (.csv) with a header. Its first column has names of files relative to DATA,
            others have 0 or 1, or true or false. A column named split, with train or test, sets images apart.
        columns: Attributes to learn, such as glasses,hat. A column with several values, such as hair=black, becomes an
            attribute for each value. Null: all that have 0 and 1.
        backbone: The network: small, or any of torchvision's classification models by its name, such as resnet18. All
            start from random weights.
        size: Height and width to which images are resized, one number or [64, 48]. Null: those of the first image, and
            64 at most.
        channels: 1 for grey images, 3 for colours. Null: 1 if all images are grey and the network is small, else 3.
        epochs: Number of passes over the images.
        batch_size: Number of images of a step.
        lr: The highest learning rate. Null: 0.005 for small, 0.001 for others.
        held_back: Share of the images on which accuracy is measured, and which are not trained on. Null: those that the
            table sets apart, or else 0.2.
        seed: Seed of initial weights, of the order of images, and of the choice of images held back.
        device: Device of the network. Auto: the GPU if there is one.

    Raises:
        ValueError: the images or the table do not fit, or there is nothing to tell apart.
        OSError: a file is missing or cannot be written.
    """
    if out.suffix.lower() != ".safetensors":
        raise ValueError(f"{shown(out)} cannot be written: name a file that ends in .safetensors")
    check_backbone(backbone)
    place = find_device(device)
    if attributes is None and columns is not None:
        raise ValueError("--columns names columns of a table, and no table is given: name it by --attributes")
    wanted = None if columns is None else [name.strip() for name in columns.strip("[]").split(",")]
    found = classes_of(data) if attributes is None else attributes_of(data, attributes, wanted)
    for note in found.notes:
        print(note)
    kept = _held_back(found, held_back, seed)
    sides = found.own_size() if size is None else size if isinstance(size, tuple) else (size, size)
    Classifier(found.names, found.kind, sides, channels or 3, backbone).try_out()  # before the images are read
    images = found.pixels(sides, channels or (None if backbone == SMALL else 3))
    print(
        f"{len(images):,} images of {images.shape[2]}x{images.shape[3]} pixels and {images.shape[1]} channels: "
        f"{int((~kept).sum()):,} to train on, {int(kept.sum()):,} held back"
    )
    classifier = train(
        images,
        found.targets,
        found.names,
        found.kind,
        backbone,
        channels=images.shape[1],
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        seed=seed,
        held_back=kept,
        device=place,
    )
    classifier.save(out)
    print(_report(classifier, found.targets[kept]))
    print(f"{shown(out)} is written")


def _held_back(found: Labelled, share: float | None, seed: int) -> Tensor:
    """Return the images to hold back, bool (N,)."""
    if share is None and found.held_back is not None:
        print("the table's column split sets the images apart that are held back")
        return found.held_back
    return held_back_images(found.targets, HELD_BACK if share is None else share, seed)


def _report(classifier: Classifier, targets: Tensor) -> str:
    """Return accuracies on the images held back, in lines; targets are those of these images."""
    measured = classifier.accuracy
    if measured is None:
        return "no images are held back, and the accuracy is not known"
    width = max(map(len, classifier.names))
    lines = []
    for number, name in enumerate(classifier.names):
        if classifier.kind == "classes":
            about = f"of {int((targets == number).sum()):,} images"
        else:
            share = targets[:, number].double().mean().item()
            about = f"{share:.1%} have it, so that always the same answer has {max(share, 1 - share):.1%}"
        accuracy = measured.each.get(name)
        lines.append(f"  {name:<{width}}  {'-' if accuracy is None else format(accuracy, '6.1%')}  ({about})")
    word = "accuracy" if classifier.kind == "classes" else "mean accuracy"
    return "\n".join([f"{word} on {measured.images:,} images held back: {measured.overall:.1%}", *lines])
