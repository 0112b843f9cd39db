"""Models that make frames of people from landmark pictures."""

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Adam

from gan_lightning.data.batches import Batch, FramesBatch, first
from gan_lightning.families.translation import Translates, side_by_side
from gan_lightning.losses import AdversarialLoss, Hinge, PerceptualLoss, VGG19Loss, VGGFaceLoss, layer_matching
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat, PositiveInt
from gan_lightning.training.adversarial import AdversarialModule, OptimizerFactory, Terms

BLOCKS = range(1, 6)


class DrivenHeads(Translates, AdversarialModule):
    """A generator of frames x̂ from landmark pictures y, against a discriminator of pairs (x, y).

    Its losses are those that meta-learning and fine-tuning share:

        L_CNT = Σ_l λ |φ_l(x) - φ_l(x̂)|, over layers of VGG19 and of VGG-Face                     (equation 3)
        L_ADV = -D(x̂, y) + λ_FM Σ_l |D_l(x, y) - D_l(x̂, y)|                                       (equation 4)

    Evaluations also log, for the smallest box around the landmarks of each frame, `val/face_l1`, the mean absolute
    difference of the frame that is made from the true one, as a share of the range; `val/face_l1_copy`, that of the
    person's first example, which is the baseline; and `val/better_than_copy`, the share of frames that are nearer to
    the truth than this copy.

    Args:
        generator: G.
        discriminator: D, called with frames and landmark pictures concatenated along channels.
        loss: the adversarial loss. None = hinge.
        content: the perceptual loss. None = mean absolute differences of VGG19's relu1_1 to relu5_1.
        face_content: the perceptual loss of a network that knows faces. None = the same layers of VGG-Face.
        lambda_content: weight of the perceptual loss. 0 turns it off, and its network is not needed.
        lambda_face: weight of that of faces. 0 turns it off, and its network is not needed.
        lambda_features: weight λ_FM of the feature matching. 0 turns it off.
        lambda_l1: weight of the mean absolute error in pixels, which the paper does not have, for values in [-1, 1]. 0
            turns it off.
        generator_optimizer: see `AdversarialModule`. None = Adam with a rate of 5e-5.
        discriminator_optimizer: see `AdversarialModule`. None = Adam with a rate of 2e-4.
        n_critic: number of discriminator steps for each step of the generator.
        base: the other arguments of `AdversarialModule`.
    """

    batch_type: ClassVar[type[Batch]] = FramesBatch

    measured = ("face_l1", "face_l1_copy", "better_than_copy")

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss: AdversarialLoss | None = None,
        content: PerceptualLoss | None = None,
        face_content: PerceptualLoss | None = None,
        lambda_content: NonNegativeFloat = 0.15,
        lambda_face: NonNegativeFloat = 0.025,
        lambda_features: NonNegativeFloat = 10.0,
        lambda_l1: NonNegativeFloat = 0.0,
        generator_optimizer: OptimizerFactory | None = None,
        discriminator_optimizer: OptimizerFactory | None = None,
        n_critic: PositiveInt = 2,
        **base: Any,
    ) -> None:
        super().__init__(
            generator,
            discriminator,
            generator_optimizer=generator_optimizer or partial(Adam, lr=5e-5),
            discriminator_optimizer=discriminator_optimizer or partial(Adam, lr=2e-4),
            n_critic=n_critic,
            **base,
        )
        self.loss = loss or Hinge()
        self.content = content or VGG19Loss({f"relu{block}_1": 1.0 for block in BLOCKS}, "l1")
        self.face_content = face_content or VGGFaceLoss({f"relu{block}_1": 1.0 for block in BLOCKS}, "l1")
        self.lambda_content, self.lambda_face = lambda_content, lambda_face
        self.lambda_features, self.lambda_l1 = lambda_features, lambda_l1

    def on_fit_start(self) -> None:
        """Load the networks of the perceptual losses, so that a missing one is an error before the first step."""
        super().on_fit_start()
        for weight, content in ((self.lambda_content, self.content), (self.lambda_face, self.face_content)):
            if weight:
                content.load()

    def reference(self, batch: FramesBatch) -> Tensor:
        """Return the true frames."""
        return batch.target

    def people(self, batch: FramesBatch) -> tuple[Tensor, ...]:
        """Return the conditions of D beside the pictures."""
        return ()

    def verdict(self, batch: FramesBatch, images: Tensor, **asked: Any) -> DiscriminatorOutput:
        """Return D(x, y), for frames x. Both pictures pass the augmentation together."""
        return self.discriminate(torch.cat([images, batch.landmarks], dim=1), *self.people(batch), **asked)

    def generator_loss(self, batch: FramesBatch, fake: Any) -> Terms:
        """Let D take the frames for real, and resemble the true ones in D's features, those of VGG, and pixels."""
        images, matches = self.fake_images(fake), bool(self.lambda_features)
        verdict = self.verdict(batch, images, **({"with_features": True} if matches else {}))
        terms = {
            "adversarial": self.generator_adversarial_loss(verdict, lambda: self.verdict(batch, batch.target)),
        }
        if matches:
            with torch.no_grad():
                real = self.verdict(batch, batch.target, with_features=True, with_logits=False)
            terms["features"] = self.lambda_features * layer_matching(real.features, verdict.features)
        if self.lambda_content:
            terms["content"] = self.lambda_content * self.content(images, batch.target)
        if self.lambda_face:
            terms["face"] = self.lambda_face * self.face_content(images, batch.target)
        if self.lambda_l1:
            terms["l1"] = self.lambda_l1 * l1_loss(images.float(), batch.target)
        return terms

    def validation_step(self, batch: FramesBatch, batch_idx: int) -> Tensor:
        """Return the frames to evaluate; measure their distances, and those of copies."""
        made = self.generate(batch)
        own, copy = (face_distance(each, batch) for each in (made, batch.examples[:, :, 0]))
        for name, values in zip(self.measured, (own, copy, (own < copy).float()), strict=True):
            self.measure(name, values.mean(), len(values))
        return made

    test_step = validation_step

    def preview(self, batch: FramesBatch, count: int) -> tuple[Tensor, int]:
        """Return rows of example | landmarks | fake | target."""
        shown = first(batch, count)
        columns = self.render(shown.examples[:, :, 0]), shown.landmarks, self.render(self.generate(shown))
        return side_by_side(*columns, self.render(shown.target)), 4


def face_distance(images: Tensor, batch: FramesBatch) -> Tensor:
    """Return the mean absolute difference of each image from its target, in the box around the target's landmarks.

    Args:
        images: float (N, C, H, W) in [-1, 1].
        batch: the targets, and their landmark pictures, which are black where there are none.

    Returns:
        float32 (N,), as shares of the range. Without landmarks, the box is the whole image.
    """
    drawn = (batch.landmarks > -0.98).any(dim=1)
    axes = [_between(drawn.any(dim=2)), _between(drawn.any(dim=1))]
    box = axes[0][:, :, None] * axes[1][:, None, :]  # (N, H, W)
    difference = (images.float() - batch.target.float()).abs().mean(dim=1) / 2
    return (difference * box).sum(dim=(1, 2)) / box.sum(dim=(1, 2))


def _between(found: Tensor) -> Tensor:
    """Return 1 from the first to the last place that is true, float (N, L); 1 everywhere if none is."""
    after, before = found.cumsum(dim=1) > 0, found.flip(1).cumsum(dim=1).flip(1) > 0
    return ((after & before) | ~found.any(dim=1, keepdim=True)).float()
