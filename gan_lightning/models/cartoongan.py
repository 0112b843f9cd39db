"""CartoonGAN: Generative Adversarial Networks for Photo Cartoonization.

Chen, Lai, Liu, 2018. CVPR 2018.

G makes a cartoon of a photograph p. D has to distinguish cartoons c from G's output, and also from cartoons e whose
edges were smoothed away: else it would hardly look at edges, which are a small part of a cartoon (section 3.2.1).

    L(G, D) = L_adv(G, D) + ω L_con(G, D),   ω = 10                                               (equation 2)
    L_adv = E_c[log D(c)] + E_e[log(1 - D(e))] + E_p[log(1 - D(G(p)))]                            (equation 3)
    L_con = E_p[||VGG_l(G(p)) - VGG_l(p)||_1],   l = conv4_4                                      (equation 4)

In an initialisation phase G learns from L_con alone, until it reconstructs photographs (section 3.3).
"""

from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Adam

from gan_lightning.data.batches import Batch, CartoonBatch, first, split
from gan_lightning.families import OneWayTranslation
from gan_lightning.families.translation import side_by_side
from gan_lightning.losses import AdversarialLoss, LeastSquares, PerceptualLoss, VGG19Loss
from gan_lightning.networks import CartoonDiscriminator, CartoonGenerator
from gan_lightning.ranges import NonNegativeInt, PositiveFloat
from gan_lightning.schedules import Delay, Schedule
from gan_lightning.training.adversarial import OptimizerFactory, Terms
from gan_lightning.training.image_pool import ImagePool


class CartoonGAN(OneWayTranslation):
    """Photographs to cartoons, learnt without pairs.

    Args:
        generator: G. None = the paper's, RGB to RGB.
        discriminator: D, returning logits. None = the paper's, for RGB.
        loss: the adversarial loss. None = least squares, not halved, as in the authors' code.
        content: the distance of L_con between G(p) and p. None = the paper's: mean absolute differences of VGG19's
            conv4_4, before its ReLU.
        lambda_content: weight ω of the content term.
        adversarial_schedule: factor on G's adversarial term over time. Where it is 0, G learns from content alone and D
            rests. None = the paper's initialisation: 0 for 10 epochs, then 1.
        pool_size: number of fakes kept for D (Shrivastava et al. 2017). 0 = it only sees the newest.
        base: the other arguments of `AdversarialModule`.

    NOTE: the paper writes the log loss; the authors' code, and the default, is least squares. The paper has no pool of
        fakes; the code has one of 50.
    NOTE: D's terms are added and not averaged, as in equation 3 and in the gradients of the authors' code. The term
        `smoothed` is that of a game between c and e in which c has no gradient, so that c counts once for any loss; its
        logged value contains that of c.
    NOTE: ω = 10 is for the features of the authors' Caffe weights, of images resized to 224x224. torchvision's VGG19
        sees images normalised to a deviation of 1, in their own size; in it another ω may be needed.
    NOTE: the authors' code gives G a rate of 2e-4 in the initialisation, and 1e-5 after it; the default is 1e-5
        throughout, and the published config has their schedule.
    """

    batch_type: ClassVar[type[Batch]] = CartoonBatch
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=1e-5, betas=(0.5, 0.999))

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        content: PerceptualLoss | None = None,
        lambda_content: PositiveFloat = 10.0,
        adversarial_schedule: Schedule | None = None,
        pool_size: NonNegativeInt = 50,
        **base: Any,
    ) -> None:
        super().__init__(generator or CartoonGenerator(), discriminator or CartoonDiscriminator(), **base)
        self.loss = loss or LeastSquares(discriminator_scale=1.0, generator_scale=1.0)
        self.content = content or VGG19Loss({"conv4_4": 1.0}, "l1")
        self.lambda_content = lambda_content
        self.adversarial_schedule = adversarial_schedule or Delay(10)
        self.pool = ImagePool(pool_size)

    def on_fit_start(self) -> None:
        """Load the content loss's network, so that a missing one is an error before the first step."""
        super().on_fit_start()
        self.content.load()

    def training_step(self, batch: CartoonBatch, batch_idx: int) -> None:
        """Train on a batch: G alone, from content, in the initialisation; after it, both players."""
        if self.at(self.adversarial_schedule):
            super().training_step(batch, batch_idx)
            return
        self.minimize("generator", *[partial(self.content_terms, part) for part in split(batch, self.accumulate)])
        self.finish_step(batch, averaged=True, judged=False)

    def draw_fakes(self, batch: CartoonBatch) -> Tensor:
        """Return the photographs as cartoons, G(p)."""
        return self.generator(batch.real_a)

    def discriminator_loss(self, batch: CartoonBatch, fake: Tensor) -> Terms:
        """Take c for real, and neither G(p), now and before, nor e: equation 3."""
        real = self.verdict(batch, batch.real_b)
        shown = self.verdict(batch, self.exchanged(self.pool, fake))
        counted = real._replace(logits=[logits.detach() for logits in real.logits])
        return {
            "adversarial": self.adversarial_loss(real, shown),
            "smoothed": self.adversarial_loss(counted, self.verdict(batch, batch.smoothed)),
        }

    def generator_loss(self, batch: CartoonBatch, fake: Tensor) -> Terms:
        """Let D take G(p) for a cartoon, of the same content as p: equation 2."""
        adversarial = super().generator_loss(batch, fake)["adversarial"]
        return {"adversarial": self.at(self.adversarial_schedule) * adversarial, **self.content_terms(batch, fake)}

    def content_terms(self, batch: CartoonBatch, fake: Tensor | None = None) -> Terms:
        """Return ω L_con of G(p), which is computed if it is not given: equation 4."""
        fake = self.draw_fakes(batch) if fake is None else fake
        return {"content": self.lambda_content * self.content(fake, batch.real_a)}

    def preview(self, batch: Any, count: int) -> tuple[Tensor, int]:
        """Return rows of photograph | G's cartoon of it | a real cartoon | another one with smoothed edges."""
        shown = first(batch, count)
        columns = shown.real_a, self.translate(shown.real_a), shown.real_b, shown.smoothed
        return side_by_side(*map(self.render, columns)), 4
