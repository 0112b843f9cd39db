"""The networks of StackGAN: a generator of small images of captions, and one that makes them large and corrects them.

Zhang, Xu, Li, Zhang, Wang, Huang, Metaxas, "StackGAN: Text to Photo-realistic Image Synthesis with Stacked Generative
Adversarial Networks", 2016, arXiv 1612.03242, and the authors' code (stageI/model.py, stageII/model.py).

NOTE: the authors' code has biases in front of batch norm, which have no effect; here there are none.
NOTE: their discriminator of stage I has no LeakyReLU behind the last but one convolution of images; here it has one.
NOTE: ε of the conditioning augmentation is a part of the latents, so that an image is a function of latents and
caption, also for interpolation and in exported graphs. The code draws it from a normal distribution cut off at 2.
"""

from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lightning.layers import check_latent, init_normal
from gan_lightning.networks.base import Generator
from gan_lightning.networks.gan_int_cls import Bottleneck, TextDiscriminator, leaky, relu, strided, widths_of
from gan_lightning.ranges import NonNegativeInt, PositiveInt

_INNER = 0.99  # largest value of an image of stage I that is corrected: beyond it, tanh has little slope


class ConditioningAugmentation(nn.Module):
    """Maps embeddings to the means and the logarithms of the standard deviations of N(μ(t), Σ(t)) (section 3.2)."""

    def __init__(self, text_dim: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.net = nn.Sequential(nn.Linear(text_dim, 2 * dim), leaky())

    def forward(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """Map embeddings (N, text_dim) to μ and log σ, both (N, dim)."""
        mean, log_std = self.net(text).chunk(2, dim=1)
        return mean, log_std


class Conditioned(NamedTuple):
    """Images, and the distributions that their ĉ are from."""

    images: Tensor  # (N, C, H, W)
    mean: Tensor  # μ, (N, dim)
    log_std: Tensor  # log σ, (N, dim)


def enlarging(inputs: int, outputs: int) -> list[nn.Module]:
    """Return layers that double height and width by repetition, with a 3×3 convolution and batch norm."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return [nn.Upsample(scale_factor=2, mode="nearest"), convolution, nn.BatchNorm2d(outputs)]


class StackGANStageOne(Generator):
    """Stage I: a small image of z and ĉ. Latents are z, and ε of ĉ behind it.

    Args:
        noise_dim: length of z.
        text_dim: components of a caption's embedding.
        condition_dim: components of ĉ.
        image_size: height and width of an image, in pixels; a power of two from 16 up.
        channels: channels of an image.
        width: channels before the last layer; doubled at each smaller size, up to 8 times this.
    """

    def __init__(
        self,
        noise_dim: PositiveInt = 100,
        text_dim: PositiveInt = 1024,
        condition_dim: PositiveInt = 128,
        image_size: PositiveInt = 64,
        channels: PositiveInt = 3,
        width: PositiveInt = 128,
    ) -> None:
        super().__init__()
        self.noise_dim, self.text_dim, self.latent_dim = noise_dim, text_dim, noise_dim + condition_dim
        self.channels, self.image_size = channels, image_size
        self.conditioning = ConditioningAugmentation(text_dim, condition_dim)
        widths = widths_of(image_size, width)[::-1]
        values = widths[0] * 16
        self.first = nn.Sequential(nn.Linear(self.latent_dim, values, bias=False), nn.BatchNorm1d(values))
        layers: list[nn.Module] = [Bottleneck(widths[0], max(1, widths[0] // 4), relu)]
        for place, outputs in enumerate(widths[1:]):
            layers += enlarging(widths[place], outputs)
            layers.append(relu() if place else Bottleneck(outputs, max(1, outputs // 4), relu))
        layers += [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh()]
        self.net = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, z: Tensor, text: Tensor, with_distribution: bool = False) -> Tensor | Conditioned:
        """Map latents (N, latent_dim) and embeddings (N, text_dim) to images (N, C, S, S) in [-1, 1].

        With the distribution of ĉ, the result is a `Conditioned`.
        """
        check_latent(z, self.latent_dim)
        noise, epsilon = z.split([self.noise_dim, self.conditioning.dim], dim=1)
        mean, log_std = self.conditioning(text)
        condition = mean + log_std.exp() * epsilon
        images = self.net(self.first(torch.cat([condition, noise], dim=1)).unflatten(1, (-1, 4, 4)))
        return Conditioned(images, mean, log_std) if with_distribution else images


class Residual(nn.Module):
    """x + f(x), then a rectifier: f is two 3×3 convolutions with batch norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.inner = nn.Sequential(first, nn.BatchNorm2d(channels), relu(), second, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return torch.relu(x + self.inner(x))


class StackGANStageTwo(Generator):
    """Stage II: an image of stage I is encoded to a quarter of its size, joined with another ĉ, and made larger.

    Stage I does not learn, and is always in evaluation mode. Latents are those of stage I, and ε of this ĉ behind them.

    Args:
        stage_one: the generator of stage I, whose weights `StackGAN`'s `pretrained` brings.
        condition_dim: components of ĉ.
        enlargements: number of times that the size of stage I is doubled.
        width: channels of the encoder's first layer, of images of the size of stage I.
        blocks: number of residual blocks.
        corrects: True = the layers' output is added to the enlarged image of stage I, in front of the tanh, and the run
            begins with that image; not in the paper, but short runs keep the colours. False = the image is made anew.
    """

    trained: Tensor

    def __init__(
        self,
        stage_one: StackGANStageOne | None = None,
        condition_dim: PositiveInt = 128,
        enlargements: NonNegativeInt = 2,
        width: PositiveInt = 128,
        blocks: NonNegativeInt = 4,
        corrects: bool = False,
    ) -> None:
        super().__init__()
        self.corrects = corrects
        self.stage_one = (stage_one or StackGANStageOne()).requires_grad_(False).eval()
        self.register_buffer("trained", torch.tensor(0))  # 1: stage I has the weights of another run
        self.text_dim, self.latent_dim = self.stage_one.text_dim, self.stage_one.latent_dim + condition_dim
        self.conditioning = ConditioningAugmentation(self.text_dim, condition_dim)
        channels = self.stage_one.channels
        self.encode = nn.Sequential(
            *(nn.Conv2d(channels, width, 3, padding=1), relu()),
            *(nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width), relu()),
            *(nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(4 * width), relu()),
        )
        joined = nn.Conv2d(4 * width + condition_dim, 4 * width, 3, padding=1, bias=False)
        layers: list[nn.Module] = [joined, nn.BatchNorm2d(4 * width), relu()]
        layers += [Residual(4 * width) for _ in range(blocks)]
        inputs = 4 * width
        for _ in range(2 + enlargements):
            outputs = max(1, inputs // 2)
            layers += [*enlarging(inputs, outputs), relu()]
            inputs = outputs
        last = nn.Conv2d(inputs, channels, 3, padding=1)
        self.net = nn.Sequential(*layers, last, nn.Identity() if corrects else nn.Tanh())
        for part in (self.conditioning, self.encode, self.net):
            init_normal(part)
        if corrects:
            for values in last.parameters():
                nn.init.zeros_(values)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but stage I."""
        super().train(mode)
        self.stage_one.eval()
        return self

    def forward(self, z: Tensor, text: Tensor, with_distribution: bool = False) -> Tensor | Conditioned:
        """Map latents (N, latent_dim) and embeddings (N, text_dim) to images (N, C, S, S) in [-1, 1].

        With the distribution of ĉ, the result is a `Conditioned`.
        """
        check_latent(z, self.latent_dim)
        first, epsilon = z.split([self.stage_one.latent_dim, self.conditioning.dim], dim=1)
        small = self.stage_one(first, text)
        maps = self.encode(small)
        mean, log_std = self.conditioning(text)
        condition = (mean + log_std.exp() * epsilon)[:, :, None, None].expand(-1, -1, *maps.shape[2:])
        images = self.net(torch.cat([maps, condition], dim=1))
        if self.corrects:
            start = F.interpolate(small.float(), images.shape[2:], mode="bilinear").clamp(-_INNER, _INNER)
            images = torch.tanh(start.atanh() + images)
        return Conditioned(images, mean, log_std) if with_distribution else images


class StackGANDiscriminator(TextDiscriminator):
    """Strided convolutions to 4×4, a residual bottleneck, and the projected caption, for images of either stage.

    Images larger than 64x64 come to more than 8 times `width` channels, which 1×1 convolutions halve again.

    Args:
        text_dim: components of a caption's embedding.
        image_size: height and width of an image, in pixels; a power of two from 16 up.
        channels: channels of an image.
        width: channels after the first layer; doubled at each smaller size.
        projection: components that the caption is projected to, by a linear layer and LeakyReLU 0.2.
    """

    def __init__(
        self,
        text_dim: PositiveInt = 1024,
        image_size: PositiveInt = 64,
        channels: PositiveInt = 3,
        width: PositiveInt = 64,
        projection: PositiveInt = 128,
    ) -> None:
        widths = widths_of(image_size, width, most=32)
        layers: list[Any] = strided(channels, widths)
        features = widths[-1]
        while features > 8 * width:
            layers += [leaky(), nn.Conv2d(features, features // 2, 1, bias=False), nn.BatchNorm2d(features // 2)]
            features //= 2
        trunk = nn.Sequential(*layers, Bottleneck(features, max(1, 2 * features // 8), leaky))
        project = nn.Sequential(nn.Linear(text_dim, projection), leaky())
        super().__init__(trunk, (channels, image_size, image_size), features, text_dim, project, projection)
