"""Classifiers of torchvision as feature extractors, with VGG16 for precision and recall."""

import difflib
import re
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import WeightsEnum
from torchvision.transforms.functional import normalize
from typing_extensions import override

from gan_lightning.extractors.base import FeatureExtractor, Features
from gan_lightning.extractors.resizing import resize_tf1
from gan_lightning.weights import find_weights, holding, read_weights

# torchvision builds these two models with other options for its published weights, among them another normalisation
_AS_PUBLISHED = {"transform_input": True, "aux_logits": True}
_DRAWS_WEIGHTS = re.compile(r"googlenet|inception_v3|vgg.*")  # slowly, unless an option forbids it


class TorchvisionExtractor(FeatureExtractor):
    """One of torchvision's classifiers with its default weights, and the resize and crop published with them.

    Features are the input of its last linear layer; logits (1000 classes of ImageNet) are that layer's output. Scores
    carry the classifier's name and only compare with scores from the same one: "inception_v3" here has newly trained
    weights, and is not the network of FID.

    Args:
        model: a name of `torchvision.models.list_models(torchvision.models)`: "resnet50", "vit_b_16".
        weights: torchvision's file of weights. None = the file that the environment variable GAN_LIGHTNING_TORCHVISION_
            and the model's name in capitals names, else the one in torch hub's folder of checkpoints, where torchvision
            keeps it.
        download: download the file into torch hub's folder if none is found.

    Raises:
        ValueError: torchvision has no such classifier, or the file does not hold its weights.
        FileNotFoundError: there is no such file.
    """

    channels = 3

    def __init__(self, model: str, weights: Path | None = None, download: bool = False) -> None:
        super().__init__()
        published = _default_weights(model)
        path = find_weights(f"torchvision/{model}", published.url, weights, download)
        self.network, self.head = _load(f"torchvision/{model}", model, path)
        self.num_features = self.head.in_features
        self.transform = published.transforms()
        self.preprocessing = f"{model} {published}: {self.transform!r}"
        self.requires_grad_(False).eval()

    @override
    def extract(self, images: Tensor) -> Features:
        pooled = self.network(self.transform(images).contiguous(memory_format=torch.channels_last))
        return Features(pooled, self.head(pooled))


class VGG16(FeatureExtractor):
    """VGG16's layer fc2, the features of improved precision and recall (Kynkäänniemi et al. 2019, 1904.06991).

    There are 4096 features, after their ReLU, by torchvision's network and weights. Images are resized to 224x224 as by
    TF1. All steps follow torch-fidelity. The logits are of ImageNet's 1000 classes.

    Args:
        weights: torchvision's file of weights (528 MB). None = the file that the environment variable
            GAN_LIGHTNING_VGG16 names, else the one in torch hub's folder of checkpoints, where torchvision keeps it.
        download: download the file into torch hub's folder if none is found.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file does not hold VGG16's weights.
    """

    num_features = 4096
    channels = 3
    preprocessing = "TF1 bilinear to 224 without antialias; ImageNet's mean and deviation"

    def __init__(self, weights: Path | None = None, download: bool = False) -> None:
        super().__init__()
        path = find_weights("vgg16", _default_weights("vgg16").url, weights, download)
        self.network, self.head = _load("vgg16", "vgg16", path)
        self.requires_grad_(False).eval()

    @override
    def extract(self, images: Tensor) -> Features:
        x = normalize(resize_tf1(images.float(), 224) / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        pooled = self.network(x.contiguous(memory_format=torch.channels_last))
        return Features(pooled, self.head(pooled))


def _default_weights(model: str) -> WeightsEnum:
    names = models.list_models(models)
    if model not in names:
        near = difflib.get_close_matches(model, names, n=5, cutoff=0.4)
        raise ValueError(
            f"torchvision has no classifier {model!r} (near to it: {', '.join(near) or 'none'}); "
            "torchvision.models.list_models(torchvision.models) lists them all"
        )
    return models.get_model_weights(model).DEFAULT


def _load(name: str, model: str, path: Path) -> tuple[nn.Module, nn.Linear]:
    """Return the classifier up to its last linear layer, and that layer; `name` is the extractor's."""
    options = _AS_PUBLISHED if model in ("googlenet", "inception_v3") else {}
    if _DRAWS_WEIGHTS.fullmatch(model):
        options = options | {"init_weights": False}
    with holding(name, path):
        state = read_weights(path)
        for key in list(state):  # in place: some layers need their versions, which are an attribute of the state
            # DenseNet's files have old names of layers
            state[re.sub(r"(\.denselayer\d+\.(?:norm|conv))\.(\d\.)", r"\1\2", key)] = state.pop(key)
        # the weights drawn before loading are overwritten: leave the run's random state unchanged
        with torch.random.fork_rng(devices=[]):
            network = models.get_model(model, weights=None, **options)
        network.load_state_dict(state)
    linear = [layer for layer, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ValueError(f"torchvision's {model} has no linear layer at its end, whose input would be its features")
    head = network.get_submodule(linear[-1])
    network.set_submodule(linear[-1], nn.Identity())
    return network.to(memory_format=torch.channels_last), head
