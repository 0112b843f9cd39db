"""Models of the probability of images value by value: each given the values before it."""

from typing import Any

import torch
from torch import Tensor

from gan_lightning.data.batches import ImageBatch, class_labels
from gan_lightning.families.noise import FromNoise
from gan_lightning.inference import AutoregressiveSampler, evaluating
from gan_lightning.networks.base import AutoregressiveNetwork
from gan_lightning.regularizers import Terms
from gan_lightning.training.solo import SoloModule


def as_values(images: Tensor, levels: int) -> Tensor:
    """Convert images float (N, C, H, W) in [-1, 1] to their values int64, from 0 to levels - 1, rounded."""
    return ((images.float() + 1) * ((levels - 1) / 2)).round().long().clamp(0, levels - 1)


class Autoregressive(FromNoise, SoloModule):
    """A network that gives -log p(x) = -Σ log p(x_i | x_<i), which is minimised as it is, in nats an image.

    Args:
        generator: an `AutoregressiveNetwork`. If it has classes, the data's labels are its condition.
        base: the other arguments of `SoloModule`.

    Logged: `loss/nats`, the mean of -log p over the batch, and `bits_per_dim`, per value.
    """

    likelihood_protocol: str = "exact"

    def __init__(self, generator: AutoregressiveNetwork, **base: Any) -> None:
        super().__init__(generator, **base)
        self.num_classes: int = generator.num_classes

    @property
    def sampler(self) -> AutoregressiveSampler:
        """A sampler with the averaged weights."""
        return AutoregressiveSampler(self.averaged_generator, class_names=self.names_of_classes)

    def values(self, batch: ImageBatch) -> Tensor:
        """Return what the network gives probabilities of, int64 (N, C, H, W), for a batch."""
        return as_values(batch.images, self.generator.levels)  # type: ignore[arg-type]

    def losses(self, batch: ImageBatch) -> Terms:
        """Return -log p, the mean over the batch."""
        values = self.values(batch)
        nats = self._nats(self.generator, values, batch).mean()
        self.record("bits_per_dim", nats / (values[0].numel() * torch.log(torch.tensor(2.0))))
        return {"nats": nats}

    @torch.no_grad()
    def nats(self, batch: ImageBatch) -> Tensor | None:
        """Return -log p of each image, exactly."""
        network = self.averaged_generator
        with evaluating(network), torch.autocast(self.device.type, enabled=False):
            return self._nats(network, self.values(batch), batch)

    def _nats(self, network: Any, values: Tensor, batch: ImageBatch) -> Tensor:
        return network.nats(network(values, *self.conditions(class_labels(batch))), values)

    def check_batch(self, batch: ImageBatch) -> None:
        """Check that a model of few levels gets images of these levels."""
        self.check_kind(batch)
        levels: Any = self.generator.levels
        step = 2 / (levels - 1)
        rounded = as_values(batch.images, levels) * step - 1
        if (batch.images - rounded).abs().max() > 1.01 / 255:  # half of a stored level
            raise ValueError(
                f"the network of {type(self).__name__} gives probabilities of {levels} levels, and the data serve "
                f"values between: set model.generator.levels to 256{_OR_BINARISE if levels == 2 else ''}"
            )
        super().check_batch(batch)


_OR_BINARISE = ", or data.binarise to fixed or drawn for black and white images"
