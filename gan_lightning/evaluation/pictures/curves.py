"""Plots of metrics over training, for one run or several."""

import csv
import json
import math
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from os.path import commonpath
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogFormatter
from scipy.interpolate import make_interp_spline

from gan_lightning.evaluation.pictures.canvas import check_suffix, write_figure
from gan_lightning.metrics.directions import good_direction
from gan_lightning.run_files import METRICS, REPORTS

STAGES = ("val/", "test/")
SPREAD = "_std"
UNNAMED = "custom"  # recipe of evaluations whose config names none
DECADE = 10  # a curve whose values span more than this factor gets a logarithmic axis
COLUMNS = 3
STAR: dict[str, Any] = {"marker": "*", "markersize": 12, "markeredgecolor": "white"}
NO_METRICS = {"epoch", "step", "images_seen"}
FEW = 30  # with fewer evaluations, each gets a dot


class Curve(NamedTuple):
    """One metric of one run, in order of images seen."""

    images: list[float]  # number of real images that the model had learnt from
    values: list[float]
    spread: list[float] | None = None  # standard deviation of each value, if known
    evaluated: bool = True  # measured in evaluations, not logged during training


def read_curves(run: Path) -> dict[str, Curve]:
    """Read all curves of a run's folder, by name.

    metrics.csv gives its columns, such as `loss/generator` and `val/fid`. evaluations.jsonl, if there is one, gives the
    evaluations by recipe, such as `fid50k_train/fid`, which then replace the evaluation columns of metrics.csv.

    Rows of metrics.csv with the step but without the images seen get them by interpolation. Where a run was resumed
    from an earlier step, only the repeated part counts. Unfinished lines of a killed run are left out. Several
    evaluations after the same number of images (seeds) are averaged. `kid_std` is not a curve but the spread of `kid`.

    Raises:
        FileNotFoundError: the folder has neither file.
        ValueError: metrics.csv does not say how many images were seen, and there is no evaluations.jsonl to go by.
    """
    table, reports = run / METRICS, run / REPORTS
    if not table.is_file() and not reports.is_file():
        raise FileNotFoundError(
            f"{run} holds neither {METRICS} nor {REPORTS}: name the folder of a run, its trainer.default_root_dir"
        )
    evaluated = _from_reports(reports) if reports.is_file() else {}
    try:
        logged = _from_table(table) if table.is_file() else {}
    except ValueError as error:
        if not evaluated:
            raise
        logged = {}
        warnings.warn(f"{error}; only the evaluations of {REPORTS} are shown", stacklevel=2)
    in_stages = {name for name in logged if name.startswith(STAGES)}
    if evaluated:
        logged = {name: points for name, points in logged.items() if name not in in_stages}
    points = logged | evaluated
    return {
        name: _curve(values, points.get(name + SPREAD, {}), name in evaluated or name in in_stages)
        for name, values in points.items()
        if not (name.endswith(SPREAD) and name.removesuffix(SPREAD) in points)
    }


Points = dict[float, list[float]]  # values by images seen


def _curve(points: Points, spreads: Points, evaluated: bool) -> Curve:
    images = sorted(points)
    spread = [fmean(spreads[x]) for x in images] if points.keys() <= spreads.keys() else None
    return Curve(images, [fmean(points[x]) for x in images], spread, evaluated)


def _from_reports(path: Path) -> dict[str, Points]:
    points: dict[str, Points] = defaultdict(lambda: defaultdict(list))
    for number, line in _lines(path):
        try:
            report = json.loads(line)
            settings = report["settings"]
            if settings.get("images_seen") is None or not settings.get("complete", True):
                continue
            # without a recipe's name, only the stage identifies the reference
            against = settings["stage"] if report["recipe"] == UNNAMED else report["recipe"]
            images = _finite(settings["images_seen"])
            values = {name: [float(each) for each in value["each"]] for name, value in report["values"].items()}
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
            _leave_out(path, number)
            continue
        for name, each in values.items():
            if each:
                points[f"{against}/{name}"][images] += each
    return points


def _finite(value: Any) -> float:
    """Return a count or a step as a float.

    Raises:
        ValueError: the value is infinite, or not a number.
    """
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is not a place on an axis")
    return number


