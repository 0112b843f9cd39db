"""Networks of autoregressive models: PixelCNN, masked and gated.

`PixelCNNNetwork` is that of van den Oord, Kalchbrenner, Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016, arXiv
1601.06759, table 1; `GatedPixelCNNNetwork` that of van den Oord et al., "Conditional Image Generation with PixelCNN
Decoders", 2016, arXiv 1606.05328, figure 2.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers.masked import Field, MaskedConv2d
from gan_lightning.networks.base import AutoregressiveNetwork, Steps
from gan_lightning.ranges import NonNegativeInt, PositiveInt


class _OfPixels(AutoregressiveNetwork):
    """The parts that both networks share: sizes, inputs, and the layers from features to logits."""

    def __init__(
        self, image_size: int | tuple[int, int], channels: int, levels: int, num_classes: int, embedding: int
    ) -> None:
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if levels < 2:
            raise ValueError(f"a value has two levels at least, not {levels}: make levels 2 (black and white) to 256")
        self.image_shape, self.levels, self.num_classes = (channels, height, width), levels, num_classes
        self.embedding = nn.Embedding(levels, embedding) if embedding else None
        self.inputs = channels * (embedding or 1)

    def embed(self, values: Tensor) -> Tensor:
        """Convert values int64 (N, C, ...) to inputs float32 (N, inputs, ...), whose colours take turns."""
        if self.embedding is None:
            return values.float() * (2 / (self.levels - 1)) - 1
        embedded = self.embedding(values)  # (N, C, ..., E)
        return embedded.movedim(-1, 1).flatten(1, 2)

    def as_logits(self, maps: Tensor) -> Tensor:
        """Sort the maps (N, levels · C, ...) of the last layer to logits (N, levels, C, ...)."""
        return maps.unflatten(1, (self.levels, self.image_shape[0]))

    def complete(self, field: Field, values: Tensor, row: int, column: int) -> None:
        """Let the first layer take in the pixel before this one, all colours of which are known now."""
        if row or column:
            before = (row, column - 1) if column else (row - 1, self.image_shape[2] - 1)
            field.take(self.embed(values[:, :, before[0], before[1]]), *before)


class PixelCNNNetwork(_OfPixels):
    """A masked 7×7 convolution, residual blocks with masked 3×3 ones, and two layers of 1×1 to the logits.

    A block has 2h maps outside and h inside: 1×1 to h, 3×3, 1×1 to 2h, each after a rectifier; its input is added.

    Args:
        image_size: height and width of an image, in pixels.
        channels: colours of a pixel.
        levels: number of values of a colour: 2 for black and white, 256 for stored images.
        width: h.
        blocks: number of residual blocks.
        hidden: maps of each of the two layers before the logits. 0 = none of these layers' own: 2h.
        num_classes: number of classes. 0 = the network takes no labels.
        embedding: components of a learnt vector for each value, in place of its number. 0 = numbers in [-1, 1].
    """

    def __init__(
        self,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 28,
        channels: PositiveInt = 1,
        levels: PositiveInt = 256,
        width: PositiveInt = 32,
        blocks: PositiveInt = 7,
        hidden: NonNegativeInt = 0,
        num_classes: NonNegativeInt = 0,
        embedding: NonNegativeInt = 0,
    ) -> None:
        super().__init__(image_size, channels, levels, num_classes, embedding)
        outside, hidden = 2 * width, hidden or 2 * width
        self.first = MaskedConv2d(self.inputs, outside, 7, channels, own=False)
        self.classes = nn.Embedding(num_classes, outside) if num_classes else None
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                MaskedConv2d(before, after, kernel, channels, own=True)
                for before, after, kernel in ((outside, width, 1), (width, width, 3), (width, outside, 1))
            )
            for _ in range(blocks)
        )
        self.head = nn.ModuleList(
            MaskedConv2d(before, after, 1, channels, own=True)
            for before, after in ((outside, hidden), (hidden, hidden), (hidden, levels * channels))
        )

    def forward(self, values: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map values int64 (N, C, H, W), and labels int64 (N,), to logits (N, levels, C, H, W)."""
        self.check(values, labels)
        x = self.first(self.embed(values))
        if self.classes is not None:
            x = x + self.classes(labels)[:, :, None, None]
        for block in self.blocks:
            y = x
            for layer in block:  # type: ignore[attr-defined]
                y = layer(y.relu())
            x = x + y
        for layer in self.head:
            x = layer(x.relu())
        return self.as_logits(x)

    def begin(self, count: int, labels: Tensor | None = None) -> Steps:
        """Return the evaluation pixel by pixel, with the activations of all earlier pixels kept."""
        return _PixelCNNSteps(self, count, labels)


