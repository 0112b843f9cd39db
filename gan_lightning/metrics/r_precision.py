"""R-precision: whether a caption is found again by the image that was made of it."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from gan_lightning.extractors.base import Features
from gan_lightning.metrics.base import FeatureMetric, TooFewSamplesError
from gan_lightning.ranges import NonNegativeInt, PositiveFloat, PositiveInt

_BLOCK = 1024  # images whose candidates are compared at a time


class RPrecision(FeatureMetric):
    """R-precision, Xu et al. 2017 (AttnGAN, 1711.10485), section 4: each image against its caption and 99 wrong ones.

    The share of images whose own caption is nearest to them among the candidates, from 0 to 1; chance is one over the
    number of candidates. Wrong captions are drawn from those of the evaluated set, and differ from the own one. Of k
    captions that are equally near, each counts as one k-th.

    The space is that of the captions' codes, and no model's own: embeddings of the data's frozen encoder, at length 1;
    or, of token ids, the words of a sentence, weighted by the logarithm of one over the share of sentences that have
    them; words that no sentence of the training set has count for nothing. Images come into it by ridge regression from
    the extractor's features, which learns from the captioned images of the training set (`learn`). Nearness is the
    cosine of the angle between vectors whose training mean is taken out.

    NOTE: the publication's space, DAMSM, is trained on the data with two networks; values of other spaces, extractors
        and data do not compare. `r_precision_real`, of the real images, is what this space permits.

    Args:
        num_features: width d of the extractor's features.
        candidates: number of captions that each image is compared with; fewer if there are not so many.
        ridge: weight of the squared regression coefficients, in units of the variance of a feature. Generated images
            have features that real ones have not, which a weak ridge takes for words.
        seed: seed of the wrong captions. Global generators are not used.
    """

    real_lesson_features: list[Tensor]
    real_lesson_captions: list[Tensor]
    real_features: list[Tensor]
    real_captions: list[Tensor]
    fake_features: list[Tensor]
    fake_captions: list[Tensor]

    def __init__(
        self,
        num_features: PositiveInt,
        candidates: PositiveInt = 100,
        ridge: PositiveFloat = 3.0,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__(num_features)
        self.candidates, self.ridge, self.seed = candidates, ridge, seed
        for kind in ("real_lesson", "real", "fake"):
            for what in ("features", "captions"):
                self.add_state(f"{kind}_{what}", [], dist_reduce_fx="cat")

    @property
    def is_taught(self) -> bool:
        """Whether `learn` has had images."""
        return len(self.real_lesson_features) > 0

    def learn(self, features: Features) -> None:
        """Add the features of some captioned images of the training set, from which the space is learnt."""
        self.real_lesson_features.append(self.check(features.pooled, self.num_features))
        self.real_lesson_captions.append(self._captions(features))

    def update(self, features: Features, real: bool) -> None:
        """Add the features and the captions of some images, real or generated (`real=False`)."""
        pooled, captions = self.check(features.pooled, self.num_features), self._captions(features)
        (self.real_features if real else self.fake_features).append(pooled)
        (self.real_captions if real else self.fake_captions).append(captions)

    def _captions(self, features: Features) -> Tensor:
        if features.captions is None:
            raise ValueError(
                "RPrecision compares images with their captions, and these data have none: use "
                "datamodules.CaptionedFolder, or a recipe without rprecision"
            )
        return features.captions

    def compute(self) -> dict[str, Tensor]:
        """Return `{"r_precision": ..., "r_precision_real": ..., "r_precision_chance": ...}`.

        Raises:
            TooFewSamplesError: there are fewer than two captions, or no images to learn from.
        """
        if not self.is_taught:
            raise TooFewSamplesError(
                "RPrecision learns from the captioned images of the training set, and there are none: evaluate by "
                "`gan-lightning validate`, on datamodules.CaptionedFolder"
            )
        self.require(min(sum(map(len, kept)) for kept in (self.real_features, self.fake_features)), 2, "two captions")
        x, codes = dim_zero_cat(self.real_lesson_features), dim_zero_cat(self.real_lesson_captions)
        space = _words(codes) if not codes.is_floating_point() else partial(torch.nn.functional.normalize, dim=1)
        y = space(codes).double()
        centre = y.mean(dim=0)
        project = _ridge(x.double(), y - centre, self.ridge)
        found = {}
        for name in ("fake", "real"):
            features, captions = (dim_zero_cat(getattr(self, f"{name}_{part}")) for part in ("features", "captions"))
            different, own = captions.unique(dim=0, return_inverse=True)
            self.require(len(different), 2, "different captions")
            targets = space(different).double() - centre
            found[name] = self._share(project(features.double()), targets, own)
        chance = torch.tensor(1 / min(self.candidates, len(different)), dtype=torch.float64)
        return {"r_precision": found["fake"], "r_precision_real": found["real"], "r_precision_chance": chance}

    def _share(self, points: Tensor, targets: Tensor, own: Tensor) -> Tensor:
        """Return the share of points (N, D) that are nearest to their own target among the candidates."""
        exact = 1e-9  # sentences with the same known words are equally near, but for rounding
        points, targets = (torch.nn.functional.normalize(each, dim=1) for each in (points, targets))
        random = torch.Generator().manual_seed(self.seed)
        wrong = min(self.candidates, len(targets)) - 1
        hits = []
        for rows in torch.arange(len(points)).split(_BLOCK):
            order = torch.rand(len(rows), len(targets), generator=random)
            order[torch.arange(len(rows)), own[rows].cpu()] = -1  # never drawn
            others = order.topk(wrong, dim=1).indices.to(points.device)
            near = points[rows] @ targets.T
            mine = near.gather(1, own[rows, None])
            ahead = near.gather(1, others) - mine
            equals = 1 + (ahead.abs() <= exact).sum(dim=1)
            hits.append((ahead <= exact).all(dim=1) / equals)
        return torch.cat(hits).double().mean()


def _ridge(x: Tensor, y: Tensor, weight: float) -> Callable[[Tensor], Tensor]:
    """Return the linear map of ridge regression from x (N, d), standardised, to y (N, D) of mean 0."""
    mean, scale = x.mean(dim=0), x.std(dim=0, correction=0) + 1e-6
    z, count = (x - mean) / scale, len(x)
    identity = weight * count * torch.eye(min(z.shape), dtype=z.dtype, device=z.device)
    if count > z.shape[1]:
        coefficients = torch.linalg.solve(z.T @ z + identity, z.T @ y)
    else:
        coefficients = z.T @ torch.linalg.solve(z @ z.T + identity, y)
    return lambda features: (features - mean) / scale @ coefficients


def _words(codes: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a function from token ids (N, T) to weighted words of length 1, which has its weights from these."""
    size = int(codes.max()) + 1
    having = (_counts(codes, size) > 0).sum(dim=0)
    weights = (len(codes) / having).log().where(having > 0, 0)

    def space(tokens: Tensor) -> Tensor:
        words = (_counts(tokens.where(tokens < size, 0), size) > 0) * weights
        return torch.nn.functional.normalize(words, dim=1)

    return space


def _counts(tokens: Tensor, size: int) -> Tensor:
    """Return how often each word is in each sentence, float (N, size); token id 0 is none."""
    counts = torch.zeros(len(tokens), size, device=tokens.device)
    counts.scatter_add_(1, tokens, torch.ones_like(tokens, dtype=counts.dtype))
    counts[:, 0] = 0
    return counts
