"""RealNVP: Density estimation using Real NVP.

Dinh, Sohl-Dickstein, Bengio, 2016. arXiv 1605.08803. Not a GAN, but included for comparison.

An invertible network f maps an image x to latents z = f(x) of a normal prior; its determinant is simple, since each
layer moves and scales one part of the values as the other part decides. -log p(x) is minimised exactly:

    log p_X(x) = log p_Z(f(x)) + log |det ∂f(x)/∂x|                                                  (equation 3)
    y_{1:d} = x_{1:d}, y_{d+1:D} = x_{d+1:D} ⊙ exp(s(x_{1:d})) + t(x_{1:d})                    (equations 4 and 5)

Pixels are integers: uniform noise spreads each over its interval, and the density's bound of their probability is
reported. New images are f^-1(z), z from the prior.
"""

import math
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Adam

from gan_lightning.data.batches import ImageBatch
from gan_lightning.families import FromLatents, as_values
from gan_lightning.inference import evaluating
from gan_lightning.networks import RealNVPNetwork
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.regularizers import Terms
from gan_lightning.training.optimizers import OptimizerFactory
from gan_lightning.training.solo import SoloModule


class RealNVP(FromLatents, SoloModule):
    """A flow between images and latents of a standard normal prior.

    Args:
        generator: f and its inverse. None = the paper's for CIFAR-10: two scales, 8 residual blocks, 64 maps.
        lambda_norm: weight of the sum of squares of the convolutions' magnitudes (of weight norm) and of the couplings'
            scales, beside bits per dimension.
        base: the other arguments of `SoloModule`.

    Logged: `loss/nats`, the bound of -log p(x) in nats an image; `loss/norm`; and `bits_per_dim`.

    NOTE: the paper's weight decay is of 5e-5 on magnitudes and, in the authors' code, on scales; its scale against the
        likelihood is unknown, and here it stands beside nats per dimension.
    """

    clamps: ClassVar[bool] = True
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=1e-3)
    likelihood_protocol: str = "an upper bound, by one uniform draw within each value's interval"

    def __init__(
        self, generator: RealNVPNetwork | None = None, lambda_norm: NonNegativeFloat = 5e-5, **base: Any
    ) -> None:
        super().__init__(generator or RealNVPNetwork(), **base)
        self.lambda_norm = lambda_norm

    def losses(self, batch: ImageBatch) -> Terms:
        """Return the bound of -log p and the decay of magnitudes."""
        nats = self._nats(self.generator, batch.images).mean()
        self.record("bits_per_dim", nats / (self.latent_dim * math.log(2)))
        sizes = [p for name, p in self.generator.named_parameters() if name.endswith(("weight.original0", ".size"))]
        norm = torch.stack([p.square().sum() for p in sizes]).sum()
        return {"nats": nats, "norm": self.lambda_norm * self.latent_dim * norm}

    @torch.no_grad()
    def nats(self, batch: ImageBatch) -> Tensor:
        """Return the bound of -log p of each image."""
        network = self.averaged_generator
        with evaluating(network), torch.autocast(self.device.type, enabled=False):
            return self._nats(network, batch.images)

    def _nats(self, network: Any, images: Tensor) -> Tensor:
        values = as_values(images, network.levels)
        x = (values + torch.rand(values.shape, device=values.device)) / network.levels  # in [0, 1)
        z, log_det = network(x, inverse=True)
        log_prior = -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
        return self.latent_dim * math.log(network.levels) - log_prior - log_det
