"""Layers that can be inverted, with the logarithms of their determinants."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm


def squeeze(x: Tensor) -> Tensor:
    """Turn each 2×2 block of pixels into one pixel of 4 C maps: (N, C, H, W) to (N, 4 C, H/2, W/2).

    Maps of a pixel of the block stay together: upper left, upper right, lower left, lower right.
    """
    n, c, h, w = x.shape
    return x.view(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(n, 4 * c, h // 2, w // 2)


def unsqueeze(x: Tensor) -> Tensor:
    """Invert `squeeze`."""
    n, c, h, w = x.shape
    return x.view(n, 2, 2, c // 4, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // 4, 2 * h, 2 * w)


class BatchNormFlow(nn.Module):
    """Batch normalisation of the values that a mask marks, with the logarithm of its determinant.

    y = (x - μ) / √(σ² + ε), with the moments of each map over the batch in training, and their running means
    otherwise, also to invert it (Dinh et al. 2016, arXiv 1605.08803, section 3.7).

    Args:
        maps: number of maps.
        decay: share of the running moments that a batch leaves.
        epsilon: ε.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, maps: int, decay: float = 0.9, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.decay, self.epsilon = decay, epsilon
        self.register_buffer("mean", torch.zeros(maps))
        self.register_buffer("variance", torch.ones(maps))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise the values (N, maps, H, W) where the mask (1, maps or 1, H, W) is 1; return log |det|, (N,)."""
        mask = mask.expand(1, x.shape[1], *x.shape[2:])
        marked = mask.sum((0, 2, 3))  # of an image, in each map
        if self.training:
            count = (len(x) * marked).clamp_min(1)
            mean = (x * mask).sum((0, 2, 3)) / count
            variance = ((x - mean[:, None, None]).square() * mask).sum((0, 2, 3)) / count
            with torch.no_grad():
                seen = marked > 0
                for running, now in ((self.mean, mean), (self.variance, variance)):
                    running.copy_(torch.where(seen, running.lerp(now, 1 - self.decay), running))
        else:
            mean, variance = self.mean, self.variance
        scale = (variance + self.epsilon).rsqrt()
        y = (x - mean[:, None, None]) * scale[:, None, None]
        return torch.where(mask > 0, y, x), (marked * scale.log()).sum().expand(len(x))

    def inverse(self, y: Tensor, mask: Tensor) -> Tensor:
        """Invert `forward`, by the running moments."""
        x = y * (self.variance + self.epsilon).sqrt()[:, None, None] + self.mean[:, None, None]
        return torch.where(mask > 0, x, y)


class CouplingNetwork(nn.Module):
    """The residual network from half of the values to scales and translations of the others.

    Its input is normalised over the batch, doubled, and concatenated with its negative and the mask. Convolutions have
    normalised weights (Salimans & Kingma 2016, arXiv 1602.07868), and batch norm and a rectifier come before each. The
    outputs of all blocks are added by 1×1 convolutions.

    Args:
        maps: number of maps of the input; there are twice as many outputs.
        width: maps inside.
        blocks: number of residual blocks.
    """

    def __init__(self, maps: int, width: int, blocks: int) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm2d(maps)
        self.first = weight_norm(nn.Conv2d(2 * maps + 1, width, 3, padding=1))
        self.skip = weight_norm(nn.Conv2d(width, width, 1))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(nn.BatchNorm2d(width), nn.ReLU(), weight_norm(nn.Conv2d(width, width, 3, padding=1, bias=False))),
                *(nn.BatchNorm2d(width), nn.ReLU(), weight_norm(nn.Conv2d(width, width, 3, padding=1))),
            )
            for _ in range(blocks)
        )
        self.skips = nn.ModuleList(weight_norm(nn.Conv2d(width, width, 1)) for _ in range(blocks))
        self.last = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), weight_norm(nn.Conv2d(width, 2 * maps, 1)))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Map visible values (N, maps, H, W) and their mask to scales before tanh and translations, of that shape."""
        h = 2 * self.normalise(x)
        plane = mask[:, :1].expand(len(x), 1, *x.shape[2:])
        h = self.first(torch.cat([h, -h, plane], dim=1).relu())
        total = self.skip(h)
        for block, skip in zip(self.blocks, self.skips, strict=True):
            h = h + block(h)
            total = total + skip(h)
        scale, shift = self.last(total).chunk(2, dim=1)
        # under autocast only the convolutions are of low precision: what is inverted is not
        return scale.to(x.dtype), shift.to(x.dtype)


