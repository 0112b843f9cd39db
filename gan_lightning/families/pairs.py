"""GANs with an encoder, whose discriminator judges pairs of image and latent: BiGAN, ALI, VEEGAN."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families.latents import NoiseToImage
from gan_lightning.inference import evaluating
from gan_lightning.regularizers import Contest
from gan_lightning.training.adversarial import Player


class Pairs(NamedTuple):
    """The generator's pairs of image and latent, and the codes of the batch's images."""

    images: Tensor  # G(z), (N, C, H, W)
    z: Tensor  # (N, L)
    codes: Tensor  # E(x), (N, L)


class PairGame(NoiseToImage):
    """A generator G and an encoder E, one player with one optimizer, against a discriminator of pairs.

    D is called with images and latents. Its real pairs are (x, E(x)), its fakes (G(z), z). An augmentation changes the
    images that D sees, not those that E encodes.

    Args:
        generator: G, without classes.
        encoder: E, which maps images to codes (N, latent_dim); or, as ALI's, to means and standard deviations
            (2, N, latent_dim) of a normal distribution, from which a code is drawn.
        discriminator: D, which states the length of latents as `latent_dim`, as E does.
        base: the other arguments of `NoiseToImage`.
    """

    takes_packs: ClassVar[bool] = False

    def __init__(self, generator: nn.Module, encoder: nn.Module, discriminator: nn.Module, **base: Any) -> None:
        super().__init__(generator, discriminator, **base)
        self.encoder = encoder
        for name, network in {"encoder": self.encoder, "discriminator": self.discriminator}.items():
            length = getattr(network, "latent_dim", None)
            if length != self.latent_dim:
                raise ValueError(
                    f"the generator's z has {self.latent_dim} components, and the {name} states {length}: set "
                    "latent_dim of all three networks to the same"
                )
        if self.num_classes:
            raise ValueError("the discriminator of pairs sees no class: set the generator's num_classes to 0")

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the players; the encoder belongs to the generator."""
        return {"discriminator": [self.discriminator], "generator": [self.generator, self.encoder]}

    def codes(self, images: Tensor) -> Tensor:
        """Return codes (N, L) of images (N, C, H, W) in [-1, 1]; drawn ones, if the encoder gives distributions."""
        encoded = self.encoder(images)
        return encoded[0] + encoded[1] * torch.randn_like(encoded[1]) if encoded.dim() == 3 else encoded

    def draw_fakes(self, batch: ImageBatch) -> Pairs:
        """Make the pair (G(z), z) for each real image x, and encode x."""
        z = self.latents(len(batch.images))
        return Pairs(self.generator(z), z, self.codes(batch.images))

    def fake_images(self, fake: Pairs) -> Tensor:
        """Return the images of the pairs."""
        return fake.images

    def contests(self, batch: ImageBatch, fake: Pairs | None = None) -> Sequence[Contest]:
        """Return the task of D: to distinguish (x, E(x)) from (G(z), z)."""
        if fake is None:
            with torch.no_grad():
                return [Contest("", batch.images, None, self._judged_with(self.codes(batch.images)), None)]
        real, made = (self._judged_with(codes) for codes in (fake.codes, fake.z))
        return [Contest("", batch.images, fake.images, real, None, verdict_of_fakes=made)]

    def _judged_with(self, codes: Tensor) -> Any:
        return lambda images, **asked: self.discriminate(images, codes, **asked)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return codes (N, L) of images (N, C, H, W) in [-1, 1], in evaluation mode; the means of distributions."""
        with evaluating(self.encoder):
            encoded = self.encoder(images)
        return encoded[0] if encoded.dim() == 3 else encoded

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return G(E(x)) of images (N, C, H, W) in [-1, 1], by averaged weights, without gradient."""
        return self.sampler.images(self.encode(images))

    def preview(self, batch: ImageBatch, count: int) -> tuple[Tensor, int]:
        """Return images, their reconstructions and samples, in three columns."""
        few = batch.images[:count]
        rows = torch.stack([few, self.reconstruct(few), self.sample(len(few), seed=0)], dim=1)
        return self.render(rows.flatten(0, 1)), 3
