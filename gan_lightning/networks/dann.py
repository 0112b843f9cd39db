"""The networks of DANN for digits: features, a labeller on top of them, and a classifier of the domain.

Ganin, Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", 2014, arXiv 1409.7495, figure 4a.
"""

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from gan_lightning.layers import append_labels, check_images
from gan_lightning.ranges import NonNegativeInt, PositiveInt
from gan_lightning.recording import Network


class LeNetClassifier(Network):
    """Two 5×5 convolutions with max pooling for features, three linear layers for labels; ReLU between all.

    Args:
        image_size: height and width of an image, in pixels; 28, 32, ... by fours.
        channels: channels of an image.
        widths: channels of the two convolutions.
        hidden: units of each hidden layer of the labeller, first to last.
        classes: number of classes.
        num_domains: number of domains to condition the features on, by one-hot maps beside the image's channels; 0 =
            none.

    Attributes:
        num_features: number of features of an image.
    """

    def __init__(
        self,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 3,
        widths: tuple[PositiveInt, PositiveInt] = (32, 48),
        hidden: Sequence[PositiveInt] = (100, 100),
        classes: PositiveInt = 10,
        num_domains: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        if image_size < 16 or image_size % 4:
            raise ValueError(f"image_size must be a multiple of 4 from 16 up, not {image_size}: resize the images")
        self.classes, self.num_domains = classes, num_domains
        self.image_shape = (channels, image_size, image_size)
        first, second = widths
        self.net = nn.Sequential(
            *(nn.Conv2d(channels + num_domains, first, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
            *(nn.Conv2d(first, second, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
            nn.Flatten(),
        )
        self.num_features = second * (image_size // 4 - 3) ** 2
        self.labeller = _perceptron([self.num_features, *hidden, classes])

    def features(self, images: Tensor, domains: Tensor | None = None) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1], and domains int64 (N,) if it takes them, to features (N, F)."""
        check_images(images, self.image_shape)
        return self.net(append_labels(images, domains, self.num_domains))

    def forward(self, images: Tensor, domains: Tensor | None = None, only_features: bool = False) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] and domains int64 (N,) to class logits, (N, classes).

        With `only_features`, map them to the features (N, F), the input of `labeller`.
        """
        features = self.features(images, domains)
        return features if only_features else self.labeller(features)


class DomainClassifier(Network):
    """Linear layers from features to the logit of the source domain; ReLU between.

    Args:
        num_features: number of features of an image, as in the classifier.
        hidden: units of each hidden layer, first to last.
    """

    def __init__(self, num_features: PositiveInt = 768, hidden: Sequence[PositiveInt] = (100,)) -> None:
        super().__init__()
        self.num_features = num_features
        self.net = _perceptron([num_features, *hidden, 1])

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, F) to logits (N,)."""
        return self.net(features).squeeze(1)


def _perceptron(units: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(units):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])
