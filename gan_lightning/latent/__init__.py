"""Tools on the latent spaces of models that make images from noise. Nothing here needs Lightning.

`gan_lightning.load` gives the sampler of a checkpoint or an export, and a model has it as `sampler`.
"""

from gan_lightning.inference import ImageName
from gan_lightning.latent.arithmetic import add, groups, sum_sheet
from gan_lightning.latent.correlation import changes, relate
from gan_lightning.latent.directions import Directions, factorise, principal, walk_sheet
from gan_lightning.latent.editing import Ascent, ascend
from gan_lightning.latent.encoder import Encoder, train_encoder
from gan_lightning.latent.ends import OwnImages, Placed, place, read_ends
from gan_lightning.latent.interpolation import LatentPath
from gan_lightning.latent.inversion import Inversion, invert
from gan_lightning.latent.mixing import mixed, mixing_sheet
from gan_lightning.latent.names import class_numbers, image_names
from gan_lightning.latent.output import ImageStore, tiled
from gan_lightning.latent.painting import Painting, Warp, paint
from gan_lightning.latent.points import SavedPoints
from gan_lightning.latent.sampling import make_images
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.latent.transfer import check_transfer, transfer
from gan_lightning.latent.video import write_video

__all__ = [
    "Ascent",
    "Directions",
    "Encoder",
    "ImageName",
    "ImageStore",
    "Inversion",
    "LatentPath",
    "LatentSpace",
    "OwnImages",
    "Painting",
    "Placed",
    "SavedPoints",
    "Warp",
    "add",
    "ascend",
    "changes",
    "check_transfer",
    "class_numbers",
    "factorise",
    "groups",
    "image_names",
    "invert",
    "make_images",
    "mixed",
    "mixing_sheet",
    "paint",
    "place",
    "principal",
    "read_ends",
    "relate",
    "sum_sheet",
    "tiled",
    "train_encoder",
    "transfer",
    "walk_sheet",
    "write_video",
]
