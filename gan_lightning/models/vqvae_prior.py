"""The prior of VQ-VAE: Neural Discrete Representation Learning, the second stage.

van den Oord, Vinyals, Kavukcuoglu, 2017. arXiv 1711.00937, section 3.3. Not a GAN, but included for comparison.

When the autoencoder of `VQVAE` has learnt, its codes z are modelled by a PixelCNN, p(z) = Π_i p(z_i | z_<i), while the
autoencoder stays as it is. New images are decoded from codes that are drawn from p(z).

Start it from the first run, by the parts of both models:

    --start_from "{autoencoder: {generator: runs/vqvae-digits/checkpoints/last.ckpt}}"
"""

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Adam
from typing_extensions import override

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import Autoregressive, FromNoise
from gan_lightning.inference import AutoregressiveSampler, evaluating
from gan_lightning.networks import GatedPixelCNNNetwork, VQAutoencoder
from gan_lightning.networks.base import AutoregressiveNetwork
from gan_lightning.training.optimizers import OptimizerFactory


class VQVAEPrior(Autoregressive):
    """A PixelCNN over the codes of a trained autoencoder, which does not learn.

    Args:
        generator: gives the distribution of each code, any `AutoregressiveNetwork` with one channel, as many levels as
            there are codes, and the size of the codes as its image_size. None = gated, for codes of 8x8, as of
            CIFAR-10.
        autoencoder: of the first run, with the same settings. None = that of the authors' code for RGB images.
        base: the other arguments of `SoloModule`.

    Logged: `loss/nats` and `bits_per_dim` are those of the codes, not of images, which get no likelihood.

    NOTE: the paper gives no settings of the prior; here it is a gated PixelCNN of 10 layers with learnt vectors for
        codes.
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=3e-4)
    likelihood_protocol: str = ""

    def __init__(
        self, generator: AutoregressiveNetwork | None = None, autoencoder: nn.Module | None = None, **base: Any
    ) -> None:
        codes = GatedPixelCNNNetwork(8, 1, 512, width=128, layers=10, embedding=64)
        super().__init__(generator or codes, **base)
        self.autoencoder: Any = autoencoder or VQAutoencoder()
        self.autoencoder.requires_grad_(False)
        levels: Any = self.generator.levels
        if levels != self.autoencoder.codes:
            raise ValueError(
                f"the autoencoder has {self.autoencoder.codes} codes, and the generator gives probabilities of {levels}"
                ": set generator.levels to the number of codes"
            )

    @property
    def sampler(self) -> AutoregressiveSampler:
        """A sampler with the averaged weights of the prior, which decodes what it draws."""
        return AutoregressiveSampler(self.averaged_generator, self.autoencoder, self.names_of_classes)

    @torch.no_grad()
    def values(self, batch: ImageBatch) -> Tensor:
        """Return the codes of images, int64 (N, 1, H/4, W/4)."""
        with evaluating(self.autoencoder), torch.autocast(self.device.type, enabled=False):
            return self.autoencoder.encode(batch.images)

    @override
    def nats(self, batch: ImageBatch) -> None:
        return None

    @override
    def check_batch(self, batch: ImageBatch) -> None:
        FromNoise.check_batch(self, batch)  # images need not lie at levels
