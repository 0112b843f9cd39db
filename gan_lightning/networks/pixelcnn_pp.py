"""The network of PixelCNN++.

Salimans, Karpathy, Chen, Kingma, "PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and
Other Modifications", 2017, arXiv 1701.05517, with the layers of the authors' code (openai/pixel-cnn).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from gan_lightning.layers.logistic import draw_mixture, maps_of, nats_of_mixture
from gan_lightning.networks.base import AutoregressiveNetwork
from gan_lightning.ranges import NonNegativeInt, PositiveInt, ShareBelowOne


def concat_elu(x: Tensor) -> Tensor:
    """Return ELU of maps (N, C, H, W) and of their negatives, (N, 2 C, H, W)."""
    return F.elu(torch.cat([x, -x], dim=1))


class ShiftedConv2d(nn.Module):
    """A convolution of normalised weights that ends at the pixel: above (and on both sides), or above and to the left.

    Args:
        inputs: number of maps that it sees.
        outputs: number of maps that it makes.
        kernel: height and width of its field.
        left: end at the pixel's column too. Otherwise, see as far to the right as to the left.
        stride: of the outputs.
    """

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], left: bool, stride: int = 1) -> None:
        super().__init__()
        height, width = kernel
        sides = (width - 1, 0) if left else (width // 2, width // 2)
        self.padding = (*sides, height - 1, 0)
        self.conv = weight_norm(nn.Conv2d(inputs, outputs, kernel, stride))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        return self.conv(F.pad(x, self.padding))


class ShiftedUp(nn.Module):
    """A transposed convolution to twice the size, whose outputs see no later input.

    Args:
        maps: number of maps.
        left: as `ShiftedConv2d`.
    """

    def __init__(self, maps: int, left: bool) -> None:
        super().__init__()
        self.left = left
        kernel, more = ((2, 2), 0) if left else ((2, 3), (0, 1))
        self.conv = weight_norm(nn.ConvTranspose2d(maps, maps, kernel, 2, output_padding=more), dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, maps, H, W) to (N, maps, 2 H, 2 W)."""
        y = self.conv(x)
        return y if self.left else y[..., 1:-1]


