"""Translation of images of any size, one by one or a folder at a time."""

from gan_lightning.inference.stored import ImageTranslation, Translator, translate_image
from gan_lightning.prediction.choices import named_choices
from gan_lightning.prediction.folder import FolderTranslation, Summary, translate_folder

__all__ = [
    "FolderTranslation",
    "ImageTranslation",
    "Summary",
    "Translator",
    "named_choices",
    "translate_folder",
    "translate_image",
]
