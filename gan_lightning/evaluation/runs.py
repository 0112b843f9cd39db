"""Runs side by side: their scores, and the settings in which they differ.

Runs whose configs differ in the seed and the folder alone are one row, with mean and standard deviation. The files of a
run may come from a stranger: they are read as data, and whatever is damaged is said and left out.
"""

import json
import math
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import yaml

from gan_lightning.data.files import shown
from gan_lightning.evaluation.pictures.curves import (
    Curve,
    choose_columns,
    direction_of,
    names_of,
    read_curves,
)
from gan_lightning.run_files import CONFIG, METRICS, RECORD, REPORTS

DEPTH = 2  # levels of sub-folders that are looked through for runs
MOST_SETTINGS, MOST_COLUMNS, MOST_WARNINGS = 10_000, 4, 3
SEED, FOLDER = "seed_everything", "trainer.default_root_dir"
OF_THE_START = re.compile(rf"{SEED}|{re.escape(FOLDER)}|seeds|ckpt_path|trainer\.(logger|enable_progress_bar)\b.*")
"""Settings that tell starts apart, and not what is trained."""
STANDARD = {
    "trainer.callbacks[Evaluation]": "evaluation",
    "trainer.callbacks[SampleGrid]": "samples",
    "trainer.callbacks[ModelCheckpoint]": "best",
}
"""Callbacks that earlier versions listed, and the groups of settings that they are now."""
NOTHING = "-"


@dataclass
class Run:
    """A run, as far as its files tell of it."""

    path: Path
    name: str
    settings: dict[str, Any] | None  # flattened config; None = it cannot be read
    curves: dict[str, Curve]
    notes: list[str] = field(default_factory=list)

    @property
    def seed(self) -> Any:
        """The seed that the config states."""
        return (self.settings or {}).get(SEED)

    @property
    def trained(self) -> dict[str, Any] | None:
        """The settings without those that tell starts of the same training apart."""
        if self.settings is None:
            return None
        folder = self.settings.get(FOLDER)
        return {
            key: value.replace(folder, "RUN") if folder and isinstance(value, str) else value
            for key, value in self.settings.items()
            if not OF_THE_START.fullmatch(key)
        }

    @property
    def images(self) -> float:
        """Images seen in training, as far as was logged or shown."""
        logged = [curve.images[-1] for curve in self.curves.values() if curve.images]
        numbers = re.findall(r"images-(\d{1,15})\.png", "" if self.picture is None else self.picture.name)
        return max([0.0, *logged, *map(float, numbers)])

    @property
    def picture(self) -> Path | None:
        """The newest grid of samples."""
        return max(self.path.glob("samples/images-*.png"), default=None)

    def best(self, metric: str) -> float | None:
        """The best value of a metric; of a run that grows, at its last size alone.

        None = there is none, or it is not known whether low or high is good.
        """
        sign, _ = direction_of(metric)
        curve, sizes = self.curves.get(metric), self.curves.get("growth/size")
        pairs = zip(curve.images, curve.values, strict=True) if curve else ()
        begin = 0.0
        if sizes is not None and sizes.values:
            begin = next(x for x, size in zip(sizes.images, sizes.values, strict=True) if size == max(sizes.values))
        values = [value for images, value in pairs if math.isfinite(value) and images >= begin]
        return max(values, key=lambda value: sign * value) if values and sign else None

    def last(self, metric: str) -> float | None:
        """The last value of a metric. None = there is none."""
        curve = self.curves.get(metric)
        return curve.values[-1] if curve and curve.values else None


@dataclass
class Group:
    """Runs that differ in their seeds alone; most often, one run."""

    name: str
    runs: list[Run]

    def curve(self, metric: str) -> Curve | None:
        """The mean over the runs of a metric's curve, with its standard deviation where there are several."""
        curves = [run.curves[metric] for run in self.runs if metric in run.curves]
        if len(curves) < 2:
            return curves[0] if curves else None
        values: dict[float, list[float]] = {}
        for curve in curves:
            for images, value in zip(curve.images, curve.values, strict=True):
                values.setdefault(images, []).append(value)
        places = sorted(values)
        spread = [
            stdev(values[x]) if len(values[x]) > 1 and all(map(math.isfinite, values[x])) else 0.0 for x in places
        ]
        return Curve(places, [fmean(values[x]) for x in places], spread, curves[0].evaluated)


def find_runs(folders: Sequence[Path]) -> list[Path]:
    """The runs that folders are, or hold in their sub-folders; each once.

    Raises:
        FileNotFoundError: there is no such folder, or it neither is a run nor holds one.
    """
    found: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {shown(folder)}: name the folders of runs")
        runs = [*_runs_in(folder, DEPTH)]
        if not runs:
            raise FileNotFoundError(
                f"{shown(folder)} is no run, and its sub-folders are none: a run has {METRICS}, {REPORTS}, "
                f"{CONFIG} or {RECORD}, so name its trainer.default_root_dir"
            )
        for run in runs:
            found.setdefault(run.resolve(), run)
    return [*found.values()]


