"""Several seeds of a small network as one network, which does in one call what separate ones do in many.

Every tensor has the seeds as its first dimension (or, for maps, within its channels), and no value of one seed reaches
another: the gradients of a sum over seeds are those of separate runs. All random numbers of a seed come from a stream
of its own, so that a seed gives the same numbers beside any others.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.networks import StackedDiscriminator, StackedGenerator


class Streams:
    """A random stream for each seed."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self.streams = [torch.Generator().manual_seed(seed) for seed in seeds]

    def normal(self, *size: int) -> Tensor:
        """Draw standard normal numbers, (S, *size)."""
        return torch.stack([torch.randn(*size, generator=stream) for stream in self.streams])

    def integers(self, high: int, *size: int) -> Tensor:
        """Draw integers from 0 to below `high`, int64 (S, *size)."""
        return torch.stack([torch.randint(high, size, generator=stream) for stream in self.streams])

    def permutations(self, count: int) -> Tensor:
        """Draw an order of `count` items for each seed, int64 (S, count)."""
        return torch.stack([torch.randperm(count, generator=stream) for stream in self.streams])

    def state(self) -> Tensor:
        """Return the states of all streams, uint8 (S, ...)."""
        return torch.stack([stream.get_state() for stream in self.streams])

    def restore(self, states: Tensor) -> None:
        """Go on from the result of `state`."""
        for stream, state in zip(self.streams, states, strict=True):
            stream.set_state(state.clone())


