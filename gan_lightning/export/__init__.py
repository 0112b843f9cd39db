"""Trained models as files that need neither Lightning nor a config."""

from gan_lightning.export.files import ExportError, Maker, Trained
from gan_lightning.export.hub import push
from gan_lightning.export.loading import folder_of, is_trained, load, load_trained
from gan_lightning.export.published import read_published
from gan_lightning.export.saving import save

__all__ = [
    "ExportError",
    "Maker",
    "Trained",
    "folder_of",
    "is_trained",
    "load",
    "load_trained",
    "push",
    "read_published",
    "save",
]
