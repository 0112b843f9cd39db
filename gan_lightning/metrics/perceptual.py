"""Perceptual distance between images: how far apart a network's features of them are."""

from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from gan_lightning.data.images import to_float
from gan_lightning.extractors.features import LayerFeatures, pretrained_convolutions
from gan_lightning.metrics.image_sets import PooledImageMetric, disjoint_pairs, over_pairs
from gan_lightning.ranges import Finite, NonNegativeInt, PositiveFloat, PositiveInt
from gan_lightning.weights import read_weights

PairDistance = Callable[[Tensor, Tensor], Tensor]
"""From two batches of images, float (N, C, H, W) in [-1, 1], to the distance of each pair (N,)."""

EPSILON = 1e-10


class PerceptualDistance(nn.Module):
    """Distance between images in the features of any network, after Zhang et al. 2018 (1801.03924), equation 1.

    Over some layers, the sum of the mean over positions of Σ_c w_c (x_c - y_c)², where x and y are the two images'
    features, divided at each position by their norm over channels, as x / (||x|| + 1e-10). From 0 (equal features),
    lower is more alike; symmetric, but a square, and no metric: the triangle inequality does not hold.

    The network stays as it is; gradients flow to the images. Computed in float32 whatever autocast says.

    Args:
        network: which sees the images, and
        layers: names of those of its layers that are compared, with outputs (N, c, h, w): see
            `gan_lightning.extractors.features.LayerFeatures`, as for `mean`, `std` and `smallest`.
        linear: for each layer the channels' weights w (c,), not negative. None: all 1.
        mean: of each channel, in units of the range [-1, 1].
        std: likewise.
        smallest: height and width in pixels that the network needs.

    Raises:
        ValueError: where the network has no such layer.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[str],
        linear: Sequence[Tensor] | None = None,
        mean: Sequence[Finite] = (0.0,),
        std: Sequence[PositiveFloat] = (1.0,),
        smallest: PositiveInt = 1,
    ) -> None:
        super().__init__()
        self.features = LayerFeatures(network, layers, mean, std, smallest)
        self.linear = None if linear is None else nn.ParameterList(linear).requires_grad_(False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Distances (N,) of the pairs of two batches, float (N, C, H, W) in [-1, 1], brought to RGB by
        `gan_lightning.data.images.to_channels`.

        Raises:
            ValueError: for batches of two shapes, or images smaller than the network takes.
        """
        if x.shape != y.shape or x.ndim != 4:
            raise ValueError(
                "a distance is between two batches (N, C, H, W) of one shape, and these are of "
                f"{tuple(x.shape)} and {tuple(y.shape)}"
            )
        with torch.autocast(x.device.type, enabled=False):
            distance = torch.zeros(len(x), device=x.device)
            for i, features in enumerate(zip(self.features(x), self.features(y), strict=True)):
                a, b = map(_of_unit_length, features)
                gaps = (a - b).square()
                weighted = gaps if self.linear is None else gaps * self.linear[i].view(-1, 1, 1)
                distance = distance + weighted.sum(dim=1).mean(dim=(1, 2))
        return distance


def _of_unit_length(features: Tensor) -> Tensor:
    """Features (N, c, h, w), divided at each position by their norm."""
    return features / (torch.linalg.vector_norm(features, dim=1, keepdim=True) + EPSILON)


class _Backbone(NamedTuple):
    """One of torchvision's classifiers, of whose convolutions some layers are compared."""

    model: str  # its name in torchvision
    layers: tuple[int, ...]  # of its `features`
    smallest: int  # side in pixels that these layers need


_BACKBONES = {
    "alex": _Backbone("alexnet", (1, 4, 7, 9, 11), 31),
    "vgg": _Backbone("vgg16", (3, 8, 15, 22, 29), 16),
    "squeeze": _Backbone("squeezenet1_1", (1, 4, 7, 9, 10, 11, 12), 17),
}


class LPIPS(PerceptualDistance):
    """LPIPS 0.1, Zhang et al. 2018 (1801.03924), with its authors' linear weights, which torchmetrics ships.

    Usual are "alex" for evaluation, "vgg" for losses and path lengths. NOTE: torchmetrics' own LPIPS normalises
    features by sqrt(||x||² + 1e-8), which differs where hardly any unit is awake; this is the original's.

    Args:
        net: "alex", "vgg" or "squeeze": torchvision's AlexNet, VGG16 or SqueezeNet 1.1.
        weights: torchvision's file of that network's weights. None: the file that the environment variable
            GAN_LIGHTNING_ALEXNET, GAN_LIGHTNING_VGG16 or GAN_LIGHTNING_SQUEEZENET1_1 names, else the one in torch
            hub's folder of checkpoints, where torchvision keeps it.
        download: when no file is found, fetch it into torch hub's folder.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file does not hold the network's weights.
    """

    def __init__(
        self, net: Literal["alex", "vgg", "squeeze"] = "alex", weights: Path | None = None, download: bool = False
    ) -> None:
        if net not in _BACKBONES:
            raise ValueError(f"LPIPS has no network {net!r}: choose one of {', '.join(_BACKBONES)}")
        model, layers, smallest = _BACKBONES[net]
        network = pretrained_convolutions(model, weights, download)
        super().__init__(
            network,
            [str(layer) for layer in layers],
            _linear_weights(net, len(layers)),
            mean=(-0.030, -0.088, -0.188),
            std=(0.458, 0.448, 0.450),
            smallest=smallest,
        )


def _linear_weights(net: str, layers: int) -> list[Tensor]:
    """The channels' weights (c,) of each layer."""
    with resources.as_file(resources.files("torchmetrics.functional.image") / "lpips_models" / f"{net}.pth") as path:
        state = read_weights(path)
    return [state[f"lin{layer}.model.1.weight"].flatten() for layer in range(layers)]


class LPIPSDiversity(PooledImageMetric):
    """Mean LPIPS between random pairs of generated images, beside that of real ones, as Zhu et al. 2017 (1711.11586).

    From 0, higher is more diverse, and the real images' value is what to aim for: noise is diverse too. No image is in
    two pairs.

    Args:
        distance: between two batches of images, float (N, C, H, W) in [-1, 1]. None: `LPIPS("alex")`.
        num_pairs: of each set, or as many as it has.
        batch_size: pairs at a time.
        seed: of the draw of pairs.

    Raises:
        FileNotFoundError: when there is no file of AlexNet's weights, see `LPIPS`.
    """

    def __init__(
        self,
        distance: PairDistance | None = None,
        num_pairs: PositiveInt = 10_000,
        batch_size: PositiveInt = 64,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.distance = distance or LPIPS("alex")
        self.num_pairs = num_pairs
        self.batch_size = batch_size
        self.seed = seed

    @torch.no_grad()
    def compute(self) -> dict[str, Tensor]:
        """`{"lpips_diversity": ..., "lpips_diversity_real": ...}`: of generated and of real images.

        Raises:
            TooFewSamplesError: where a set has fewer than two images.
            ValueError: for images of two sizes, or smaller than the network takes.
        """
        real, fake = self.sets(2, "a pair")
        return {"lpips_diversity": self._mean(fake.images), "lpips_diversity_real": self._mean(real.images)}

    def _mean(self, images: Tensor) -> Tensor:
        random = torch.Generator().manual_seed(self.seed)
        pairs = disjoint_pairs(torch.arange(len(images), device=images.device), self.num_pairs, random)
        return over_pairs(self._apart, images, pairs, self.batch_size, "LPIPS").mean()

    def _apart(self, first: Tensor, second: Tensor) -> Tensor:
        return self.distance(to_float(first), to_float(second))
