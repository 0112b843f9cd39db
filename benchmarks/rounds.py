"""Measurements of variants in turn, round after round, so that other work of the machine affects all of them alike."""

import json
import logging
import os
import sys
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch

from gan_lightning.training.devices import has_bfloat16_units


def parser(description: str, batches: int, data: bool = True) -> ArgumentParser:
    """Make the arguments that all benchmarks have.

    Args:
        description: of the benchmark.
        batches: the default of --batches.
        data: it needs MNIST, whose folder --root names.
    """
    arguments = ArgumentParser(description=description)
    if data:
        place = os.environ.get("GAN_LIGHTNING_DATA")
        arguments.add_argument(
            "--root",
            type=Path,
            default=place and Path(place, "mnist"),
            required=place is None,
            help="folder that contains MNIST/raw; default: mnist in the folder that GAN_LIGHTNING_DATA names",
        )
    arguments.add_argument("--rounds", type=int, default=5, help="measurements of each variant")
    arguments.add_argument(
        "--batches", type=int, default=batches, help="timed batches in a measurement, after a warm-up"
    )
    arguments.add_argument("--batch-size", type=int, default=64, help="images in a batch")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of PyTorch")
    arguments.add_argument("--json", type=Path, help="file to write all measurements into")
    return arguments


def quieten_lightning() -> None:
    """Show warnings only: not the notes of a new trainer, nor the warning about how benchmarks call Lightning."""
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)


def machine() -> dict[str, object]:
    """Describe the machine, on which speed depends; environment variables may limit the CPU's instructions."""
    limits = {name: os.environ[name] for name in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA") if name in os.environ}
    return {
        "torch": torch.__version__,
        "cpu": torch.cpu.get_capabilities().get("cpu_name"),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "bfloat16_units": has_bfloat16_units(torch.device("cpu")),
        **limits,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_before": os.getloadavg(),
    }


def compare(variants: dict[str, Callable[[], float]], arguments: Namespace) -> dict[str, list[float]]:
    """Measure every variant once a round, each round beginning with another one; print a table, and write the JSON.

    Args:
        variants: by name, a function that measures the variant and returns batches per second. The others are compared
            with the first.
        arguments: those of `parser`.

    Returns:
        Batches per second by variant, one value for each round.
    """
    torch.set_num_threads(arguments.threads)
    here = machine()
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(arguments.rounds):
        names = list(variants)
        first = number % len(names)
        for name in names[first:] + names[:first]:
            rates[name].append(variants[name]())
            print(f"round {number + 1} of {arguments.rounds}: {name}: {rates[name][-1]:.2f}", file=sys.stderr)
    here["load_after"] = os.getloadavg()

    print(f"batches of {arguments.batch_size} per second; {here}")
    print(table(rates))
    if arguments.json:
        settings = {name: str(value) for name, value in vars(arguments).items()}
        arguments.json.write_text(json.dumps({"machine": here, "arguments": settings, "rates": rates}, indent=2))
    return rates


def ratios(rates: Sequence[float], baseline: Sequence[float]) -> list[float]:
    """Divide rates by those of the baseline, round by round."""
    return [rate / base for rate, base in zip(rates, baseline, strict=True)]


def table(rates: dict[str, list[float]]) -> str:
    """Format a Markdown table of the rates, and of their ratios to those of the first variant in the same round."""
    baseline = next(iter(rates.values()))
    lines = [
        "| variant | median | min | max | times the first, median | min | max |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, values in rates.items():
        times = ratios(values, baseline)
        cells = [f"{of(values):.2f}" for of in (median, min, max)] + [f"{of(times):.2f}" for of in (median, min, max)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
