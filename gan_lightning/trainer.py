"""The trainer: Lightning's, with a precision that the device decides."""

import logging
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.plugins.io import CheckpointIO
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from gan_lightning.checkpoint_io import AtomicCheckpointIO
from gan_lightning.devices import has_bfloat16_units

PrecisionName = Literal[
    "auto", "32-true", "bf16-mixed", "16-mixed", "64-true", "bf16-true", "16-true",
    "transformer-engine", "transformer-engine-float16", "bf16", "16", "32", "64", 16, 32, 64,
]  # fmt: skip


class _NoAdvertisement(logging.Filter):
    """Lightning recommends services of its maker before each run."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is printed."""
        return "Tip:" not in str(record.msg)[:10]


logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_NoAdvertisement())


class Trainer(L.Trainer):
    """Lightning's trainer, whose precision is "auto" unless stated.

    Checkpoints are written whole or not at all, with a hash, and read as data (`AtomicCheckpointIO`), unless `plugins`
    has another `CheckpointIO`. `trainer.precision` has the value that was chosen and `trainer.precision_reason` why;
    both are printed once.

    Args:
        precision: the numbers that networks compute with. "auto" = bfloat16 ("bf16-mixed") where the device computes
            faster with it (CPUs with AVX-512 BF16 or AMX; NVIDIA's GPUs from compute capability 8 on, and AMD's), else
            float32 ("32-true"). float16 ("16-mixed") is never chosen. A plugin or a strategy that brings a precision
            of its own keeps it.
        others: the arguments of Lightning's trainer.
    """

    def __init__(self, *, precision: PrecisionName | None = "auto", **others: Any) -> None:
        plugins = others.pop("plugins", None)
        plugins = [] if plugins is None else list(plugins) if isinstance(plugins, list | tuple) else [plugins]
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins.append(AtomicCheckpointIO())
        others["plugins"] = plugins
        # Lightning finds the accelerator first: which one "auto" is decides the precision
        super().__init__(precision=None if precision == "auto" else precision, **others)
        self.precision_reason = "stated"
        device = self.strategy.root_device
        if precision == "auto" and type(self.precision_plugin) is Precision:
            fast, self.precision_reason = _judge(device)
            if fast:
                self.strategy.precision_plugin = MixedPrecision("bf16-mixed", device.type)
            rank_zero_info(f"precision: {self.precision} ({self.precision_reason})")
        elif device.type == "cpu" and self.precision.startswith("bf16") and not has_bfloat16_units(device):
            rank_zero_warn(
                f"trainer.precision is {self.precision}, but this CPU has no bfloat16 units (AVX-512 BF16 or AMX): a "
                "training step of DCGAN was measured 18 times as long as in float32 on such a one; set it to auto or "
                "32-true"
            )


def _judge(device: torch.device) -> tuple[bool, str]:
    """Whether a device computes faster in bfloat16, and the reason in words."""
    fast = has_bfloat16_units(device)
    match device.type:
        case "cpu":
            return fast, f"the CPU has {'' if fast else 'no '}bfloat16 units: AVX-512 BF16 or AMX"
        case "cuda":
            return fast, f"{torch.cuda.get_device_name(device)} has {'' if fast else 'no '}bfloat16 units"
        case other:
            return fast, f"of {other} it is not known whether bfloat16 is faster"
