"""All of MNIST: in the folder that `GAN_LIGHTNING_DATA` names, in mnist/, or else in data/, where it is downloaded."""

import os
from pathlib import Path

import torch
from torch import Tensor

from datamodules import MNIST

ROOT = Path(os.environ["GAN_LIGHTNING_DATA"], "mnist") if "GAN_LIGHTNING_DATA" in os.environ else Path("data")


def load(split: str) -> tuple[Tensor, Tensor]:
    """Return MNIST's digits, uint8 (N, 28, 28), and their labels."""
    data = MNIST(ROOT, image_size=28)
    data.prepare_data()
    storage = data.training_storage() if split == "train" else data.reference_storage()
    assert storage.labels is not None
    return storage.images.take(torch.arange(len(storage)))[:, 0], storage.labels
