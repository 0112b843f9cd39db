"""Training on several processes, each with its share of every batch."""

import atexit
import itertools

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry


class AdversarialDDP(DDPStrategy):
    """Data parallel training for two players: `trainer.strategy: adversarial_ddp`.

    torch's DistributedDataParallel expects one backward pass through all parameters, but a turn of a GAN uses those of
    one player. This strategy broadcasts the weights once and wraps nothing. `AdversarialModule.minimize` averages the
    gradients of the player whose turn it is, in one message. This is half the traffic of
    `ddp_find_unused_parameters_true` (which works too).
    """

    strategy_name = "adversarial_ddp"

    @torch.no_grad()
    def configure_ddp(self) -> None:
        """Copy the weights of the first process to all others."""
        assert self.model is not None
        for tensor in itertools.chain(self.model.parameters(), self.model.buffers()):
            of_the_first = tensor.contiguous()  # for any layout
            dist.broadcast(of_the_first, src=0)
            tensor.copy_(of_the_first)


StrategyRegistry.register(
    AdversarialDDP.strategy_name,
    AdversarialDDP,
    description="data parallel training for two players, whose gradients are averaged once a turn",
)


@atexit.register
def end_process_group() -> None:
    """End the group of processes, if there is one, while Python still runs.

    Threads of gloo that are left to the end of Python may abort a process that has done all its work. Lightning ends
    groups of NCCL only.
    """
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
