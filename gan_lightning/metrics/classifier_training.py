"""The training of a classifier, repeatable bit by bit: for metrics and tools that train one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from gan_lightning.data.images import to_float
from gan_lightning.metrics.image_sets import own_random_state
from gan_lightning.metrics.progress import progress


class StoredImages(Protocol):
    """Images uint8 (N, C, H, W), or a source of such: a tensor is one."""

    @property
    def device(self) -> torch.device:
        """The device of the images."""

    def __len__(self) -> int:
        """Number of images."""

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        """Return the images of these rows, int64 (n,)."""


LEARNING_RATE = 5e-3
WEIGHT_DECAY = 0.05


@contextmanager
def repeatable(seed: int, device: torch.device) -> Iterator[None]:
    """Train and evaluate within in float32, with gradients, from this seed; global random states are not used."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))  # training needs ordinary tensors
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        stack.enter_context(flags)
        stack.enter_context(own_random_state(seed, device))
        yield


def fit(
    network: nn.Module,
    images: StoredImages,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    epochs: int,
    batch_size: int,
    title: str,
    lr: float = LEARNING_RATE,
) -> None:
    """Train a network in place by AdamW with one learning-rate cycle; then put it in evaluation mode.

    Args:
        network: maps float32 images (N, C, H, W) in [-1, 1] to logits; on the device to train on.
        images: uint8 (N, C, H, W).
        targets: (N, ...), on the device of the images.
        loss: of a batch's logits and targets.
        epochs: number of passes over the images, each in a new order.
        batch_size: number of images of a step. What is left of a pass is left out.
        title: name of the progress bar.
        lr: the highest learning rate.
    """
    device = next(network.parameters()).device
    size = min(batch_size, len(images))
    steps = len(images) // size
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, epochs * steps)
    for _ in progress(title, range(epochs)):
        order = torch.randperm(len(images)).to(images.device)
        for batch in order[: steps * size].split(size):
            value = loss(network(to_float(images[batch].to(device))), targets[batch].to(device))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()
    network.eval()
