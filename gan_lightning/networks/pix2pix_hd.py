"""The networks of pix2pixHD: a coarse generator with finer ones around it, and the encoder of instances.

Wang, Liu, Zhu, Tao, Kautz, Catanzaro, "High-Resolution Image Synthesis and Semantic Manipulation with Conditional
GANs", 2017, arXiv 1711.11585, sections 3.2 to 3.4 and the authors' code.
"""

import itertools
import math
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from gan_lightning.layers import InstanceNorm2d, check_sides, init_normal
from gan_lightning.layers.doubling import THREE_WIDE, Upsampling, doubling
from gan_lightning.layers.labels import LabelPlanes, levels_of
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.networks.cyclegan import ResidualBlock
from gan_lightning.ranges import NonNegativeInt, PositiveInt
from gan_lightning.recording import Network


def _normalised(layer: nn.Module, channels: int) -> list[nn.Module]:
    return [layer, InstanceNorm2d(channels), nn.ReLU(inplace=True)]


def _wide(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 7, padding=3, padding_mode="reflect")


def _half(channels: int) -> list[nn.Module]:
    return _normalised(nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1), 2 * channels)


def _double(channels: int, upsampling: Upsampling = "transposed") -> list[nn.Module]:
    layers = doubling(channels, channels // 2, upsampling, bias=True, transposed=THREE_WIDE)
    return [*layers[:-1], *_normalised(layers[-1], channels // 2)]


class Pix2PixHDGenerator(TranslationNetwork):
    """A coarse generator G1, and enhancers around it, each at twice the size of the one inside.

    G1 halves the planes of a label map `halvings` times, has residual blocks there, and doubles them back. With
    enhancers, G1 sees the planes at the smallest size. Each enhancer halves its planes once, adds the features of the
    one inside, and doubles the sum. The last one makes the image.

    The layers of G1 have the same names with and without enhancers, so that `fit --start_from` starts the training with
    an enhancer from a trained G1; the convolution that makes the image is another one.

    Label maps are described at `LabelPlanes`. For 35 classes with boundaries, the defaults have the authors'
    182,546,755 parameters; with one enhancer 182,857,059.

    With `features`, the network also takes features of the instances, made by `InstanceEncoder` in training. In use,
    they are chosen among `centres` of each class: a code float (N, num_classes), from N(0, I), chooses for each class
    one of its centres, all with equal probability.

    Args:
        num_classes: number of classes, with void if there is any.
        boundaries: give the network the boundaries of instances too (see `LabelPlanes`).
        out_channels: channels of the image.
        width: channels of G1 at its full size; doubled each time that the size is halved.
        halvings: number of times that G1 halves its size.
        blocks: number of residual blocks of G1.
        enhancers: number of enhancers. 0 = G1 makes the image.
        enhancer_blocks: number of residual blocks of an enhancer.
        features: number of channels of instance features. 0 = the network takes none.
        clusters: number of centres of a class.
        upsampling: method to double height and width, see `DCGANGenerator`.
    """

    def __init__(
        self,
        num_classes: PositiveInt = 35,
        boundaries: bool = True,
        out_channels: PositiveInt = 3,
        width: PositiveInt = 64,
        halvings: PositiveInt = 4,
        blocks: PositiveInt = 9,
        enhancers: NonNegativeInt = 0,
        enhancer_blocks: PositiveInt = 3,
        features: NonNegativeInt = 0,
        clusters: PositiveInt = 10,
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        self.planes = LabelPlanes(num_classes, boundaries)
        self.in_channels = 3 if boundaries else 1
        self.multiple = 2 ** (halvings + enhancers)
        self.minimum = 2 * self.multiple  # two pixels a side at the smallest size, for reflection
        self.features, self.style_dim = features, num_classes if features else 0
        self.coarse_is_fixed = False

        inputs = self.planes.channels + features
        widths = [width * 2**level for level in range(halvings + 1)]
        down = [layer for channels in widths[:-1] for layer in _half(channels)]
        up = [layer for channels in widths[:0:-1] for layer in _double(channels, upsampling)]
        middle = [ResidualBlock(widths[-1]) for _ in range(blocks)]
        self.coarse = nn.Sequential(*_normalised(_wide(inputs, width), width), *down, *middle, *up)
        self.enhancer_downs, self.enhancer_ups = nn.ModuleList(), nn.ModuleList()
        for level in range(1, enhancers + 1):
            channels = width // 2**level
            self.enhancer_downs.append(nn.Sequential(*_normalised(_wide(inputs, channels), channels), *_half(channels)))
            more = [ResidualBlock(2 * channels) for _ in range(enhancer_blocks)]
            self.enhancer_ups.append(nn.Sequential(*more, *_double(2 * channels, upsampling)))
        # names of their own, since both make images but from other features
        last = nn.Sequential(_wide(width // 2**enhancers, out_channels), nn.Tanh())
        self.to_image = nn.ModuleDict({f"enhanced_{enhancers}" if enhancers else "coarse": last})

        self.centres: Tensor
        self.found: Tensor
        self.register_buffer("centres", torch.zeros(num_classes, clusters, features))
        self.register_buffer("found", torch.ones(num_classes, dtype=torch.int64))  # the number of centres of a class
        init_normal(self)

    def forward(self, maps: Tensor, code: Tensor | None = None) -> Tensor:
        """Map label maps (N, 1 or 3, H, W) to images (N, C, H, W) in [-1, 1].

        Args:
            maps: the label maps.
            code: if the network takes features: a code float (N, num_classes), or features float (N, features, H, W).
        """
        check_sides(maps, maps.shape[1], minimum=self.minimum, multiple=self.multiple)
        planes = self.planes(maps)
        if self.features:
            if code is None:
                raise ValueError("this network takes features of instances and was given none: pass a code")
            features = code if code.dim() == 4 else self.chosen(planes, code)
            planes = torch.cat([planes, features.to(planes.dtype)], dim=1)
        sizes = [planes]
        for _ in self.enhancer_ups:
            sizes.append(avg_pool2d(sizes[-1], 3, stride=2, padding=1, count_include_pad=False))
        with torch.no_grad() if self.coarse_is_fixed else nullcontext():
            x = self.coarse(sizes[-1])
        for planes, down, up in zip(sizes[-2::-1], self.enhancer_downs, self.enhancer_ups, strict=True):
            x = up(down(planes) + x)
        (last,) = self.to_image.values()
        return last(x)

    def chosen(self, planes: Tensor, code: Tensor) -> Tensor:
        """Return features (N, features, H, W) on planes (N, channels, H, W), by a code (N, num_classes)."""
        share = (1 + torch.erf(code / math.sqrt(2))) / 2  # uniform from 0 to 1
        place = torch.minimum((share * self.found).long(), self.found - 1)
        classes = torch.arange(len(self.found), device=code.device)
        centres = self.centres[classes, place]  # (N, num_classes, features)
        return torch.einsum("nkhw,nkf->nfhw", planes[:, : len(self.found)], centres.to(planes.dtype))


class InstanceEncoder(Network):
    """Maps images to a few features, each averaged over an instance: the whole of it has one value (section 3.4).

    An encoder halves the image `halvings` times and doubles it back. The defaults have the authors' 788,803 parameters.

    Args:
        in_channels: channels of the image.
        features: number of features, each in [-1, 1].
        width: channels at full size; doubled each time that the size is halved.
        halvings: number of times that the size is halved.
    """

    def __init__(
        self,
        in_channels: PositiveInt = 3,
        features: PositiveInt = 3,
        width: PositiveInt = 16,
        halvings: PositiveInt = 4,
    ) -> None:
        super().__init__()
        self.in_channels, self.features = in_channels, features
        self.multiple = self.minimum = 2**halvings
        widths = [width * 2**level for level in range(halvings + 1)]
        self.net = nn.Sequential(
            *_normalised(_wide(in_channels, width), width),
            *itertools.chain.from_iterable(_half(channels) for channels in widths[:-1]),
            *itertools.chain.from_iterable(_double(channels) for channels in widths[:0:-1]),
            _wide(width, features),
            nn.Tanh(),
        )
        init_normal(self)

    def forward(self, images: Tensor, maps: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] and their label maps (N, 1 or 3, H, W) to features (N, features, H, W)."""
        check_sides(images, self.in_channels, minimum=self.minimum, multiple=self.multiple)
        return instance_means(self.net(images), maps)


def instance_means(values: Tensor, maps: Tensor) -> Tensor:
    """Return values float (N, F, H, W) averaged over each instance of label maps (N, 1 or 3, H, W), of the same shape.

    An instance is all pixels of an image with the same class and the same instance number.
    """
    levels = levels_of(maps)
    image = torch.arange(len(levels), device=levels.device)[:, None, None]
    numbers = image
    for level in levels.unbind(1):
        numbers = 256 * numbers + level
    instances, where = torch.unique(numbers, return_inverse=True)
    where = where.flatten()
    flat = values.float().movedim(1, 3).flatten(0, 2)  # (N·H·W, F)
    sums = flat.new_zeros(len(instances), flat.shape[1]).index_add(0, where, flat)
    counts = torch.bincount(where, minlength=len(instances)).to(sums.dtype)
    means = (sums / counts[:, None])[where]
    return means.view(len(levels), *levels.shape[2:], -1).movedim(3, 1).to(values.dtype)
