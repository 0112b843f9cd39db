"""`fit --seeds N`: N runs that differ in their seeds, one after another, each in a sub-folder of the run's folder."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from gan_lightning.cli.children import Children
from gan_lightning.cli.commands import PROGRAM
from gan_lightning.cli.run_folder import RunFolder, limits_of
from gan_lightning.evaluation.runs import as_text, chosen_metrics, grouped, is_finished, read_runs
from gan_lightning.run_files import METRICS, RECORD


def train_seeds(words: Sequence[str], config: Any, text: str) -> int:
    """Train with the seeds seed_everything, seed_everything + 1, ..., each by a `fit` of its own.

    With `--ckpt_path last` finished seeds are left alone; the others go on, or start. In a SLURM array each task trains
    one seed. If a child fails, no further one is started. A signal is passed on to the child and has the same effect.

    Args:
        words: the arguments of the command line, `fit` first.
        config: what they were parsed to.
        text: the same as YAML, for the folder of all seeds.

    Returns:
        The exit code: that of the child that failed or was stopped; 0 = all are trained.

    Raises:
        ValueError: the settings are for a single run, or the run was not started from the command line.
        FileExistsError: one of the runs is there already, and is not to be continued.
    """
    if not words:
        raise ValueError(f"seeds={config.seeds} needs the command line, and this run was started from Python")
    root, first = Path(config.trainer.default_root_dir), config.seed_everything
    if isinstance(first, bool) or first + config.seeds > 2**32:
        raise ValueError(
            f"seeds={config.seeds} counts up from seed_everything={first}: make that a number below "
            f"{2**32 - config.seeds + 1}"
        )
    if config.ckpt_path not in (None, "last"):
        raise ValueError(
            f"seeds={config.seeds} starts runs of their own, and --ckpt_path {config.ckpt_path} is one checkpoint: "
            "give --ckpt_path last to go on with each, or --start_from to start each from those weights"
        )
    folders = {seed: root / f"seed-{seed}" for seed in range(first, first + config.seeds)}
    _refuse_what_is_there(root, folders, resumed=config.ckpt_path == "last")
    alone = _of_array_task(list(folders))
    leads = rank_zero_only.rank == 0  # type: ignore[attr-defined]
    if leads and not config.trainer.fast_dev_run:
        root.mkdir(parents=True, exist_ok=True)
        RunFolder(root).save_config(text)
    with Children() as children:
        for seed, folder in folders.items() if alone is None else [(alone, folders[alone])]:
            if is_finished(folder, limits_of(config.trainer)):
                _say(f"seed {seed}: finished before, in {folder}")
                continue
            _say(f"seed {seed}: {folder}")
            own = ["--seeds=1", f"--seed_everything={seed}", f"--trainer.default_root_dir={folder}"]
            if code := children.run([*words, *own]):
                happened = "was stopped" if children.received else f"failed (exit code {code})"
                _say(f"seed {seed} {happened}: the same command with --ckpt_path last goes on with it and the others")
                return code
            if children.received:
                return 0
    if alone is None and leads and not config.trainer.fast_dev_run:
        groups = grouped(read_runs([*folders.values()]))
        print(f"\n{as_text(groups, chosen_metrics(groups, None))}")
        print(f"next:\n  {PROGRAM} compare {root} --out compare.html")
    return 0


@rank_zero_only
def _say(what: str) -> None:
    print(f"\n{what}", file=sys.stderr, flush=True)


def _refuse_what_is_there(root: Path, folders: dict[int, Path], resumed: bool) -> None:
    for name in (RECORD, METRICS):
        if (root / name).exists():
            raise FileExistsError(
                f"{root} holds a single run ({name}), and the runs of several seeds would mix with it: give them a "
                "folder of their own by --trainer.default_root_dir"
            )
    there = [] if resumed else [folder for folder in folders.values() if RunFolder(folder).signs()]
    if there:
        raise FileExistsError(
            f"{there[0]} already holds a run: go on with all seeds by --ckpt_path last, give them a folder of their "
            "own by --trainer.default_root_dir, or delete the old ones"
        )


def _of_array_task(seeds: Sequence[int]) -> int | None:
    """Return the seed of this task of a SLURM array. None = there is no array, and all seeds are trained."""
    task = os.environ.get("SLURM_ARRAY_TASK_ID")
    if task is None:
        return None
    first, step = (
        int(os.environ.get(f"SLURM_ARRAY_TASK_{name}", default)) for name, default in (("MIN", 0), ("STEP", 1))
    )
    number = (int(task) - first) // step
    if number >= len(seeds):
        raise ValueError(
            f"task {task} of this SLURM array is number {number + 1}, and seeds={len(seeds)}: make the array as long "
            f"as the seeds (--array=0-{len(seeds) - 1})"
        )
    return seeds[number]
