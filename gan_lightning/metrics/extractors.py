"""From images to features: what every metric here is computed from, one pass per image for all of them."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lightning.images import to_channels


class Features(NamedTuple):
    """What an extractor says of N images."""

    pooled: Tensor  # (N, d) float32: FID, KID, precision and recall, density and coverage
    logits: Tensor | None = None  # (N, K) float32: inception score

    def to(self, device: torch.device | str) -> "Features":
        """The same features on another device."""
        return Features(self.pooled.to(device), None if self.logits is None else self.logits.to(device))


class FeatureExtractor(nn.Module):
    """Base of all extractors: fixed weights, always in eval mode, float32 whatever autocast says, no gradients.

    A subclass sets `num_features` (d), `channels` (1 or 3: what its network sees; grey, RGB and RGBA images are brought
    to it by `gan_lightning.images.to_channels`), `preprocessing` (its way from pixels to network, in words: part of the
    fingerprint) and `extract`.
    """

    num_features: int
    channels: int
    preprocessing: str

    def extract(self, images: Tensor) -> Features:
        """Features of uint8 images (N, `channels`, H, W)."""
        raise NotImplementedError

    @torch.no_grad()
    def forward(self, images: Tensor) -> Features:
        """Features of uint8 images (N, C, H, W) with 1 to 4 channels, of any size.

        Raises:
            TypeError: for anything else.
        """
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise TypeError(
                f"a feature extractor takes uint8 images (N, C, H, W), not {images.dtype} {tuple(images.shape)}: "
                "convert float images in [-1, 1] by gan_lightning.images.to_uint8"
            )
        with torch.autocast(images.device.type, enabled=False):
            pooled, logits = self.extract(to_channels(images, self.channels))
        return Features(pooled.float(), None if logits is None else logits.float())

    def train(self, mode: bool = True) -> "FeatureExtractor":
        """Eval mode whatever is asked: features of an image must not depend on the others in its batch."""
        return super().train(False)

    @property
    def fingerprint(self) -> str:
        """The extractor's name: changes when its class, its weights or its preprocessing change."""
        digest = hashlib.sha256(f"{type(self).__module__}.{type(self).__qualname__} {self.preprocessing}".encode())
        for name, tensor in self.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


class ModuleExtractor(FeatureExtractor):
    """Any network as a feature extractor. Scores carry its name and compare only with scores from the same network.

    Args:
        module: from float images (N, `channels`, H, W) to features (N, `num_features`), or to a map of them
            (N, `num_features`, h, w) that is then averaged over its positions. Its weights are used as they are.
        num_features: width d of its features.
        channels: 1 (grey) or 3 (RGB).
        size: images are resized to `size` x `size` (bilinear, antialiased); None: they keep their size.
        mean: per channel or one for all, in units of the pixel range [0, 1].
        std: likewise. The network sees `(pixel / 255 - mean) / std`: 0.5 and 0.5 give [-1, 1], 0 and 1 give [0, 1].
        head: from features to class logits, for the inception score; None: there are none.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        module: nn.Module,
        num_features: int,
        *,
        channels: int = 3,
        size: int | None = None,
        mean: Sequence[float] = (0.5,),
        std: Sequence[float] = (0.5,),
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
        """Features of uint8 images (N, `channels`, H, W)."""
        x = images.float()
        if self.size is not None:
            x = resize(x, self.size)
        pooled = self.module((x / 255 - self.mean) / self.std)
        if pooled.ndim == 4:
            pooled = pooled.mean(dim=(2, 3))
        if pooled.shape != (len(images), self.num_features):
            raise ValueError(
                f"{type(self.module).__name__} gave features of shape {tuple(pooled.shape)} for {len(images)} images, "
                f"where num_features: {self.num_features} promises {(len(images), self.num_features)}"
            )
        return Features(pooled, None if self.head is None else self.head(pooled))


def resize(images: Tensor, size: int) -> Tensor:
    """Float images (N, C, H, W) as (N, C, size, size): bilinear, antialiased."""
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=True)
