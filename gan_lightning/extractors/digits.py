"""A small classifier of handwritten digits as a feature extractor: metrics for MNIST without a download.

It is trained by `scripts/train_digit_classifier.py` on MNIST's 60,000 training images. Inception's features are made
for photographs. Scores of digits are usually computed with such a classifier, and only compare with scores from the
same one.
"""

from importlib import resources

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from gan_lightning.extractors.base import FeatureExtractor, Features
from gan_lightning.extractors.resizing import resize_bilinear
from gan_lightning.weights import holding, read_weights

SIZE = 28
DIGITS = 10
WEIGHTS = "assets/digit_classifier.safetensors"


class LeNet(nn.Module):
    """Two convolutions and two linear layers after LeCun et al. 1998, with ReLU and max pooling."""

    num_features = 84

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 24, 5)
        self.conv2 = nn.Conv2d(24, 48, 5)
        self.hidden = nn.Linear(48 * 4 * 4, self.num_features, bias=False)
        self.norm = nn.BatchNorm1d(self.num_features)  # without it a quarter of the features is never active
        self.classify = nn.Linear(self.num_features, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, 84), after their ReLU, and logits (N, 10) of grey images (N, 1, 28, 28) in [0, 1]."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # (N, 24, 12, 12)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # (N, 48, 4, 4)
        features = F.relu(self.norm(self.hidden(x.flatten(1))))
        return features, self.classify(F.dropout(features, 0.3, self.training))


class DigitClassifier(FeatureExtractor):
    """Features (N, 84) and logits (N, 10) of digits, by the classifier that ships with the package.

    Digits are white on black, as in MNIST. Images of 28x28 are used unchanged. Images of 32x32 (the usual size for
    networks that halve) lose a border of 2 pixels, so that a padded digit has the digit's features. Other sizes are
    resized to 28x28.
    """

    num_features = LeNet.num_features
    channels = 1
    preprocessing = "28 as is; 32 cropped to 28; else resized to 28, bilinear, antialiased; / 255"

    def __init__(self) -> None:
        super().__init__()
        # the weights drawn here are overwritten: leave the run's random state unchanged
        with torch.random.fork_rng(devices=[]):
            self.network = LeNet()
        with resources.as_file(resources.files("gan_lightning") / WEIGHTS) as path, holding("digits", path):
            self.network.load_state_dict(read_weights(path))
        self.requires_grad_(False).eval()

    @override
    def extract(self, images: Tensor) -> Features:
        x = images.float()
        if x.shape[2:] == (32, 32):
            x = x[:, :, 2:-2, 2:-2]
        elif x.shape[2:] != (SIZE, SIZE):
            x = resize_bilinear(x, SIZE)
        return Features(*self.network(x / 255))


class StackedDigitClassifier(FeatureExtractor):
    """Features and 1,000 logits of images with a digit in each of three channels, by a classifier of digits.

    The logit of a triple is its log-probability, the sum of those of its digits: class 100 · red + 10 · green + blue.
    Each channel has a third of the features.

    Args:
        classifier: an extractor for grey digits with ten logits. None = `DigitClassifier`.

    Raises:
        ValueError: the classifier does not return ten logits.
    """

    channels = 3

    def __init__(self, classifier: FeatureExtractor | None = None) -> None:
        super().__init__()
        self.classifier = classifier or DigitClassifier()
        self.num_features = 3 * self.classifier.num_features
        self.preprocessing = f"each channel as grey: {self.classifier.preprocessing}"

    @override
    def extract(self, images: Tensor) -> Features:
        pooled, logits, *_ = self.classifier(images.flatten(0, 1).unsqueeze(1))  # of 3N channels
        if logits is None or logits.shape[1] != DIGITS:
            given = "none" if logits is None else str(logits.shape[1])
            raise ValueError(
                f"{type(self.classifier).__name__} gives {given} class logits, and a classifier of digits has "
                f"{DIGITS}: choose one, such as DigitClassifier"
            )
        hundreds, tens, ones = logits.log_softmax(1).unflatten(0, (-1, 3)).unbind(1)  # (N, 10) each
        triples = hundreds[:, :, None, None] + tens[:, None, :, None] + ones[:, None, None, :]
        return Features(pooled.unflatten(0, (-1, 3)).flatten(1), triples.flatten(1))
