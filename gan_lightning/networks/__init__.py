"""Generators and discriminators by architecture family: plain modules that any model can be built with."""

from gan_lightning.networks.cyclegan import ResNetGenerator
from gan_lightning.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gan_lightning.networks.mlp import (
    ConditionalMLPDiscriminator,
    ConditionalMLPGenerator,
    MLPDiscriminator,
    MLPGenerator,
)
from gan_lightning.networks.patchgan import PatchGAN
from gan_lightning.networks.resnet import ResidualDiscriminator, ResidualGenerator
from gan_lightning.networks.unet import UNetGenerator

__all__ = [
    "ConditionalMLPDiscriminator",
    "ConditionalMLPGenerator",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "MLPDiscriminator",
    "MLPGenerator",
    "PatchGAN",
    "ResNetGenerator",
    "ResidualDiscriminator",
    "ResidualGenerator",
    "UNetGenerator",
]
