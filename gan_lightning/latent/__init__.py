"""Tools on the latent spaces of models that make images from noise. Nothing here needs Lightning.

`gan_lightning.load` gives the sampler of a checkpoint or an export, and a model has it as `sampler`.
"""

from gan_lightning.inference import ImageName
from gan_lightning.latent.arithmetic import add, groups, sum_sheet
from gan_lightning.latent.correlation import changes, relate
from gan_lightning.latent.directions import Directions, factorise, principal, walk_sheet
from gan_lightning.latent.editing import Ascent, ascend
from gan_lightning.latent.interpolation import LatentPath
from gan_lightning.latent.names import class_numbers, image_names
from gan_lightning.latent.output import ImageStore, tiled
from gan_lightning.latent.sampling import make_images
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.latent.video import write_video

__all__ = [
    "Ascent",
    "Directions",
    "ImageName",
    "ImageStore",
    "LatentPath",
    "LatentSpace",
    "add",
    "ascend",
    "changes",
    "class_numbers",
    "factorise",
    "groups",
    "image_names",
    "make_images",
    "principal",
    "relate",
    "sum_sheet",
    "tiled",
    "walk_sheet",
    "write_video",
]
