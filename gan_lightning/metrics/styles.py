"""Metrics of the differences between several outputs for one source, of models with styles to choose."""

import torch
from torch import Tensor

from gan_lightning.data.images import to_float
from gan_lightning.extractors.base import Features
from gan_lightning.metrics.base import StyleMetric
from gan_lightning.metrics.perceptual import PairDistance
from gan_lightning.metrics.perceptual_named import DistanceName, make_distance
from gan_lightning.ranges import PositiveInt

ANY_SIZE = 2**31  # pixels: a side that every network accepts; smaller images are refused when they come


class StyleDiversity(StyleMetric):
    """Mean perceptual distance between two outputs for one source, as Zhu et al. 2017 (1711.11586), section 5.

    From 0, higher is more diverse: 0 is a model that ignores its style. Its target is below the distance between two
    real images of the output's domain, which also differ in their sources. The outputs of a source form random pairs;
    none is in two pairs, and all sources have the same styles.

    Args:
        distance: the distance by name, or a function of two batches of images, float (N, C, H, W) in [-1, 1]. "auto" =
            the first of lpips (of VGG16) and efficientnet_lite0 whose weights are there. Values of different distances
            do not compare.
        sources: number of sources, over all ranks together.
        styles: number of styles; half as many pairs for each source.

    Raises:
        FileNotFoundError: there are no weights for the distance.

    NOTE: the publication's LPIPS is an older version, of AlexNet, with 19 pairs for each of 100 sources.
    """

    fake_sum: Tensor
    fake_pairs: Tensor
    real_sum: Tensor
    real_pairs: Tensor

    def __init__(
        self, distance: DistanceName | PairDistance = "auto", sources: PositiveInt = 100, styles: PositiveInt = 10
    ) -> None:
        super().__init__(sources, styles)
        if isinstance(distance, str):
            made = make_distance(distance, ANY_SIZE)
            if made is None:
                raise FileNotFoundError(
                    "the diversity of styles is a perceptual distance, and no network for one has its weights here: "
                    "install gan_lightning[features], or name a file of VGG16's in GAN_LIGHTNING_VGG16"
                )
            distance = made
        self.distance = distance
        for name in ("fake", "real"):
            self.add_state(f"{name}_sum", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{name}_pairs", torch.tensor(0), dist_reduce_fx="sum")

    @torch.no_grad()
    def update(self, images: Tensor, features: Features | None = None) -> None:
        """Add the outputs for some sources, uint8 (N, K, C, H, W), each in K styles."""
        half = images.shape[1] // 2
        apart = self._apart(images[:, :half].flatten(0, 1), images[:, half : 2 * half].flatten(0, 1))
        self.fake_sum, self.fake_pairs = self.fake_sum + apart.sum(), self.fake_pairs + len(apart)

    @torch.no_grad()
    def update_real(self, images: Tensor) -> None:
        """Add some real images of the outputs' domain, uint8 (N, C, H, W), until there are pairs enough."""
        half = min(len(images) // 2, self.sources * self.styles // 2 - int(self.real_pairs))
        if half > 0:
            apart = self._apart(images[:half], images[-half:])
            self.real_sum, self.real_pairs = self.real_sum + apart.sum(), self.real_pairs + len(apart)

    def _apart(self, first: Tensor, second: Tensor) -> Tensor:
        if not len(first):
            return torch.empty(0, dtype=torch.float64, device=first.device)
        return self.distance(to_float(first), to_float(second)).double()

    def compute(self) -> dict[str, Tensor]:
        """Return `{"style_diversity": ..., "style_diversity_real": ...}`.

        Raises:
            TooFewSamplesError: there is no pair of one of the two.
        """
        self.require(2 * min(int(self.fake_pairs), int(self.real_pairs)), 2, "a pair")
        return {
            "style_diversity": self.fake_sum / self.fake_pairs,
            "style_diversity_real": self.real_sum / self.real_pairs,
        }


class ConditionalInceptionScore(StyleMetric):
    """CIS, Huang et al. 2018 (1804.04732), section 5.3: exp E_x E_s KL(p(y|x, s) || p(y|x)).

    p(y|x, s) are the class probabilities of the output for the source x in the style s, and p(y|x) is their mean over
    styles. Between 1 (all outputs for a source are of the same class) and the number of classes, or of styles if they
    are fewer; higher is better, where outputs are sharp. The publication has 100 sources, 100 styles and a classifier
    of the output's domain: values of other classifiers, or of other numbers of styles, do not compare with it.

    Args:
        sources: number of sources, over all ranks together.
        styles: number of styles.
    """

    needs_features = True
    fake_sum: Tensor
    fake_images: Tensor

    def __init__(self, sources: PositiveInt = 100, styles: PositiveInt = 10) -> None:
        super().__init__(sources, styles)
        self.add_state("fake_sum", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("fake_images", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, images: Tensor, features: Features | None = None) -> None:
        """Add the outputs for some sources, uint8 (N, K, C, H, W), with the features of N · K images in this order.

        Raises:
            ValueError: the features have no class logits.
        """
        if features is None or features.logits is None:
            raise ValueError(
                "ConditionalInceptionScore needs class logits, which this feature extractor does not give: leave it out"
            )
        log_p = features.logits.double().log_softmax(dim=1).unflatten(0, images.shape[:2])
        log_mean = log_p.logsumexp(dim=1, keepdim=True) - torch.tensor(images.shape[1]).double().log()
        divergence = (log_p.exp() * (log_p - log_mean)).sum(dim=2)
        self.fake_sum, self.fake_images = self.fake_sum + divergence.sum(), self.fake_images + divergence.numel()

    def compute(self) -> dict[str, Tensor]:
        """Return `{"conditional_inception_score": ...}`.

        Raises:
            TooFewSamplesError: there is no output.
        """
        self.require(int(self.fake_images), 1, "outputs in several styles")
        return {"conditional_inception_score": (self.fake_sum / self.fake_images).exp()}
