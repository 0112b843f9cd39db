"""Features of a fixed network, layer by layer, for perceptual metrics and perceptual losses."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from gan_lightning.data.images import to_channels
from gan_lightning.weights import find_weights, holding, read_weights


class LayerFeatures(nn.Module):
    """The outputs of some layers of a fixed network: evaluation mode, no gradients to its weights, float32.

    Gradients flow to the images. In-place operations within the network are replaced, since they would overwrite the
    layer before them.

    Args:
        network: maps float images (N, 3, H, W) to any output; torch.fx must be able to trace it, as it can
            torchvision's. Only the part that the layers need is run.
        layers: names of the layers, as `torchvision.models.feature_extraction.get_graph_node_names` lists them.
        mean: mean of each channel, in units of the range [-1, 1]: the network sees (images - mean) / std.
        std: standard deviation of each channel, in the same units.
        smallest: height and width in pixels that the network needs.

    Raises:
        ValueError: the network has no such layer.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[str],
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        smallest: int = 1,
    ) -> None:
        super().__init__()
        self.network = create_feature_extractor(network.eval(), list(layers))
        for module in self.network.modules():
            if hasattr(module, "inplace"):
                module.inplace = False
        self.layers = list(layers)
        self.smallest = smallest
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return each layer's output for images, float (N, C, H, W) in [-1, 1].

        `gan_lightning.data.images.to_channels` converts them to RGB.

        Raises:
            ValueError: the images are smaller than the network needs.
        """
        if min(images.shape[2:]) < self.smallest:
            raise ValueError(
                f"this network needs images of at least {self.smallest}x{self.smallest} pixels, and these "
                f"are of {images.shape[2]}x{images.shape[3]}: choose another network, or enlarge the images"
            )
        with torch.autocast(images.device.type, enabled=False):
            features = self.network((to_channels(images.float(), 3) - self.mean) / self.std)
        return [features[name] for name in self.layers]

    def train(self, mode: bool = True) -> "LayerFeatures":
        """Stay in evaluation mode, since the features of an image must not depend on others in its batch."""
        return super().train(False)


def pretrained_convolutions(model: str, weights: Path | None = None, download: bool = False) -> nn.Module:
    """Return the convolutional part, `features`, of one of torchvision's classifiers, with its published weights.

    Args:
        model: name of the classifier in torchvision: "vgg19".
        weights: torchvision's file of weights. None = the file that the environment variable GAN_LIGHTNING_ and the
            model's name in capitals names, else the one in torch hub's folder of checkpoints, where torchvision keeps
            it.
        download: download the file into torch hub's folder if none is found.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file does not hold the network's weights.
    """
    path = find_weights(model, models.get_model_weights(model).DEFAULT.url, weights, download)
    with torch.device("meta"):  # draw no weights, and hold none of the layers that are left out
        network = models.get_model(model, weights=None).features
    with holding(model, path):
        state = read_weights(path)
        kept = {name.removeprefix("features."): state[name] for name in state if name.startswith("features.")}
        network.load_state_dict(kept, assign=True)
    return network