def _runs_in(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / METRICS).is_file() or (folder / RECORD).is_file():
        yield folder
        return
    subfolders = [path for path in folder.iterdir() if path.is_dir()] if depth else []
    runs = [run for path in sorted(subfolders, key=_by_numbers) for run in _runs_in(path, depth - 1)]
    if not runs and any((folder / name).is_file() for name in (REPORTS, CONFIG)):
        runs = [folder]
    yield from runs


def _by_numbers(path: Path) -> list[Any]:
    """Sorts trial-10 behind trial-9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read the runs that folders are, or hold.

    Raises:
        FileNotFoundError: a folder is none, and holds none.
    """
    paths = find_runs(folders)
    return [_read(path, name) for path, name in zip(paths, names_of(paths), strict=True)]


def _read(path: Path, name: str) -> Run:
    notes: list[str] = []
    curves: dict[str, Curve] = {}
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            curves = read_curves(path)
        notes += [str(warning.message) for warning in warned[:MOST_WARNINGS]]
        notes += [f"{len(warned) - MOST_WARNINGS} more such lines"] if len(warned) > MOST_WARNINGS else []
        if not any(curve.evaluated for curve in curves.values()):
            notes.append("no evaluation has been made yet")
    except FileNotFoundError:
        notes.append(f"it has neither {METRICS} nor {REPORTS}: no score is known")
    except (OSError, ValueError) as error:
        notes.append(f"no score can be read: {error}")
    settings: dict[str, Any] | None = None
    try:
        config = yaml.safe_load((path / CONFIG).read_text(encoding="utf-8"))
        if not isinstance(config, dict) or len(pairs := [*islice(_flat(config), MOST_SETTINGS)]) == MOST_SETTINGS:
            raise ValueError("this is no config of a run")
        settings = dict(pairs)
    except FileNotFoundError:
        notes.append(f"it has no {CONFIG}: its settings are not known, and it is a row of its own")
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        notes.append(f"{CONFIG} cannot be read ({type(error).__name__}): its settings are not known")
    if (path / RECORD).is_file() and not is_finished(path):
        notes.append("unfinished: it was stopped, is still training, or an older version trained it")
    return Run(path, name, settings, curves, notes)


