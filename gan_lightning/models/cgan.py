"""cGAN: Conditional Generative Adversarial Nets.

Mirza, Osindero, 2014. arXiv 1411.1784.

    min_G max_D V(D, G) = E_x[log D(x|y)] + E_z[log(1 - D(G(z|y)|y))]                             (equation 2)

The label y of a real image conditions both G and D: its fake is of the same class, and D sees the label that G was
given.
"""

from typing import Any

from torch import nn

from gan_lightning.families import NoiseToImage
from gan_lightning.losses import AdversarialLoss, NonSaturating
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator


class CGAN(NoiseToImage):
    """Conditional GAN: images of a requested class.

    Args:
        generator: G, called with latents and labels. None = DCGAN's for 32x32 grey images of ten classes, which
            concatenates the one-hot label to z.
        discriminator: D, called with images and labels. None = DCGAN's, which concatenates a one-hot map for each class
            to the image's channels.
        loss: the adversarial loss. None = non-saturating.
        base: the arguments of `AdversarialModule`.

    NOTE: the paper's own networks are fully connected (`ConditionalMLPGenerator`, `ConditionalMLPDiscriminator`). The
        defaults are convolutional, as in later conditional GANs.
    """

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        loss: AdversarialLoss | None = None,
        **base: Any,
    ) -> None:
        sizes: dict[str, Any] = {"image_size": 32, "channels": 1, "num_classes": 10}
        super().__init__(generator or DCGANGenerator(**sizes), discriminator or DCGANDiscriminator(**sizes), **base)
        if not self.num_classes:
            raise ValueError(
                "CGAN needs networks that take labels: give both the data's number of classes as num_classes"
            )
        self.loss = loss or NonSaturating()
