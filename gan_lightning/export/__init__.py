"""Trained models as files that need neither Lightning nor a config."""

from gan_lightning.export.files import ExportError, Maker, Trained, save
from gan_lightning.export.loading import is_trained, load, load_trained

__all__ = ["ExportError", "Maker", "Trained", "is_trained", "load", "load_trained", "save"]
