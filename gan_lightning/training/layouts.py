"""The memory layout in which a network trains faster, for `channels_last: auto`."""

import torch
from torch import nn

from gan_lightning.training.devices import has_avx512

# The speed-up of a training step with weights in channels_last over PyTorch's own layout, by the generator's
# architecture and the device: `python -m benchmarks.layout`, whose figures are in benchmarks/README.md.
GAINS: dict[str, dict[str, float]] = {
    "began": {"cpu, AVX2": 1.31, "cpu, AVX-512": 1.21},
    "dcgan": {"cpu, AVX2": 1.22, "cpu, AVX-512": 1.05},
    "residual": {"cpu, AVX2": 1.12, "cpu, AVX-512": 1.16},
    "resnet": {"cpu, AVX2": 0.72, "cpu, AVX-512": 1.15},
    "segmentation_unet": {"cpu, AVX2": 1.03, "cpu, AVX-512": 1.15},
    "stylegan2": {"cpu, AVX2": 1.17, "cpu, AVX-512": 1.15},
    "super_resolution": {"cpu, AVX2": 1.32, "cpu, AVX-512": 1.21},
    "unet": {"cpu, AVX2": 0.78, "cpu, AVX-512": 0.81},
}


def kind_of(device: torch.device) -> str:
    """Return the device's name in the table: its type, and for a CPU the width of its vectors too."""
    if device.type != "cpu":
        return device.type
    return "cpu, AVX-512" if has_avx512() else "cpu, AVX2"


def is_faster_in_channels_last(network: nn.Module, device: torch.device) -> bool:
    """Return whether to keep a network in channels_last on a device, where that was measured to be faster.

    Networks without an `architecture`, and devices without a measurement, keep PyTorch's own layout.

    Args:
        network: a generator, or a container of several, which are assumed to be equal.
        device: the device of the network.
    """
    stated = (getattr(part, "architecture", None) for part in network.modules())
    architecture = next((name for name in stated if name is not None), None)
    return GAINS.get(architecture or "", {}).get(kind_of(device), 1.0) > 1.0
