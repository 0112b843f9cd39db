"""CoGAN: Coupled Generative Adversarial Networks.

Liu, Tuzel, 2016. arXiv 1606.07536.

A GAN for each of two domains. The generators G_1 and G_2 have their first layers in common, and the discriminators D_1
and D_2 their last ones:

    max_{G_1,G_2} min_{D_1,D_2} V(G_1, G_2, D_1, D_2)                                               (equation 5)
    V = E_{x_1}[-log D_1(x_1)] + E_z[-log(1 - D_1(G_1(z)))]
      + E_{x_2}[-log D_2(x_2)] + E_z[-log(1 - D_2(G_2(z)))]                                         (equation 6)

No image of one domain is paired with one of the other. Nevertheless G_1(z) and G_2(z) become a pair, since the shared
layers decide what is in the images, and the own ones how it looks.
"""

from typing import Any

import torch
from torch import Tensor

from gan_lightning.data.batches import ImageBatch
from gan_lightning.data.counterparts import Counterpart
from gan_lightning.families import NoiseToImage
from gan_lightning.layers import check_labels, one_hot
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks.cogan import CoGANDiscriminator, CoGANGenerator, CoupledGenerator
from gan_lightning.networks.discriminator import Discriminator


class CoGAN(NoiseToImage):
    """Coupled GANs, for images that are labelled by their domain.

    The domain is the class of a conditional generator. An image's counterparts in other domains are the images of
    other classes from the same latents: `gan-lightning sample RUN pairs.png --classes all --seeds 0-7` shows pairs.

    Args:
        generator: G_1, G_2, ... None = the authors' for digits in two domains.
        discriminator: D_1, D_2, ..., called with images and domains. None = the authors' for digits in two domains.
        loss: the adversarial loss. None = non-saturating, as in the authors' code.
        counterpart: the image of the second domain that belongs to an image of the first, if a formula tells it.
            None = it does not.
        base: the arguments of `AdversarialModule`.

    Logged, with a counterpart: `val/pixel_agreement` (`test/...`), the share of pixels in which G_2(z) agrees with the
        counterpart of G_1(z), averaged over a pair for each reference image.

    NOTE: a pixel agrees if both are above the middle grey, or both below. The paper does not define agreement.
    NOTE: V is an average over domains here, as in the authors' code, and not a sum; for Adam they are the same.
    NOTE: any number of domains is allowed, and one more costs only its own layers.
    NOTE: batches with equally many images of each domain are the paper's (`CoupledDigits`, or `ImageFolder` with
        in_turn: true). Of a domain with more, a few fakes of the batch have the same z.
    """

    generator: CoupledGenerator

    def __init__(
        self,
        generator: CoupledGenerator | None = None,
        discriminator: Discriminator | None = None,
        loss: AdversarialLoss | None = None,
        counterpart: Counterpart | None = None,
        **base: Any,
    ) -> None:
        super().__init__(generator or CoGANGenerator(), discriminator or CoGANDiscriminator(), **base)
        self.loss = loss or NonSaturating()
        self.counterpart = counterpart
        self.measured = () if counterpart is None else ("pixel_agreement",)

    def draw_fakes(self, batch: ImageBatch) -> Tensor:
        """Make a fake for each real image, of the same domain; the k-th fakes of all domains have the same z."""
        labels = check_labels(batch.labels, self.num_classes)
        every = self.generator(self.latents(len(labels))[:: self.num_classes]).unflatten(0, (-1, self.num_classes))
        place = one_hot(labels, self.num_classes).cumsum(0).long().gather(1, labels[:, None])[:, 0] - 1
        return every[place % len(every), labels]  # (N, C, H, W)

    def validation_step(self, batch: ImageBatch, batch_idx: int) -> Tensor:
        """Make the images to evaluate; measure how well the pairs of the same latents agree."""
        if self.counterpart is None:
            return super().validation_step(batch, batch_idx)
        sampler, count = self.sampler, len(batch.images)
        z = sampler.draw(count)
        first, second = (sampler.images(z, z.new_full((count,), domain, dtype=torch.int64)) for domain in (0, 1))
        self.measure("pixel_agreement", agreement(self.counterpart(first), second), count)
        return sampler.images(z, batch.labels)

    test_step = validation_step

    def preview(self, batch: ImageBatch, count: int) -> tuple[Tensor, int]:
        """Return about `count` images from fixed latents: in each row, four sets of counterparts side by side."""
        domains = torch.arange(self.num_classes, device=self.device)
        z = self.sampler.latents(range(max(1, count // len(domains))), seed=0)
        labels = domains.repeat(len(z))
        return self.render(self.sampler.images(z.repeat_interleave(len(domains), 0), labels)), 4 * len(domains)


def agreement(expected: Tensor, images: Tensor) -> Tensor:
    """Return the share of values in which images agree, a scalar: on which side of the middle grey, 0, they lie."""
    return ((expected > 0) == (images > 0)).float().mean()
