"""Generators and discriminators by architecture family: plain modules that any model can be built with."""

from gan_lightning.networks.aae import AAEDecoder, AAEEncoder, CodeDiscriminator
from gan_lightning.networks.acgan import ACGANDiscriminator, ACGANGenerator
from gan_lightning.networks.augmented_cyclegan import (
    AugmentedEncoder,
    AugmentedGenerator,
    LocalDiscriminator,
    StyleDiscriminator,
    WholeDiscriminator,
)
from gan_lightning.networks.autoencoder import BEGANAutoencoder, BEGANGenerator, DCGANAutoencoder
from gan_lightning.networks.bicyclegan import BicycleEncoder
from gan_lightning.networks.bigan import BiGANEncoder, BiGANGenerator, JointDiscriminator
from gan_lightning.networks.biggan import BigGANDiscriminator, BigGANGenerator
from gan_lightning.networks.cartoongan import CartoonDiscriminator, CartoonGenerator
from gan_lightning.networks.cogan import CoGANDiscriminator, CoGANGenerator
from gan_lightning.networks.cyclegan import ResNetGenerator
from gan_lightning.networks.dann import DomainClassifier, LeNetClassifier
from gan_lightning.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gan_lightning.networks.gan_int_cls import GANINTCLSDiscriminator, GANINTCLSGenerator
from gan_lightning.networks.infogan import InfoGANDiscriminator, InfoGANGenerator
from gan_lightning.networks.made import MADENetwork
from gan_lightning.networks.microstylegan import MicroStyleGANGenerator
from gan_lightning.networks.mlp import (
    ConditionalMLPDiscriminator,
    ConditionalMLPGenerator,
    MLPDiscriminator,
    MLPGenerator,
)
from gan_lightning.networks.multiscale import MultiScale
from gan_lightning.networks.munit import MUNITDiscriminator, MUNITGenerator
from gan_lightning.networks.paired_cyclegan import ApplyingTranslator, DilatedTranslator, SeamlessPaste
from gan_lightning.networks.patchgan import PatchGAN
from gan_lightning.networks.pix2pix_hd import InstanceEncoder, Pix2PixHDGenerator
from gan_lightning.networks.pixelcnn import GatedPixelCNNNetwork, PixelCNNNetwork
from gan_lightning.networks.pixelcnn_pp import PixelCNNPlusPlusNetwork
from gan_lightning.networks.progan import ProGANDiscriminator, ProGANGenerator
from gan_lightning.networks.r3gan import R3GANDiscriminator, R3GANGenerator, R3GANTranslator
from gan_lightning.networks.realnvp import RealNVPNetwork
from gan_lightning.networks.resnet import ResidualDiscriminator, ResidualGenerator
from gan_lightning.networks.sagan import SAGANDiscriminator, SAGANGenerator
from gan_lightning.networks.segmentation_unet import SegmentationUNet
from gan_lightning.networks.semi_supervised import NoisyDiscriminator, SoftplusGenerator
from gan_lightning.networks.sngan import (
    ConditionalResidualGenerator,
    SNDCGANDiscriminator,
    SNResidualDiscriminator,
)
from gan_lightning.networks.spade import SPADEEncoder, SPADEGenerator
from gan_lightning.networks.srgan import Bicubic, RRDBGenerator, SRResNetGenerator, VGGDiscriminator
from gan_lightning.networks.stacked import StackedDiscriminator, StackedGenerator
from gan_lightning.networks.stackgan import StackGANDiscriminator, StackGANStageOne, StackGANStageTwo
from gan_lightning.networks.stargan import StarGANDiscriminator, StarGANGenerator
from gan_lightning.networks.stylegan import StyleGANDiscriminator, StyleGANGenerator
from gan_lightning.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from gan_lightning.networks.talking_heads import (
    HeadDiscriminator,
    HeadEmbedder,
    PersonalHeadGenerator,
    TalkingHeadGenerator,
)
from gan_lightning.networks.text_encoders import GRUTextEncoder, TransformerTextEncoder
from gan_lightning.networks.threed_gan import ThreeDGANDiscriminator, ThreeDGANGenerator, ThreeDVAEGANEncoder
from gan_lightning.networks.unet import UNetGenerator
from gan_lightning.networks.unit import UNITGenerator
from gan_lightning.networks.vae import (
    VAEDecoder,
    VAEEncoder,
    VAEGANDecoder,
    VAEGANDiscriminator,
    VAEGANEncoder,
    VAEMLPDecoder,
    VAEMLPEncoder,
)
from gan_lightning.networks.vqvae import VQAutoencoder

