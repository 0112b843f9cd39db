"""Standing statistics: batch norm's running statistics, measured anew for the weights that make images."""

from typing import Any

import torch
from torch import Tensor, nn

from gan_lightning.inference.latents import LatentSampler

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class _Measured:
    """Normalises a batch-norm layer's inputs by their own statistics, and keeps the means of these over batches."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer
        self.batches = 0
        channels = next(layer.buffers())
        self.mean, self.variance = (torch.zeros_like(channels) for _ in range(2))

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0]
        variance, mean = torch.var_mean(x, dim=[0, *range(2, x.dim())], correction=0)
        count = x.numel() // x.shape[1]
        self.batches += 1
        self.mean += (mean - self.mean) / self.batches
        self.variance += (variance * count / max(1, count - 1) - self.variance) / self.batches  # unbiased
        self.set(mean, variance)

    def set(self, mean: Tensor, variance: Tensor) -> None:
        buffers: Any = self.layer
        buffers.running_mean.copy_(mean)
        buffers.running_var.copy_(variance)


@torch.no_grad()
def measure_standing_statistics(sampler: LatentSampler, batches: int, batch_size: int, seed: int = 0) -> None:
    """Replace the running statistics of batch norm by their means over batches of new latents.

    Brock, Donahue, Simonyan, 2018, arXiv 1809.11096, section 3 ("standing statistics"): averaged weights differ from
    those by which the running statistics were gathered. Each batch passes with its own statistics, as in training.

    Only buffers of batch norm change; nothing is drawn from the global random state, and equal weights give equal
    statistics. Batch norm that is synchronised between processes measures on this process alone.

    Args:
        sampler: makes the images; classes come in turn.
        batches: number of batches.
        batch_size: number of images of each.
        seed: seed of the latents.
    """
    layers = [part for part in sampler.network.modules() if isinstance(part, BATCH_NORMS) and part.track_running_stats]
    if not layers:
        return
    measured = [_Measured(layer) for layer in layers]
    handles = [each.layer.register_forward_pre_hook(each) for each in measured]
    try:
        for first in range(0, batches * batch_size, batch_size):
            sampler.sample(batch_size, seed=seed, first=first)
    finally:
        for handle in handles:
            handle.remove()
    for each in measured:
        if each.batches:
            each.set(each.mean, each.variance)
