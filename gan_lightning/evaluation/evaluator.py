"""One pass over images for all metrics: each image goes through the extractor once."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gan_lightning.metrics import (
    EvaluationMetric,
    FeatureExtractor,
    FeatureMetric,
    Features,
    GeneratorMetric,
    ImageMetric,
    LabelledImageMetric,
    NoFeatures,
    PairMetric,
    TooFewSamplesError,
)

MetricChoice = Callable[[int], FeatureMetric] | ImageMetric | PairMetric | GeneratorMetric
"""A metric of features is made for their width; the others are given ready."""

_TOLD = 32  # images that a CPU is told of together: a second or two of an extractor


class Evaluator:
    """An extractor, and the metrics that its features and the images themselves are for.

    Args:
        extractor: makes features of uint8 images.
        metrics: classes from `gan_lightning.metrics`, or any functions from the width of the features to a
            `FeatureMetric`; or `ImageMetric`s, `PairMetric`s and `GeneratorMetric`s as objects.
    """

    def __init__(self, extractor: FeatureExtractor, metrics: Sequence[MetricChoice]) -> None:
        self.extractor = extractor
        self.metrics: list[EvaluationMetric] = [
            # a copy: recipes offer the same object to everyone
            copy.deepcopy(choice) if isinstance(choice, EvaluationMetric) else choice(extractor.num_features)
            for choice in metrics
        ]
        if isinstance(extractor, NoFeatures) and (names := [type(m).__name__ for m in self.metrics_of_features]):
            raise ValueError(f"{', '.join(names)} are computed from features: name an extractor of them")

    @property
    def metrics_of_features(self) -> list[FeatureMetric]:
        """Those that are fed features."""
        return [metric for metric in self.metrics if isinstance(metric, FeatureMetric)]

    @property
    def looks_at_images(self) -> bool:
        """Whether any metric needs the images, where features will not do."""
        return any(isinstance(metric, ImageMetric) for metric in self.metrics)

    @property
    def compares_pairs(self) -> bool:
        """Whether any metric needs to know which image each generated one should be."""
        return any(isinstance(metric, PairMetric) for metric in self.metrics)

    def to(self, device: torch.device | str) -> "Evaluator":
        """Move the extractor and all metrics."""
        self.extractor.to(device)
        for metric in self.metrics:
            metric.to(device)
        return self

    def features(
        self, images: Tensor, labels: Tensor | None = None, tell: Callable[[int], object] = lambda count: None
    ) -> Features:
        """What all metrics of features are fed for these uint8 images (N, C, H, W) and their classes, int64 (N,).

        Args:
            images: at least one.
            labels: their classes.
            tell: called with a number of images each time that so many more are done: often, where they take long.
        """
        parts = []
        for part in images.split(_TOLD if images.device.type == "cpu" else len(images)):
            parts.append(self.extractor(part))
            tell(len(part))
        return Features.joined(parts)._replace(labels=labels)

    def feed(self, features: Features, real: bool) -> None:
        """Hand the features of some images to the metrics of features."""
        for metric in self.metrics_of_features:
            metric.update(features, real=real)

    def show(self, images: Tensor, real: bool, labels: Tensor | None = None) -> None:
        """Hand some images themselves, uint8 (N, C, H, W), to the metrics of images, with classes to those of both."""
        for metric in self.metrics:
            if isinstance(metric, LabelledImageMetric):
                metric.update(images, real=real, labels=labels)
            elif isinstance(metric, ImageMetric):
                metric.update(images, real=real)

    def compare(self, made: Tensor, wanted: Tensor) -> None:
        """Hand some generated images and those that they should be, uint8 (N, C, H, W), to the metrics of pairs."""
        for metric in self.metrics:
            if isinstance(metric, PairMetric):
                metric.update(made, wanted)

    def probe(self, sampler: Any) -> None:
        """Let the metrics of generators probe a model's sampler."""
        for metric in self.metrics:
            if isinstance(metric, GeneratorMetric):
                metric.update(sampler)

    def compute(self, leave_out: Callable[[TooFewSamplesError], None] | None = None) -> dict[str, Tensor]:
        """The values of all metrics by name; of two metrics with the same names, the later's.

        Args:
            leave_out: called for each metric that has too few images, which is then left out. None: it is an error.

        Raises:
            TooFewSamplesError: where a metric has too few images.
        """
        values: dict[str, Tensor] = {}
        for metric in self.metrics:
            try:
                values |= metric.compute()
            except TooFewSamplesError as error:
                if leave_out is None:
                    raise
                leave_out(error)
        return values

    def reset(self, keep_real: bool = False) -> None:
        """Forget the images seen; with `keep_real` only the generated ones."""
        for metric in self.metrics:
            metric.reset(keep_real=keep_real)
