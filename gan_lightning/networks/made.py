"""The network of MADE: an autoencoder whose masks make it autoregressive.

Germain, Gregor, Murray, Larochelle, "MADE: Masked Autoencoder for Distribution Estimation", 2015, arXiv 1502.03509.
"""

from bisect import bisect_right
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
        most = max(1, len(inputs) - 1)  # with a single value there is nothing to see
        self.degrees = [[1 + k * (most - 1) // max(1, count - 1) for k in range(count)] for count in hidden]
        degrees = [inputs, *map(torch.tensor, self.degrees)]
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
        """Return the evaluation value by value, in which each hidden unit is computed once."""
        return _MADESteps(self, count, labels)


class _MADESteps(Steps):
    """A hidden unit is computed once, when all values that it sees are known."""

    def __init__(self, network: MADENetwork, count: int, labels: Tensor | None) -> None:
        self.network = network
        layers: list[MaskedLinear] = [*network.layers]
        self.weights = [layer.weight * layer.mask for layer in layers]
        self.biases = [layer.bias for layer in layers]
        self.of_class = None if network.classes is None else network.classes(labels)
        self.out, self.bias = network.out.weight * network.out.mask, network.out.bias
        # inputs, and the units of each layer, in the order of their degrees
        widths = [layers[0].in_features, *(layer.out_features for layer in layers)]
        self.activations = [self.out.new_zeros(count, width) for width in widths]
        self.done = [0] * len(layers)

    def at(self, values: Tensor, row: int, column: int) -> Tensor:
        network = self.network
        channels, _, width = network.image_shape
        start = (row * width + column) * channels
        scale = 2 / (network.levels - 1)
        inputs = self.activations[0]
        if start:
            before = divmod(start // channels - 1, width)
            inputs[:, start - channels : start] = values[:, :, before[0], before[1]] * scale - 1
        inputs[:, start : start + channels] = values[:, :, row, column] * scale - 1  # of which some may be known
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            degrees = network.degrees[number]
            # units of this pixel's colours are computed again with each colour
            rows = slice(self.done[number], bisect_right(degrees, start + channels - 1))
            self.done[number] = bisect_right(degrees, start)
            units = nn.functional.linear(self.activations[number], weight[rows], bias[rows])
            if number == 0 and self.of_class is not None:
                units = units + self.of_class[:, rows]
            self.activations[number + 1][:, rows] = units.relu()
        rows = slice(start * network.outputs, (start + channels) * network.outputs)
        outputs = nn.functional.linear(self.activations[-1], self.out[rows], self.bias[rows])
        return network.as_logits(outputs.view(len(values), channels, network.outputs))
