"""Small batches, and data modules that serve them. The tiny models stand in tests/models, beside their tests."""

from collections.abc import Iterator, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from gan_lightning.networks.growing import Growing

SIZE = 16
CLASSES = 3
SMALL: dict[str, Any] = {"image_size": SIZE, "channels": 1, "width": 4}


def images(count: int, channels: int, seed: int) -> Tensor:
    """Blobs that differ in place and brightness, (count, channels, 16, 16) in [-1, 1]."""
    coarse = torch.rand(count, channels, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear").clamp(-1, 1)


def batch_for(model: Any, count: int = 4, seed: int = 0) -> Any:
    """Return a batch for the tiny model: that of its model's test, or grey images if the test has none."""
    from every_model import batch_of

    return batch_of(type(model))(count, seed)


class Batches(L.LightningDataModule):
    """A data module of these batches, always in this order, for every stage."""

    def __init__(self, batches: Sequence[Any]) -> None:
        super().__init__()
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Copy the batch to the device, as for real data: in evaluation under torch.inference_mode."""
        return tree_map(lambda field: field.clone() if isinstance(field, Tensor) else field, batch)

    def train_dataloader(self) -> "Batches":
        return self

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader


def data_for(model: Any, batches: int = 1, count: int = 4) -> Batches:
    """Return different batches that fit the model."""
    return Batches([batch_for(model, count, seed=10 * i) for i in range(batches)])


def networks(model: Any, player: str) -> torch.nn.Module:
    """Return all networks of one player as one module."""
    return {"generator": model.generator, "discriminator": model.discriminator}[player]


def resting(network: torch.nn.Module) -> set[str]:
    """Return the names of parameters that are not in use at the level of a growing network: to and from other sizes."""
    return {
        f"{name}.{layers}.{level}.{kind}".removeprefix(".")
        for name, part in network.named_modules()
        if isinstance(part, Growing)
        for layers in ("to_image", "from_image")
        for level in range(len(part.sizes))
        if level != part.level
        for kind in ("weight", "bias")
    }
