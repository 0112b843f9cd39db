"""Inception-v3, the network of published scores."""

import io
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, BasicConv2d, FeatureExtractorInceptionV3
from typing_extensions import override

from gan_lightning.extractors.base import FeatureExtractor, Features
from gan_lightning.extractors.resizing import resize_clean, resize_tf1
from gan_lightning.weights import find_weights, holding, read_weights

WEIGHTS_NAME = URL_INCEPTION_V3.rsplit("/", 1)[1]
SIZE = 299


class InceptionV3(FeatureExtractor):
    """TensorFlow's Inception of 2015-12-05, which defines FID, IS and KID.

    It is torch-fidelity's port, with TF1's resize to 299x299: scores agree with torch-fidelity's on the same images
    (features to 1e-5 relative). Batch norm is folded into the convolutions before it, which, with its memory format,
    makes it nearly twice as fast. 2048 features; 1008 logits, without bias.

    Args:
        weights: torch-fidelity's file of weights (91 MB). None = the file that the environment variable
            GAN_LIGHTNING_INCEPTION names, else the one in torch hub's folder of checkpoints, where torch-fidelity and
            torchmetrics keep theirs.
        download: download the file into torch hub's folder if none is found. Off, since cluster nodes are often offline
            and would wait for it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file does not hold Inception's weights.
    """

    num_features = 2048
    channels = 3
    preprocessing = "TF1 bilinear to 299 without antialias; (x - 128) / 128"

    def __init__(self, weights: Path | None = None, download: bool = False) -> None:
        super().__init__()
        path = find_weights("inception", URL_INCEPTION_V3, weights, download)
        with holding("inception", path):
            # torch-fidelity unpickles any content of its file: give it tensors that were read safely instead
            buffer = io.BytesIO()
            torch.save(read_weights(path), buffer)
            buffer.seek(0)
            # the weights drawn before loading are overwritten: leave the run's random state unchanged
            with torch.random.fork_rng(devices=[]):
                network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=buffer)
        for block in network.modules():
            if isinstance(block, BasicConv2d):
                block.conv, block.bn = fuse_conv_bn_eval(block.conv, block.bn), nn.Identity()
        *layers, classify = network.children()  # in the order in which its forward calls them
        self.trunk = nn.Sequential(*layers, nn.Flatten()).to(memory_format=torch.channels_last)
        self.class_weights = classify.weight  # (1008, 2048)
        self.requires_grad_(False).eval()

    def resize(self, images: Tensor) -> Tensor:
        """Resize float images (N, 3, H, W) in [0, 255] to (N, 3, 299, 299)."""
        return resize_tf1(images, SIZE)

    @override
    def extract(self, images: Tensor) -> Features:
        x = (self.resize(images.float()) - 128) / 128
        pooled = self.trunk(x.contiguous(memory_format=torch.channels_last))
        return Features(pooled, pooled @ self.class_weights.T)


class CleanInceptionV3(InceptionV3):
    """Inception-v3 with the resize of clean-fid (Parmar et al. 2022, 2104.11222), which avoids aliasing.

    FID over it is "clean-fid", which does not compare with FID. Arguments and errors are those of `InceptionV3`.
    """

    preprocessing = "bicubic to 299, antialiased, clipped to [0, 255], not rounded; (x - 128) / 128"

    @override
    def resize(self, images: Tensor) -> Tensor:
        return resize_clean(images, SIZE)
