"""Base classes of feature extractors. One pass over an image serves all metrics."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gan_lightning.data.images import as_uint8, to_channels
from gan_lightning.extractors.resizing import resize_bilinear
from gan_lightning.private import writes
from gan_lightning.ranges import Finite, PositiveFloat, PositiveInt


class Features(NamedTuple):
    """Features, logits and class labels of N images."""

    pooled: Tensor  # (N, d) float32: FID, KID, precision and recall, density and coverage
    logits: Tensor | None = None  # (N, K) float32: inception score, modes
    labels: Tensor | None = None  # (N,) int64, the true or the requested class: class-wise FID
    captions: Tensor | None = None  # (N, E) float32 or (N, T) int64, codes of the true or the requested: R-precision

    def to(self, device: torch.device | str) -> "Features":
        """Return the features on another device."""
        return Features(*(None if field is None else field.to(device) for field in self))  # type: ignore[arg-type]

    def select(self, rows: Tensor) -> "Features":
        """Return the features of the images at `rows`, int64 (n,)."""
        return Features(*(None if field is None else field[rows] for field in self))  # type: ignore[arg-type]

    @classmethod
    def joined(cls, parts: "Sequence[Features]") -> "Features":
        """Join the features of all parts, at least one, each with the same fields."""
        fields = zip(*parts, strict=True)
        return parts[0] if len(parts) == 1 else cls(*(None if f[0] is None else torch.cat(f) for f in fields))  # type: ignore[arg-type]

    def split(self, count: int) -> "list[Features]":
        """Split the features into parts of `count` images; the last may have fewer."""
        parts = range(0, len(self.pooled), count)
        return [Features(*(None if field is None else field[i : i + count] for field in self)) for i in parts]  # type: ignore[arg-type]


class FeatureExtractor(nn.Module):
    """Base of all extractors: fixed weights, always in evaluation mode, full float32, no gradients.

    Every extractor takes uint8 or uint16 images (N, C, H, W) with 1 to 4 channels, of any size, by one rule
    (`to_channels` and `as_uint8` of `gan_lightning.data.images`). Transparency (2 or 4 channels) is laid over white.
    Grey is repeated for a network that sees RGB, and RGB becomes grey by the ITU-R 601 luma for one that sees grey.
    Then 16 bits become 8 by division by 257, rounded.

    Full float32 is independent of autocast, `torch.set_float32_matmul_precision`, and cuDNN's TF32 (which PyTorch uses
    in convolutions by default). Published scores are of float32.

    A subclass sets `num_features` (d), `channels` (1 or 3, as its network needs), `preprocessing` (the steps from
    pixels to network, in words; part of the fingerprint) and `extract`.
    """

    num_features: int
    channels: int
    preprocessing: str
    _named: tuple[object, str] | None = None  # the state that the fingerprint was computed from, and the fingerprint

    def extract(self, images: Tensor) -> Features:
        """Return the features of uint8 images (N, `channels`, H, W)."""
        raise NotImplementedError

    @torch.no_grad()
    def forward(self, images: Tensor) -> Features:
        """Return the features of uint8 or uint16 images (N, 1 to 4, H, W), of any size.

        Raises:
            TypeError: the images have another dtype or shape.
        """
        if images.dtype not in (torch.uint8, torch.uint16) or images.ndim != 4 or not 1 <= images.shape[1] <= 4:
            raise TypeError(
                "a feature extractor takes uint8 or uint16 images (N, 1 to 4 channels, H, W), not "
                f"{images.dtype} {tuple(images.shape)}; gan_lightning.data.images.to_uint8 converts float images"
            )
        with _full_float32(images.device.type):
            pooled, logits, *_ = self.extract(as_uint8(to_channels(images, self.channels)))
        return Features(pooled.float(), None if logits is None else logits.float())

    def train(self, mode: bool = True) -> "FeatureExtractor":
        """Stay in evaluation mode, since features of an image must not depend on the others in its batch."""
        return super().train(False)

    @property
    def fingerprint(self) -> str:
        """A digest of the extractor's class, weights and preprocessing.

        The weights are read once, and again only after they were written to or moved.
        """
        state = self.state_dict()
        made_of = (self.preprocessing, [(name, value.data_ptr(), writes(value)) for name, value in state.items()])
        if self._named is None or self._named[0] != made_of:
            digest = hashlib.sha256(f"{type(self).__module__}.{type(self).__qualname__} {self.preprocessing}".encode())
            for name, value in state.items():
                digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
                digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy())
            self._named = made_of, digest.hexdigest()
        return self._named[1]


class ModuleExtractor(FeatureExtractor):
    """Any network as a feature extractor. Scores carry its name and only compare with scores from the same network.

    Args:
        module: maps float images (N, `channels`, H, W) to features (N, `num_features`), or to a map of them
            (N, `num_features`, h, w), which is then averaged over its positions. Its weights do not change.
        num_features: width d of its features.
        channels: 1 (grey) or 3 (RGB).
        size: images are resized to `size` x `size` (bilinear, antialiased). None = they keep their size.
        mean: mean of each channel, or one for all, in units of the pixel range [0, 1].
        std: standard deviation of each channel, or one for all, in the same units. The network sees
            `(pixel / 255 - mean) / std`: 0.5 and 0.5 give [-1, 1], 0 and 1 give [0, 1].
        head: maps features to class logits, for the inception score. None = there are no logits.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        module: nn.Module,
        num_features: PositiveInt,
        *,
        channels: PositiveInt = 3,
        size: PositiveInt | None = None,
        mean: Sequence[Finite] = (0.5,),
        std: Sequence[PositiveFloat] = (0.5,),
        head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.channels = channels
        self.size = size
        self.module = module
        self.head = head
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.preprocessing = f"{module!r} {head!r} size={size}"
        self.requires_grad_(False).eval()

    def extract(self, images: Tensor) -> Features:
        """Return the features of uint8 images (N, `channels`, H, W).

        Raises:
            ValueError: the module returns features of another shape.
        """
        x = images.float()
        if self.size is not None:
            x = resize_bilinear(x, self.size)
        pooled = self.module((x / 255 - self.mean) / self.std)
        if pooled.ndim == 4:
            pooled = pooled.mean(dim=(2, 3))
        if pooled.shape != (len(images), self.num_features):
            raise ValueError(
                f"{type(self.module).__name__} gave features of shape {tuple(pooled.shape)} for {len(images)} images, "
                f"where num_features: {self.num_features} promises {(len(images), self.num_features)}"
            )
        return Features(pooled, None if self.head is None else self.head(pooled))


class NoFeatures(FeatureExtractor):
    """An extractor of nothing, for metrics that use the images themselves or the generator."""

    num_features = 0
    channels = 3
    preprocessing = "none"

    def extract(self, images: Tensor) -> Features:
        """Return features (N, 0) for uint8 images (N, 3, H, W)."""
        return Features(torch.empty(len(images), 0, device=images.device))


@contextmanager
def _full_float32(device: str) -> Iterator[None]:
    """Compute products and sums in float32 on that type of device, and restore the settings afterwards."""
    backends: Any = torch.backends  # whose attributes mypy does not see
    products = (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv)
    before = [product.fp32_precision for product in products]
    try:
        for product in products:
            product.fp32_precision = "ieee"
        with torch.autocast(device, enabled=False):
            yield
    finally:
        for product, precision in zip(products, before, strict=True):
            product.fp32_precision = precision
