"""The small networks for stacked MNIST of the unrolled GAN, which later papers compare mode coverage by.

Metz, Poole, Pfau, Sohl-Dickstein, "Unrolled Generative Adversarial Networks", 2016, arXiv 1611.02163, section 3.3.1 and
appendix; in the form of PacGAN's code (Lin et al., 2017, arXiv 1712.04086, table 3).

NOTE: TensorFlow pads 28 and 14 pixels at one side only, and PyTorch at the other: an image of theirs is a mirrored one
of ours.
"""

import itertools

from torch import Tensor, nn

from gan_lightning.layers import check_images, check_latent
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.ranges import PositiveInt

STD = 0.02


def _start(network: nn.Module) -> None:
    """Linear and transposed weights ~ N(0, 0.02), those of convolutions cut off at 0.04; biases 0."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.trunc_normal_(part.weight, 0.0, STD, -2 * STD, 2 * STD)
        elif isinstance(part, nn.Linear | nn.ConvTranspose2d):
            nn.init.normal_(part.weight, 0.0, STD)
        else:
            continue
        if part.bias is not None:
            nn.init.zeros_(part.bias)


class StackedGenerator(Generator):
    """A linear layer to 4×4, 3×3 transposed convolutions to 7×7, 14×14 and 28×28, a 3×3 convolution; then tanh.

    Batch norm and ReLU follow all but the last. The defaults have 287,875 parameters.

    Args:
        latent_dim: length of z.
        channels: channels of an image.
        width: channels at 28×28; doubled at each smaller size.
    """

    def __init__(self, latent_dim: PositiveInt = 256, channels: PositiveInt = 3, width: PositiveInt = 8) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, 0
        widths = [8 * width, 4 * width, 2 * width, width]
        layers: list[nn.Module] = [nn.Linear(latent_dim, 16 * widths[0]), nn.Unflatten(1, (widths[0], 4, 4))]
        for (inputs, outputs), more in zip(itertools.pairwise(widths), (0, 1, 1), strict=True):
            layers += [nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=more)]
        layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh()]
        self.net = nn.Sequential(*layers)
        _start(self)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (N, latent_dim) to images (N, C, 28, 28) in [-1, 1]."""
        check_latent(z, self.latent_dim)
        return self.net(z)


class StackedDiscriminator(Discriminator):
    """Three 3×3 convolutions of stride 2, with batch norm and LeakyReLU 0.3 after each; a linear layer.

    Args:
        channels: channels of an image, or of a pack of images.
        width: channels after the first convolution; doubled by each of the others. Table 3 has 2 ("D = ¼ G": 585
            parameters for one image) and 4 ("D = ½ G").
        norm: batch norm, as published. False = none, for losses with a gradient penalty, which batch norm spoils.
        head: makes a module from features to a logit. None = linear.
    """

    def __init__(
        self,
        channels: PositiveInt = 3,
        width: PositiveInt = 2,
        norm: bool = True,
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        self.image_shape = (channels, 28, 28)
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise([channels, width, 2 * width, 4 * width]):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)]
            layers += [nn.BatchNorm2d(outputs)] if norm else []
            layers += [nn.LeakyReLU(0.3, inplace=True)]
        self.net = nn.Sequential(*layers, nn.Flatten())
        self.num_features = 4 * width * 4 * 4
        self.head = nn.Linear(self.num_features, 1) if head is None else head(self.num_features)
        _start(self)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, 28, 28) in [-1, 1] to the last maps, (N, F)."""
        check_images(images, self.image_shape)
        return self.net(images)
