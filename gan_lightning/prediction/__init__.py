"""Translation of images of any size, one by one or a folder at a time."""

from gan_lightning.prediction.folder import FolderTranslation, Summary, translate_folder
from gan_lightning.prediction.translation import ImageTranslation, Translator, translate_image

__all__ = ["FolderTranslation", "ImageTranslation", "Summary", "Translator", "translate_folder", "translate_image"]