class Coupling(nn.Module):
    """An affine coupling layer: values that a mask hides are moved and scaled, as those that it shows decide.

    y = b ⊙ x + (1 - b) ⊙ (x + t(b ⊙ x)) ⊙ e^s, s = a tanh(s'(b ⊙ x)), a learnt for each map from 0 on; then the values
    that were moved are normalised over the batch. log |det| = Σ (1 - b) s + that of the batch norm (Dinh et al. 2016,
    equations 4 to 9; translation before scale as in the authors' code).

    Args:
        maps: number of maps of the values.
        width: maps inside its network.
        blocks: residual blocks of its network.
        checkerboard: the mask b shows every second pixel. Otherwise, half of the maps, which the network then takes
            alone.
        flipped: show those that the mask would hide.
    """

    def __init__(self, maps: int, width: int, blocks: int, checkerboard: bool, flipped: bool) -> None:
        super().__init__()
        self.checkerboard, self.flipped = checkerboard, flipped
        inside = maps if checkerboard else maps // 2
        self.network = CouplingNetwork(inside, width, blocks)
        self.size = nn.Parameter(torch.zeros(inside, 1, 1))
        self.norm = BatchNormFlow(inside)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the visible values, the values that move, and the mask of those (1, 1, H, W)."""
        if self.checkerboard:
            rows, columns = (torch.arange(length, device=x.device) for length in x.shape[2:])
            hidden = ((rows[:, None] + columns) % 2 == int(self.flipped)).to(x)[None, None]
            return x * (1 - hidden), x, hidden
        first, second = x.chunk(2, dim=1)
        shown, moved = (second, first) if self.flipped else (first, second)
        return shown, moved, torch.ones_like(x[:1, :1])

    def _join(self, shown: Tensor, moved: Tensor, hidden: Tensor) -> Tensor:
        if self.checkerboard:
            return torch.where(hidden > 0, moved, shown)
        return torch.cat([moved, shown] if self.flipped else [shown, moved], dim=1)

    def _moves(self, shown: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = self.network(shown, 1 - hidden if self.checkerboard else hidden)
        return self.size * scale.tanh() * hidden, shift * hidden

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map values (N, maps, H, W) to values of the same shape; return log |det| too, (N,)."""
        shown, moved, hidden = self._split(x)
        s, t = self._moves(shown, hidden)
        moved, of_norm = self.norm((moved + t) * s.exp(), hidden)
        return self._join(shown, moved, hidden), s.flatten(1).sum(1) + of_norm

    def inverse(self, y: Tensor) -> Tensor:
        """Invert `forward`, batch norm by its running moments."""
        shown, moved, hidden = self._split(y)
        s, t = self._moves(shown, hidden)
        return self._join(shown, self.norm.inverse(moved, hidden) * (-s).exp() - t, hidden)


class Couplings(nn.Module):
    """Coupling layers one after another, with masks that take turns.

    Args:
        count: number of layers.
        maps: see `Coupling`, as for the others.
        width: maps inside a layer's network.
        blocks: residual blocks of a layer's network.
        checkerboard: masks over pixels. Otherwise, over maps.
    """

    def __init__(self, count: int, maps: int, width: int, blocks: int, checkerboard: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Coupling(maps, width, blocks, checkerboard, flipped=bool(number % 2)) for number in range(count)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map values (N, maps, H, W) to values of the same shape; return log |det| too, (N,)."""
        log_det = x.new_zeros(len(x))
        for layer in self.layers:
            x, of_layer = layer(x)
            log_det = log_det + of_layer
        return x, log_det

    def inverse(self, y: Tensor) -> Tensor:
        """Invert `forward`, batch norm by its running moments."""
        layers: list[Any] = [*self.layers]
        for layer in reversed(layers):
            y = layer.inverse(y)
        return y


class Logit(nn.Module):
    """From values in (0, 1) to the whole line: y = logit(α + (1 - 2 α) x), with log |det|.

    Args:
        alpha: α, which keeps y finite.
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map values (N, ...) in [0, 1]; log |det| is (N,)."""
        y = (self.alpha + (1 - 2 * self.alpha) * x).logit()
        log_slope = F.softplus(y) + F.softplus(-y) + math.log(1 - 2 * self.alpha)
        return y, log_slope.flatten(1).sum(1)

    def inverse(self, y: Tensor) -> Tensor:
        """Invert `forward`; values outside of [0, 1] are those of images that no pixel has."""
        return (y.sigmoid() - self.alpha) / (1 - 2 * self.alpha)