__all__ = [
    "AAEDecoder",
    "AAEEncoder",
    "ACGANDiscriminator",
    "ACGANGenerator",
    "ApplyingTranslator",
    "AugmentedEncoder",
    "AugmentedGenerator",
    "BEGANAutoencoder",
    "BEGANGenerator",
    "BiGANEncoder",
    "BiGANGenerator",
    "Bicubic",
    "BicycleEncoder",
    "BigGANDiscriminator",
    "BigGANGenerator",
    "CartoonDiscriminator",
    "CartoonGenerator",
    "CoGANDiscriminator",
    "CoGANGenerator",
    "CodeDiscriminator",
    "ConditionalMLPDiscriminator",
    "ConditionalMLPGenerator",
    "ConditionalResidualGenerator",
    "DCGANAutoencoder",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DilatedTranslator",
    "DomainClassifier",
    "GANINTCLSDiscriminator",
    "GANINTCLSGenerator",
    "GRUTextEncoder",
    "GatedPixelCNNNetwork",
    "HeadDiscriminator",
    "HeadEmbedder",
    "InfoGANDiscriminator",
    "InfoGANGenerator",
    "InstanceEncoder",
    "JointDiscriminator",
    "LeNetClassifier",
    "LocalDiscriminator",
    "MADENetwork",
    "MLPDiscriminator",
    "MLPGenerator",
    "MUNITDiscriminator",
    "MUNITGenerator",
    "MicroStyleGANGenerator",
    "MultiScale",
    "NoisyDiscriminator",
    "PatchGAN",
    "PersonalHeadGenerator",
    "Pix2PixHDGenerator",
    "PixelCNNNetwork",
    "PixelCNNPlusPlusNetwork",
    "ProGANDiscriminator",
    "ProGANGenerator",
    "R3GANDiscriminator",
    "R3GANGenerator",
    "R3GANTranslator",
    "RRDBGenerator",
    "RealNVPNetwork",
    "ResNetGenerator",
    "ResidualDiscriminator",
    "ResidualGenerator",
    "SAGANDiscriminator",
    "SAGANGenerator",
    "SNDCGANDiscriminator",
    "SNResidualDiscriminator",
    "SPADEEncoder",
    "SPADEGenerator",
    "SRResNetGenerator",
    "SeamlessPaste",
    "SegmentationUNet",
    "SoftplusGenerator",
    "StackGANDiscriminator",
    "StackGANStageOne",
    "StackGANStageTwo",
    "StackedDiscriminator",
    "StackedGenerator",
    "StarGANDiscriminator",
    "StarGANGenerator",
    "StyleDiscriminator",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "StyleGANDiscriminator",
    "StyleGANGenerator",
    "TalkingHeadGenerator",
    "ThreeDGANDiscriminator",
    "ThreeDGANGenerator",
    "ThreeDVAEGANEncoder",
    "TransformerTextEncoder",
    "UNITGenerator",
    "UNetGenerator",
    "VAEDecoder",
    "VAEEncoder",
    "VAEGANDecoder",
    "VAEGANDiscriminator",
    "VAEGANEncoder",
    "VAEMLPDecoder",
    "VAEMLPEncoder",
    "VGGDiscriminator",
    "VQAutoencoder",
    "WholeDiscriminator",
]
