"""One model a paper."""

from gan_lightning.models.aae import AAE
from gan_lightning.models.acgan import ACGAN
from gan_lightning.models.augmented_cyclegan import AugmentedCycleGAN
from gan_lightning.models.began import BEGAN
from gan_lightning.models.bicyclegan import BicycleGAN
from gan_lightning.models.bigan import BiGAN
from gan_lightning.models.biggan import BigGAN
from gan_lightning.models.cartoongan import CartoonGAN
from gan_lightning.models.cgan import CGAN
from gan_lightning.models.cogan import CoGAN
from gan_lightning.models.cogan_adaptation import CoGANAdaptation
from gan_lightning.models.cut import CUT
from gan_lightning.models.cyclegan import CycleGAN
from gan_lightning.models.dann import DANN
from gan_lightning.models.dcgan import DCGAN
from gan_lightning.models.fgan import FGAN
from gan_lightning.models.gan import GAN
from gan_lightning.models.gan_int_cls import GANINTCLS
from gan_lightning.models.gated_pixelcnn import GatedPixelCNN
from gan_lightning.models.gmmn import GMMN
from gan_lightning.models.infogan import InfoGAN
from gan_lightning.models.invariance import ControllableInvariance
from gan_lightning.models.lsgan import LSGAN
from gan_lightning.models.made import MADE
from gan_lightning.models.mmd_gan import MMDGAN
from gan_lightning.models.munit import MUNIT
from gan_lightning.models.paired_cyclegan import PairedCycleGAN
from gan_lightning.models.personal_talking_head import PersonalTalkingHead
from gan_lightning.models.pix2pix import Pix2Pix
from gan_lightning.models.pix2pix_hd import Pix2PixHD
from gan_lightning.models.pixelcnn import PixelCNN
from gan_lightning.models.pixelcnn_pp import PixelCNNPlusPlus
from gan_lightning.models.progan import ProGAN
from gan_lightning.models.projection import ProjectionGAN
from gan_lightning.models.r3gan import R3GAN
from gan_lightning.models.ragan import RaGAN
from gan_lightning.models.realnvp import RealNVP
from gan_lightning.models.sagan import SAGAN
from gan_lightning.models.semi_supervised_aae import SemiSupervisedAAE
from gan_lightning.models.sngan import SNGAN
from gan_lightning.models.spade import SPADE
from gan_lightning.models.srgan import SRGAN
from gan_lightning.models.srresnet import SRResNet
from gan_lightning.models.ssgan import SSGAN
from gan_lightning.models.stackgan import StackGAN
from gan_lightning.models.stargan import StarGAN
from gan_lightning.models.stylegan import StyleGAN
from gan_lightning.models.stylegan2 import StyleGAN2
from gan_lightning.models.talking_heads import TalkingHeads
from gan_lightning.models.threed_gan import ThreeDGAN
from gan_lightning.models.threed_vae_gan import ThreeDVAEGAN
from gan_lightning.models.unet import UNetSegmentation
from gan_lightning.models.unit import UNIT
from gan_lightning.models.vae import VAE
from gan_lightning.models.vae_gan import VAEGAN
from gan_lightning.models.veegan import VEEGAN
from gan_lightning.models.vqvae import VQVAE
from gan_lightning.models.vqvae_prior import VQVAEPrior
from gan_lightning.models.wgan import WGAN
from gan_lightning.models.wgan_gp import WGANGP

__all__ = [
    "AAE",
    "ACGAN",
    "BEGAN",
    "CGAN",
    "CUT",
    "DANN",
    "DCGAN",
    "FGAN",
    "GAN",
    "GANINTCLS",
    "GMMN",
    "LSGAN",
    "MADE",
    "MMDGAN",
    "MUNIT",
    "R3GAN",
    "SAGAN",
    "SNGAN",
    "SPADE",
    "SRGAN",
    "SSGAN",
    "UNIT",
    "VAE",
    "VAEGAN",
    "VEEGAN",
    "VQVAE",
    "WGAN",
    "WGANGP",
    "AugmentedCycleGAN",
    "BiGAN",
    "BicycleGAN",
    "BigGAN",
    "CartoonGAN",
    "CoGAN",
    "CoGANAdaptation",
    "ControllableInvariance",
    "CycleGAN",
    "GatedPixelCNN",
    "InfoGAN",
    "PairedCycleGAN",
    "PersonalTalkingHead",
    "Pix2Pix",
    "Pix2PixHD",
    "PixelCNN",
    "PixelCNNPlusPlus",
    "ProGAN",
    "ProjectionGAN",
    "RaGAN",
    "RealNVP",
    "SRResNet",
    "SemiSupervisedAAE",
    "StackGAN",
    "StarGAN",
    "StyleGAN",
    "StyleGAN2",
    "TalkingHeads",
    "ThreeDGAN",
    "ThreeDVAEGAN",
    "UNetSegmentation",
    "VQVAEPrior",
]
