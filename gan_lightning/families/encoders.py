"""Adversarial models with an encoder: judges of pairs (BiGAN, ALI, VEEGAN), and judges of codes (AAE)."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families.latents import FromLatents, NoiseToImage
from gan_lightning.inference import evaluating
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.regularizers import Contest
from gan_lightning.training.adversarial import AdversarialModule, Player, Terms


class WithEncoder(FromLatents, AdversarialModule):
    """A generator, and an encoder of images to its latents, which are one player with one optimizer.

    Args:
        generator: G, of latents.
        encoder: E, which maps images to codes (N, latent_dim); or to means and standard deviations (2, N, latent_dim)
            of a normal distribution, from which a code is drawn. It states `latent_dim`.
        discriminator: the network, or several by name.
        base: the other arguments of `FromLatents` and `AdversarialModule`.
    """

    encoder: Any

    def __init__(self, generator: nn.Module, encoder: nn.Module, discriminator: nn.Module, **base: Any) -> None:
        super().__init__(generator, discriminator=discriminator, **base)
        self.encoder = encoder
        self.check_length("encoder", encoder, self.latent_dim)

    def check_length(self, name: str, network: nn.Module, length: int) -> None:
        """Raise ValueError unless a network states this length of codes as `latent_dim`."""
        stated = getattr(network, "latent_dim", None)
        if stated != length:
            raise ValueError(
                f"the generator's z has {self.latent_dim} components, and the {name} states {stated}: set its "
                f"latent_dim to {length}"
            )

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the players; the encoder belongs to the generator."""
        return super().players() | {"generator": [self.generator, self.encoder]}


class Reconstructs(WithEncoder):
    """A model that shows the reconstructions of images from their codes."""

    def codes(self, images: Tensor) -> Tensor:
        """Return codes (N, L) of images (N, C, H, W) in [-1, 1]; drawn ones, if the encoder gives distributions."""
        encoded = self.encoder(images)
        return encoded[0] + encoded[1] * torch.randn_like(encoded[1]) if encoded.dim() == 3 else encoded

    def as_code(self, encoded: Tensor) -> Tensor:
        """Return the code in an output of the encoder: the mean, if it is a distribution."""
        return encoded[0] if encoded.dim() == 3 else encoded

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return codes (N, L) of images (N, C, H, W) in [-1, 1], in evaluation mode; the means of distributions."""
        with evaluating(self.encoder):
            return self.as_code(self.encoder(images))

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return G(E(x)) of images (N, C, H, W) in [-1, 1], by averaged weights, without gradient."""
        return self.sampler.images(self.encode(images))

    def preview(self, batch: Any, count: int) -> tuple[Tensor, int]:
        """Return images, their reconstructions and samples, in three columns."""
        few = batch.images[:count]
        rows = torch.stack([few, self.reconstruct(few), self.sample(len(few), seed=0)], dim=1)
        return self.render(rows.flatten(0, 1)), 3


class Pairs(NamedTuple):
    """The generator's pairs of image and latent, and the codes of the batch's images."""

    images: Tensor  # G(z), (N, C, H, W)
    z: Tensor  # (N, L)
    codes: Tensor  # E(x), (N, L)


class PairGame(Reconstructs, NoiseToImage):
    """A generator G and an encoder E against a discriminator of pairs.

    D is called with images and latents. Its real pairs are (x, E(x)), its fakes (G(z), z). An augmentation changes the
    images that D sees, not those that E encodes.

    Args:
        generator: G, without classes.
        encoder: E; see `WithEncoder`.
        discriminator: D, which states the length of latents as `latent_dim`, as E does.
        base: the other arguments of `NoiseToImage`.
    """

    takes_packs: ClassVar[bool] = False

    def __init__(self, generator: nn.Module, encoder: nn.Module, discriminator: nn.Module, **base: Any) -> None:
        super().__init__(generator, encoder, discriminator, **base)
        self.check_length("discriminator", discriminator, self.latent_dim)
        if self.num_classes:
            raise ValueError("the discriminator of pairs sees no class: set the generator's num_classes to 0")

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


class CodeGame(Reconstructs):
    """An autoencoder of images, whose codes are given the distribution of a prior by discriminators of codes.

    Args:
        generator: the decoder G.
        encoder: E; see `WithEncoder`.
        discriminator: D, called with codes, or several by name.
        loss: the adversarial loss. None = non-saturating.
        lambda_adversarial: weight λ of the adversarial terms beside the reconstruction, in the turn of E and G.
        base: the other arguments of `WithEncoder`.
    """

    def __init__(
        self,
        generator: nn.Module,
        encoder: nn.Module,
        discriminator: nn.Module,
        loss: AdversarialLoss | None = None,
        lambda_adversarial: NonNegativeFloat = 1.0,
        **base: Any,
    ) -> None:
        super().__init__(generator, encoder, discriminator, **base)
        if not isinstance(self.augmentation, nn.Identity):
            raise ValueError(
                f"the discriminator of {type(self).__name__} judges codes, not images: leave the augmentation out"
            )
        self.loss = loss or NonSaturating()
        self.lambda_adversarial = lambda_adversarial

    def fake_images(self, fake: Any) -> Tensor:
        """Return the reconstructions, which fakes have as `reconstructed`."""
        return fake.reconstructed

    def adversarial_weight(self, verdict: DiscriminatorOutput) -> float:
        """Return λ in the turn of encoder and decoder, else 1."""
        return self.lambda_adversarial if self.playing == "generator" else 1.0

    def generator_loss(self, batch: ImageBatch, fake: Any) -> Terms:
        """Return ½ ||x - G(E(x))||², a sum over an image's pixels in [0, 1], and the adversarial terms."""
        difference = (fake.reconstructed.float() - batch.images) / 2
        reconstruction = 0.5 * difference.square().flatten(1).sum(1).mean()
        return {"reconstruction": reconstruction, **super().generator_loss(batch, fake)}


def code_contest(name: str, judge: nn.Module, real: Tensor, codes: Tensor | None) -> Contest:
    """Return the task of a discriminator: to distinguish codes (N, L) of a prior, the real ones, from an encoder's."""

    def verdict(codes: Tensor, **asked: Any) -> DiscriminatorOutput:
        return DiscriminatorOutput.of(judge(codes, **asked)).float()

    return Contest(name, real, codes, verdict, None, of_codes=True)
