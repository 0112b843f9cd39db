"""The networks of AC-GAN for CIFAR-10, and a second head that makes any discriminator a classifier.

Odena, Olah, Shlens, "Conditional Image Synthesis With Auxiliary Classifier GANs", 2016, arXiv 1610.09585, appendix A.

NOTE: the authors' code is not public. Details that the table leaves open (padding, biases) are chosen here: half the
kernel, and biases except before batch norm.
NOTE: no noise is added to the discriminator's activations; a standard deviation of 0 is one that the authors tried.
NOTE: other sizes than 32×32 add or leave out layers, whose widths stay at the table's widest.
"""

import itertools

from torch import Tensor, nn

from gan_lightning.layers import append_labels, check_images, check_latent, check_no_labels, halvings, init_normal
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import Discriminator, DiscriminatorOutput, HeadFactory
from gan_lightning.ranges import NonNegativeInt, PositiveInt, Share
from gan_lightning.recording import Network


class ACGANGenerator(Generator):
    """A linear layer to 4×4, and 5×5 transposed convolutions with stride 2, batch norm and ReLU between; then tanh.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels; a power of two from 16 to 8192.
        channels: channels of an image.
        width: channels before the last layer; doubled at each smaller size, up to 4 times this.
        num_classes: number of classes to condition on, by a one-hot vector beside z; 0 = none.
    """

    architecture = "dcgan"

    def __init__(
        self,
        latent_dim: PositiveInt = 100,
        image_size: PositiveInt = 32,
        channels: PositiveInt = 3,
        width: PositiveInt = 96,
        num_classes: NonNegativeInt = 10,
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        widths = [width * min(2**level, 4) for level in reversed(range(halvings(image_size, smallest=4)))]
        layers: list[nn.Module] = [nn.Linear(latent_dim + num_classes, widths[0] * 4 * 4)]
        layers += [nn.Unflatten(1, (widths[0], 4, 4)), nn.ReLU(inplace=True)]
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1, bias=False)]
            layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(width, channels, 5, stride=2, padding=2, output_padding=1), nn.Tanh()]
        self.net = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) and labels int64 (N,) to images (N, C, S, S) in [-1, 1]."""
        check_latent(z, self.latent_dim)
        return self.net(append_labels(z, labels, self.num_classes))


class ACGANDiscriminator(Discriminator):
    """3×3 convolutions with stride 2 and 1 in turn, batch norm from the second on, LeakyReLU 0.2 and dropout.

    It takes no labels; a classifier of its features predicts the classes (see `AuxiliaryClassifier`).

    Args:
        image_size: height and width of an image, in pixels; a power of two from 16 to 8192.
        channels: channels of an image.
        width: channels after the first layer; doubled by each layer, up to 32 times this.
        dropout: share of each layer's activations that training sets to zero. 0 turns it off.
        head: makes a module from features to a logit. None = linear.
    """

    def __init__(
        self,
        image_size: PositiveInt = 32,
        channels: PositiveInt = 3,
        width: PositiveInt = 16,
        dropout: Share = 0.5,
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        self.image_shape = (channels, image_size, image_size)
        widths = [width * min(2**level, 32) for level in range(2 * halvings(image_size, smallest=4))]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, stride=2, padding=1)]
        layers += [nn.LeakyReLU(0.2, inplace=True), nn.Dropout(dropout)]
        for level, (inputs, outputs) in enumerate(itertools.pairwise(widths), start=1):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=1 if level % 2 else 2, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True), nn.Dropout(dropout)]
        self.net = nn.Sequential(*layers)
        self.num_features = widths[-1] * 4 * 4
        self.head = nn.Linear(self.num_features, 1) if head is None else head(self.num_features)
        init_normal(self)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] to the last maps, (N, F); it takes no labels."""
        check_images(images, self.image_shape)
        check_no_labels(labels)
        return self.net(images).flatten(1)


class AuxiliaryClassifier(Network):
    """A discriminator that also predicts the class, by a linear layer on its features.

    Args:
        discriminator: D, which takes no labels.
        num_classes: number of classes to predict.
    """

    def __init__(self, discriminator: Discriminator, num_classes: PositiveInt) -> None:
        super().__init__()
        self.num_classes, self.num_features = num_classes, discriminator.num_features
        self.judge = discriminator
        self.classifier = nn.Linear(self.num_features, num_classes)
        init_normal(self.classifier)

    def forward(self, images: Tensor, with_features: bool = False, with_logits: bool = True) -> DiscriminatorOutput:
        """Map images (N, C, H, W) in [-1, 1] to the discriminator's logits (N,) and class logits (N, num_classes)."""
        features = self.judge.features(images)
        answer = DiscriminatorOutput((), ((features,),) if with_features else ())
        if not with_logits:
            return answer
        return answer._replace(logits=(self.judge.judge(features),), class_logits=self.classifier(features))