class _PixelCNNSteps(Steps):
    def __init__(self, network: PixelCNNNetwork, count: int, labels: Tensor | None) -> None:
        self.network = network
        size = network.image_shape[1:]
        self.first = Field(network.first, count, *size)
        self.blocks = [[Field(layer, count, *size) for layer in block] for block in network.blocks]  # type: ignore
        self.head = [Field(layer, count, *size) for layer in network.head]  # type: ignore[arg-type]
        self.classes = network.classes(labels) if network.classes is not None else None

    def at(self, values: Tensor, row: int, column: int) -> Tensor:
        self.network.complete(self.first, values, row, column)
        x = self.first(self.network.embed(values[:, :, row, column]), row, column)
        if self.classes is not None:
            x = x + self.classes
        for block in self.blocks:
            y = x
            for field in block:
                y = field(y.relu(), row, column)
            x = x + y
        for field in self.head:
            x = field(x.relu(), row, column)
        return self.network.as_logits(x)


class GatedLayer(nn.Module):
    """One layer of the two stacks: the vertical one sees rows, the horizontal one its own row and the other stack.

    Map i of the vertical stack sees all pixels of row i and of the rows above, so that the horizontal stack takes it
    from the row above its own. Both are gated, tanh(W_f x + V_f h) σ(W_g x + V_g h) (equation 2), h the class.

    Args:
        vertical: maps of the vertical stack before the layer.
        horizontal: maps of the horizontal stack before the layer.
        width: maps of each stack after the layer.
        kernel: height and width of the field, odd.
        colours: number of colours of the image.
        is_first: the layer sees values of the image: by mask A, and without a residual connection.
        num_classes: number of classes h. 0 = none.
    """

    def __init__(
        self,
        vertical: int,
        horizontal: int,
        width: int,
        kernel: int,
        colours: int,
        is_first: bool,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.reach, self.is_first = kernel // 2, is_first
        self.vertical = nn.Conv2d(vertical, 2 * width, (self.reach + 1, kernel))
        self.link = nn.Conv2d(2 * width, 2 * width, 1)
        self.horizontal = MaskedConv2d(horizontal, 2 * width, kernel, colours, own=not is_first, parts=2, only_row=True)
        self.out = MaskedConv2d(width, width, 1, colours, own=True)
        self.classes = nn.Embedding(num_classes, 4 * width) if num_classes else None
        if self.classes is not None:
            nn.init.normal_(self.classes.weight, std=0.05)

    def of_class(self, labels: Tensor | None) -> tuple[Tensor | float, Tensor | float]:
        """Return what a class adds to both stacks before the gate, (N, 2 · width) each."""
        if self.classes is None or labels is None:
            return 0.0, 0.0
        vertical, horizontal = self.classes(labels).chunk(2, dim=1)
        return vertical, horizontal

    def forward(self, v: Tensor, h: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Map both stacks, (N, ..., H, W) each, to the next maps of both."""
        of_v, of_h = (each if isinstance(each, float) else each[:, :, None, None] for each in self.of_class(labels))
        reach = self.reach
        rows = self.vertical(F.pad(v, (reach, reach, reach, 0)))
        above = F.pad(rows, (0, 0, 1, 0))[:, :, :-1]
        across = self.horizontal(h) + self.link(above)
        out = self.out(gate(across + of_h))
        return gate(rows + of_v), out if self.is_first else h + out


def gate(x: Tensor) -> Tensor:
    """Return tanh of the first half of the maps (N, 2p, ...) times σ of the second half."""
    a, b = x.chunk(2, dim=1)
    return a.tanh() * b.sigmoid()


class GatedPixelCNNNetwork(_OfPixels):
    """Two stacks of gated layers, of which the horizontal one gives the logits; no blind spot.

    Args:
        image_size: height and width of an image, in pixels.
        channels: colours of a pixel.
        levels: number of values of a colour: 2 for black and white, 256 for stored images.
        width: maps of each stack.
        layers: number of gated layers, with the first.
        kernel: height and width of a layer's field, odd; of the first layer, 7.
        hidden: maps of the layer before the logits. 0 = as many as a stack has.
        num_classes: number of classes. 0 = the network takes no labels.
        embedding: components of a learnt vector for each value, in place of its number. 0 = numbers in [-1, 1].
    """

    def __init__(
        self,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 28,
        channels: PositiveInt = 1,
        levels: PositiveInt = 256,
        width: PositiveInt = 64,
        layers: PositiveInt = 8,
        kernel: PositiveInt = 3,
        hidden: NonNegativeInt = 0,
        num_classes: NonNegativeInt = 0,
        embedding: NonNegativeInt = 0,
    ) -> None:
        super().__init__(image_size, channels, levels, num_classes, embedding)
        hidden = hidden or width
        self.layers = nn.ModuleList(
            GatedLayer(
                self.inputs if number == 0 else width,
                self.inputs if number == 0 else width,
                width,
                7 if number == 0 else kernel,
                channels,
                is_first=number == 0,
                num_classes=num_classes,
            )
            for number in range(layers)
        )
        self.head = nn.ModuleList(
            MaskedConv2d(before, after, 1, channels, own=True)
            for before, after in ((width, hidden), (hidden, levels * channels))
        )

    def forward(self, values: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map values int64 (N, C, H, W), and labels int64 (N,), to logits (N, levels, C, H, W)."""
        self.check(values, labels)
        v = h = self.embed(values)
        for layer in self.layers:
            v, h = layer(v, h, labels)
        for layer in self.head:
            h = layer(h.relu())
        return self.as_logits(h)

    def begin(self, count: int, labels: Tensor | None = None) -> Steps:
        """Return the evaluation pixel by pixel: the vertical stack row by row, the horizontal one from kept values."""
        return _GatedSteps(self, count, labels)


class _GatedSteps(Steps):
    """The vertical stack of a whole row is computed once, when the row above is known."""

    def __init__(self, network: GatedPixelCNNNetwork, count: int, labels: Tensor | None) -> None:
        self.network = network
        _, height, width = network.image_shape
        self.layers: list[GatedLayer] = [*network.layers]
        self.of_class = [layer.of_class(labels) for layer in self.layers]
        self.rows = [  # that each vertical convolution sees
            layer.vertical.weight.new_zeros(count, layer.vertical.in_channels, layer.reach + 1, width + 2 * layer.reach)
            for layer in self.layers
        ]
        self.fields = [Field(layer.horizontal, count, height, width) for layer in self.layers]
        self.outs = [Field(layer.out, count, height, width) for layer in self.layers]
        self.head = [Field(layer, count, height, width) for layer in network.head]  # type: ignore[arg-type]
        self.above = [  # by the link, (W, N, 2 · width), with what the class adds
            self._linked(layer, layer.vertical.weight.new_zeros(count, layer.vertical.out_channels, 1, width), of_h)
            for layer, (_, of_h) in zip(self.layers, self.of_class, strict=True)
        ]
        self.row = 0

    @staticmethod
    def _linked(layer: GatedLayer, rows: Tensor, of_h: Tensor | float) -> Tensor:
        return layer.link(rows)[:, :, 0].permute(2, 0, 1) + of_h

    def _finish(self, values: Tensor, row: int) -> None:
        """Compute the vertical stack at a row that is known."""
        v = self.network.embed(values[:, :, row])[:, :, None]  # (N, inputs, 1, W)
        for number, layer in enumerate(self.layers):
            reach = layer.reach
            self.rows[number] = torch.cat([self.rows[number][:, :, 1:], F.pad(v, (reach, reach))], dim=2)
            rows = layer.vertical(self.rows[number])
            of_v, of_h = self.of_class[number]
            self.above[number] = self._linked(layer, rows, of_h)
            v = gate(rows + (of_v if isinstance(of_v, float) else of_v[:, :, None, None]))

    def at(self, values: Tensor, row: int, column: int) -> Tensor:
        if row != self.row:
            self._finish(values, self.row)
            self.row = row
        elif column:
            self.network.complete(self.fields[0], values, row, column)
        h = self.network.embed(values[:, :, row, column])
        for layer, field, out, above in zip(self.layers, self.fields, self.outs, self.above, strict=True):
            after = out(gate(field(h, row, column) + above[column]), row, column)
            h = after if layer.is_first else h + after
        for each in self.head:
            h = each(h.relu(), row, column)
        return self.network.as_logits(h)
