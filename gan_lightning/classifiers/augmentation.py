"""Generated images as additional training data of a classifier.

A classifier is trained on as many images as there are real ones, of which each is real with the probability p_real and
otherwise generated, of the same class. Antoniou, Storkey, Edwards, "Data Augmentation Generative Adversarial Networks",
2017, arXiv 1711.04340; Ravuri and Vinyals, "Classification Accuracy Score for Conditional Generative Models", 2019,
arXiv 1905.10887, for p_real = 0.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.classifiers.classifier import SMALL, Classifier
from gan_lightning.classifiers.training import LARGE_LEARNING_RATE, measure
from gan_lightning.evaluation.pictures.canvas import FAKE_COLOUR, REAL_COLOUR
from gan_lightning.metrics.classifier_training import LEARNING_RATE, fit, repeatable


class LabelledImages(NamedTuple):
    """Images with their classes.

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
    """

    images: Tensor
    labels: Tensor

    def rows(self, chosen: Tensor) -> "LabelledImages":
        """Return some images, by their numbers int64 or by a mask bool (N,)."""
        return LabelledImages(self.images[chosen], self.labels[chosen])

    def to(self, device: torch.device) -> "LabelledImages":
        """Return the images on another device."""
        return LabelledImages(self.images.to(device), self.labels.to(device))


class MixedImages:
    """Real images, each of which is replaced by a generated one of its class with the probability 1 - p_real.

    Each access draws anew, so that over many epochs the classifier sees all generated images.

    Args:
        real: the real images.
        generated: images of the same size, some of each class that the real ones have.
        p_real: probability that a real image is kept, in [0, 1].
        seed: seed of the draws. Global generators are not used.
    """

    def __init__(self, real: LabelledImages, generated: LabelledImages, p_real: float, seed: int) -> None:
        self.real, self.generated, self.p_real = real, generated, p_real
        self.device = real.images.device
        self._random = torch.Generator().manual_seed(seed)
        order = generated.labels.argsort(stable=True)
        counts = generated.labels.bincount(minlength=int(real.labels.max()) + 1)
        self._order, self._counts, self._starts = order, counts, counts.cumsum(0) - counts

    def __len__(self) -> int:
        """Number of images: that of the real ones."""
        return len(self.real.images)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Return images for these rows, uint8 (n, C, H, W)."""
        kept, draw = torch.rand(2, len(rows), generator=self._random, dtype=torch.float64).to(self.device)
        replaced = kept >= self.p_real
        images = self.real.images[rows].clone()
        classes = self.real.labels[rows[replaced]]
        places = self._starts[classes] + (draw[replaced] * self._counts[classes]).long()
        images[replaced] = self.generated.images[self._order[places]]
        return images


@dataclass(frozen=True)
class Mix:
    """The accuracies of classifiers trained with one p_real, one for each seed, in [0, 1].

    Args:
        p_real: probability that an image is real.
        validation: on the images by which p_real is chosen.
        test: on other images.
    """

    p_real: float
    validation: list[float]
    test: list[float]


@dataclass(frozen=True)
class AugmentationReport:
    """The experiment's result.

    Args:
        mixes: one for each p_real.
        memorisation: measures of how far generated images are copies of real ones; see `Authenticity`.
    """

    mixes: list[Mix]
    memorisation: dict[str, float]

    @property
    def best(self) -> Mix:
        """The mix with the highest mean validation accuracy; of equal ones, that with more real images."""
        return max(self.mixes, key=lambda mix: (fmean(mix.validation), mix.p_real))

    def as_dict(self) -> dict[str, Any]:
        """Return all fields, and the best p_real, as JSON has them."""
        return {**asdict(self), "best_p_real": self.best.p_real}


def train_on_mixes(
    real: LabelledImages,
    generated: LabelledImages,
    validation: LabelledImages,
    test: LabelledImages,
    names: Sequence[str],
    p_real: Sequence[float],
    backbone: str = SMALL,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 1000,
    batch_size: int = 128,
) -> list[Mix]:
    """Train a classifier for each p_real and seed, with equally many steps, and test it on real images.

    With equal seeds, all p_real have the same initial weights and order of images. Without generated images (p_real =
    1) this is the usual training.

    Args:
        real: the real training images, some of each class.
        generated: images of a generator that has seen no others, some of each class.
        validation: real images by which p_real is chosen.
        test: further real images, by which the result is reported.
        names: of the classes, in the order of their numbers.
        p_real: the probabilities, in [0, 1].
        backbone: see `Classifier`.
        seeds: of the trainings.
        steps: number of training steps, at least.
        batch_size: number of images of a step.

    Raises:
        ValueError: a class has no images, or the network cannot take images of this size.
    """
    for kind, part in (("real", real), ("generated", generated)):
        if missing := sorted({*range(len(names))} - {*part.labels.tolist()}):
            raise ValueError(f"there are no {kind} images of the class {names[missing[0]]!r}: give some of each class")
    epochs = -(-steps // max(1, len(real.images) // min(batch_size, len(real.images))))

    def accuracies(p: float, seed: int) -> tuple[float, float]:
        classifier = train_on_mix(MixedImages(real, generated, p, seed), names, backbone, seed, epochs, batch_size)
        validated, tested = (measure(classifier, part.images, part.labels).overall for part in (validation, test))
        return validated, tested

    mixes = []
    for p in p_real:
        each = [accuracies(p, seed) for seed in seeds]
        mixes.append(Mix(p, [validated for validated, _ in each], [tested for _, tested in each]))
    return mixes


def train_on_mix(
    mix: MixedImages, names: Sequence[str], backbone: str, seed: int, epochs: int, batch_size: int
) -> Classifier:
    """Train one classifier; with p_real = 1 it is that of `gan_lightning.classifiers.train` with nothing held back."""
    channels, height, width = mix.real.images.shape[1:]
    with repeatable(seed, mix.device):
        colours = 1 if channels < 3 and backbone == SMALL else 3
        classifier = Classifier(names, "classes", (height, width), colours, backbone).to(mix.device)
        classifier.try_out()
        rate = LEARNING_RATE if backbone == SMALL else LARGE_LEARNING_RATE
        title = f"p_real {mix.p_real:g}, seed {seed}"
        fit(classifier, mix, mix.real.labels, F.cross_entropy, epochs, batch_size, title, rate)
    return classifier.requires_grad_(False)


def augmentation_figure(report: AugmentationReport, num_real: int) -> Figure:
    """Draw accuracies over p_real, with the standard deviation over seeds as bars, and the best p_real."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    at = [mix.p_real for mix in report.mixes]
    for name, values, colour in (
        ("validation", [mix.validation for mix in report.mixes], FAKE_COLOUR),
        ("test", [mix.test for mix in report.mixes], REAL_COLOUR),
    ):
        spread = [stdev(each) if len(each) > 1 else 0.0 for each in values]
        axes.errorbar(at, [fmean(each) for each in values], spread, capsize=3, marker="o", color=colour, label=name)
    best = report.best
    axes.axvline(best.p_real, color="grey", linestyle=":", label=f"best by validation: {best.p_real:g}")
    axes.set_xlabel("p_real: 0 is generated images only, 1 real ones only")
    axes.set_ylabel("accuracy on real images")
    axes.set_title(f"classifiers of {num_real:,} images; bars: a standard deviation of seeds", loc="left", fontsize=10)
    axes.legend()
    axes.grid(alpha=0.25)
    return figure
