"""Each model at its smallest, and batches to train it on."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from gan_lightning.data.batches import Batch, ImageBatch, PairedBatch, UnpairedBatch
from gan_lightning.models import (
    ACGAN,
    BEGAN,
    CGAN,
    CUT,
    DCGAN,
    FGAN,
    GAN,
    LSGAN,
    MMDGAN,
    R3GAN,
    SNGAN,
    SRGAN,
    SSGAN,
    VAEGAN,
    WGAN,
    WGANGP,
    CycleGAN,
    InfoGAN,
    Pix2Pix,
    ProjectionGAN,
    RaGAN,
)
from gan_lightning.networks import (
    BEGANAutoencoder,
    BEGANGenerator,
    ConditionalResidualGenerator,
    DCGANAutoencoder,
    DCGANDiscriminator,
    DCGANGenerator,
    InfoGANDiscriminator,
    InfoGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    NoisyDiscriminator,
    PatchGAN,
    ResNetGenerator,
    SNDCGANDiscriminator,
    SNResidualDiscriminator,
    SoftplusGenerator,
    SRResNetGenerator,
    UNetGenerator,
    VAEGANEncoder,
    VGGDiscriminator,
)
from gan_lightning.networks.patch_sampler import PatchSampler
from gan_lightning.training.adversarial import AdversarialModule

SIZE = 16
CLASSES = 3
SMALL: dict[str, Any] = {"image_size": SIZE, "channels": 1, "width": 4}


def gan(**how: Any) -> GAN:
    networks = (
        MLPGenerator(latent_dim=6, image_size=SIZE, hidden=(32,)),
        MLPDiscriminator(image_size=SIZE, hidden=(16,)),
    )
    return GAN(*networks, **how)


def dcgan(**how: Any) -> DCGAN:
    return DCGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL), **how)


def wgan_gp(**how: Any) -> WGANGP:
    return WGANGP(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL, norm="none"), **how)


def lsgan(**how: Any) -> LSGAN:
    return LSGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL), **how)


def wgan(**how: Any) -> WGAN:
    """In a wide box and without its head start, to be trained in a few steps."""
    return WGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL), clip=0.5, head_start=1, **how)


def fgan(**how: Any) -> FGAN:
    return FGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL), **how)


def ragan(**how: Any) -> RaGAN:
    return RaGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL), **how)


def r3gan(**how: Any) -> R3GAN:
    return R3GAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL, norm="none"), **how)


def sngan(**how: Any) -> SNGAN:
    return SNGAN(DCGANGenerator(6, **SMALL), SNDCGANDiscriminator(**SMALL), **how)


def projection(**how: Any) -> ProjectionGAN:
    conditional = {**SMALL, "num_classes": CLASSES}
    networks = ConditionalResidualGenerator(latent_dim=6, **conditional), SNResidualDiscriminator(**conditional)
    return ProjectionGAN(*networks, **how)


def acgan(**how: Any) -> ACGAN:
    return ACGAN(DCGANGenerator(6, **SMALL, num_classes=CLASSES), DCGANDiscriminator(**SMALL), **how)


def cgan(**how: Any) -> CGAN:
    conditional = {**SMALL, "num_classes": CLASSES}
    return CGAN(DCGANGenerator(6, **conditional), DCGANDiscriminator(**conditional), **how)


def ssgan(**how: Any) -> SSGAN:
    """Without the noise, so that each player alone overfits."""
    head = partial(nn.Linear, out_features=CLASSES)
    quiet: dict[str, Any] = {"input_noise": 0, "noise": 0, "head": head}
    networks = (
        SoftplusGenerator(6, SIZE, hidden=(16,)),
        NoisyDiscriminator(SIZE, hidden=(16, 16), **quiet),
    )
    return SSGAN(*networks, **how)


def vae_gan(**how: Any) -> VAEGAN:
    networks = VAEGANEncoder(6, SIZE, 1, width=4, hidden=16), DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL)
    return VAEGAN(*networks, **{"gamma": 1.0} | how)


def pix2pix(**how: Any) -> Pix2Pix:
    """Grey to RGB."""
    networks = UNetGenerator(1, 3, image_size=SIZE, width=4), PatchGAN(in_channels=4, width=4, receptive_field=16)
    return Pix2Pix(*networks, **how)


def cyclegan(**how: Any) -> CycleGAN:
    translators = [ResNetGenerator(3, 3, width=4, blocks=1) for _ in range(2)]
    judges = [PatchGAN(in_channels=3, width=4, receptive_field=16, norm="instance") for _ in range(2)]
    return CycleGAN(*translators, *judges, **how)


def cut(**how: Any) -> CUT:
    networks = (
        ResNetGenerator(3, 3, width=4, blocks=1, antialias=True),
        PatchGAN(in_channels=3, width=4, receptive_field=16, norm="instance", antialias=True),
        partial(PatchSampler, width=8, patches=16),
    )
    return CUT(*networks, **{"layers": [0, 4, 8, 12]} | how)


def mmd_gan(**how: Any) -> MMDGAN:
    return MMDGAN(DCGANGenerator(6, **SMALL), DCGANAutoencoder(5, **SMALL), **{"clip": 0.5, **how})


def began(**how: Any) -> BEGAN:
    return BEGAN(BEGANGenerator(6, **SMALL), BEGANAutoencoder(5, **SMALL), **how)


def infogan(**how: Any) -> InfoGAN:
    """Of eight latents, three categories and one continuous code; what is read of codes is small beside the game."""
    sizes: dict[str, Any] = {"image_size": SIZE, "hidden": 16, "width": 4}
    codes: dict[str, Any] = {"categories": CLASSES, "continuous": 1}
    settings = {**codes, "lambda_information": 0.1, **how}
    return InfoGAN(InfoGANGenerator(8, **sizes), InfoGANDiscriminator(**sizes), **settings)


def srgan(**how: Any) -> SRGAN:
    """8x8 to 16x16, without a network for the content loss."""
    networks = (
        SRResNetGenerator(3, width=4, blocks=1, scale=2),
        VGGDiscriminator(SIZE, 3, width=4, stages=2, hidden=8),
    )
    return SRGAN(*networks, **{"lambda_content": 0, "lambda_l1": 1.0} | how)


BUILDERS: list[Callable[..., AdversarialModule]] = [
    gan,
    dcgan,
    lsgan,
    wgan,
    wgan_gp,
    fgan,
    ragan,
    r3gan,
    sngan,
    projection,
    mmd_gan,
    began,
    infogan,
    acgan,
    cgan,
    ssgan,
    vae_gan,
    pix2pix,
    srgan,
    cyclegan,
    cut,
]


def images(count: int, channels: int, seed: int) -> Tensor:
    """Blobs that differ in place and brightness, (count, channels, 16, 16) in [-1, 1]."""
    coarse = torch.rand(count, channels, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear").clamp(-1, 1)


def batch_for(model: AdversarialModule, count: int = 4, seed: int = 0) -> Batch:
    """A batch of the kind, the channels and the size that the tiny model takes."""
    if isinstance(model, Pix2Pix):
        return PairedBatch(images(count, 1, seed), images(count, 3, seed + 1))
    if isinstance(model, SRGAN):
        target = images(count, 3, seed)
        return PairedBatch(torch.nn.functional.avg_pool2d(target, 2), target)
    if isinstance(model, CycleGAN | CUT):
        return UnpairedBatch(images(count, 3, seed), -images(count, 3, seed + 1))
    if isinstance(model, SSGAN):  # every second image is labelled
        return ImageBatch(images(count, 1, seed), torch.arange(count).apply_(lambda i: i % CLASSES if i % 2 else -1))
    labels = torch.arange(count) % CLASSES if isinstance(model, CGAN | ACGAN | ProjectionGAN) else None
    return ImageBatch(images(count, 1, seed), labels)


class Batches(L.LightningDataModule):
    """These batches, each time in this order, for every stage."""

    def __init__(self, batches: Sequence[Any]) -> None:
        super().__init__()
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """As real data are: made anew on the device, in evaluation under torch.inference_mode."""
        return tree_map(lambda field: field.clone() if isinstance(field, Tensor) else field, batch)

    def train_dataloader(self) -> "Batches":
        return self

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader


def data_for(model: AdversarialModule, batches: int = 1, count: int = 4) -> Batches:
    """Different batches that fit the model."""
    return Batches([batch_for(model, count, seed=10 * i) for i in range(batches)])


def networks(model: AdversarialModule, player: str) -> torch.nn.Module:
    """What one player learns, as one module."""
    return {"generator": model.generator, "discriminator": model.discriminator}[player]
