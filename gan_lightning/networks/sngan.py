"""The networks of SN-GAN and of the projection discriminator.

Miyato, Kataoka, Koyama, Yoshida, "Spectral Normalization for Generative Adversarial Networks", 2018, arXiv 1802.05957;
Miyato, Koyama, "cGANs with Projection Discriminator", 2018, arXiv 1802.05637. The residual networks are those of the
authors' code for 32×32; the unconditional generator is `ResidualGenerator` of width 256.

NOTE: other sizes than 32×32 add or leave out blocks of the same width. The authors' networks become wider with depth
there, and a discriminator's block then has as many hidden channels as its input (in SAGAN and BigGAN, as its output);
with one width throughout the two are the same.
NOTE: batch norm has torch's ε of 1e-5; the authors' code has 2e-5.
"""

import itertools
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers import (
    ConditionalBatchNorm2d,
    ResidualDownBlock,
    ResidualUpBlock,
    check_images,
    check_labels,
    check_latent,
    check_no_labels,
    halvings,
    init_glorot,
    init_normal,
    normalise_spectrally,
)
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import Discriminator, HeadFactory, ProjectingDiscriminator
from gan_lightning.ranges import NonNegativeInt, PositiveInt


class ConditionalResidualGenerator(Generator):
    """`ResidualGenerator` with class-conditional batch norm in its blocks: labels enter nowhere else.

    With ten classes it has the 4,304,387 parameters of the projection paper's CIFAR-10 generator.

    Args:
        num_classes: number of classes.
        latent_dim: length of z.
        image_size: height and width of an image, in pixels; a power of two from 16 to 8192.
        channels: channels of an image.
        width: channels of every block.
    """

    architecture = "residual"

    def __init__(
        self,
        num_classes: PositiveInt,
        latent_dim: PositiveInt = 128,
        image_size: PositiveInt = 32,
        channels: PositiveInt = 3,
        width: PositiveInt = 256,
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        norm = partial(ConditionalBatchNorm2d, num_classes=num_classes)
        self.input = nn.Linear(latent_dim, width * 4 * 4)
        self.blocks = nn.ModuleList(ResidualUpBlock(width, width, norm) for _ in range(halvings(image_size, 4)))
        self.norm = nn.BatchNorm2d(width)
        self.output = nn.Conv2d(width, channels, 3, padding=1)
        init_glorot(self.input)
        init_glorot(self.output)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) and labels int64 (N,) to images (N, C, S, S) in [-1, 1]."""
        check_latent(z, self.latent_dim)
        classes = check_labels(labels, self.num_classes)
        x = self.input(z).unflatten(1, (-1, 4, 4))  # (N, width, 4, 4)
        for block in self.blocks:
            x = block(x, classes)
        return self.output(F.relu(self.norm(x))).tanh()  # from (N, width, S, S)


class SNResidualDiscriminator(ProjectingDiscriminator):
    """Residual blocks that halve down to 8×8, two more at that size, the sum over positions, and a linear layer.

    Every layer is spectrally normalised. The defaults have SN-GAN's 1,053,824 parameters, and with ten classes the
    1,055,104 of the projection discriminator:

        D(x, y) = e_yᵀ φ(x) + ψ(φ(x))

    with the features φ, the linear ψ and an embedding e of the classes.

    Args:
        image_size: height and width of an image, in pixels; a power of two from 16 to 8192.
        channels: channels of an image.
        width: channels of every block.
        num_classes: number of classes to condition on, by projection; 0 = none.
        head: ψ, makes a module from features to a logit. None = linear without bias, spectrally normalised.
    """

    def __init__(
        self,
        image_size: PositiveInt = 32,
        channels: PositiveInt = 3,
        width: PositiveInt = 128,
        num_classes: NonNegativeInt = 0,
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.num_features = width
        self.image_shape = (channels, image_size, image_size)
        self.blocks = nn.Sequential(
            ResidualDownBlock(channels, width, downsample=True, first=True),
            *(ResidualDownBlock(width, width, downsample=True) for _ in range(halvings(image_size, smallest=8) - 1)),
            ResidualDownBlock(width, width, downsample=False),
            ResidualDownBlock(width, width, downsample=False),
        )
        normalise_spectrally(self.blocks)
        self.embedding = None
        if num_classes:
            self.embedding = nn.Embedding(num_classes, width)
            nn.init.xavier_uniform_(self.embedding.weight)
            normalise_spectrally(self.embedding)
        if head is None:
            self.head = nn.Linear(width, 1, bias=False)
            init_glorot(self.head)
            normalise_spectrally(self.head)
        else:
            self.head = head(width)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] to φ, sums over positions, (N, width); labels are not used."""
        check_images(images, self.image_shape)
        return F.relu(self.blocks(images)).sum(dim=(2, 3))  # over (N, width, 8, 8)


class SNDCGANDiscriminator(Discriminator):
    """SN-GAN's plain convolutions (table 3 of the paper): 3×3, then 4×4 with stride 2, at each size down to 4×4.

    LeakyReLU 0.1, every layer spectrally normalised. The defaults have 2,935,873 parameters.

    NOTE: widths 64-64-128-128-256-256-512; another table in circulation has 64-128-128-256-256-512-512.

    Args:
        image_size: height and width of an image, in pixels; a power of two from 16 to 8192.
        channels: channels of an image.
        width: channels of the first layer; doubled at each smaller size, up to 8 times this.
        head: makes a module from features to a logit. None = linear, spectrally normalised.
    """

    def __init__(
        self,
        image_size: PositiveInt = 32,
        channels: PositiveInt = 3,
        width: PositiveInt = 64,
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        self.image_shape = (channels, image_size, image_size)
        widths = [width * min(2**level, 8) for level in range(halvings(image_size, smallest=4) + 1)]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(0.1, inplace=True)]
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Conv2d(inputs, inputs, 4, stride=2, padding=1), nn.LeakyReLU(0.1, inplace=True)]
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.LeakyReLU(0.1, inplace=True)]
        self.net = nn.Sequential(*layers)
        self.num_features = widths[-1] * 4 * 4
        self.head = nn.Linear(self.num_features, 1) if head is None else head(self.num_features)
        init_normal(self)
        normalise_spectrally(self.net)
        if head is None:
            normalise_spectrally(self.head)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] to the last maps, (N, F); it takes no labels."""
        check_images(images, self.image_shape)
        check_no_labels(labels)
        return self.net(images).flatten(1)
