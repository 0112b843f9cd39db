"""How probable a decoder finds an image: the reconstruction terms of autoencoders.

Both are sums over an image's values, as log p(x|z) is, so that they stand in the right proportion to the divergence of
the latents, which is a sum over components; a mean over pixels would weigh it hundreds of times too heavily.
"""

import inspect
import math
from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.ranges import PositiveFloat
from gan_lightning.recording import Recorded


class Likelihood(Recorded, ABC):
    """p(x|z), given by a decoder of z."""

    @abstractmethod
    def surprise(self, decoder: nn.Module, z: Tensor, images: Tensor) -> Tensor:
        """-log p(x|z) of each image, in nats.

        Args:
            decoder: from latents (N, L) to images.
            z: the latents, (N, L).
            images: x, (N, C, H, W) in [-1, 1].

        Returns:
            float32 (N,).
        """


class Bernoulli(Likelihood):
    """Each pixel is white or black by chance; -log p(x|z) is the cross-entropy of pixels in [0, 1].

    Of grey pixels, which are neither, it is no probability, but the loss that is used for digits since Kingma & Welling
    (2013, arXiv 1312.6114, appendix C.1). The decoder is called as `decoder(z, as_logits=True)`, as `VAEDecoder`
    can be.
    """

    def surprise(self, decoder: nn.Module, z: Tensor, images: Tensor) -> Tensor:
        """-Σ [x log p + (1 - x) log(1 - p)] over an image's values."""
        if "as_logits" not in inspect.signature(decoder.forward).parameters:
            raise TypeError(
                f"the decoder {type(decoder).__name__} does not give logits (by an argument `as_logits`), which a "
                "Bernoulli likelihood asks for: choose the Gaussian one (model.init_args.likelihood), or a decoder "
                "such as VAEDecoder"
            )
        logits = decoder(z, as_logits=True).float()
        return F.binary_cross_entropy_with_logits(logits, (images + 1) / 2, reduction="none").flatten(1).sum(1)


class Gaussian(Likelihood):
    """Each value is normal around the decoder's, all with the same deviation.

    Args:
        std: that deviation, in the units of images in [-1, 1]: the smaller, the more the reconstruction counts.
    """

    def __init__(self, std: PositiveFloat = 1.0) -> None:
        self.std = std

    def surprise(self, decoder: nn.Module, z: Tensor, images: Tensor) -> Tensor:
        """Σ [(x - x̃)² / 2σ² + log σ √2π] over an image's values."""
        squares = (images - decoder(z).float()).square() / (2 * self.std**2)
        return (squares + math.log(self.std * math.sqrt(2 * math.pi))).flatten(1).sum(1)
