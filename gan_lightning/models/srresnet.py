"""SRResNet, and any other generator for super-resolution that minimises an error in pixels, without an adversary.

Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", 2016, arXiv
1609.04802, section 2.2 and equation 4; the PSNR-oriented model of Wang et al., "ESRGAN", 2018, arXiv 1809.00219.

    L(G) = E[d(G(I_LR), I_HR)],   d the mean over pixels of (x - y)² (SRResNet) or of |x - y| (ESRGAN)

This gives the highest PSNR, but little fine texture: the result is the mean of all possible images. A run of `SRGAN`
starts from the generator trained here.
"""

from functools import partial
from typing import Any, ClassVar

from torch import nn
from torch.optim import Adam

from gan_lightning.data.batches import PairedBatch
from gan_lightning.families import SuperResolution
from gan_lightning.losses import DISTANCES, Distance
from gan_lightning.networks import SRResNetGenerator
from gan_lightning.regularizers import Terms
from gan_lightning.training.optimizers import OptimizerFactory
from gan_lightning.training.solo import SoloModule


class SRResNet(SuperResolution, SoloModule):
    """Super-resolution with the least error in pixels.

    Args:
        generator: G, which maps a source to an image `scale` times its size. None = SRResNet's for a scale of 4.
        distance: d, "mse" (SRResNet) or "l1" (ESRGAN).
        base: the other arguments of `SoloModule`.
    """

    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=1e-4)

    def __init__(self, generator: nn.Module | None = None, distance: Distance = "mse", **base: Any) -> None:
        super().__init__(generator or SRResNetGenerator(), **base)
        self.distance = distance

    def losses(self, batch: PairedBatch) -> Terms:
        """Return the error in pixels, for values in [-1, 1]."""
        return {self.distance: DISTANCES[self.distance](self.generator(batch.source), batch.target)}
