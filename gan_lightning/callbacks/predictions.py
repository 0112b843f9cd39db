"""Images made by `predict`, written as files."""

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor

from gan_lightning.images import to_channels, to_uint8, write_png


class PredictionWriter(BasePredictionWriter):
    """Writes each image that `predict` makes as a PNG named by its number, in the order of the data.

    Args:
        folder: where to. None = `predictions` under the run's folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(write_interval="batch")
        self.folder = folder
        self._next = 0

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Each process numbers its own images: rank 1 of 4 writes 1, 5, 9 ..."""
        self._next = trainer.global_rank

    def write_on_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        prediction: Tensor,
        batch_indices: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write the images of one batch."""
        folder = self.folder or Path(trainer.default_root_dir) / "predictions"
        images = to_channels(to_uint8(prediction), 1 if prediction.shape[1] == 1 else 3).cpu()
        for image in images:
            write_png(image, folder / f"{self._next:06d}.png")
            self._next += trainer.world_size
