"""BiGAN: Adversarial Feature Learning.

Donahue, Krähenbühl, Darrell, 2016. arXiv 1605.09782. At the same time as ALI: Dumoulin, Belghazi, Poole, Mastropietro,
Lamb, Arjovsky, Courville, "Adversarially Learned Inference", 2016, arXiv 1606.00704.

An encoder E maps images to latents, the inverse of the generator, and D judges pairs:

    min_{G,E} max_D V = E_x[log D(x, E(x))] + E_z[log(1 - D(G(z), z))]                               (equation 3)

At the optimum the pairs (x, E(x)) and (G(z), z) have one distribution, and E inverts G (theorem 2). In practice G and E
minimise D's loss with the labels exchanged (section 3.4):

    L_{G,E} = -E_x[log(1 - D(x, E(x)))] - E_z[log D(G(z), z)]
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import NoiseToImage
from gan_lightning.inference import Prior, UniformPrior, evaluating
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import BiGANEncoder, BiGANGenerator, JointDiscriminator
from gan_lightning.regularizers import Contest
from gan_lightning.training.adversarial import OptimizerFactory, Player, Terms


class Fakes(NamedTuple):
    """The generator's pairs, and the codes of the batch's images."""

    images: Tensor  # G(z), (N, C, H, W)
    z: Tensor  # (N, L)
    codes: Tensor  # E(x), (N, L)


class BiGAN(NoiseToImage):
    """GAN with an encoder, whose discriminator judges pairs of image and latent.

    Args:
        generator: G, without classes. None = the paper's for MNIST.
        encoder: E, which maps images to codes (N, latent_dim); or, as ALI's, to means and standard deviations
            (2, N, latent_dim) of a normal distribution, from which a code is drawn. None = the paper's for MNIST.
        discriminator: D, called with images and codes. None = the paper's for MNIST.
        loss: the adversarial loss; both turns use its discriminator's side, with exchanged labels in that of G and E.
            None = non-saturating.
        base: the other arguments of `NoiseToImage`.

    NOTE: the authors update both players at once from one pass, and their losses are halves of these, which Adam does
        not notice (a weight decay does).
    NOTE: an augmentation changes the images that D sees, not those that E encodes.
    """

    takes_packs: ClassVar[bool] = False
    paper_prior: ClassVar[Prior] = UniformPrior()
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=2e-4, betas=(0.5, 0.999))

    def __init__(
        self,
        generator: nn.Module | None = None,
        encoder: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        **base: Any,
    ) -> None:
        super().__init__(generator or BiGANGenerator(), discriminator or JointDiscriminator(), **base)
        self.encoder = encoder or BiGANEncoder()
        for name, network in {"encoder": self.encoder, "discriminator": self.discriminator}.items():
            length = getattr(network, "latent_dim", None)
            if length != self.latent_dim:
                raise ValueError(
                    f"the generator's z has {self.latent_dim} components, and the {name} states {length}: set "
                    "latent_dim of all three networks to the same"
                )
        if self.num_classes:
            raise ValueError(
                "BiGAN's discriminator sees image and code, no class: set the generator's num_classes to 0"
            )
        self.loss = loss or NonSaturating()

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the players; the encoder belongs to the generator."""
        return {"discriminator": [self.discriminator], "generator": [self.generator, self.encoder]}

    def codes(self, images: Tensor) -> Tensor:
        """Return codes (N, L) of images (N, C, H, W) in [-1, 1]; drawn ones, if the encoder gives distributions."""
        encoded = self.encoder(images)
        return encoded[0] + encoded[1] * torch.randn_like(encoded[1]) if encoded.dim() == 3 else encoded

    def draw_fakes(self, batch: ImageBatch) -> Fakes:  # type: ignore[override]
        """Make the pair (G(z), z) for each real image x, and encode x."""
        z = self.latents(len(batch.images))
        return Fakes(self.generator(z), z, self.codes(batch.images))

    def fake_images(self, fake: Fakes) -> Tensor:
        """Return the images of the pairs."""
        return fake.images

    def contests(self, batch: ImageBatch, fake: Fakes | None = None) -> Sequence[Contest]:
        """Return the task of D: to distinguish (x, E(x)) from (G(z), z)."""
        if fake is None:
            with torch.no_grad():
                return [Contest("", batch.images, None, self._judged_with(self.codes(batch.images)), None)]
        real, made = (self._judged_with(codes) for codes in (fake.codes, fake.z))
        return [Contest("", batch.images, fake.images, real, None, verdict_of_fakes=made)]

    def _judged_with(self, codes: Tensor) -> Any:
        return lambda images, **asked: self.discriminate(images, codes, **asked)

    def generator_loss(self, batch: ImageBatch, fake: Fakes) -> Terms:
        """Return D's loss with exchanged labels."""
        (contest,) = self.contests(batch, fake)
        real, made = contest.verdict(contest.real).logits, contest.on_fakes(contest.fake).logits
        losses = [self.loss.discriminator(*scale) for scale in zip(made, real, strict=True)]
        return {"adversarial": torch.stack(losses).mean()}

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return codes (N, L) of images (N, C, H, W) in [-1, 1], in evaluation mode; the means of distributions."""
        with evaluating(self.encoder):
            encoded = self.encoder(images)
        return encoded[0] if encoded.dim() == 3 else encoded

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        """Return G(E(x)) of images (N, C, H, W) in [-1, 1], by averaged weights."""
        return self.sampler.images(self.encode(images))

    @torch.no_grad()
    def preview(self, batch: ImageBatch, count: int) -> tuple[Tensor, int]:
        """Return images, their reconstructions and samples, in three columns."""
        few = batch.images[:count]
        rows = torch.stack([few, self.reconstruct(few), self.sample(len(few), seed=0)], dim=1)
        return self.render(rows.flatten(0, 1)), 3
