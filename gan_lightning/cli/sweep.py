"""`gan-lightning sweep SPACE.yaml`: trains with one setting after another of a space, and says which was best.

Each trial is a `fit` in a sub-folder trial-... of the sweep's folder. What was tried is kept there in sweep.log, by
optuna, so that a sweep that was stopped goes on: finished trials are kept, the one that was stopped resumes.
"""

import itertools
import json
import math
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from filelock import FileLock, Timeout

from gan_lightning.cli import configs
from gan_lightning.cli.children import Children
from gan_lightning.cli.commands import PROGRAM, CommandParser
from gan_lightning.cli.space import GOALS, Space, as_flag, read_space
from gan_lightning.data.files import write_whole
from gan_lightning.evaluation.runs import Run, as_text, chosen_metrics, find_curve, find_runs, grouped, read_runs

STUDY, SPACE, FLAGS = "sweep.log", "space.json", "flags"
FOLDER = "--trainer.default_root_dir"


def sweep(arguments: Sequence[str]) -> int:
    """Run the command.

    Args:
        arguments: its own, and flags of `fit` for every trial.

    Returns:
        The exit code: 0, or that of the trial that was stopped or made a mistake.

    Raises:
        ValueError: the file of the space, or an argument, is wrong; or the folder holds another sweep.
        ImportError: optuna is missing.
        BlockingIOError: another process runs this sweep.
    """
    parser = CommandParser(
        prog=f"{PROGRAM} sweep",
        usage="%(prog)s SPACE [--trials N] [--sampler_seed SEED] [flags of fit ...]",
        description=(
            "Train with one setting after another of a space, and say which was best. A sweep that was stopped goes "
            "on: the same command trains the trials that are missing."
        ),
        epilog=f"All other flags are those of fit, for every trial: --config NAME, --trainer.max_epochs 5, ... The "
        f"trials are in sub-folders of {FOLDER}, which is runs/sweep-<name of SPACE> where it is not given.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "space", metavar="SPACE", help="a YAML file in the format of Weights & Biases' sweeps, or a name"
    )
    parser.add_argument("--trials", type=int, help="how many trials in all; a grid needs no number")
    parser.add_argument("--sampler_seed", type=int, default=0, help="of the choice of settings (default: 0)")
    parser.add_argument(FOLDER, dest="folder", type=Path, help="folder of the sweep")
    own, flags = _parted(arguments, ("--trials", "--sampler_seed", FOLDER))
    given = parser.parse_args(own)
    path = Path(given.space) if Path(given.space).is_file() else configs.find(given.space)
    if path is None:
        raise FileNotFoundError(f"there is no file {given.space}: name the YAML file of a space, see docs/sweeps.md")
    space = read_space(path)
    if given.trials is None and space.method != "grid":
        raise ValueError(f"method: {space.method} goes on for as long as it is let: say how long, by --trials 20")
    if given.trials is not None and given.trials < 1:
        raise ValueError(f"--trials {given.trials} leaves nothing to train: make it 1 or more")
    if any(flag.startswith("--ckpt_path") for flag in flags):
        raise ValueError("--ckpt_path is not for sweep: the same command goes on with a sweep by itself")
    folder = given.folder or Path("runs", f"sweep-{path.stem}")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "sweep.lock", timeout=0):
            _keep(space, folder)
            base = [] if _names_a_config(flags) else space.base
            return _Sweep(space, folder, [*base, *flags, *space.fixed], given.sampler_seed).run(given.trials)
    except Timeout:
        raise BlockingIOError(f"another process runs the sweep in {folder}: wait until it ends, or stop it") from None


