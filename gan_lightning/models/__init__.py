"""One model a paper."""

from gan_lightning.models.cgan import CGAN
from gan_lightning.models.cyclegan import CycleGAN
from gan_lightning.models.dcgan import DCGAN
from gan_lightning.models.gan import GAN
from gan_lightning.models.pix2pix import Pix2Pix
from gan_lightning.models.wgan_gp import WGANGP

__all__ = ["CGAN", "DCGAN", "GAN", "WGANGP", "CycleGAN", "Pix2Pix"]
