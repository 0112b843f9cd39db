"""The network of MADE: an autoencoder whose masks make it autoregressive.

Germain, Gregor, Murray, Larochelle, "MADE: Masked Autoencoder for Distribution Estimation", 2015, arXiv 1502.03509.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from gan_lightning.layers.masked import MaskedLinear
from gan_lightning.networks.base import AutoregressiveNetwork, Steps
from gan_lightning.ranges import NonNegativeInt, PositiveInt


class MADENetwork(AutoregressiveNetwork):
    """Fully connected layers with masks; rectifiers between.

    Value d, from 1 to D in the order of rows, columns and colours, is an input of degree d. A hidden unit of degree m
    sees inputs and units of degree m at most (equation 12), and the outputs for value d see hidden units of degree
    below d (equation 13).

    Args:
        image_size: height and width of an image, in pixels.
        channels: colours of a pixel.
        levels: number of values of a colour: 2 for black and white, 256 for stored images.
        hidden: units of each hidden layer.
        num_classes: number of classes. 0 = the network takes no labels.

    NOTE: degrees of hidden units go evenly from 1 to D - 1, and the order of values is fixed; the paper also draws both
        anew while it trains.
    """

    def __init__(
        self,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 28,
        channels: PositiveInt = 1,
        levels: PositiveInt = 2,
        hidden: Sequence[PositiveInt] = (500,),
        num_classes: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if levels < 2 or not hidden:
            raise ValueError(f"levels are 2 at least and hidden names a layer at least, not {levels} and {hidden}")
        self.image_shape, self.levels, self.num_classes = (channels, height, width), levels, num_classes
        self.outputs = 1 if levels == 2 else levels  # black and white: the logit of white
        inputs = torch.arange(1, channels * height * width + 1)
        # with a single value there is nothing to see
        units = [torch.linspace(1, max(1, len(inputs) - 1), count).round().long() for count in hidden]
        degrees = [inputs, *units]
        self.layers = nn.ModuleList(MaskedLinear(before, after, own=True) for before, after in pairwise(degrees))
        self.out = MaskedLinear(degrees[-1], inputs.repeat_interleave(self.outputs), own=False)
        self.classes = nn.Embedding(num_classes, hidden[0]) if num_classes else None

    def in_order(self, values: Tensor) -> Tensor:
        """Convert values int64 (N, C, H, W) to inputs float32 (N, D) in [-1, 1], in their order."""
        return (values.float() * (2 / (self.levels - 1)) - 1).permute(0, 2, 3, 1).flatten(1)

    def as_logits(self, outputs: Tensor) -> Tensor:
        """Convert outputs (N, ..., `outputs`) to logits (N, levels, ...)."""
        logits = outputs.movedim(-1, 1)
        return torch.cat([torch.zeros_like(logits), logits], dim=1) if self.outputs == 1 else logits

    def forward(self, values: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map values int64 (N, C, H, W), and labels int64 (N,), to logits (N, levels, C, H, W)."""
        channels, height, width = self.image_shape
        self.check(values, labels)
        x = self.layers[0](self.in_order(values))
        if self.classes is not None:
            x = x + self.classes(labels)
        for layer in self.layers[1:]:
            x = layer(x.relu())
        outputs = self.out(x.relu()).view(len(values), height, width, channels, self.outputs)
        return self.as_logits(outputs).permute(0, 1, 4, 2, 3)

    def begin(self, count: int, labels: Tensor | None = None) -> Steps:
        """Return the evaluation value by value: each adds to the first layer, and asks for its own outputs only."""
        return _MADESteps(self, count, labels)


class _MADESteps(Steps):
    def __init__(self, network: MADENetwork, count: int, labels: Tensor | None) -> None:
        self.network = network
        first: MaskedLinear = network.layers[0]  # type: ignore[assignment]
        self.columns = (first.weight * first.mask).T.contiguous()  # of each input
        self.sums = first.bias.expand(count, -1)
        if network.classes is not None:
            self.sums = self.sums + network.classes(labels)
        inner: list[MaskedLinear] = [*network.layers[1:]]
        self.inner = [(layer.weight * layer.mask, layer.bias) for layer in inner]
        self.out, self.bias = network.out.weight * network.out.mask, network.out.bias
        self.known = 0  # values whose part is in `sums`

    def at(self, values: Tensor, row: int, column: int) -> Tensor:
        network = self.network
        channels, _, width = network.image_shape
        start = (row * width + column) * channels
        scale = 2 / (network.levels - 1)
        if self.known < start:  # the pixel before is complete
            before = divmod(start // channels - 1, width)
            pixel = values[:, :, before[0], before[1]].float() * scale - 1
            self.sums = self.sums + pixel @ self.columns[self.known : start]
            self.known = start
        sums = self.sums
        for channel in range(channels - 1):  # colours of this pixel may be known, for the later ones
            own = values[:, channel, row, column, None].float() * scale - 1
            sums = sums + own * self.columns[start + channel]
        x = sums
        for weight, bias in self.inner:
            x = nn.functional.linear(x.relu(), weight, bias)
        rows = slice(start * network.outputs, (start + channels) * network.outputs)
        outputs = nn.functional.linear(x.relu(), self.out[rows], self.bias[rows])
        return network.as_logits(outputs.view(len(values), channels, network.outputs))
