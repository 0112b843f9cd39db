"""CycleGAN: Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks.

Zhu, Park, Isola, Efros, 2017. arXiv 1703.10593.

Two generators, G: A -> B and F: B -> A, and a discriminator for each domain, with least-squares adversarial losses
(section 4):

    L_GAN(G) = E_a[(D_B(G(a)) - 1)^2]            L_D(D_B) = 1/2 E_b[(D_B(b) - 1)^2] + 1/2 E_a[D_B(G(a))^2]
    L_cyc = E_a[||F(G(a)) - a||_1] + E_b[||G(F(b)) - b||_1]                                       (equation 2)
    L_identity = E_b[||G(b) - b||_1] + E_a[||F(a) - a||_1]                                        (section 5.2)
    L = L_GAN(G) + L_GAN(F) + λ L_cyc + 0.5 λ L_identity,   λ = 10                                (equation 3)

D learns from a pool of the last 50 fakes rather than from the newest (Shrivastava et al. 2017).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_lightning.adversarial import Player, Terms, evaluating
from gan_lightning.batches import UnpairedBatch
from gan_lightning.families import Direction, UnpairedTranslation
from gan_lightning.image_pool import ImagePool
from gan_lightning.losses import AdversarialLoss, LeastSquares
from gan_lightning.networks import PatchGAN, ResNetGenerator


class Fakes(NamedTuple):
    """What both generators made of a batch."""

    fake_b: Tensor  # G(a)
    fake_a: Tensor  # F(b)


class CycleGAN(UnpairedTranslation):
    """Unpaired image translation, in both directions.

    Args:
        generator_a_to_b: G. None = the paper's ResNet of nine blocks, RGB to RGB.
        generator_b_to_a: F. None = the same.
        discriminator_a: D_A. None = the 70x70 PatchGAN with instance norm, for RGB.
        discriminator_b: D_B. None = the same.
        loss: the adversarial loss. None = least squares, halved for the discriminators only.
        lambda_cycle: weight λ of the cycle-consistency term. 0 turns it off.
        lambda_identity: weight of the identity term, relative to `lambda_cycle`. 0 turns it off (and saves two passes).
        pool_size: fakes kept for each discriminator. 0 = it sees the newest only.
        base: the arguments of `AdversarialModule`.

    NOTE: the discriminators step before the generators, as everywhere in this library; the authors' code has it the
        other way.
    NOTE: the identity term is on by default, as in the authors' code; the paper uses it for paintings to photographs
        only.
    """

    generator: nn.ModuleDict
    discriminator: nn.ModuleDict

    def __init__(
        self,
        generator_a_to_b: nn.Module | None = None,
        generator_b_to_a: nn.Module | None = None,
        discriminator_a: nn.Module | None = None,
        discriminator_b: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        lambda_cycle: float = 10.0,
        lambda_identity: float = 0.5,
        pool_size: int = 50,
        **base: Any,
    ) -> None:
        generators = {
            "a_to_b": generator_a_to_b or ResNetGenerator(),
            "b_to_a": generator_b_to_a or ResNetGenerator(),
        }
        discriminators = {
            "a": discriminator_a or PatchGAN(in_channels=3, norm="instance"),
            "b": discriminator_b or PatchGAN(in_channels=3, norm="instance"),
        }
        super().__init__(nn.ModuleDict(generators), nn.ModuleDict(discriminators), **base)
        self.loss = loss or LeastSquares(discriminator_scale=0.5, generator_scale=1.0)
        self.lambda_cycle = lambda_cycle
        self.lambda_identity = lambda_identity
        self.pools = {"a": ImagePool(pool_size), "b": ImagePool(pool_size)}

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """The networks one by one: each is called, and compiled, by itself."""
        return {"discriminator": [*self.discriminator.values()], "generator": [*self.generator.values()]}

    def check_batch(self, batch: Any) -> None:
        """Also: the identity term shows a generator images of the domain that it makes."""
        super().check_batch(batch)
        channels_a, channels_b = batch.real_a.shape[1], batch.real_b.shape[1]
        if self.lambda_identity and channels_a != channels_b:
            raise ValueError(
                f"the identity term of CycleGAN gives images of B to the generator from A to B, but the data serve "
                f"{channels_a} channels in A and {channels_b} in B: set lambda_identity to 0, or the datamodule's "
                "channels_a and channels_b to the same"
            )

    def draw_fakes(self, batch: UnpairedBatch) -> Fakes:
        """G(a) and F(b)."""
        return Fakes(self.generator["a_to_b"](batch.real_a), self.generator["b_to_a"](batch.real_b))

    def discriminator_loss(self, batch: UnpairedBatch, fake: Fakes) -> Terms:
        """Each domain's discriminator tells its real images from earlier fakes."""
        return {
            "a": self._tell_apart("a", batch.real_a, fake.fake_a),
            "b": self._tell_apart("b", batch.real_b, fake.fake_b),
        }

    def _tell_apart(self, domain: str, real: Tensor, fake: Tensor) -> Tensor:
        shown = self.pools[domain].exchange(fake) if self.training else fake
        return self.tell_apart(self._judge(domain, real), self._judge(domain, shown))

    def generator_loss(self, batch: UnpairedBatch, fake: Fakes) -> Terms:
        """Fool both discriminators; come back to where each image started; leave images of the wanted domain alone."""
        (real_a, real_b), (fake_b, fake_a) = batch, fake
        a_to_b, b_to_a = self.generator["a_to_b"], self.generator["b_to_a"]
        terms = {
            "adversarial_a": self._fool("a", real_a, fake_a),
            "adversarial_b": self._fool("b", real_b, fake_b),
        }
        if self.lambda_cycle:
            terms["cycle_a"] = self.lambda_cycle * l1_loss(b_to_a(fake_b), real_a)
            terms["cycle_b"] = self.lambda_cycle * l1_loss(a_to_b(fake_a), real_b)
        if self.lambda_cycle and self.lambda_identity:
            weight = self.lambda_cycle * self.lambda_identity
            terms["identity_a"] = weight * l1_loss(b_to_a(real_a), real_a)
            terms["identity_b"] = weight * l1_loss(a_to_b(real_b), real_b)
        return terms

    def _fool(self, domain: str, real: Tensor, fake: Tensor) -> Tensor:
        return self.loss.generator(self._judge(domain, fake), lambda: self._judge(domain, real))

    def _judge(self, domain: str, images: Tensor) -> Tensor:
        return self.discriminator[domain](self.augmentation(images)).float()

    @torch.no_grad()
    def translate(self, images: Tensor, direction: Direction = "a_to_b") -> Tensor:
        """Images float (N, C, H, W) in [-1, 1] of one domain to the other; instance norm makes each picture its own."""
        network = self.averaged_generator[direction]  # type: ignore[index]
        with evaluating(network), torch.autocast(self.device.type, enabled=False):
            return network(images)

    def process_state(self) -> dict[str, Any]:
        """The pools differ between processes, and go on as they were on a resume."""
        pools = {domain: pool.images for domain, pool in self.pools.items()}
        return {**super().process_state(), "pools": {d: None if i is None else i.cpu() for d, i in pools.items()}}

    def load_process_state(self, state: dict[str, Any]) -> None:
        """Take back what `process_state` returned."""
        super().load_process_state(state)
        for domain, images in state["pools"].items():
            self.pools[domain].images = images
