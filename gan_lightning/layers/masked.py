"""Masked layers: an output sees only the values that come before its own, in a fixed order.

Pixels come row by row, each row from left to right, and the colours of a pixel come one after another. Feature maps
belong to colours too, in turn: those of colour c see, at their own pixel, only the colours before c (mask A, for the
first layer), or also c (mask B, for all others), as in van den Oord et al. 2016, arXiv 1601.06759, section 3.4.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def colours_of(maps: int, colours: int, parts: int = 1) -> Tensor:
    """Return the colour that each of some feature maps belongs to, int64 (maps,): each of their parts begins anew."""
    return (torch.arange(maps // parts) % colours).repeat(parts)


class MaskedConv2d(nn.Conv2d):
    """A convolution that sees the rows above, the pixels to the left, and of its own pixel what the mask leaves.

    Height and width stay as they are.

    Args:
        inputs: number of feature maps, or of values of a pixel, that it sees.
        outputs: number of feature maps that it makes.
        kernel: height and width of its field, odd; the rows below the middle are masked whole, or left out.
        colours: number of colours of the image.
        own: show the own colour (mask B), or only those before (mask A).
        parts: number of equal parts of the outputs, in each of which the colours take turns; 2 for gates.
        only_row: see no row but its own: a kernel of height 1.
    """

    mask: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        colours: int,
        own: bool,
        parts: int = 1,
        only_row: bool = False,
    ) -> None:
        if kernel % 2 == 0:
            raise ValueError(f"a masked field has a middle, so that its kernel is odd, not {kernel}: make it odd")
        reach = kernel // 2
        self.reach = reach
        self.above = 0 if only_row else reach
        super().__init__(inputs, outputs, (self.above + 1, reach + 1 if only_row else kernel))
        before = colours_of(inputs, colours)[None, :]
        after = colours_of(outputs, colours, parts)[:, None]
        mask = torch.ones_like(self.weight)
        mask[:, :, -1, reach + 1 :] = 0
        mask[:, :, -1, reach] = (before <= after if own else before < after).to(mask)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W)."""
        right = self.weight.shape[3] - 1 - self.reach
        padded = F.pad(x, (self.reach, right, self.above, 0)) if self.reach else x
        return F.conv2d(padded, self.weight * self.mask, self.bias)

    def matrix(self) -> Tensor:
        """Return the weights of the rows above and of the pixels up to the own, for `Field`: (taps · inputs, outputs).

        Taps are those above, row by row, then those of the own row.
        """
        weight = (self.weight * self.mask).permute(2, 3, 1, 0)  # (rows, columns, inputs, outputs)
        above, own = weight[:-1].flatten(0, 1), weight[-1, : self.reach + 1]
        return torch.cat([above, own]).flatten(0, 1).contiguous()


class Field:
    """The values that a `MaskedConv2d` has seen so far, of which it makes its outputs pixel by pixel.

    Args:
        layer: the convolution.
        count: number of images.
        height: of the images, in pixels.
        width: of the images, in pixels.
    """

    def __init__(self, layer: MaskedConv2d, count: int, height: int, width: int) -> None:
        self.reach, self.above = layer.reach, layer.above
        assert layer.bias is not None
        self.matrix, self.bias = layer.matrix(), layer.bias
        shape = (count, height + self.above, width + 2 * self.reach, layer.in_channels)
        # a kernel of one row keeps one row: that of the pixel at work
        self.values = layer.weight.new_zeros(shape if self.above else (count, 1, *shape[2:]))

    def __call__(self, inputs: Tensor, row: int, column: int) -> Tensor:
        """Take in the inputs (N, inputs) of a pixel, and return the outputs there, (N, outputs).

        Of the first layer, inputs of a pixel are known only when the next one is asked for: `take` them then.
        """
        if not self.reach:
            return torch.addmm(self.bias, inputs, self.matrix)
        if column == 0 and not self.above:
            self.values.zero_()
        self.take(inputs, row, column)
        own = row + self.above if self.above else 0
        seen = self.values[:, own, column : column + self.reach + 1].flatten(1)
        if self.above:
            rows = self.values[:, row:own, column : column + 2 * self.reach + 1].flatten(1)
            seen = torch.cat([rows, seen], dim=1)
        return torch.addmm(self.bias, seen, self.matrix)

    def take(self, inputs: Tensor, row: int, column: int) -> None:
        """Take in the inputs (N, inputs) of a pixel, in place of earlier ones."""
        self.values[:, row + self.above if self.above else 0, column + self.reach] = inputs


class MaskedLinear(nn.Linear):
    """A linear layer between units with degrees: a unit sees those of lower degree, or of its own.

    Args:
        before: the degree of each input, int64 (inputs,).
        after: the degree of each output, int64 (outputs,).
        own: see inputs of the own degree too.
    """

    mask: Tensor

    def __init__(self, before: Tensor, after: Tensor, own: bool) -> None:
        super().__init__(len(before), len(after))
        seen = before[None] <= after[:, None] if own else before[None] < after[:, None]
        self.register_buffer("mask", seen.to(self.weight.dtype), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs) to (N, outputs)."""
        return F.linear(x, self.weight * self.mask, self.bias)
