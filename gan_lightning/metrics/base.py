"""Base classes of all metrics. They receive features or images, and keep the real ones while the generator learns."""

import contextlib
import copy
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributed import ProcessGroup, ReduceOp, all_reduce
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat
from torchmetrics.utilities.distributed import gather_all_tensors
from torchmetrics.utilities.exceptions import TorchMetricsUserError

from gan_lightning.data.batches import Role
from gan_lightning.extractors.base import Features
from gan_lightning.ranges import PositiveInt
from gan_lightning.recording import Recorded

_DTYPES = (torch.float32, torch.float64, torch.uint8, torch.int64)  # of states that are gathered as lists


class TooFewSamplesError(ValueError):
    """A set is smaller than a metric's definition needs."""


class EvaluationMetric(Recorded, Metric):
    """Base of all metrics. The states of real images are named `real_...`, those of generated ones `fake_...`.

    Ranks may hold different numbers of images; `compute` gathers them. Images are ordered by ranks, then by updates.
    The random draws of a metric (subsets, splits, pairs) depend on that order; the measured quantity does not.
    """

    is_differentiable = False
    full_state_update = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(dist_sync_fn=_gather, **kwargs)

    def __getnewargs__(self) -> tuple[()]:
        return ()  # a copy is made empty and then filled; torchmetrics would construct it from the letters of its name

    def compute(self) -> dict[str, Tensor]:
        """Return the metric's values by the names they are logged under, each a finite float64 scalar.

        Raises:
            TooFewSamplesError: the number of images is too small.
        """
        raise NotImplementedError

    def reset(self, keep_real: bool = False) -> None:
        """Forget all images, or with `keep_real` only the generated ones."""
        with contextlib.suppress(TorchMetricsUserError):  # raised if the metric holds only this process's state
            self.unsync()  # after an error in `compute`, torchmetrics still holds the states of all processes
        kept = {name: copy.copy(state) for name, state in self.metric_state.items() if name.startswith("real_")}
        super().reset()
        if keep_real:
            for name, state in kept.items():
                setattr(self, name, state)

    def require(self, count: int, needed: int, why: str) -> None:
        """Raise TooFewSamplesError unless `count` images, real or generated, are at least `needed`."""
        if count < needed:
            raise TooFewSamplesError(
                f"{type(self).__name__} needs at least {needed} images of a set ({why}), and one set has only {count}"
            )


