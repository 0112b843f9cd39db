"""PairedCycleGAN: Asymmetric Style Transfer for Applying and Removing Makeup.

Chang, Lu, Yu, Finkelstein, CVPR 2018.

Images x of domain X are without something (makeup, glasses), images y of domain Y have it in some style. G(x, y) gives
x the style of the reference y, and F(y) removes it, for which no reference is needed:

    L_G:  D_Y distinguishes G(x, y) from y          L_F:  D_X distinguishes F(y) from x
    L_I = E[||F(G(x, y)) - x||_1]                   removing what was applied gives x back
    L_S = E[||G(F(y), G(x, y)) - y||_1]             the style of G(x, y), applied to the bare y, gives y back
    L_P:  D_S distinguishes the pairs (y, G(x, y)) from (y, W(x, y))
    L = λ_G L_G + λ_F L_F + L_I + L_S + λ_P L_P

W(x, y) pastes the changed part of y on x, a synthetic truth: it has the right style, but flaws. It is therefore seen by
D_S alone, and is no target of G.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import l1_loss
from typing_extensions import override

from gan_lightning.data.batches import UnpairedBatch, first
from gan_lightning.families import Direction, Exchanged, UnpairedTranslation, side_by_side
from gan_lightning.inference import StyleTranslator
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import PatchGAN
from gan_lightning.networks.paired_cyclegan import ApplyingTranslator, DilatedTranslator, SeamlessPaste
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.regularizers import Contest
from gan_lightning.training.adversarial import Terms


class PairedCycleGAN(UnpairedTranslation):
    """Applies the style of an example, and removes any style; learnt without pairs.

    X is domain A, and Y is domain B: `translate --direction a_to_b --example IMAGE` applies, `--direction b_to_a`
    removes.

    Args:
        generator_a_to_b: G, called with images of A and references of B. None = `ApplyingTranslator`, RGB.
        generator_b_to_a: F. None = `DilatedTranslator`, RGB.
        discriminator_a: D_X. None = the 70x70 PatchGAN with instance norm, for RGB.
        discriminator_b: D_Y. None = the 70x70 PatchGAN with instance norm, for RGB.
        discriminator_style: D_S, called with reference and result concatenated along channels. None = the 70x70
            PatchGAN with instance norm, for two RGB images.
        warp: W, called with images of A and references of B. None = `SeamlessPaste`, of the region of the eyes.
        loss: the adversarial loss. None = non-saturating.
        lambda_adversarial: weights λ_G and λ_F.
        lambda_identity: weight of L_I. 0 turns it off.
        lambda_style: weight of L_S. 0 turns it off.
        lambda_pair: weight λ_P. 0 turns D_S off.
        pairs: the images of A and B at the same position in evaluations are true pairs, as those of two folders with
            equal names: measure the distance to them.
        base: the other arguments of `UnpairedTranslation` and `AdversarialModule`.

    Logged in evaluations with pairs, all as mean absolute differences, as a share of the range: `val/removal_error` of
        F(y) to x, `val/application_error` of G(x, y) to y, where y is x with the style, and `val/copy_error` of x to y:
        that of a model that changes nothing. The cycle errors of `UnpairedTranslation` are L_I and L_S.

    NOTE: the paper trains networks for eyes, lips and skin separately on aligned parts, and blends their results. Here
        there is one for images that are aligned beforehand, whose changes a `region` confines to such a part.
    NOTE: the paper's weights are not at hand; those here are chosen.
    """

    def __init__(
        self,
        generator_a_to_b: nn.Module | None = None,
        generator_b_to_a: nn.Module | None = None,
        discriminator_a: nn.Module | None = None,
        discriminator_b: nn.Module | None = None,
        discriminator_style: nn.Module | None = None,
        warp: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        lambda_adversarial: NonNegativeFloat = 1.0,
        lambda_identity: NonNegativeFloat = 1.0,
        lambda_style: NonNegativeFloat = 1.0,
        lambda_pair: NonNegativeFloat = 0.1,
        pairs: bool = False,
        **base: Any,
    ) -> None:
        judges = {
            "a": discriminator_a or PatchGAN(in_channels=3, norm="instance"),
            "b": discriminator_b or PatchGAN(in_channels=3, norm="instance"),
        }
        if lambda_pair:
            judges["style"] = discriminator_style or PatchGAN(in_channels=6, norm="instance")
        generators = {
            "a_to_b": generator_a_to_b or ApplyingTranslator(),
            "b_to_a": generator_b_to_a or DilatedTranslator(),
        }
        super().__init__(nn.ModuleDict(generators), nn.ModuleDict(judges), **base)
        self.warp = warp or SeamlessPaste()
        self.loss = loss or NonSaturating()
        self.lambda_adversarial, self.lambda_identity = lambda_adversarial, lambda_identity
        self.lambda_style, self.lambda_pair, self.pairs = lambda_style, lambda_pair, pairs
        if pairs:
            self.measured += ("removal_error", "application_error", "copy_error")

    @property
    def translator(self) -> StyleTranslator:
        """A translator that applies the style of an example from A to B, and removes it from B to A."""
        return StyleTranslator(self.averaged_generator)

    def draw_fakes(self, batch: UnpairedBatch) -> Exchanged:
        """Return G(x, y) and F(y)."""
        applied = self.generator["a_to_b"](batch.real_a, batch.real_b)
        return Exchanged(applied, self.generator["b_to_a"](batch.real_b))

    def contests(self, batch: UnpairedBatch, fake: Any = None) -> Sequence[Contest]:
        """Return the tasks of D_X, of D_Y, and of D_S: to distinguish the pasted style from that of G."""
        (x, y), both = batch, super().contests(batch, fake)
        contests = [contest._replace(weight=self.lambda_adversarial) for contest in both]
        if self.lambda_pair:
            # references and results pass the augmentation together
            judge = partial(self.discriminate, beside=y, by=self.discriminator["style"])
            made = None if fake is None else fake.fake_b
            contests.append(Contest("style", self.warp(x, y), made, judge, x, weight=self.lambda_pair))
        return contests

    def generator_loss(self, batch: UnpairedBatch, fake: Exchanged) -> Terms:
        """Fool all discriminators; remove what was applied; apply again what was removed."""
        (x, y), terms = batch, super().generator_loss(batch, fake)
        apply, remove = self.generator["a_to_b"], self.generator["b_to_a"]
        if self.lambda_identity:
            terms["identity"] = self.lambda_identity * l1_loss(remove(fake.fake_b), x)
        if self.lambda_style:
            terms["style"] = self.lambda_style * l1_loss(apply(fake.fake_a, fake.fake_b), y)
        return terms

    def there(self, batch: UnpairedBatch, direction: Direction) -> Tensor:
        """Apply the style of each image of B to the image of A beside it, or remove it."""
        if direction == "b_to_a":
            return self.translate(batch.real_b, direction)
        translator = self.translator
        return translator.apply(batch.real_a, translator.encode(batch.real_b, direction), direction)

    @override
    def cycles(self, batch: UnpairedBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        fake_b, fake_a = self.there(batch, "a_to_b"), self.there(batch, "b_to_a")
        made = UnpairedBatch(fake_a, fake_b)
        return fake_b, fake_a, self.there(made, "b_to_a"), self.there(made, "a_to_b")  # F(G(x, y)), G(F(y), G(x, y))

    def validation_step(self, batch: UnpairedBatch, batch_idx: int) -> Tensor:
        """Return the images to evaluate; measure the cycle errors, and the distances to true pairs."""
        made = super().validation_step(batch, batch_idx)
        if self.pairs:
            x, y = batch
            for name, found, true in (
                ("removal_error", self.there(batch, "b_to_a"), x),
                ("application_error", self.there(batch, "a_to_b"), y),
                ("copy_error", x, y),
            ):
                self.measure(name, l1_loss(found, true) / 2, len(x))
        return made

    test_step = validation_step

    def preview(self, batch: UnpairedBatch, count: int) -> tuple[Tensor, int]:
        """Return rows of x | the reference, the y of the next row | x in its style | F of that | F of the reference."""
        shown = first(batch, count)
        shown = shown._replace(real_b=shown.real_b.roll(-1, 0))  # a true pair would show nothing
        fake_b, fake_a, removed, _ = self.cycles(shown)
        columns = shown.real_a, shown.real_b, fake_b, removed, fake_a
        return side_by_side(*map(self.render, columns)), len(columns)
