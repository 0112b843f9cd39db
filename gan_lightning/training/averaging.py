"""An exponential moving average (EMA) of a network's weights, which makes better samples than the last weights."""

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gan_lightning import private


class AveragedNetwork(nn.Module):
    """A copy of a network whose weights follow the original's by an exponential moving average.

    Buffers (batch norm's running statistics, spectral norm's vectors) are copied, not averaged.
    The copy is always in evaluation mode and never needs gradients.

    Args:
        network: the network to follow.
        half_life: the number of images after which an old weight counts half (Karras et al. 2018: 10,000).
        warm_up: early on, the half-life is at most this share of the images seen, so that the first random weights are
            soon forgotten (StyleGAN2-ADA: 0.05); 0 turns it off.
    """

    def __init__(self, network: nn.Module, half_life: float, warm_up: float) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.half_life, self.warm_up = half_life, warm_up

    def train(self, mode: bool = True) -> "AveragedNetwork":
        """Stay in evaluation mode, whatever the mode of the module that holds it."""
        return super().train(False)

    def decay(self, images: int, images_seen: int, factor: float = 1.0) -> float:
        """Return the share of the average that an update keeps.

        Args:
            images: number of images since the last update.
            images_seen: number of images since the start.
            factor: factor on the half-life.
        """
        half_life = factor * self.half_life
        if self.warm_up:
            half_life = min(half_life, self.warm_up * images_seen)
        return 0.5 ** (images / max(half_life, 1e-8))

    @torch.no_grad()
    def update(self, network: nn.Module, images: int, images_seen: int, factor: float = 1.0) -> None:
        """Move the average towards `network`'s weights; `decay` of the same arguments is the share that stays."""
        # one call for all weights, since a loop would take as long as a small step
        average = get_ema_multi_avg_fn(self.decay(images, images_seen, factor))
        average([*self.network.parameters()], [*network.parameters()], None)
        buffers = list(self.network.buffers())
        if buffers:
            private.copy_all(buffers, list(network.buffers()))

    def forward(self, *args: Tensor | None) -> Tensor:
        """Return the averaged network's output."""
        return self.network(*args)
