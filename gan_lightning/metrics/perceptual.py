"""Perceptual distance: the distance between images in the features of a network."""

from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from gan_lightning.data.images import to_float
from gan_lightning.extractors.digits import DigitClassifier
from gan_lightning.extractors.features import LayerFeatures, pretrained_convolutions
from gan_lightning.metrics.image_sets import PooledImageMetric, disjoint_pairs, over_pairs
from gan_lightning.ranges import Finite, NonNegativeInt, PositiveFloat, PositiveInt
from gan_lightning.weights import read_weights

PairDistance = Callable[[Tensor, Tensor], Tensor]
"""Maps two batches of images, float (N, C, H, W) in [-1, 1], to the distance of each pair (N,)."""

EPSILON = 1e-10


class PerceptualDistance(nn.Module):
    """Distance between images in the features of any network, after Zhang et al. 2018 (1801.03924), equation 1.

    It is the sum over some layers of the mean over positions of Σ_c w_c (x_c - y_c)². x and y are the two images'
    features, divided at each position by their norm over channels, as x / (||x|| + 1e-10). From 0 (equal features),
    lower is more similar. It is symmetric, but a square and so not a metric: the triangle inequality does not hold.

    The network does not change; gradients flow to the images. It is computed in float32, even under autocast.

    Args:
        network: the network that sees the images.
        layers: names of the layers to compare, with outputs (N, c, h, w); see
            `gan_lightning.extractors.features.LayerFeatures`, also for `mean`, `std` and `smallest`.
        linear: for each layer the channels' weights w (c,), not negative. None = all 1.
        mean: mean of each channel, in units of the range [-1, 1].
        std: standard deviation of each channel, in the same units.
        smallest: height and width in pixels that the network needs.

    Raises:
        ValueError: the network has no such layer.
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
        """Return the distances (N,) of the pairs of two batches, float (N, C, H, W) in [-1, 1].

        `gan_lightning.data.images.to_channels` converts them to RGB.

        Raises:
            ValueError: the batches differ in shape, or images are smaller than the network needs.
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
    """Divide features (N, c, h, w) at each position by their norm."""
    return features / (torch.linalg.vector_norm(features, dim=1, keepdim=True) + EPSILON)


class _Backbone(NamedTuple):
    """One of torchvision's classifiers, with the layers to compare."""

    model: str  # its name in torchvision
    layers: tuple[int, ...]  # indices in its `features`
    smallest: int  # side in pixels that these layers need


_BACKBONES = {
    "alex": _Backbone("alexnet", (1, 4, 7, 9, 11), 31),
    "vgg": _Backbone("vgg16", (3, 8, 15, 22, 29), 16),
    "squeeze": _Backbone("squeezenet1_1", (1, 4, 7, 9, 10, 11, 12), 17),
}


class LPIPS(PerceptualDistance):
    """LPIPS 0.1, Zhang et al. 2018 (1801.03924), with its authors' linear weights, which torchmetrics ships.

    "alex" is usual for evaluation, "vgg" for losses and path lengths. NOTE: torchmetrics' own LPIPS normalises features
    by sqrt(||x||² + 1e-8), which differs where hardly any unit is active; here the normalisation is the original one.

    Args:
        net: "alex", "vgg" or "squeeze": torchvision's AlexNet, VGG16 or SqueezeNet 1.1.
        weights: torchvision's file of that network's weights. None = the file that the environment variable
            GAN_LIGHTNING_ALEXNET, GAN_LIGHTNING_VGG16 or GAN_LIGHTNING_SQUEEZENET1_1 names, else the one in torch
            hub's folder of checkpoints, where torchvision keeps it.
        download: download the file into torch hub's folder if none is found.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such network, or the file does not hold its weights.
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
    """Return the channels' weights (c,) of each layer."""
    with resources.as_file(resources.files("torchmetrics.functional.image") / "lpips_models" / f"{net}.pth") as path:
        state = read_weights(path)
    return [state[f"lin{layer}.model.1.weight"].flatten() for layer in range(layers)]


def digit_distance() -> PerceptualDistance:
    """Return the distance in the convolutions of the digit classifier that ships with the package.

    Colours are averaged. It needs no download; its numbers compare only among themselves.
    """
    network = nn.Sequential()
    network.add_module("grey", _Grey())
    network.add_module("digits", DigitClassifier().network)
    return PerceptualDistance(network, ["digits.relu", "digits.relu_1"], mean=(-1.0,), std=(2.0,), smallest=16)


class _Grey(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=1, keepdim=True)


class LPIPSDiversity(PooledImageMetric):
    """Mean LPIPS between random pairs of generated images, beside that of real ones, as Zhu et al. 2017 (1711.11586).

    From 0, higher is more diverse. The real images' value is the target, since noise is diverse too. No image is in two
    pairs.

    Args:
        distance: a distance between two batches of images, float (N, C, H, W) in [-1, 1]. None = `LPIPS("alex")`.
        num_pairs: number of pairs of each set, or as many as it has.
        batch_size: number of pairs at a time.
        seed: seed of the pairs.

    Raises:
        FileNotFoundError: there is no file of AlexNet's weights, see `LPIPS`.
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
        """Return `{"lpips_diversity": ..., "lpips_diversity_real": ...}`, for generated and for real images.

        Raises:
            TooFewSamplesError: a set has fewer than two images.
            ValueError: the images differ in size, or are smaller than the network needs.
        """
        real, fake = self.sets(2, "a pair")
        return {"lpips_diversity": self._mean(fake.images), "lpips_diversity_real": self._mean(real.images)}

    def _mean(self, images: Tensor) -> Tensor:
        random = torch.Generator().manual_seed(self.seed)
        pairs = disjoint_pairs(torch.arange(len(images), device=images.device), self.num_pairs, random)
        return over_pairs(self._apart, images, pairs, self.batch_size, "LPIPS").mean()

    def _apart(self, first: Tensor, second: Tensor) -> Tensor:
        return self.distance(to_float(first), to_float(second))