def _from_table(path: Path) -> dict[str, Points]:
    rows: list[dict[str, float]] = []
    for number, numbers in _numbers(path):
        if not all(math.isfinite(numbers.get(name, 0)) for name in NO_METRICS) or "step" not in numbers:
            _leave_out(path, number)
            continue
        if "images_seen" in numbers:
            while rows and rows[-1]["step"] >= numbers["step"]:
                rows.pop()  # training was resumed from an earlier step
        elif rows and rows[-1]["step"] > numbers["step"]:
            continue  # a checkpoint was evaluated by itself, which is logged at step 0
        rows.append(numbers)
    seen = {0.0: 0.0} | {row["step"]: row["images_seen"] for row in rows if "images_seen" in row}
    steps = sorted(seen)
    if len(steps) > 1:
        # linear between the known steps and beyond the last one
        images_at = make_interp_spline(steps, [seen[step] for step in steps], k=1)
    elif any(row["step"] for row in rows):
        raise ValueError(
            f"{path} has no column images_seen to draw over: the run ended before it logged anything "
            "(trainer.log_every_n_steps)"
        )
    else:
        images_at = np.zeros_like
    points: dict[str, Points] = defaultdict(lambda: defaultdict(list))
    for numbers in rows:
        x = numbers.get("images_seen", float(images_at(numbers["step"])))
        for name, value in numbers.items():
            if name not in NO_METRICS:
                points[name][x].append(value)
    return points


