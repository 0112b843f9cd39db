"""CUT: Contrastive Learning for Unpaired Image-to-Image Translation.

Park, Efros, Zhang, Zhu, 2020. arXiv 2007.15651.

What G makes of an image is to keep its content: seen by G's own encoder, at layers l = 1..L and embedded by H_l, a
place s of the output (the query v) is to be nearer to the same place of the input (v⁺) than to its other places (v⁻):

    L_PatchNCE(G, H, X) = E_x Σ_l Σ_s l(v_l^s, v⁺_l^s, v⁻_l^S\\s)          (equation 4, with l of equation 3, τ = 0.07)
    L = L_GAN(G, D, X, Y) + λ_X L_PatchNCE(G, H, X) + λ_Y L_PatchNCE(G, H, Y)                     (equation 5)

The last term (identity) has G leave images of Y alone. FastCUT is λ_X = 10, λ_Y = 0 and flip equivariance.
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
    """The images that G made of a batch."""

    fake_b: Tensor  # G(a)
    idt_b: Tensor  # G(b); none (0, C, H, W) where there is no identity term
    mirrored: bool  # of mirrored images, and so mirrored


class CUT(OneWayTranslation):
    """Unpaired image translation, in one direction.

    Args:
        generator: G, called as `generator(images, layers)` for features too, and with `feature_channels`, as
            `ResNetGenerator`. None = the paper's, for RGB.
        discriminator: D. None = the 70x70 PatchGAN with instance norm, antialiased, for RGB.
        sampler: makes H from the channels of the layers.
        loss: the adversarial loss. None = least squares, halved for the discriminator only.
        layers: the layers of G that are compared, by G's numbers.
        lambda_nce: weight λ_X of the contrast between a and G(a). 0 turns it off.
        lambda_identity: weight λ_Y of the contrast between b and G(b). 0 turns it off (and saves a pass).
        temperature: τ.
        flip_equivariance: half of the batches go mirrored through G in training, and are compared with upright ones.
        base: the arguments of `AdversarialModule`.

    NOTE: means over layers and places, and λ_X = λ_Y = 0.5, are the authors' code's; the paper has sums, and 1.
    NOTE: layer 0 is the image, which the authors look at behind the reflected border that G's first convolution adds.
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
                f"CUT compares features of its generator, but {type(generator).__name__} shows none: give its forward "
                "an argument `layers`, and it a method feature_channels(layers), or take ResNetGenerator"
            )
        self.patch_sampler = sampler(self.generator.feature_channels(layers))
        self.loss = loss or LeastSquares(discriminator_scale=0.5, generator_scale=1.0)
        self.lambda_nce, self.lambda_identity = lambda_nce, lambda_identity
        self.layers, self.temperature, self.flip_equivariance = layers, temperature, flip_equivariance

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """H learns in the generator's turn, by the same optimizer; the authors' code gives it its own, set alike."""
        return {"discriminator": [self.discriminator], "generator": [self.generator, self.patch_sampler]}

    def try_out(self, batch: UnpairedBatch) -> None:
        """Check that G can take its own output."""
        self.generator(self.generate(batch), self.layers)
        super().try_out(batch)

    def draw_fakes(self, batch: UnpairedBatch) -> Fakes:
        """G(a), and G(b) in the same pass."""
        images = torch.cat([batch.real_a, batch.real_b]) if self.lambda_identity else batch.real_a
        mirrored = self.flip_equivariance and bool(torch.rand(()) < 0.5)
        fake_b, idt_b = self.generator(images.flip(3) if mirrored else images).tensor_split([len(batch.real_a)])
        return Fakes(fake_b, idt_b, mirrored)

    def fake_images(self, fake: Fakes) -> Tensor:
        """G(a)."""
        return fake.fake_b

    def generator_loss(self, batch: UnpairedBatch, fake: Fakes) -> Terms:
        """Have G(a) taken for real, and the places of a recognised in it; and those of b in G(b)."""
        terms = super().generator_loss(batch, fake)
        if self.lambda_nce:
            terms["nce"] = self.lambda_nce * self.contrast(batch.real_a, fake.fake_b, fake.mirrored)
        if self.lambda_identity:
            terms["identity"] = self.lambda_identity * self.contrast(batch.real_b, fake.idt_b, fake.mirrored)
        return terms

    def contrast(self, source: Tensor, made: Tensor, mirrored: bool) -> Tensor:
        """PatchNCE of images (N, C, H, W) and what G made of them, or of their mirror images; the mean of layers."""
        with torch.no_grad():
            features = self.generator(source, self.layers)
            positions = self.patch_sampler.positions(features)
            keys = self.patch_sampler(features, positions)
        features = [x.flip(3) if mirrored else x for x in self.generator(made, self.layers)]
        pairs = zip(self.patch_sampler(features, positions), keys, strict=True)
        return torch.stack([patch_nce(query, key, self.temperature) for query, key in pairs]).mean()
