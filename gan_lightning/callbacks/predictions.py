"""Write the images made by `predict` as files."""

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import BasePredictionWriter
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from gan_lightning.callbacks.stopping import over_processes
from gan_lightning.data.batches import item_numbers
from gan_lightning.data.files import shown
from gan_lightning.data.images import to_channels, to_uint8, to_uint16, write_png
from gan_lightning.training.generative import rendered


class PredictionWriter(BasePredictionWriter):
    """Write each image that `predict` makes as a PNG file named by its number, in the order of the data.

    Files have the channels of the images (grey, grey and alpha, RGB, RGBA), and 16 bits a channel if the data do.

    Args:
        folder: the folder of the files. None = `predictions` under the run's folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(write_interval="batch")
        self.folder = folder
        self._before = 0  # images of this process so far

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Number the images from 0."""
        self._before = 0

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
        deep = getattr(getattr(trainer, "datamodule", None), "bits", 8) == 16
        images = (to_uint16 if deep else to_uint8)(rendered(pl_module, prediction)).cpu()
        if images.shape[1] > 4:
            images = to_channels(images, 3)
        rank, ranks = trainer.global_rank, trainer.world_size
        loader = trainer.predict_dataloaders
        numbers = item_numbers(loader, batch_idx, len(images), self._before, rank, ranks)
        for number, image in zip(numbers, images, strict=True):
            write_png(image, folder / f"{number:06d}.png")
        self._before += len(images)

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the number of images and their folder."""
        count = int(over_processes(trainer, [self._before], "sum")[0])
        folder = self.folder or Path(trainer.default_root_dir) / "predictions"
        rank_zero_info(f"{count:,} images written into {shown(folder)}")
