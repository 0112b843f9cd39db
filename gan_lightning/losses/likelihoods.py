"""The likelihood of an image under a decoder: the reconstruction terms of autoencoders.

Both are sums over an image's values, as log p(x|z) is. They therefore have the right proportion to the divergence of
the latents, which is a sum over components. A mean over pixels would give the divergence hundreds of times the weight.
"""

import inspect
import math
from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.ranges import PositiveFloat
from gan_lightning.recording import Recorded


class Likelihood(Recorded, ABC):
    """The likelihood p(x|z) of a decoder of z."""

    @abstractmethod
    def negative_log_likelihood(self, decoder: nn.Module, z: Tensor, images: Tensor) -> Tensor:
        """Return -log p(x|z) of each image, in nats.

        Args:
            decoder: maps latents (N, L) to images.
            z: the latents, (N, L).
            images: x, (N, C, H, W) in [-1, 1].

        Returns:
            float32 (N,).
        """

    def gives_probability(self, images: Tensor) -> bool:
        """Whether p(x|z) is a probability of these images, so that a bound of p(x) is one too, not only a loss."""
        return False


class Bernoulli(Likelihood):
    """Pixels that are white with a probability, and else black; -log p(x|z) is the cross-entropy of pixels in [0, 1].

    For grey pixels this is not a probability, but it is the usual loss for digits since Kingma & Welling (2013, arXiv
    1312.6114, appendix C.1). The decoder is called as `decoder(z, as_logits=True)`, which `VAEDecoder` supports.
    """

    def gives_probability(self, images: Tensor) -> bool:
        """Whether all values are black or white."""
        return bool((images.abs() == 1).all())

    def negative_log_likelihood(self, decoder: nn.Module, z: Tensor, images: Tensor) -> Tensor:
        """Return -Σ [x log p + (1 - x) log(1 - p)] over an image's values."""
        if "as_logits" not in inspect.signature(decoder.forward).parameters:
            raise TypeError(
                f"the decoder {type(decoder).__name__} does not return logits (by an argument `as_logits`), which a "
                "Bernoulli likelihood needs: choose the Gaussian one (model.init_args.likelihood), or a decoder "
                "such as VAEDecoder"
            )
        logits = decoder(z, as_logits=True).float()
        return F.binary_cross_entropy_with_logits(logits, (images + 1) / 2, reduction="none").flatten(1).sum(1)


class Gaussian(Likelihood):
    """Values that are normal around the decoder's values, with one standard deviation.

    Args:
        std: the standard deviation, in the units of images in [-1, 1]. The smaller it is, the more the reconstruction
            counts.
    """

    def __init__(self, std: PositiveFloat = 1.0) -> None:
        self.std = std

    def negative_log_likelihood(self, decoder: nn.Module, z: Tensor, images: Tensor) -> Tensor:
        """Return Σ [(x - x̃)² / 2σ² + log σ √2π] over an image's values."""
        squares = (images - decoder(z).float()).square() / (2 * self.std**2)
        return (squares + math.log(self.std * math.sqrt(2 * math.pi))).flatten(1).sum(1)