def _numbers(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield the rows of a csv file: the line's number, and the row's values by column name.

    Raises:
        ValueError: the first row does not have the column names of a run's table.
    """
    names: list[str] = []
    for number, line in _lines(path):
        try:
            (fields,) = csv.reader([line])
            if names:
                numbers = {name: float(text) for name, text in zip(names, fields, strict=True) if text}
        except (ValueError, csv.Error):
            if names:
                _leave_out(path, number)
                continue
            fields = []
        if names:
            yield number, numbers
            continue
        names = fields
        if "step" not in names:
            raise ValueError(
                f"{path} has no column step, so no run has written it: move it away, or name another run's folder"
            )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a file, without an unfinished last line, which a run is still writing."""
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from ((number, line) for number, line in enumerate(file, start=1) if line.endswith("\n"))


def _leave_out(path: Path, number: int) -> None:
    warnings.warn(f"{path}, line {number}, is not a whole line of a run, and is left out", stacklevel=2)


def choose_columns(runs: Mapping[str, Mapping[str, Curve]], metrics: Sequence[str] | None) -> list[str]:
    """Return the names of the curves to draw: the requested ones in their order, or else all evaluations.

    Args:
        runs: the result of `read_curves` for each run, by a name for it.
        metrics: names as in the files, or their last parts: `fid` selects that of every recipe and stage. None = all
            metrics of the evaluations.

    Raises:
        ValueError: no run has a requested metric, or there is no metric at all.
    """
    known = {name: curve.evaluated for curves in runs.values() for name, curve in curves.items()}
    if metrics is None:
        chosen = [name for name, evaluated in known.items() if evaluated]
        if not chosen:
            logged = ", ".join(known) or "nothing at all"
            raise ValueError(f"no evaluation has been made yet in {', '.join(runs)}; what was logged is {logged}")
        return chosen
    chosen = []
    for metric in metrics:
        found = [name for name in known if _names(metric, name)]
        if not found:
            raise ValueError(f"no run has a metric {metric!r}; there are {', '.join(known)}")
        chosen += found
    return list(dict.fromkeys(chosen))


def _names(metric: str, full_name: str) -> bool:
    """Return whether a metric as a user names it, whole or by its last part, is this one."""
    return full_name == metric or full_name.endswith(f"/{metric}")


def curve_figure(
    runs: Mapping[str, Mapping[str, Curve]], metrics: Sequence[str], levels: Mapping[str, float] | None = None
) -> Figure:
    """Draw a panel for each metric over the images seen in training: a line for each run, its best value marked.

    The best value of all runs is printed beside its mark, if the better direction is known. A band is one standard
    deviation to either side.

    Args:
        runs: curves by metric, for each run by its name.
        metrics: names of the curves to draw, see `choose_columns`.
        levels: values to compare with, by names as for `choose_columns`: dashed lines.
    """
    columns = min(COLUMNS, len(metrics))
    lines = -(-len(metrics) // columns)
    figure = Figure(figsize=(4.4 * columns + 0.4, 3.1 * lines + 0.6), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flatten()
    for axes, metric in zip(panels, metrics, strict=False):
        _draw(axes, metric, [curves.get(metric) for curves in runs.values()])
        for level in [value for name, value in (levels or {}).items() if _names(name, metric)]:
            axes.axhline(level, color="grey", linestyle="--", linewidth=1, label=f"{level:g}")
            axes.legend(fontsize=9, frameon=False)
    for axes in panels[len(metrics) :]:
        axes.remove()
    handles = [Line2D([], [], color=f"C{number}", label=run) for number, run in enumerate(runs)]
    handles.append(Line2D([], [], color="grey", linestyle="", label="best of a run", **STAR))
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a folder's name may hold dollars
    return figure


def _draw(axes: Axes, metric: str, curves: Sequence[Curve | None]) -> None:
    sign, direction = direction_of(metric)
    best: list[tuple[float, float]] = []  # image count and value of the best point of each run
    for number, curve in enumerate(curves):
        if curve is None:
            continue
        colour = f"C{number}"
        axes.plot(curve.images, curve.values, color=colour, marker="." if len(curve.images) < FEW else "")
        if curve.spread is not None:
            low, high = np.array(curve.values) - curve.spread, np.array(curve.values) + curve.spread
            axes.fill_between(curve.images, low, high, color=colour, alpha=0.15, linewidth=0)
        finite = [point for point in zip(curve.images, curve.values, strict=True) if math.isfinite(point[1])]
        if sign and finite:
            best.append(max(finite, key=lambda point: sign * point[1]))
            axes.plot(*best[-1], color=colour, **STAR)
    drawn = [value for curve in curves if curve is not None for value in curve.values if math.isfinite(value)]
    if drawn and sign < 0 and min(drawn) > 0 and max(drawn) > DECADE * min(drawn):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(LogFormatter())
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    if best:
        images, value = max(best, key=lambda point: sign * point[1])
        beside = (0, 14 * sign)  # on the side without curves
        axes.annotate(
            f"{value:.4g}", (images, value), beside, textcoords="offset points", ha="center", va="center", fontsize=9
        )
    axes.set_title(f"{metric}  {direction}", fontsize=10, loc="left", parse_math=False)
    axes.set_xlabel("images seen", fontsize=9)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.margins(x=0.1, y=0.15)
    axes.grid(alpha=0.25)


def direction_of(metric: str) -> tuple[int, str]:
    """Return -1 if lower is better, 1 if higher is, 0 if neither is known; and a phrase that says so."""
    match good_direction(metric):
        case "min":
            return -1, "↓ lower is better"
        case "max":
            return 1, "↑ higher is better"
        case None:
            return 0, ""


def plot_curves(
    run: Path,
    out: Path,
    others: list[Path] | None = None,
    metrics: list[str] | None = None,
    levels: dict[str, float] | None = None,
) -> None:
    """Draw metrics of one run or several over the images seen in training, with the best value marked.

    The values come from metrics.csv in a run's folder, and from evaluations.jsonl if there is one.

    Args:
        run: Folder of a run (its trainer.default_root_dir).
        out: The picture: .png, .pdf or .svg.
        others: Folders of further runs to compare with: `--others+ FOLDER`, for each.
        metrics: Names as in metrics.csv, such as loss/generator and val/fid, or the last part of a name. Null: all
            metrics of the evaluations.
        levels: Values to compare with, such as published ones, as dashed lines: `--levels "{nats: 81.5}"`.

    Raises:
        ValueError: no run has such a metric, or none was evaluated yet.
        OSError: a run has no such file, or the picture cannot be written.
    """
    check_suffix(out)
    runs = [run, *(others or [])]
    curves = {name: read_curves(run) for name, run in zip(names_of(runs), runs, strict=True)}
    drawn = choose_columns(curves, metrics)
    if unknown := [name for name in levels or {} if not any(_names(name, metric) for metric in drawn)]:
        raise ValueError(f"levels: no curve is drawn of {', '.join(unknown)}; there are {', '.join(drawn)}")
    write_figure(curve_figure(curves, drawn, levels), out)


def names_of(runs: Sequence[Path]) -> list[str]:
    """Return distinct names for the folders: their paths below the common parent, or a single folder's own name."""
    places = [run.resolve() for run in runs]
    common = Path(commonpath(places)) if len(set(places)) > 1 else places[0].parent
    return [str(place.relative_to(common)) if place != common else place.name for place in places]