class Linear(nn.Module):
    """A linear layer of each seed, from (S, N, inputs) to (S, N, outputs)."""

    def __init__(self, weights: Tensor, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(weights)  # (S, inputs, outputs)
        self.bias = nn.Parameter(torch.zeros(len(weights), 1, weights.shape[2])) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (S, N, inputs) to (S, N, outputs)."""
        return torch.bmm(x, self.weight) if self.bias is None else torch.baddbmm(self.bias, x, self.weight)


class Norm(nn.Module):
    """Batch norm of each seed and pass, for (S, passes · N, F): each pass is a batch with its own statistics.

    In evaluation, it uses running values, which move by `momentum` towards the mean of the passes.
    """

    running: Tensor

    def __init__(self, seeds: int, features: int, passes: int, momentum: float = 0.05, eps: float = 1e-4) -> None:
        super().__init__()
        self.passes, self.momentum, self.eps = passes, momentum, eps
        self.gain, self.bias = (nn.Parameter(f(seeds, 1, features)) for f in (torch.ones, torch.zeros))
        self.register_buffer("running", torch.stack([torch.zeros(seeds, features), torch.ones(seeds, features)]))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (S, passes · N, F)."""
        if self.training:
            split = x.unflatten(1, (self.passes, -1))  # (S, m, N, F)
            variance, mean = torch.var_mean(split, dim=2, correction=0, keepdim=True)
            with torch.no_grad():
                self.running.lerp_(torch.stack([mean.mean(1)[:, 0], variance.mean(1)[:, 0]]), self.momentum)
            x = ((split - mean) * (variance + self.eps).rsqrt()).flatten(1, 2)
        else:
            mean, variance = self.running.unsqueeze(2)
            x = (x - mean) * (variance + self.eps).rsqrt()
        return x * self.gain + self.bias


class PointGenerators(nn.Module):
    """PacGAN's generators of points (Lin et al., 2017, arXiv 1712.04086, table 1): four hidden layers of 400.

    Batch norm and ReLU follow each, and only the output has a bias. Weights are from N(0, 0.02).
    """

    def __init__(self, streams: Streams, dims: int = 2, passes: int = 1, width: int = 400) -> None:
        super().__init__()
        widths = [2, *[width] * 4]
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            layers += [Linear(0.02 * streams.normal(inputs, outputs), bias=False)]
            layers += [Norm(len(streams.streams), outputs, passes), nn.ReLU()]
        self.net = nn.Sequential(*layers, Linear(0.02 * streams.normal(width, dims)))

    def forward(self, z: Tensor) -> Tensor:
        """Map z (S, passes · N, 2) to points (S, passes · N, dims)."""
        return self.net(z)


class PointDiscriminators(nn.Module):
    """PacGAN's discriminators of points: three maxout layers of 200 units with five pieces, and a linear one."""

    def __init__(self, streams: Streams, dims: int = 2, width: int = 200, pieces: int = 5) -> None:
        super().__init__()
        self.pieces = pieces
        widths = [dims, width, width, width]
        self.hidden = nn.ModuleList(
            Linear(0.02 * streams.normal(inputs, outputs * pieces)) for inputs, outputs in itertools.pairwise(widths)
        )
        self.last = Linear(0.02 * streams.normal(width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (S, N, dims) to logits (S, N)."""
        for layer in self.hidden:
            x = layer(x).unflatten(2, (-1, self.pieces)).amax(dim=3)
        return self.last(x).squeeze(2)


def _joined(layers: Sequence[nn.Module]) -> nn.Module:
    """Return the same layer of several networks as one layer of grouped channels, with their weights."""
    first, count = layers[0], len(layers)
    if isinstance(first, nn.Conv2d | nn.ConvTranspose2d):
        kind: Any = type(first)
        more = {"output_padding": first.output_padding} if isinstance(first, nn.ConvTranspose2d) else {}
        made: nn.Module = kind(
            count * first.in_channels,
            count * first.out_channels,
            first.kernel_size,
            first.stride,
            first.padding,
            groups=count,
            **more,
        )
    elif isinstance(first, nn.BatchNorm2d):
        made = nn.BatchNorm2d(count * first.num_features)
    else:
        return first  # without weights
    made.load_state_dict(
        {
            name: values[0] if values[0].dim() == 0 else torch.cat(values)
            for name, values in {
                name: [layer.state_dict()[name] for layer in layers] for name in first.state_dict()
            }.items()
        }
    )
    return made


def _layers(networks: Sequence[nn.Sequential]) -> Iterator[nn.Module]:
    for layers in zip(*networks, strict=True):
        yield _joined(layers)


class StackedGenerators(nn.Module):
    """Several `StackedGenerator`s, whose batch norm always uses the statistics of the batch, as in PacGAN's code."""

    def __init__(self, networks: Sequence[StackedGenerator]) -> None:
        super().__init__()
        first: list[Any] = [network.net[0] for network in networks]
        self.first = Linear(torch.stack([layer.weight.detach().T for layer in first]))
        self.maps = nn.Sequential(*_layers([network.net[2:] for network in networks]))

    def forward(self, z: Tensor) -> Tensor:
        """Map z (S, N, latent_dim) to images (S, N, 3, 28, 28) in [-1, 1]."""
        maps = self.first(z).unflatten(2, (-1, 4, 4)).transpose(0, 1).flatten(1, 2)  # (N, S · 64, 4, 4)
        return self.maps(maps).unflatten(1, (len(z), -1)).transpose(0, 1)


class StackedDiscriminators(nn.Module):
    """Several `StackedDiscriminator`s."""

    def __init__(self, networks: Sequence[StackedDiscriminator]) -> None:
        super().__init__()
        self.maps = nn.Sequential(*_layers([network.net[:-1] for network in networks]))
        heads: list[Any] = [network.head for network in networks]
        self.last = Linear(torch.stack([head.weight.detach().T for head in heads]))

    def forward(self, images: Tensor) -> Tensor:
        """Map images, or packs, (S, N, C, 28, 28) to logits (S, N)."""
        seeds = len(images)
        maps = self.maps(images.transpose(0, 1).flatten(1, 2))  # (N, S · C', 4, 4)
        return self.last(maps.unflatten(1, (seeds, -1)).transpose(0, 1).flatten(2)).squeeze(2)


def nonsaturating(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Return the losses of D and G of each seed, (S,), from logits (S, N)."""
    d = F.softplus(-real).mean(1) + F.softplus(fake).mean(1)
    return d, F.softplus(-fake).mean(1)
