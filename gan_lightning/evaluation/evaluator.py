"""One pass over images for all metrics. Each image goes through the extractor once."""

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
    NegativeLogLikelihood,
    NoFeatures,
    OutputMetric,
    PairMetric,
    StyleMetric,
    TooFewSamplesError,
)

MetricChoice = (
    Callable[[int], FeatureMetric]
    | ImageMetric
    | PairMetric
    | StyleMetric
    | OutputMetric
    | GeneratorMetric
    | NegativeLogLikelihood
)
"""A metric of features is constructed for their width; the other metrics are given as objects."""

_REPORTED = 32  # images between two progress reports on a CPU: a second or two of an extractor


class Evaluator:
    """An extractor and the metrics that use its features, or the images themselves.

    Args:
        extractor: computes features of uint8 images.
        metrics: each is a class from `gan_lightning.metrics`, or a function from the width of the features to a
            `FeatureMetric`, or an `ImageMetric`, `PairMetric`, `StyleMetric`, `OutputMetric`, `GeneratorMetric` or
            `NegativeLogLikelihood` object.

    Raises:
        ValueError: a metric needs features, and the extractor is `NoFeatures`.
    """

    def __init__(self, extractor: FeatureExtractor, metrics: Sequence[MetricChoice]) -> None:
        self.extractor = extractor
        self.metrics: list[EvaluationMetric] = [
            # a copy, since recipes share one object
            copy.deepcopy(choice) if isinstance(choice, EvaluationMetric) else choice(extractor.num_features)
            for choice in metrics
        ]
        wanting = [*self.metrics_of_features, *(m for m in self.metrics_of_styles if m.needs_features)]
        if isinstance(extractor, NoFeatures) and (names := [type(m).__name__ for m in wanting]):
            raise ValueError(f"{', '.join(names)} are computed from features: name an extractor of them")

    @property
    def metrics_of_features(self) -> list[FeatureMetric]:
        """The metrics that are computed from features."""
        return [metric for metric in self.metrics if isinstance(metric, FeatureMetric)]

    @property
    def metrics_of_styles(self) -> list[StyleMetric]:
        """The metrics that compare several outputs for one source."""
        return [metric for metric in self.metrics if isinstance(metric, StyleMetric)]

    @property
    def metrics_of_outputs(self) -> list[OutputMetric]:
        """The metrics that are computed from outputs before they are rendered."""
        return [metric for metric in self.metrics if isinstance(metric, OutputMetric)]

    @property
    def sources(self) -> int:
        """Number of sources that the metrics of styles need the outputs of."""
        return max([metric.sources for metric in self.metrics_of_styles], default=0)

    @property
    def styles(self) -> int:
        """Number of styles that the metrics of styles need outputs in."""
        return max([metric.styles for metric in self.metrics_of_styles], default=0)

    @property
    def looks_at_images(self) -> bool:
        """Whether any metric needs the images themselves, not only their features."""
        return any(isinstance(metric, ImageMetric) for metric in self.metrics)

    @property
    def compares_pairs(self) -> bool:
        """Whether any metric compares each generated image with its target."""
        return any(isinstance(metric, PairMetric) for metric in self.metrics)

    @property
    def asks_likelihoods(self) -> bool:
        """Whether any metric needs the model's likelihoods of real images."""
        return any(isinstance(metric, NegativeLogLikelihood) for metric in self.metrics)

    @property
    def looks_at_fakes(self) -> bool:
        """Whether any metric needs generated images, by the callback's passes or by the sampler."""
        return not all(isinstance(metric, NegativeLogLikelihood) for metric in self.metrics)

    def to(self, device: torch.device | str) -> "Evaluator":
        """Move the extractor and all metrics to a device, and return self."""
        self.extractor.to(device)
        for metric in self.metrics:
            metric.to(device)
        return self

    def features(
        self, images: Tensor, labels: Tensor | None = None, progress: Callable[[int], object] = lambda count: None
    ) -> Features:
        """Return the features of uint8 images (N, C, H, W), with their class labels, for all metrics of features.

        Args:
            images: one image or more.
            labels: the class labels, int64 (N,), if there are any.
            progress: called with the number of further images that are done, every 32 images on a CPU.
        """
        parts = []
        for part in images.split(_REPORTED if images.device.type == "cpu" else len(images)):
            parts.append(self.extractor(part))
            progress(len(part))
        return Features.joined(parts)._replace(labels=labels)

    def feed(self, features: Features, real: bool) -> None:
        """Give the features of some images to the metrics of features."""
        for metric in self.metrics_of_features:
            metric.update(features, real=real)

    def show(self, images: Tensor, real: bool, labels: Tensor | None = None) -> None:
        """Give uint8 images (N, C, H, W) to the metrics of images; metrics of labelled images get the labels too."""
        for metric in self.metrics:
            if isinstance(metric, LabelledImageMetric):
                metric.update(images, real=real, labels=labels)
            elif isinstance(metric, ImageMetric):
                metric.update(images, real=real)
            elif isinstance(metric, StyleMetric) and real:
                metric.update_real(images)

    def compare(self, fake: Tensor, target: Tensor) -> None:
        """Give generated images and their targets, both uint8 (N, C, H, W), to the metrics of pairs."""
        for metric in self.metrics:
            if isinstance(metric, PairMetric):
                metric.update(fake, target)

    def take_real(self, outputs: Tensor) -> None:
        """Give real outputs, as the model has them before rendering, to the metrics of outputs."""
        for metric in self.metrics_of_outputs:
            metric.update_real(outputs)

    def take(self, outputs: Tensor, target: Tensor) -> None:
        """Give generated outputs and the real ones of the same items to the metrics of outputs."""
        for metric in self.metrics_of_outputs:
            metric.update(outputs, target)

    def vary(self, numbers: Tensor, images: Tensor) -> None:
        """Give outputs in several styles to the metrics of styles.

        Args:
            numbers: number of each source, from 0, int64 (N,); a metric takes the first ones.
            images: the outputs, uint8 (N, K, C, H, W).
        """
        wanting = any(metric.needs_features for metric in self.metrics_of_styles)
        features = self.features(images.flatten(0, 1)) if wanting else None
        places = torch.arange(len(images) * images.shape[1], device=images.device).view(images.shape[:2])
        for metric in self.metrics_of_styles:
            rows = (numbers < metric.sources).to(images.device)
            if rows.any():
                own = places[rows][:, : metric.styles].flatten()
                metric.update(images[rows][:, : metric.styles], None if features is None else features.select(own))

    def weigh(self, nats: Tensor, values: int) -> None:
        """Give -log p of real images (N,), of `values` values each, to the metrics of likelihoods."""
        for metric in self.metrics:
            if isinstance(metric, NegativeLogLikelihood):
                metric.update(nats, values)

    def probe(self, sampler: Any) -> None:
        """Let the metrics of generators measure a model's sampler."""
        for metric in self.metrics:
            if isinstance(metric, GeneratorMetric):
                metric.update(sampler)

    def compute(self, leave_out: Callable[[TooFewSamplesError], None] | None = None) -> dict[str, Tensor]:
        """Return the values of all metrics by name. If two metrics share a name, the later value counts.

        Args:
            leave_out: called with the error of each metric that has too few images; the metric is then left out. None =
                the error is raised.

        Raises:
            TooFewSamplesError: a metric has too few images, and `leave_out` is None.
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
        """Forget all images, or with `keep_real` only the generated ones."""
        for metric in self.metrics:
            metric.reset(keep_real=keep_real)
