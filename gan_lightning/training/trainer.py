"""A Trainer that chooses the precision by the device."""

import logging
import os
import warnings
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.plugins.io import CheckpointIO
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from lightning.pytorch.utilities.exceptions import MisconfigurationException

import gan_lightning.training.strategies  # noqa: F401  (makes its strategy known by name, and ends groups of processes)
from gan_lightning.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Range, check_value
from gan_lightning.training.checkpoint_io import AtomicCheckpointIO
from gan_lightning.training.devices import has_bfloat16_units

PrecisionName = Literal[
    "auto", "32-true", "bf16-mixed", "16-mixed", "64-true", "bf16-true", "16-true",
    "transformer-engine", "transformer-engine-float16", "bf16", "16", "32", "64", 16, 32, 64,
]  # fmt: skip


_RANGES = {  # not checked by Lightning, or reported without the range
    "max_epochs": Annotated[int, Range(-1)] | None,
    "min_epochs": NonNegativeInt | None,
    "max_steps": Annotated[int, Range(-1)] | None,
    "min_steps": NonNegativeInt | None,
    "log_every_n_steps": PositiveInt | None,
    "check_val_every_n_epoch": PositiveInt | None,
    "val_check_interval": PositiveFloat | None,
    "num_sanity_val_steps": Annotated[int, Range(-1)] | None,
    "accumulate_grad_batches": PositiveInt | None,
    "gradient_clip_val": NonNegativeFloat | None,
    "num_nodes": PositiveInt | None,
}

_HIDDEN = ("Tip:", "TPU available:", "Trainer already configured with model summary", "`weights_only` was not set")


class _NoAdvertisement(logging.Filter):
    """Hides Lightning's advertisements and its messages that do not apply here."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to print a line."""
        return not any(words in str(record.msg)[:60] for words in _HIDDEN)


logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_NoAdvertisement())


_NOT_SO = (  # warnings of Lightning that do not hold for the models and data here
    ".*LeafSpec",
    r"Precision [\w-]+ is not supported by the model summary",
    "Using ModelCheckpoint with manual optimization",
    r"Found \d+ module\(s\) in eval mode",  # the moving average is
    r"The '\w+' does not have many workers",
    r"Total length of `\w+` across ranks is zero",
    "Couldn't infer the batch indices",
)


PROCESSES_A_CORE = 8  # a larger number is a typing error: even trials of a distributed run use fewer


class Trainer(L.Trainer):
    """A Trainer whose precision is "auto" unless stated.

    Checkpoints are written whole or not at all, with a hash, and read as data (`AtomicCheckpointIO`), unless `plugins`
    has another `CheckpointIO`. `trainer.precision` is the chosen value and `trainer.precision_reason` the reason; both
    are printed once.

    Args:
        precision: the numbers that networks compute with. "auto" = bfloat16 ("bf16-mixed") if the device computes
            faster with it (CPUs with AVX-512 BF16 or AMX; NVIDIA's GPUs from compute capability 8 on, and AMD's), else
            float32 ("32-true"). float16 ("16-mixed") is never chosen. A plugin or a strategy with its own precision
            keeps it.
        others: the arguments of Lightning's trainer.
    """

    def __init__(self, *, precision: PrecisionName | None = "auto", **others: Any) -> None:
        for message in _NOT_SO:
            warnings.filterwarnings("ignore", message=message)
        for name, kind in _RANGES.items():
            check_value("Trainer", name, others.get(name), kind)
        _check_times(others)
        plugins = others.pop("plugins", None)
        plugins = [] if plugins is None else list(plugins) if isinstance(plugins, list | tuple) else [plugins]
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins.append(AtomicCheckpointIO())
        others["plugins"] = plugins
        # Lightning finds the accelerator first, since the precision depends on it
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
                "training step of DCGAN was measured 18 times as long as in float32 on such a CPU; set it to auto or "
                "32-true"
            )


def _check_times(given: Mapping[str, Any]) -> None:
    """Refuse a time or a number of processes that Lightning accepts, and then waits for.

    Raises:
        ValueError: there is such a value.
    """
    least, most = given.get("min_epochs"), given.get("max_epochs")
    if least and most and 0 < most < least:
        raise ValueError(f"Trainer: min_epochs={least} is above max_epochs={most}: make it smaller")
    if (limit := given.get("max_time")) is not None:
        try:
            seconds = Timer(limit).time_remaining() or 0
        except (TypeError, ValueError, MisconfigurationException):
            seconds = 0
        if seconds <= 0:
            raise ValueError(
                f"Trainer: max_time={limit!r} is not a time above 0: write days, hours, minutes and seconds as in "
                "00:12:00:00, or a mapping such as {hours: 12}"
            )
    devices, cores = str(given.get("devices")), os.cpu_count() or 1
    if given.get("accelerator") == "cpu" and devices.isdecimal() and int(devices) > PROCESSES_A_CORE * cores:
        raise ValueError(
            f"Trainer: devices={devices} would start that many processes on {cores} CPU cores: make it {cores} or less"
        )


def _judge(device: torch.device) -> tuple[bool, str]:
    """Return whether a device computes faster in bfloat16, and the reason in words."""
    fast = has_bfloat16_units(device)
    match device.type:
        case "cpu":
            return fast, f"the CPU has {'' if fast else 'no '}bfloat16 units: AVX-512 BF16 or AMX"
        case "cuda":
            return fast, f"{torch.cuda.get_device_name(device)} has {'' if fast else 'no '}bfloat16 units"
        case other:
            return fast, f"it is not known whether {other} computes faster in bfloat16"
