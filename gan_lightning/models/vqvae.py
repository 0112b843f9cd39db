"""VQ-VAE: Neural Discrete Representation Learning.

van den Oord, Vinyals, Kavukcuoglu, 2017. arXiv 1711.00937. Not a GAN, but included for comparison.

An encoder's outputs z_e(x) are replaced by the nearest vectors e of a codebook, z_q(x) (equations 1 and 2), from which
the decoder makes the image anew. The gradient passes from z_q to z_e unchanged. With sg the stopped gradient:

    L = -log p(x | z_q(x)) + ||sg[z_e(x)] - e||² + β ||z_e(x) - sg[e]||²                             (equation 3)

The second term alone moves the codebook. Here moving averages take its place (appendix A.1; see
`gan_lightning.layers.codebook.Codebook`). A model of the codes, `VQVAEPrior`, makes new images in a second run.
"""

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from gan_lightning import private
from gan_lightning.data.batches import ImageBatch, first
from gan_lightning.families import Translates, side_by_side
from gan_lightning.inference import Translator
from gan_lightning.layers.codebook import perplexity
from gan_lightning.networks import VQAutoencoder
from gan_lightning.networks.vqvae import Coded
from gan_lightning.ranges import NonNegativeFloat, PositiveFloat
from gan_lightning.regularizers import Terms
from gan_lightning.training.optimizers import OptimizerFactory
from gan_lightning.training.solo import SoloModule


class VQVAE(Translates, SoloModule):
    """An autoencoder with discrete codes. Its images, also for evaluation, are reconstructions.

    Args:
        generator: the autoencoder. None = that of the authors' code for RGB images.
        beta: β, the weight of the encoder's commitment to its codes.
        data_variance: variance of the values of images in [-1, 1], by which the squared error is divided. 0.25 for
            CIFAR-10, 0.38 for MNIST.
        base: the other arguments of `SoloModule`.

    Logged: `loss/reconstruction`, the mean squared error over the data's variance; `loss/commitment`; and `perplexity`,
        exp of the entropy of the batch's codes, from 1 (all alike) to their number (all equally frequent).

    NOTE: the errors are means over values, as in the authors' code; the paper writes sums.
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=3e-4)

    def __init__(
        self,
        generator: nn.Module | None = None,
        beta: NonNegativeFloat = 0.25,
        data_variance: PositiveFloat = 0.25,
        **base: Any,
    ) -> None:
        super().__init__(generator or VQAutoencoder(), **base)
        self.beta, self.data_variance = beta, data_variance

    def losses(self, batch: ImageBatch) -> Terms:
        """Return the terms of equation 3 that have a gradient; in training, move the codebook."""
        network: Any = self.generator
        made: Coded = network(batch.images, whole=True)
        codebook = network.codebook
        with torch.autocast(self.device.type, enabled=False):
            vectors = codebook.look_up(made.codes)
            statistics = self.mean_over_processes(codebook.statistics(made.encoded, made.codes))
            self.record("perplexity", perplexity(statistics[:, 0] / statistics[:, 0].sum()))
            terms = {
                "reconstruction": F.mse_loss(made.reconstruction.float(), batch.images) / self.data_variance,
                "commitment": self.beta * F.mse_loss(made.encoded.float(), vectors),
            }
            if self.training:
                running = private.trainer_of(self) is not None
                codebook.learn(statistics * (self.trainer.world_size if running else 1))
        return terms

    @property
    def translator(self) -> Translator:
        """A translator of images to their reconstructions, limited to [-1, 1]."""
        return Translator(self.averaged_generator, clamp=True)

    def generate(self, batch: ImageBatch) -> Tensor:
        """Return the reconstructions."""
        return self.translate(batch.images)

    def reference(self, batch: ImageBatch) -> Tensor:
        """Return the images."""
        return batch.images

    def preview(self, batch: ImageBatch, count: int) -> tuple[Tensor, int]:
        """Return rows of two images, each beside its reconstruction."""
        shown = first(batch, count)
        return side_by_side(shown.images, self.generate(shown)), 4
