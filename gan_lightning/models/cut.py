"""CUT: Contrastive Learning for Unpaired Image-to-Image Translation.

Park, Efros, Zhang, Zhu, 2020. arXiv 2007.15651.

G keeps the content of an image. The features are those of G's own encoder, at layers l = 1..L and embedded by H_l. A
place s of the output (the query v) should be nearer to the same place of the input (v⁺) than to its other places (v⁻):

    L_PatchNCE(G, H, X) = E_x Σ_l Σ_s l(v_l^s, v⁺_l^s, v⁻_l^S\\s)          (equation 4, with l of equation 3, τ = 0.07)
    L = L_GAN(G, D, X, Y) + λ_X L_PatchNCE(G, H, X) + λ_Y L_PatchNCE(G, H, Y)                     (equation 5)

With the last term (identity), G leaves images of Y unchanged. FastCUT is λ_X = 10, λ_Y = 0 and flip equivariance.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gan_lightning.data.batches import UnpairedBatch
from gan_lightning.families import OneWayTranslation
from gan_lightning.losses import AdversarialLoss, LeastSquares, patch_nce
from gan_lightning.networks import PatchGAN, ResNetGenerator
from gan_lightning.networks.patch_sampler import PatchSampler, SamplerFactory
from gan_lightning.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat
from gan_lightning.training.adversarial import Player, Terms


class Fakes(NamedTuple):
    """The images that G makes from a batch."""

    fake_b: Tensor  # G(a)
    idt_b: Tensor  # G(b); empty (0, C, H, W) without an identity term
    mirrored: bool  # whether the images were mirrored before G


class CUT(OneWayTranslation):
    """Unpaired image translation, in one direction.

    Args:
        generator: G, also called as `generator(images, layers)` for features, and with `feature_channels`, as
            `ResNetGenerator`. None = the paper's, for RGB.
        discriminator: D. None = the 70x70 PatchGAN with instance norm, antialiased, for RGB.
        sampler: makes H from the channels of the layers.
        loss: the adversarial loss. None = least squares, halved for the discriminator only.
        layers: the layers of G to compare, by G's numbers.
        lambda_nce: weight λ_X of the contrast between a and G(a). 0 turns it off.
        lambda_identity: weight λ_Y of the contrast between b and G(b). 0 turns it off (and saves a pass).
        temperature: τ.
        flip_equivariance: in training, half of the batches pass G mirrored, and are compared with upright images.
        base: the arguments of `AdversarialModule`.

    NOTE: means over layers and places, and λ_X = λ_Y = 0.5, follow the authors' code; the paper has sums, and 1.
    NOTE: layer 0 is the image itself; the authors use it with the reflected border of G's first convolution.
    """

    generator: Any

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        sampler: SamplerFactory = PatchSampler,
        loss: AdversarialLoss | None = None,
        layers: Sequence[NonNegativeInt] = (0, 4, 8, 12, 16),
        lambda_nce: NonNegativeFloat = 0.5,
        lambda_identity: NonNegativeFloat = 0.5,
        temperature: PositiveFloat = 0.07,
        flip_equivariance: bool = False,
        **base: Any,
    ) -> None:
        discriminator = discriminator or PatchGAN(in_channels=3, norm="instance", antialias=True, init="xavier")
        super().__init__(generator or ResNetGenerator(antialias=True, init="xavier"), discriminator, **base)
        if not hasattr(self.generator, "feature_channels"):
            raise TypeError(
                f"CUT compares features of its generator, but {type(generator).__name__} has none: give its forward "
                "an argument `layers`, and it a method feature_channels(layers), or choose ResNetGenerator"
            )
        self.patch_sampler = sampler(self.generator.feature_channels(layers))
        self.loss = loss or LeastSquares(discriminator_scale=0.5, generator_scale=1.0)
        self.lambda_nce, self.lambda_identity = lambda_nce, lambda_identity
        self.layers, self.temperature, self.flip_equivariance = layers, temperature, flip_equivariance

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the players. H learns by the generator's optimizer; the authors' code has a separate one for it."""
        return {"discriminator": [self.discriminator], "generator": [self.generator, self.patch_sampler]}

    def trial_step(self, batch: UnpairedBatch) -> None:
        """Compute the losses of a batch, and check that G can take its own output."""
        self.generator(self.generate(batch), self.layers)
        super().trial_step(batch)

    def draw_fakes(self, batch: UnpairedBatch) -> Fakes:
        """Return G(a), and G(b) from the same pass."""
        images = torch.cat([batch.real_a, batch.real_b]) if self.lambda_identity else batch.real_a
        mirrored = self.flip_equivariance and bool(torch.rand(()) < 0.5)
        fake_b, idt_b = self.generator(images.flip(3) if mirrored else images).tensor_split([len(batch.real_a)])
        return Fakes(fake_b, idt_b, mirrored)

    def fake_images(self, fake: Fakes) -> Tensor:
        """Return G(a)."""
        return fake.fake_b

    def generator_loss(self, batch: UnpairedBatch, fake: Fakes) -> Terms:
        """Let D take G(a) for real; keep the content of a in G(a), and that of b in G(b)."""
        terms = super().generator_loss(batch, fake)
        if self.lambda_nce:
            terms["nce"] = self.lambda_nce * self.contrast(batch.real_a, fake.fake_b, fake.mirrored)
        if self.lambda_identity:
            terms["identity"] = self.lambda_identity * self.contrast(batch.real_b, fake.idt_b, fake.mirrored)
        return terms

    def contrast(self, source: Tensor, fake: Tensor, mirrored: bool) -> Tensor:
        """Return PatchNCE, averaged over layers, of images (N, C, H, W) and G's output for them, maybe mirrored."""
        with torch.no_grad():
            features = self.generator(source, self.layers)
            positions = self.patch_sampler.positions(features)
            keys = self.patch_sampler(features, positions)
        features = [x.flip(3) if mirrored else x for x in self.generator(fake, self.layers)]
        pairs = zip(self.patch_sampler(features, positions), keys, strict=True)
        return torch.stack([patch_nce(query, key, self.temperature) for query, key in pairs]).mean()