class FeatureMetric(EvaluationMetric):
    """Base of the metrics that are computed from features.

    Args:
        num_features: width d of the extractor's features.
    """

    def __init__(self, num_features: PositiveInt, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_features = num_features

    @property
    def is_taught(self) -> bool:
        """Whether it needs no (further) images of the training set; most metrics need none."""
        return True

    def learn(self, features: Features) -> None:
        """Add the features of some images of the training set, for metrics that learn from them."""

    def update(self, features: Features, real: bool) -> None:
        """Add the features of some images, real or generated (`real=False`), with classes and captions if known."""
        raise NotImplementedError

    def check(self, features: Tensor | None, width: int | None = None) -> Tensor:
        """Return `features` (N, `width` or any) if the metric can use them.

        Raises:
            ValueError: the features are missing, of another width, or not finite.
        """
        name = type(self).__name__
        if features is None:
            raise ValueError(f"{name} needs class logits, which this feature extractor does not give: leave {name} out")
        if features.ndim != 2 or width not in (None, features.shape[1]):
            raise ValueError(f"{name} was made for features (N, {width}), and was given {tuple(features.shape)}")
        if not features.isfinite().all():
            raise ValueError(
                f"{name} was given NaN or infinite features: look at the images, then at the extractor's weights"
            )
        return features


class ImageMetric(EvaluationMetric):
    """Base of the metrics that are computed from the images themselves."""

    def update(self, images: Tensor, real: bool) -> None:
        """Add some images, uint8 (N, C, H, W), real or generated (`real=False`)."""
        raise NotImplementedError


class LabelledImageMetric(ImageMetric):
    """Base of the metrics that are computed from the images themselves and their classes."""

    def update(self, images: Tensor, real: bool, labels: Tensor | None = None) -> None:
        """Add some images, uint8 (N, C, H, W), real or generated, with their classes, int64 (N,), if known."""
        raise NotImplementedError


class PairMetric(EvaluationMetric):
    """Base of the metrics that compare each generated image with its target: the mean over pairs.

    Only sums are kept: memory does not grow with the number of images, and ranks agree exactly.

    Args:
        name: the name that the value is logged under.
    """

    fake_sum: Tensor
    fake_pairs: Tensor

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.add_state("fake_sum", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("fake_pairs", torch.tensor(0), dist_reduce_fx="sum")

    def measure(self, fake: Tensor, target: Tensor) -> Tensor:
        """Return the value of each pair (N,), for images uint8 (N, C, H, W)."""
        raise NotImplementedError

    def update(self, fake: Tensor, target: Tensor) -> None:
        """Add some generated images and their targets, both uint8 (N, C, H, W), in the same order.

        Raises:
            TypeError: the images are not uint8 (N, C, H, W).
            ValueError: the two differ in number, height or width.
        """
        name = type(self).__name__
        for images in fake, target:
            if images.dtype != torch.uint8 or images.ndim != 4:
                raise TypeError(
                    f"{name} takes uint8 images (N, C, H, W), not {images.dtype} {tuple(images.shape)}: convert float "
                    "images in [-1, 1] by gan_lightning.data.images.to_uint8"
                )
        if (len(fake), *fake.shape[2:]) != (len(target), *target.shape[2:]):
            raise ValueError(
                f"{name} compares pairs of images, and was given {tuple(fake.shape)} to compare with "
                f"{tuple(target.shape)}: their number, heights and widths must be equal"
            )
        if len(fake):
            self.fake_sum = self.fake_sum + self.measure(fake, target).double().sum()
            self.fake_pairs = self.fake_pairs + len(fake)

    def compute(self) -> dict[str, Tensor]:
        """Return the mean over pairs.

        Raises:
            TooFewSamplesError: there is no pair.
        """
        self.require(int(self.fake_pairs), 1, "a pair")
        return {self.name: self.fake_sum / self.fake_pairs}


class StyleMetric(EvaluationMetric):
    """Base of the metrics that compare several outputs for one source, of models with styles to choose.

    Args:
        sources: number of sources, over all ranks together.
        styles: number of styles that each source is translated in, the same for all.
    """

    needs_features: ClassVar[bool] = False
    """Whether `update` needs the features of the outputs."""

    def __init__(self, sources: PositiveInt, styles: PositiveInt, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sources, self.styles = sources, styles

    def update(self, images: Tensor, features: Features | None = None) -> None:
        """Add the outputs for some sources, uint8 (N, K, C, H, W), each in K styles.

        Args:
            images: the outputs.
            features: those of the N · K outputs, in this order.
        """
        raise NotImplementedError

    def update_real(self, images: Tensor) -> None:
        """Add some real images, uint8 (N, C, H, W), that the outputs should resemble. The default ignores them."""


class OutputMetric(EvaluationMetric):
    """Base of the metrics that are computed from outputs of another kind than images, as they are before rendering."""

    role: ClassVar[Role]
    """The kind of the outputs."""

    def update(self, outputs: Tensor, target: Tensor) -> None:
        """Add some outputs, and the real counterparts of the same items, both as the model has them."""
        raise NotImplementedError

    def update_real(self, outputs: Tensor) -> None:
        """Add some real outputs that the generated ones should resemble. The default ignores them."""


class GeneratorMetric(EvaluationMetric):
    """Base of the metrics that measure the generator itself, with their own latents."""

    def update(self, sampler: Any) -> None:
        """Measure a model's `gan_lightning.inference.Sampler`; each rank does its share."""
        raise NotImplementedError


class PooledFeatureMetric(FeatureMetric):
    """Base of the metrics that compare the two sets image by image. It keeps both, float32 (N, d)."""

    real_features: list[Tensor]
    fake_features: list[Tensor]

    def __init__(self, num_features: PositiveInt) -> None:
        super().__init__(num_features)
        self.add_state("real_features", [], dist_reduce_fx="cat")
        self.add_state("fake_features", [], dist_reduce_fx="cat")

    def update(self, features: Features, real: bool) -> None:
        """Keep the features of some images, real or generated (`real=False`)."""
        (self.real_features if real else self.fake_features).append(self.check(features.pooled, self.num_features))

    def kept(self, needed: int, why: str) -> tuple[Tensor, Tensor]:
        """Return the real (N, d) and fake (M, d) features, at least `needed` of each."""
        none = torch.empty(0, self.num_features)
        real, fake = (dim_zero_cat(kept) if len(kept) else none for kept in (self.real_features, self.fake_features))
        self.require(min(len(real), len(fake)), needed, why)
        return real, fake


def _gather(state: Tensor, group: ProcessGroup | None) -> list[Tensor]:
    """Gather as torchmetrics does, and also from ranks without images, which lack the state's dtype and shape."""
    if state.ndim == 0:
        return gather_all_tensors(state, group)
    known: list[Any] = [_DTYPES.index(state.dtype), state.ndim, *state.shape[1:]] if len(state) else []
    layout = torch.tensor(known + [0] * (5 - len(known)), device=state.device)
    all_reduce(layout, ReduceOp.MAX, group)
    if len(state) == 0:
        dtype, ndim, *shape = layout.tolist()
        state = torch.empty(0, *shape[: max(ndim - 1, 0)], dtype=_DTYPES[dtype], device=state.device)
    return gather_all_tensors(state, group)
