"""Models that make images from latents, alone or against a discriminator."""

from contextlib import ExitStack
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gan_lightning.data.batches import batch_length, class_labels
from gan_lightning.families.noise import FromNoise
from gan_lightning.inference import LatentSampler, NormalPrior, Prior
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.private import uncompiled
from gan_lightning.ranges import NonNegativeInt
from gan_lightning.training.adversarial import AdversarialModule, Terms
from gan_lightning.training.unrolling import check_optimizer, look_ahead


class FromLatents(FromNoise):
    """A generator that makes images from latent vectors, and from class labels if it takes any.

    The generator states its `latent_dim`, the width of z, and its `num_classes` if it takes labels. It is called as
    `generator(z, labels)` then, and otherwise (none stated, or 0) as `generator(z)`.

    Batch norm uses its running statistics whenever images are made (in previews, evaluation and prediction), and the
    statistics of the batch only in training.

    Args:
        generator: the network.
        prior: the distribution of latents. None = the paper's.
        base: the other arguments of the model's base.
    """

    paper_prior: ClassVar[Prior] = NormalPrior()
    """The distribution of latents if none is given."""
    clamps: ClassVar[bool] = False
    """Whether images are limited to [-1, 1], since the paper's generator may exceed this range."""

    def __init__(self, generator: nn.Module, prior: Prior | None = None, **base: Any) -> None:
        super().__init__(generator, **base)
        self.prior = prior or self.paper_prior
        self.latent_dim: int = self.sampler.latent_dim
        self.num_classes: int = self.sampler.num_classes

    @property
    def sampler(self) -> LatentSampler:
        """A sampler with the averaged weights."""
        return LatentSampler(self.averaged_generator, self.prior, self.clamps, self.names_of_classes)

    def latents(self, count: int) -> Tensor:
        """Draw latent vectors (count, latent_dim) from the prior, on this module's device."""
        return self.prior.draw(count, self.latent_dim, self.device)

    def draw_styles(self, batch: Any, count: int) -> Tensor:
        """Draw styles w (count, ...) of a generator that has some, for classes of the batch if it has classes."""
        styles: Any = self.generator.styles if hasattr(self.generator, "num_styles") else self.generator.mapping
        # of items at equal distances, so that the parts of a batch on several processes give those of the whole batch
        some = [labels[:: len(labels) // count][:count] for labels in self.conditions(class_labels(batch))]
        return styles(self.latents(count), *some)

    def conditions_of(self, batch: Any) -> list[Tensor]:
        """Return the networks' further arguments for a batch: its labels for a conditional model, else none."""
        return self.conditions(class_labels(batch))


class NoiseToImage(FromLatents, AdversarialModule):
    """A generator of images from latents, against a discriminator.

    The discriminator is called as `discriminator(images)` or `discriminator(images, labels)`.

    Args:
        generator: the network that makes images.
        discriminator: the network that judges them.
        unroll: number of steps that the generator looks ahead: it learns against the discriminator as it would be after
            so many more steps (Metz et al. 2016, arXiv 1611.02163; see `gan_lightning.training.unrolling`). 0 = against
            the discriminator as it is.
        base: the other arguments of `FromLatents` and `AdversarialModule`.
    """

    unrolls: ClassVar[bool] = True
    """Whether the discriminator's step is that of its optimizer alone, so that it can be unrolled."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, unroll: NonNegativeInt = 0, **base: Any) -> None:
        super().__init__(generator, discriminator=discriminator, **base)
        self.unroll = unroll
        if unroll and not self.unrolls:
            raise ValueError(
                f"{type(self).__name__} limits its discriminator's weights after each step, which steps ahead would "
                "not do: set unroll to 0, or choose another model, such as WGANGP"
            )
        if unroll and self.accumulate > 1:
            raise ValueError(
                "a step ahead is made on a whole batch, and accumulate cuts it: set unroll to 0, or accumulate to 1"
            )
        judged = getattr(discriminator, "num_classes", self.num_classes)
        if judged != self.num_classes:
            raise ValueError(
                f"the generator knows {self.num_classes} classes and the discriminator {judged}: set num_classes "
                "of both to the same (0 = no labels)"
            )

    def on_fit_start(self) -> None:
        """Check that the discriminator's steps can be unrolled, if they are to be."""
        super().on_fit_start()
        if self.unroll:
            check_optimizer(self.optimizer_of("discriminator").optimizer)
            if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
                raise ValueError(
                    "model.unroll differentiates the discriminator's gradients, which fp16 cannot hold without the "
                    "scale of the loss: set trainer.precision to bf16-mixed or 32-true"
                )

    def _generator_terms(self, batch: Any, fake: Any) -> Terms:
        if not self.unroll:
            return super()._generator_terms(batch, fake)
        fake = self.draw_fakes(batch) if fake is None else fake

        def loss() -> Tensor:
            with self.looking_ahead():
                return torch.stack([*self._discriminator_terms(batch, fake).values()]).sum()

        modules = self.players()["discriminator"]
        with ExitStack() as stack:
            for module in modules:  # compiled modules are not differentiable twice
                stack.enter_context(uncompiled(module))
            return look_ahead(
                modules,
                self.optimizer_of("discriminator").optimizer,
                self.unroll,
                loss,
                partial(super()._generator_terms, batch, fake),
                self.clip_norms["discriminator"],
                self.trainer.world_size,
            )

    def draw_fakes(self, batch: Any) -> Any:
        """Make a fake for each real image, of the same class if the model has classes."""
        return self.generator(self.latents(batch_length(batch)), *self.conditions_of(batch))

    def verdict(self, batch: Any, images: Tensor, **asked: Any) -> DiscriminatorOutput:
        """Return the discriminator's output, given the conditions of the batch if the model has any."""
        return self.discriminate(images, *self.conditions_of(batch), **asked)

    def eager_logits(self, batch: Any, images: Tensor) -> Tensor:
        """Return logits of augmented images, given the conditions of the batch, for penalties on gradients.

        They never pass a compiled module, which is not differentiable twice.
        """
        output = self.discriminator.forward(self.augmentation(images), *self.conditions_of(batch))
        return DiscriminatorOutput.of(output).logits[0]
