"""3D-GAN: Learning a Probabilistic Latent Space of Object Shapes via 3D Generative-Adversarial Modeling.

Wu, Zhang, Xue, Freeman, Tenenbaum, 2016. arXiv 1610.07584.

    L_3D-GAN = log D(x) + log(1 - D(G(z)))                                                           (equation 1)

x is a shape, a grid of occupancy, z a random vector, and both networks are convolutional in three dimensions. D learns
faster than G in three dimensions, so that it is only updated on a batch if its accuracy in the last batch was not above
80 per cent (section 3.1).
"""

from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Adam

from gan_lightning.data.batches import Batch, VoxelBatch
from gan_lightning.families import NoiseToImage
from gan_lightning.inference import IntervalPrior, Prior
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import ThreeDGANDiscriminator, ThreeDGANGenerator
from gan_lightning.ranges import Share
from gan_lightning.training.adversarial import OptimizerFactory
from gan_lightning.training.handicap import Handicap


class ThreeDGAN(NoiseToImage):
    """A GAN of shapes, grids of voxels.

    Args:
        generator: G, which maps z to occupancy. None = the paper's for 64x64x64.
        discriminator: D, returning logits. None = the paper's, G's mirror.
        loss: the adversarial loss. None = non-saturating.
        accuracy_limit: D rests on a batch if its accuracy in the last one, the share of real shapes and fakes that it
            told rightly, was above this share. 1 = it never rests.
        base: the other arguments of `AdversarialModule`. The default learning rates are the paper's, 0.0025 of G and
            0.00001 of D; it has batches of 100.

    Logged: `discriminator_accuracy`, that share, in [0, 1]. A batch on which D rests counts as its turn.

    NOTE: equation 1 is minimax; the loss is the non-saturating one, as in the training code of the field.
    NOTE: z is uniform in [0, 1], as in the authors' code for sampling; they have not released any for training.
    """

    batch_type: ClassVar[type[Batch]] = VoxelBatch
    paper_prior: ClassVar[Prior] = IntervalPrior(0.0, 1.0)
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=2.5e-3, betas=(0.5, 0.999))

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        accuracy_limit: Share = 0.8,
        discriminator_optimizer: OptimizerFactory | None = None,
        **base: Any,
    ) -> None:
        super().__init__(
            generator or ThreeDGANGenerator(),
            discriminator or ThreeDGANDiscriminator(),
            discriminator_optimizer=discriminator_optimizer or partial(Adam, lr=1e-5, betas=(0.5, 0.999)),
            **base,
        )
        self.loss = loss or NonSaturating()
        self.handicap = Handicap(accuracy_limit, self.loss)

    def reference(self, batch: VoxelBatch) -> Tensor:
        """Return the real shapes (N, 1, S, S, S)."""
        return batch.voxels
