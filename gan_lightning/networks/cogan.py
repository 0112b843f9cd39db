"""The networks of CoGAN for digits: all domains share their layers but those at the image.

Liu, Tuzel, "Coupled Generative Adversarial Networks", 2016, arXiv 1606.07536, table 4; details as in the authors'
PyTorch code.

Internally, pixels are in [0, 1] as in that code: a generator ends in a sigmoid, which is scaled to this library's
[-1, 1], and a discriminator scales its input back.
"""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from gan_lightning.layers import check_images, check_latent, one_hot
from gan_lightning.networks.base import Generator
from gan_lightning.networks.discriminator import Discriminator, HeadFactory
from gan_lightning.ranges import PositiveInt

BIAS = 0.1  # of every layer at the start


class CoupledGenerator(Generator):
    """Makes the images of all domains from one z; the domains are the classes of a conditional generator."""

    @abstractmethod
    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) and domains int64 (N,) to images (N, C, H, W) in [-1, 1].

        Without domains: the images of all K domains, (N · K, C, H, W), those of the first z first.
        """


class CoGANGenerator(CoupledGenerator):
    """Transposed convolutions with batch norm (without gain and bias) and PReLU; the last is each domain's own.

    The defaults have the authors' 7,842,694 parameters.

    Args:
        latent_dim: length of z.
        image_size: height and width of an image, in pixels; a multiple of 4 from 16 up.
        channels: channels of an image.
        width: channels before the last layer; doubled by each layer before it.
        num_classes: number of domains.
    """

    architecture = "dcgan"

    def __init__(
        self,
        latent_dim: PositiveInt = 100,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        width: PositiveInt = 128,
        num_classes: PositiveInt = 2,
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        _check(image_size)
        # a layer of stride 2 maps s to 2s - 1, and the last adds 3: as many of the former as leave 4x4 at the start
        doublings = max(n for n in range(16) if (image_size - 4) % 2**n == 0 and (image_size - 4) // 2**n >= 3)
        start, maps = (image_size - 4) // 2**doublings + 1, width * 2**doublings
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent_dim, maps, start)]
        for _ in range(doublings):
            layers += [nn.BatchNorm2d(maps, affine=False), nn.PReLU()]
            layers += [nn.ConvTranspose2d(maps, maps // 2, 3, stride=2, padding=1)]
            maps //= 2
        self.shared = nn.Sequential(*layers, nn.BatchNorm2d(width, affine=False), nn.PReLU())
        self.private = nn.ModuleList(nn.ConvTranspose2d(width, channels, 6, padding=1) for _ in range(num_classes))
        _initialise(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z and domains to images; without domains, to those of all. See `CoupledGenerator.forward`."""
        check_latent(z, self.latent_dim)
        maps = self.shared(z[:, :, None, None])
        every = torch.stack([layer(maps) for layer in self.private], dim=1)  # (N, K, C, H, W)
        logits = every.flatten(0, 1) if labels is None else _of_domain(every, labels, self.num_classes)
        return 2 * logits.sigmoid() - 1


class CoGANDiscriminator(Discriminator):
    """Three convolutions, of which the first is each domain's own, and a softmax of two classes, fake and real.

    There is no norm, and the only activation is a PReLU before the last layer. The defaults have the authors' 427,593
    parameters.

    Args:
        image_size: height and width of an image, in pixels; a multiple of 4 from 16 up.
        channels: channels of an image.
        width: channels after the first convolution; 2.5 times as many after the second, 25 times after the third: the
            features.
        num_classes: number of domains.
        head: makes a module from features to a logit. None = `SoftmaxHead`.
    """

    def __init__(
        self,
        image_size: PositiveInt = 28,
        channels: PositiveInt = 1,
        width: PositiveInt = 20,
        num_classes: PositiveInt = 2,
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__()
        _check(image_size)
        self.num_classes, self.image_shape = num_classes, (channels, image_size, image_size)
        self.num_features, middle = 25 * width, 5 * width // 2
        self.private = nn.ModuleList(nn.Conv2d(channels, width, 5) for _ in range(num_classes))
        self.shared = nn.Sequential(
            nn.MaxPool2d(2),
            *(nn.Conv2d(width, middle, 5), nn.MaxPool2d(2)),
            *(nn.Conv2d(middle, self.num_features, image_size // 4 - 3), nn.PReLU(), nn.Flatten()),
        )
        self.head = SoftmaxHead(self.num_features) if head is None else head(self.num_features)
        _initialise(self)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, S, S) in [-1, 1] and their domains int64 (N,) to features (N, F), with shared meaning."""
        check_images(images, self.image_shape)
        pixels = (images + 1) / 2
        maps = torch.stack([layer(pixels) for layer in self.private], dim=1)
        return self.shared(_of_domain(maps, labels, self.num_classes))


class SoftmaxHead(nn.Module):
    """Two logits, of fake and of real, as the one logit that is their difference.

    Softplus of the difference is the cross-entropy of the two classes.

    Args:
        num_features: number of features of an image.
    """

    def __init__(self, num_features: PositiveInt) -> None:
        super().__init__()
        self.classes = nn.Linear(num_features, 2)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, F) to logits (N, 1)."""
        return self.classes(features).diff(dim=1)


def _of_domain(maps: Tensor, labels: Tensor | None, domains: int) -> Tensor:
    """Choose from maps (N, K, C, H, W) those of domains int64 (N,); a mixture of domains is the mean by its weights."""
    chosen = one_hot(labels, domains).to(maps.dtype)[:, :, None, None, None]
    return (chosen * maps).sum(dim=1)


def _check(image_size: int) -> None:
    if image_size < 16 or image_size % 4:
        raise ValueError(f"image_size must be a multiple of 4 from 16 up, not {image_size}: resize the images")


def _initialise(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(part.weight, gain=2**0.5)
            nn.init.constant_(part.bias, BIAS)  # type: ignore[arg-type]
