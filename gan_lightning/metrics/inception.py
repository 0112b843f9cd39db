"""The network that published scores are made with."""

import io
import os
import pickle
from pathlib import Path

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from gan_lightning.metrics.extractors import FeatureExtractor, Features

WEIGHTS_VARIABLE = "GAN_LIGHTNING_INCEPTION"
WEIGHTS_NAME = URL_INCEPTION_V3.rsplit("/", 1)[1]


class InceptionV3(FeatureExtractor):
    """TensorFlow's Inception of 2015-12-05, with which FID, IS and KID are defined.

    torch-fidelity's port of it, TF1's way of resizing to 299x299 included: scores agree with torch-fidelity's on the
    same images. 2048 features; 1008 logits, without bias. Grey images are repeated to RGB, alpha is dropped.

    Args:
        weights: torch-fidelity's file of weights (91 MB). None: the file that the environment variable
            GAN_LIGHTNING_INCEPTION names, else the one in torch hub's folder of checkpoints, where torch-fidelity and
            torchmetrics keep theirs.
        download: when no file is found, fetch it into torch hub's folder. Off, since nodes of a cluster seldom reach
            the network and would wait for it.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file does not hold Inception's weights.
    """

    num_features = 2048
    channels = 3
    preprocessing = "TF1 bilinear to 299 without antialias; (x - 128) / 128"

    def __init__(self, weights: Path | None = None, download: bool = False) -> None:
        super().__init__()
        path = _find(weights, download)
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            # torch-fidelity unpickles whatever its file holds: it is handed tensors that were read safely instead
            buffer = io.BytesIO()
            torch.save(state, buffer)
            buffer.seek(0)
            # the weights drawn before loading are overwritten: leave the run's own draws alone
            with torch.random.fork_rng(devices=[]):
                self.network = FeatureExtractorInceptionV3(
                    "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=buffer
                )
        except (pickle.UnpicklingError, RuntimeError, TypeError, EOFError) as error:
            raise ValueError(f"{path} does not hold torch-fidelity's Inception weights ({WEIGHTS_NAME})") from error
        self.requires_grad_(False).eval()

    def extract(self, images: Tensor) -> Features:
        """Features of uint8 images (N, 3, H, W)."""
        return Features(*self.network(images))


def _find(weights: Path | None, download: bool) -> Path:
    """The file to read: the argument's, the environment's, torch hub's."""
    named = weights or os.environ.get(WEIGHTS_VARIABLE)
    path = Path(named) if named else Path(torch.hub.get_dir(), "checkpoints", WEIGHTS_NAME)
    if not path.is_file() and download and not named:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), hash_prefix=path.stem.rsplit("-", 1)[1])
    if not path.is_file():
        raise FileNotFoundError(
            f"no Inception weights at {path}: put torch-fidelity's {WEIGHTS_NAME} there, or name its place by the "
            f"argument `weights` or the environment variable {WEIGHTS_VARIABLE}, or set `download: true` where there "
            "is a network"
        )
    return path
