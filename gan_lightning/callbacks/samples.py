"""Pictures of what the generator makes, at every evaluation."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from gan_lightning.batches import Batch, first
from gan_lightning.generative import GenerativeModule
from gan_lightning.images import image_grid, write_png
from gan_lightning.ranges import Checked, NonNegativeInt, PositiveInt


class SampleGrid(Checked, L.Callback):
    """A grid of images from fixed latents (or of fixed sources, for translation) at each evaluation.

    It is written as `samples/images-<images seen>.png` under the run's folder, and to TensorBoard and Weights & Biases
    where these are on. The first one, before training, shows what the untrained networks make.

    Args:
        count: images of the grid; for translation, rows.
        seed: of the random draws while the grid is made (dropout, where it is the model's noise).
    """

    def __init__(self, count: PositiveInt = 64, seed: NonNegativeInt = 0) -> None:
        self.count = count
        self.seed = seed
        self._batch: Batch | None = None

    def on_validation_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keep the first batch of the reference set: the sources that are shown each time."""
        if self._batch is None and trainer.is_global_zero:
            self._batch = first(batch, self.count)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Make the grid on the first process."""
        assert isinstance(pl_module, GenerativeModule)
        if self._batch is None or trainer.sanity_checking:
            return
        with isolate_rng(), torch.no_grad():
            torch.manual_seed(self.seed)
            grid = image_grid(*pl_module.preview(self._batch, self.count)).cpu()
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        write_png(grid, Path(trainer.default_root_dir) / "samples" / f"images-{pl_module.images_seen:09d}.png")
        self._log(trainer, grid, pl_module.batches_seen)

    def _log(self, trainer: L.Trainer, grid: Tensor, step: int) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", grid, step)
            elif isinstance(logger, WandbLogger):
                logger.log_image("samples", [grid.permute(1, 2, 0).numpy()], step)