def is_finished(run: Path, limits: Mapping[str, Any] | None = None) -> bool:
    """Whether the record of a run says that its training came to the end.

    Args:
        run: its folder.
        limits: max_epochs, max_steps and max_time of the trainer: it must be the end that these set. None = any end.
    """
    try:
        finished = json.loads((run / RECORD).read_text(encoding="utf-8"))["starts"][-1]["finished"]
    except (OSError, ValueError, LookupError, TypeError):
        return False
    return limits is None or finished == limits


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """A config as pairs of dotted keys, as flags have them, and values that are no mappings."""
    if isinstance(value, dict) and value:
        if "class_path" in value and key not in STANDARD.values():
            yield key, value["class_path"]
        for name, item in value.items():
            if name == "init_args":
                yield from _flat(item, key) if item else ()
            elif name != "class_path":
                yield from _flat(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        names: list[str] = []
        for number, item in enumerate(value):
            path = item.get("class_path") if isinstance(item, dict) else None
            names.append(path.rpartition(".")[2] if isinstance(path, str) else str(number))
            again = names.count(names[-1])
            place = f"{key}[{names[-1]}{f' {again}' if again > 1 else ''}]"
            yield from _flat(item, STANDARD.get(place, place))
    else:
        yield key, value


def grouped(runs: Sequence[Run]) -> list[Group]:
    """Put runs that differ in their seeds alone together; each run without settings is by itself."""
    together: list[list[Run]] = []
    for run in runs:
        trained = run.trained
        fitting = (
            group
            for group in together
            if trained is not None and group[0].trained == trained and run.seed not in [other.seed for other in group]
        )
        group = next(fitting, None)
        if group is None:
            together.append([run])
        else:
            group.append(run)
    names = [_common_name(group) for group in together]
    return [
        Group(name if names.count(name) == 1 else ", ".join(run.name for run in group), group)
        for name, group in zip(names, together, strict=True)
    ]


def _common_name(group: Sequence[Run]) -> str:
    if len(group) == 1:
        return group[0].name
    start = "".join(letters[0] for letters in takewhile(_same, zip(*(run.name for run in group), strict=False)))
    return re.sub(r"(^|/)(seed)?[-_ .]*$", "", start).rstrip("-_ ./") or group[0].path.resolve().parent.name


def _same(items: Sequence[Any]) -> bool:
    return all(item == items[0] for item in items)


def differences(groups: Sequence[Group]) -> dict[str, list[Any]]:
    """The settings in which groups differ: for each key, the value of each group. None where it has none, or null."""
    known = [group.runs[0].trained for group in groups]
    keys = dict.fromkeys(key for settings in known if settings for key in settings)
    values = {key: [None if settings is None else settings.get(key) for settings in known] for key in keys}
    with_settings = [number for number, settings in enumerate(known) if settings is not None]
    return {key: each for key, each in values.items() if any(each[n] != each[with_settings[0]] for n in with_settings)}


def measured(values: Sequence[float | None]) -> str:
    """A score: of several runs their mean and standard deviation."""
    there = [value for value in values if value is not None]
    if not there:
        return NOTHING
    missing = f" ({len(there)} of {len(values)})" if len(there) < len(values) else ""
    if len(there) == 1 or not all(map(math.isfinite, there)):
        return f"{fmean(there):.4g}{missing}"
    return f"{fmean(there):.4g} ± {stdev(there):.2g}{missing}"


def find_curve(run: Run, metric: str) -> Curve | None:
    """The curve of a metric by its name in metrics.csv, such as val/fid, or its last part. None = there is none."""
    wanted = metric.removeprefix("val/")
    named = [name for name in run.curves if name == metric or name.endswith(f"/{wanted}")]
    return run.curves[min(named, key=lambda name: (name != metric, not run.curves[name].evaluated))] if named else None


def chosen_metrics(groups: Sequence[Group], metrics: Sequence[str] | None) -> list[str]:
    """The metrics to show: those asked for, else all that evaluations measured, which may be none.

    Raises:
        ValueError: no run has a metric that was asked for.
    """
    curves = {run.name: run.curves for group in groups for run in group.runs}
    if metrics is None and not any(curve.evaluated for each in curves.values() for curve in each.values()):
        return []
    return choose_columns(curves, metrics)


def score_rows(groups: Sequence[Group], metrics: Sequence[str]) -> list[list[str]]:
    """A table of scores: a line of headings, then a row for each group, with best and last value of each metric."""
    columns: list[tuple[str, str, str]] = []
    for metric in metrics:
        sign, _ = direction_of(metric)
        name = metric if len({each.rpartition("/")[0] for each in metrics}) > 1 else metric.rpartition("/")[2]
        columns += [(f"{name} {'↓' if sign < 0 else '↑'} best", metric, "best")] if sign else []
        columns += [("last" if sign else f"{name} last", metric, "last")]
    rows = [["run", "runs", "images", *(heading for heading, _, _ in columns)]]
    for group in groups:
        images = sorted({run.images for run in group.runs})
        seen = " to ".join(f"{each:,.0f}" for each in dict.fromkeys((images[0], images[-1])))
        scores = (measured([getattr(run, which)(metric) for run in group.runs]) for _, metric, which in columns)
        rows.append([group.name, str(len(group.runs)), seen, *scores])
    return rows


def difference_rows(groups: Sequence[Group]) -> list[list[str]]:
    """A table of the settings that differ: a line of headings, then a row for each key; empty where there are none.

    Of many groups each has a row, and each key a column.
    """
    differing = differences(groups)
    if not differing:
        return []
    with_settings = [group.runs[0].settings is not None for group in groups]
    rows = [["setting", *(group.name for group in groups)]] + [
        [key, *(_value(value) if known else "?" for value, known in zip(values, with_settings, strict=True))]
        for key, values in differing.items()
    ]
    if len(groups) <= max(MOST_COLUMNS, len(differing)):
        return rows
    return [list(row) for row in zip(["run", *rows[0][1:]], *([row[0], *row[1:]] for row in rows[1:]), strict=True)]


def _value(value: Any) -> str:
    text = "null" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def notes_on(groups: Sequence[Group]) -> list[str]:
    """What is to be known of single runs."""
    return [f"{run.name}: {note}" for group in groups for run in group.runs for note in run.notes]


def as_text(groups: Sequence[Group], metrics: Sequence[str]) -> str:
    """Scores, settings that differ, and notes, as lines of text that fit the terminal where they can."""
    parts = []
    if metrics:
        recipes = {metric.rpartition("/")[0] for metric in metrics}
        parts += [f"scores by {recipe}" for recipe in recipes if recipe and len(recipes) == 1]
    parts += _tables(score_rows(groups, metrics), fixed=3)
    differing = difference_rows(groups)
    if differing:
        parts += ["settings that differ", *_tables(differing, fixed=1)]
    parts += [f"note: {note}" for note in notes_on(groups)]
    return "\n\n".join(shown_lines(part) for part in parts)


def shown_lines(text: str) -> str:
    """A text in which nothing steers a terminal."""
    return "\n".join(map(shown, text.split("\n")))


def _tables(rows: Sequence[Sequence[str]], fixed: int) -> list[str]:
    """A table as text; where it is wider than the terminal, several, each with the first `fixed` columns."""
    width = max(80, shutil.get_terminal_size((120, 24)).columns)
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    pieces: list[list[int]] = [[*range(fixed)]]
    for i in range(fixed, len(widths)):
        if len(pieces[-1]) > fixed and sum(widths[j] for j in [*pieces[-1], i]) > width:
            pieces.append([*range(fixed)])
        pieces[-1].append(i)
    return ["\n".join("".join(f"{row[i]:{widths[i]}}" for i in piece).rstrip() for row in rows) for piece in pieces]
