"""Models with one loss and one optimizer, for comparison with GANs: moment matching, autoencoders, flows."""

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Adam, Optimizer

from gan_lightning.regularizers import Terms
from gan_lightning.schedules import Constant, Schedule
from gan_lightning.training.generative import GenerativeModule
from gan_lightning.training.optimizers import OptimizerFactory, learnable, make_optimizer


class SoloModule(GenerativeModule):
    """A model without an adversary: all its networks minimise one loss, by Lightning's automatic optimization.

    Gradients are clipped by `trainer.gradient_clip_val` and batches accumulated by `trainer.accumulate_grad_batches`.

    Args:
        generator: the network that makes images.
        optimizer: any torch optimizer class with its settings; from Python
            `functools.partial(torch.optim.Adam, lr=...)`. None = the paper's.
        schedule: factor on the learning rate over time. None = constant.
        base: the other arguments of `GenerativeModule`.
    """

    totals: ClassVar[Sequence[str]] = ["loss"]
    clipping: ClassVar[str] = "trainer.gradient_clip_val"
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=1e-3)
    """The optimizer if none is given."""

    def __init__(
        self,
        generator: nn.Module,
        optimizer: OptimizerFactory | None = None,
        schedule: Schedule | None = None,
        **base: Any,
    ) -> None:
        super().__init__(generator, **base)
        self.optimizer_factory = optimizer or type(self).paper_optimizer
        self.schedule = schedule or Constant()
        self._learning_rates: list[float] = []

    @abstractmethod
    def losses(self, batch: Any) -> Terms:
        """Return named terms whose sum is minimised."""

    def rate_schedules(self) -> dict[str, Schedule]:
        """Return the optimizer's schedule."""
        return {"schedule": self.schedule}

    def learners(self) -> Sequence[nn.Module]:
        """Return all networks but the moving average."""
        return [module for module in self.children() if module is not self.average]

    def trial_step(self, batch: Any) -> None:
        """Compute the losses of a batch."""
        self.losses(batch)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        for group, rate in zip(self._optimizer.param_groups, self._learning_rates, strict=True):
            group["lr"] = rate * self.rate(self.schedule)
        terms = {f"loss/{name}": value for name, value in self.losses(batch).items()}
        self._guard(terms)
        loss = torch.stack([*terms.values()]).sum()
        self._terms |= {name: value.detach() for name, value in terms.items()} | {"loss": loss.detach()}
        self._count_batch(batch)
        self._log_progress()
        return loss

    def progress(self) -> dict[str, float | Tensor]:
        """Return the logged values, with the learning rate."""
        return super().progress() | {"learning_rate": self._optimizer.param_groups[0]["lr"]}

    @property
    def _optimizer(self) -> Optimizer:
        return self.trainer.optimizers[0]

    # ------------------------------------------------------------------ hooks of Lightning

    def configure_optimizers(self) -> Optimizer:
        """Make one optimizer for all networks."""
        optimizer = make_optimizer(self.optimizer_factory, learnable(self.learners()), "optimizer")
        # kept here, since a resume overwrites the optimizer's rates with those of the checkpoint
        self._learning_rates = [group["lr"] for group in optimizer.param_groups]
        return optimizer

    def on_after_backward(self) -> None:
        """Average the gradients over processes, unless DistributedDataParallel has done it."""
        if not isinstance(self.trainer.strategy.model, DistributedDataParallel):
            self._average_over_processes([p.grad for p in self.parameters() if p.grad is not None])

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then update the moving average, in time for a checkpoint of this step."""
        super().optimizer_step(*args, **kwargs)
        self._update_average()
