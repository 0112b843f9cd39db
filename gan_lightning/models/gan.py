"""GAN: Generative Adversarial Networks.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio, 2014. arXiv 1406.2661.

    min_G max_D V(D, G) = E_x[log D(x)] + E_z[log(1 - D(G(z)))]                                   (equation 1)

In practice G maximises log D(G(z)) instead (section 3), which has a gradient where D rejects the fakes: the
non-saturating loss, the default here. `loss: Minimax` is exactly equation 1.
"""

from functools import partial
from typing import Any, ClassVar

from torch import nn
from torch.optim import SGD

from gan_lightning.families import NoiseToImage
from gan_lightning.inference import Prior, UniformPrior
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import MLPDiscriminator, MLPGenerator
from gan_lightning.training.adversarial import OptimizerFactory


class GAN(NoiseToImage):
    """The first GAN.

    Args:
        generator: G. None = the paper's for MNIST: two hidden layers of 1200 rectifiers.
        discriminator: D, returning logits. None = the paper's: two maxout layers with dropout.
        loss: the adversarial loss. None = non-saturating.
        base: the arguments of `AdversarialModule`.

    NOTE: the original divides the learning rate by 1.000004 at each update and raises the momentum to 0.7 by epoch 250.
        Here both are constant unless a schedule (of the learning rate) is given.
    """

    paper_prior: ClassVar[Prior] = UniformPrior(3**0.5)
    paper_optimizer: ClassVar[OptimizerFactory] = partial(SGD, lr=0.1, momentum=0.5)

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        **base: Any,
    ) -> None:
        super().__init__(generator or MLPGenerator(), discriminator or MLPDiscriminator(), **base)
        self.loss = loss or NonSaturating()
