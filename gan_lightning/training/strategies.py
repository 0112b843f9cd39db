"""Several processes, each with its share of every batch."""

import itertools

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry


class AdversarialDDP(DDPStrategy):
    """Data parallel training for two players: `trainer.strategy: adversarial_ddp`.

    torch's DistributedDataParallel expects one backward pass through all parameters; a turn of a GAN uses one player's.
    This strategy broadcasts the weights once and wraps nothing; `AdversarialModule.minimize` averages the gradients of
    the player whose turn it is, in one message. They cross the wire once a turn, half the traffic of
    `ddp_find_unused_parameters_true` (which works too).
    """

    strategy_name = "adversarial_ddp"

    @torch.no_grad()
    def configure_ddp(self) -> None:
        """Give every process the weights of the first."""
        assert self.model is not None
        for tensor in itertools.chain(self.model.parameters(), self.model.buffers()):
            of_the_first = tensor.contiguous()  # whatever the layout
            dist.broadcast(of_the_first, src=0)
            tensor.copy_(of_the_first)


StrategyRegistry.register(
    AdversarialDDP.strategy_name,
    AdversarialDDP,
    description="data parallel training for two players, whose gradients are averaged once a turn",
)