def _parted(arguments: Sequence[str], names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments without a flag and those of these names, and all others. Each flag has a value."""
    own: list[str] = []
    others: list[str] = []
    words = iter(arguments)
    for word in words:
        is_help = word in ("-h", "--help")
        part = own if not word.startswith("-") or is_help or word.partition("=")[0] in names else others
        part.append(word)
        if word.startswith("-") and not is_help and "=" not in word:
            part += itertools.islice(words, 1)
    return own, others


def _names_a_config(flags: Sequence[str]) -> bool:
    """Whether there is a config beside overlays."""
    words = [word for flag in flags for word in flag.split("=", 1)]
    named = [words[i + 1] for i, word in enumerate(words[:-1]) if word in ("--config", "-c")]
    return any(configs.OVERLAYS not in Path(name).parts for name in named)


def _keep(space: Space, folder: Path) -> None:
    """Note what is searched, so that no sweep goes on with another space."""
    searched = {name: space.content.get(name) for name in ("method", "metric", "parameters")}
    text, path = json.dumps(searched, indent=1, default=str), folder / SPACE
    if not path.is_file():
        write_whole(path, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))
    elif path.read_text(encoding="utf-8") != text:
        raise ValueError(
            f"{folder} holds a sweep of another space ({path}): give this one a folder of its own by {FOLDER}, or "
            "delete the old one"
        )


class _Sweep:
    """A sweep under way.

    Args:
        space: that is searched.
        folder: of all trials.
        flags: of `fit`, for every trial.
        seed: of the choice of settings.
    """

    def __init__(self, space: Space, folder: Path, flags: Sequence[str], seed: int) -> None:
        try:
            import optuna  # noqa: PLC0415 (an extra)
            from optuna.storages.journal import JournalFileBackend  # noqa: PLC0415
        except ImportError as error:
            raise ImportError("sweep needs the package optuna: pip install 'gan_lightning[sweep]'") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space, self.folder, self.flags = space, folder, list(flags)
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(folder / STUDY)))
        stops = space.content.get("early_terminate")
        self.study = optuna.create_study(
            study_name="sweep",
            storage=storage,
            direction=space.goal,  # type: ignore[arg-type]
            load_if_exists=True,
            pruner=optuna.pruners.NopPruner()
            if stops is None
            else optuna.pruners.SuccessiveHalvingPruner(stops.get("min_iter", 1), stops.get("eta", 3)),
        )
        seed += len(self.study.trials)  # one that goes on draws no settings again
        sampler = optuna.samplers.TPESampler if space.method == "bayes" else optuna.samplers.RandomSampler
        self.study.sampler = sampler(seed=seed)
        self.states = optuna.trial.TrialState

    def run(self, trials: int | None) -> int:
        """Train until there is this number of trials. None = all of a grid."""
        grid = self.space.grid() if self.space.method == "grid" else None
        wanted = min(trials or len(grid), len(grid)) if grid is not None else trials or 0
        with Children() as children:
            for begun in self.study.get_trials(states=[self.states.RUNNING]):
                if code := self._train(begun.number, begun.user_attrs.get(FLAGS), None, children):
                    return code
            while len(self.study.trials) < wanted:
                trial = self.study.ask()
                if grid is None:
                    settings = {parameter.flag: parameter.choose(trial) for parameter in self.space.parameters}
                else:
                    settings = grid[trial.number]
                flags = [as_flag(name, value) for name, value in settings.items()]
                trial.set_user_attr(FLAGS, flags)
                if code := self._train(trial.number, flags, trial, children):
                    return code
        return self._tell_the_best()

    def _train(self, number: int, chosen: list[str] | None, trial: Any, children: Children) -> int:
        """Train a trial, and note what became of it. Returns an exit code where the sweep is to end."""
        folder = self.folder / f"trial-{number}"
        if chosen is None:  # killed before it was noted
            self.study.tell(number, state=self.states.FAIL)
            return 0
        _say(f"trial {number}: {shlex.join(chosen)}")
        reported = 0

        def is_worse() -> bool:
            """Whether the trial is worse than others were after as many evaluations."""
            nonlocal reported
            values = [] if trial is None else self._values(folder)[0]
            for value in values[reported:]:
                reported += 1
                trial.report(value, reported)
            return bool(values) and trial.should_prune()

        watches = self.space.content.get("early_terminate") is not None
        named = {"WANDB_RUN_GROUP": self.folder.name, "WANDB_NAME": f"{self.folder.name}-{number}"}
        words = ["fit", *self.flags, *chosen, "--ckpt_path=last", f"{FOLDER}={folder}"]
        code = children.run(words, named, is_worse if watches else None)
        stopped_early = code == 128 + signal.SIGTERM and not children.received
        if watches and not code:
            is_worse()  # has the last values noted, which later trials are held against
        if children.received:
            _say(f"trial {number} was stopped: the same command goes on with it")
            return code
        if code and not _begun(folder) and not self._scores():
            for name in (STUDY, SPACE):  # nothing has been tried
                (self.folder / name).unlink()
            _say(f"trial {number} did not begin, and none before it has: correct the mistake above")
            return code
        values, reason = self._values(folder) if not code or stopped_early else ([], f"it ended with exit code {code}")
        if stopped_early:
            self.study.tell(number, state=self.states.PRUNED)
            _say(f"trial {number} was stopped early: it was worse than others were after as many evaluations")
        elif values:
            value = GOALS[self.space.goal](values)
            self.study.tell(number, value)
            _say(f"trial {number}: best {self.space.metric} {value:.4g}")
        else:
            self.study.tell(number, state=self.states.FAIL)
            _say(f"trial {number} failed: {reason}")
        return 0

    def _values(self, folder: Path) -> tuple[list[float], str]:
        """The finite values of the metric so far, of several seeds their means; and the reason where there are none."""
        try:
            runs = read_runs([folder])
        except OSError as error:
            return [], str(error)
        curves = [find_curve(run, self.space.metric) for run in runs]
        if None in curves:
            there = ", ".join(dict.fromkeys(name for run in runs for name in run.curves)) or _reasons(runs)
            return [], f"it has no metric {self.space.metric}; there are {there}"
        columns = zip(*(curve.values for curve in curves if curve is not None), strict=False)
        values = [value for column in columns if math.isfinite(value := fmean(column))]
        return values, f"no value of {self.space.metric} is finite"

    def _scores(self) -> list[float]:
        return [trial.value for trial in self.study.trials if trial.value is not None]

    def _tell_the_best(self) -> int:
        trials = self.study.trials
        there = [folder for trial in trials if _begun(folder := self.folder / f"trial-{trial.number}")]
        if there:
            groups = grouped(read_runs(there))
            print(f"\n{as_text(groups, chosen_metrics(groups, None))}\n")
        for state, words in ((self.states.FAIL, "failed"), (self.states.PRUNED, "stopped early")):
            numbers = [str(trial.number) for trial in trials if trial.state == state]
            if numbers:
                print(f"{words}: trial {', '.join(numbers)}")
        if not self._scores():
            print("no trial has come to a score")
            return 1
        best = self.study.best_trial
        command = shlex.join([PROGRAM, "fit", *self.flags, *best.user_attrs[FLAGS]])
        folder = self.folder / f"trial-{best.number}"
        print(f"best: trial {best.number}, {self.space.metric} {best.value:.4g}, in {folder}")
        print(f"next:\n  {PROGRAM} compare {shlex.quote(str(self.folder))} --out compare.html")
        print(f"the best settings:\n  {command}")
        return 0


def _begun(folder: Path) -> bool:
    """Whether a trial has left a run."""
    try:
        return bool(find_runs([folder]))
    except FileNotFoundError:
        return False


def _reasons(runs: Sequence[Run]) -> str:
    return "; ".join(dict.fromkeys(note for run in runs for note in run.notes)) or "none"


def _say(what: str) -> None:
    print(f"\n{what}", file=sys.stderr, flush=True)