class GatedResidual(nn.Module):
    """A gated residual layer with an input beside x: x + a ⊙ σ(b), (a, b) of two convolutions.

    Args:
        width: number of maps of x.
        beside: number of maps of the input beside. 0 = none.
        left: as `ShiftedConv2d`.
        dropout: probability of dropout between the convolutions.
        num_classes: number of classes. 0 = none.
    """

    def __init__(self, width: int, beside: int, left: bool, dropout: float, num_classes: int) -> None:
        super().__init__()
        kernel = (2, 2) if left else (2, 3)
        self.first = ShiftedConv2d(2 * width, width, kernel, left)
        self.beside = weight_norm(nn.Conv2d(2 * beside, width, 1)) if beside else None
        self.dropout = nn.Dropout(dropout)
        self.second = ShiftedConv2d(2 * width, 2 * width, kernel, left)
        self.classes = nn.Embedding(num_classes, 2 * width) if num_classes else None
        if self.classes is not None:
            nn.init.normal_(self.classes.weight, std=0.05)

    def forward(self, x: Tensor, beside: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """Map (N, width, H, W) to maps of the same shape."""
        y = self.first(concat_elu(x))
        if self.beside is not None and beside is not None:
            y = y + self.beside(concat_elu(beside))
        y = self.second(self.dropout(concat_elu(y)))
        if self.classes is not None:
            y = y + self.classes(labels)[:, :, None, None]
        a, b = y.chunk(2, dim=1)
        return x + a * b.sigmoid()


class PixelCNNPlusPlusNetwork(AutoregressiveNetwork):
    """Two streams, of the pixels above and of those above and to the left, at three sizes, with shortcuts between.

    Its outputs are the parameters of a mixture of logistics at each pixel (see `gan_lightning.layers.logistic`).

    Args:
        image_size: height and width of an image, in pixels; multiples of 4.
        channels: colours of a pixel.
        levels: number of values of a colour.
        width: maps of each stream.
        layers: residual layers at each size.
        components: logistics of a mixture.
        dropout: probability of dropout in residual layers.
        num_classes: number of classes. 0 = the network takes no labels.

    NOTE: the authors' code begins with weights that normalise the first batch; here they are PyTorch's.
    NOTE: while it samples, the whole network is computed for each pixel: the streams of smaller sizes keep nothing.
    """

    def __init__(
        self,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 32,
        channels: PositiveInt = 3,
        levels: PositiveInt = 256,
        width: PositiveInt = 160,
        layers: PositiveInt = 5,
        components: PositiveInt = 10,
        dropout: ShareBelowOne = 0.5,
        num_classes: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        height, across = (image_size, image_size) if isinstance(image_size, int) else image_size
        if height % 4 or across % 4:
            raise ValueError(f"image_size {height}x{across} is halved twice: make it multiples of 4")
        self.image_shape, self.levels, self.num_classes = (channels, height, across), levels, num_classes
        inputs = channels + 1  # with a map of ones, which padding does not have

        def above(beside: int) -> GatedResidual:
            return GatedResidual(width, beside, False, dropout, num_classes)

        def left(beside: int) -> GatedResidual:
            return GatedResidual(width, beside, True, dropout, num_classes)

        self.first_above = ShiftedConv2d(inputs, width, (2, 3), left=False)
        self.first_row = ShiftedConv2d(inputs, width, (1, 3), left=False)
        self.first_left = ShiftedConv2d(inputs, width, (2, 1), left=True)
        self.down_above = nn.ModuleList(nn.ModuleList(above(0) for _ in range(layers)) for _ in range(3))
        self.down_left = nn.ModuleList(nn.ModuleList(left(width) for _ in range(layers)) for _ in range(3))
        self.halve_above = nn.ModuleList(ShiftedConv2d(width, width, (2, 3), False, 2) for _ in range(2))
        self.halve_left = nn.ModuleList(ShiftedConv2d(width, width, (2, 2), True, 2) for _ in range(2))
        counts = [layers, layers + 1, layers + 1]
        self.up_above = nn.ModuleList(nn.ModuleList(above(width) for _ in range(count)) for count in counts)
        self.up_left = nn.ModuleList(nn.ModuleList(left(2 * width) for _ in range(count)) for count in counts)
        self.double_above = nn.ModuleList(ShiftedUp(width, left=False) for _ in range(2))
        self.double_left = nn.ModuleList(ShiftedUp(width, left=True) for _ in range(2))
        self.last = weight_norm(nn.Conv2d(width, maps_of(channels, components), 1))

    @property
    def passes(self) -> int:
        """One: the colours of a pixel depend on each other by the mixture alone."""
        return 1

    @property
    def noise_shape(self) -> tuple[int, int, int]:
        """A number for the component, and one for each colour."""
        channels, height, width = self.image_shape
        return (1 + channels, height, width)

    def nats(self, output: Tensor, values: Tensor) -> Tensor:
        """Return -log p of each image, (N,), under the mixtures."""
        return nats_of_mixture(output, values, self.levels)

    def draw(self, output: Tensor, noise: Tensor, values: Tensor, number: int) -> None:
        """Draw all colours of a pixel."""
        draw_mixture(output, noise, values, self.levels)

    def embed(self, values: Tensor) -> Tensor:
        """Convert values int64 (N, C, H, W) to float32 in [-1, 1]."""
        return values.float() * (2 / (self.levels - 1)) - 1

    def forward(self, values: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map values int64 (N, C, H, W), and labels int64 (N,), to parameters (N, maps, H, W)."""
        self.check(values, labels)
        x = self.embed(values)
        x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        u = [_down(self.first_above(x))]
        ul = [_down(self.first_row(x)) + F.pad(self.first_left(x), (1, 0))[..., :-1]]
        for size, (above, left) in enumerate(zip(self.down_above, self.down_left, strict=True)):
            for of_above, of_left in zip(above, left, strict=True):  # type: ignore[call-overload]
                u.append(of_above(u[-1], None, labels))
                ul.append(of_left(ul[-1], u[-1], labels))
            if size < 2:
                u.append(self.halve_above[size](u[-1]))
                ul.append(self.halve_left[size](ul[-1]))
        a, b = u.pop(), ul.pop()
        for size, (above, left) in enumerate(zip(self.up_above, self.up_left, strict=True)):
            for of_above, of_left in zip(above, left, strict=True):  # type: ignore[call-overload]
                a = of_above(a, u.pop(), labels)
                b = of_left(b, torch.cat([a, ul.pop()], dim=1), labels)
            if size < 2:
                a, b = self.double_above[size](a), self.double_left[size](b)
        return self.last(F.elu(b))


def _down(x: Tensor) -> Tensor:
    return F.pad(x, (0, 0, 1, 0))[:, :, :-1]
