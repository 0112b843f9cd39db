"""Several processes, each with its share of every batch."""

import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry
from torch.distributed.utils import _sync_module_states


class AdversarialDDP(DDPStrategy):
    """Data parallel training for two players: `trainer.strategy: adversarial_ddp`.

    torch's DistributedDataParallel expects one backward pass through all parameters; a turn of a GAN uses one player's.
    This strategy broadcasts the weights once and wraps nothing; `AdversarialModule.minimize` averages the gradients of
    the player whose turn it is, in one message. They cross the wire once a turn, half the traffic of
    `ddp_find_unused_parameters_true` (which works too).
    """

    strategy_name = "adversarial_ddp"

    def configure_ddp(self) -> None:
        """Every process starts from the weights of the first."""
        assert self.model is not None
        assert dist.group.WORLD is not None
        _sync_module_states(
            module=self.model,
            process_group=dist.group.WORLD,
            broadcast_bucket_size=250 * 1024 * 1024,
            src=0,
            params_and_buffers_to_ignore=(),
        )


StrategyRegistry.register(
    AdversarialDDP.strategy_name,
    AdversarialDDP,
    description="data parallel training for two players, whose gradients are averaged once a turn",
)
