"""Pictures of the generator's images: at evaluations, at intervals, and at the end."""

import contextlib
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from gan_lightning import private
from gan_lightning.data.batches import Batch, first, map_rows
from gan_lightning.data.images import image_grid, write_png
from gan_lightning.ranges import Checked, NonNegativeInt, PositiveInt
from gan_lightning.training import loops
from gan_lightning.training.generative import GenerativeModule


class SampleGrid(Checked, L.Callback):
    """Save a grid of images from fixed latents (or fixed sources, for translation) at each evaluation, or more often.

    The grid is written as `samples/images-<images seen>.png` under the run's folder, and to TensorBoard and Weights &
    Biases if these are on. The first grid, before training, shows the untrained networks. The last grid is made when
    the run ends, for any reason.

    Args:
        count: the number of images of the grid; for translation, the number of rows. 0 = no grids.
        seed: the seed of the random draws in a grid (dropout, where it is the model's noise).
        every_epochs: make further grids each time this number of epochs is over. None = at evaluations only.
        every_batches: make further grids each time this number of training batches is over. None = at evaluations only.
    """

    def __init__(
        self,
        count: NonNegativeInt = 64,
        seed: NonNegativeInt = 0,
        every_epochs: PositiveInt | None = None,
        every_batches: PositiveInt | None = None,
    ) -> None:
        self.count = count
        self.seed = seed
        self.every_epochs = every_epochs
        self.every_batches = every_batches
        self._batch: Batch | None = None
        self._shown = -1  # batches seen when the last grid was made

    def on_validation_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keep the first batch of the reference set as the sources of each grid."""
        if self._batch is None:
            self._keep(batch)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keep the first reference batch if nothing was evaluated yet (a resumed run), or else a training batch."""
        if self._batch is None:
            with isolate_rng():
                reference = loops.first_reference_batch(trainer)
            self._keep(batch if reference is None else reference)

    def _keep(self, batch: Any) -> None:
        self._batch = map_rows(first(batch, self.count), torch.clone)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Make a grid every `every_batches` batches."""
        if self.every_batches and getattr(pl_module, "batches_seen", 0) % self.every_batches == 0:
            self._show(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Make a grid every `every_epochs` epochs."""
        if self.every_epochs and (trainer.current_epoch + 1) % self.every_epochs == 0:
            self._show(trainer, pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Make a grid after each evaluation."""
        if not trainer.sanity_checking:
            self._show(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Make the last grid."""
        self._show(trainer, pl_module)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Make the last grid of a run that was stopped or has failed, if the failure permits it."""
        if trainer.state.fn == TrainerFn.FITTING:
            failed = not isinstance(exception, SystemExit | KeyboardInterrupt)
            with contextlib.suppress(*[Exception] * failed):  # report the first failure, not one of the grid
                self._show(trainer, pl_module)

    def _show(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Make the grid on the first process, unless these weights have one already."""
        assert isinstance(pl_module, GenerativeModule)
        if not (trainer.is_global_zero and self.count) or self._batch is None or self._shown == pl_module.batches_seen:
            return
        self._shown = pl_module.batches_seen
        with isolate_rng(), torch.no_grad():
            torch.manual_seed(self.seed)
            pl_module.prepare()
            grid = image_grid(*pl_module.preview(self._batch, self.count)).cpu()
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        write_png(grid, Path(trainer.default_root_dir) / "samples" / f"images-{pl_module.images_seen:09d}.png")
        self._log(trainer, grid, private.logged_steps(trainer))

    def _log(self, trainer: L.Trainer, grid: Tensor, step: int) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", grid, step)
            elif isinstance(logger, WandbLogger):
                logger.log_image("samples", [grid.permute(1, 2, 0).numpy()], step)
