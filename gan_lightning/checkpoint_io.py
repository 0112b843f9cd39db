"""Checkpoints that are whole or not there."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and then renames it: a kill or a full disk leaves the one before as it was.

    Lightning's own writes to the system's temporary folder and moves the file, which across file systems is a copy that
    can stop half-way. Paths of object stores ("s3://...") are left to it.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write `checkpoint` to `path`.

        Raises:
            OSError: it could not be written; what was at `path` is as before.
        """
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f"{place.name}.part")
        try:
            with part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(place)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError of its writer
            raise OSError(
                f"no checkpoint could be written to {place} ({error}): make room there; the one before is as it was"
            ) from error
        finally:
            part.unlink(missing_ok=True)
