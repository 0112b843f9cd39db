"""Runs side by side, as a table, and as a page or a picture with their curves and samples."""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from matplotlib.figure import Figure
from PIL import Image

from gan_lightning.data.files import read_image, write_whole
from gan_lightning.data.images import as_uint8, to_channels
from gan_lightning.evaluation.pictures.canvas import DPI
from gan_lightning.evaluation.pictures.curves import curve_figure
from gan_lightning.evaluation.runs import (
    Group,
    as_text,
    chosen_metrics,
    difference_rows,
    grouped,
    notes_on,
    read_runs,
    score_rows,
)

SUFFIXES = (".html", ".png")
LONGEST = 1200  # pixels of a grid's longer side; larger ones are made smaller
LETTERS = 48  # of a line below or above a grid of a picture
GAP = 20  # pixels between grids
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .8rem; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
img { max-width: 100% }
.grids { display: flex; flex-wrap: wrap; gap: 1rem }
figure { margin: 0; max-width: 24rem } figcaption { overflow-wrap: anywhere }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def compare(runs: list[str], out: Path | None = None, metrics: list[str] | str | None = None) -> None:
    """Compare runs: best and last scores, the settings that differ, curves, and the newest samples side by side.

    Runs that differ only in the seed and the folder become one row: mean ± standard deviation.

    Args:
        runs: Folders of runs, or folders whose sub-folders are runs (of several seeds, of a sweep).
        out: A page .html that needs no other file, or a picture .png, with curves and samples. Null: only the table.
        metrics: Names as in metrics.csv, such as loss/generator and val/fid, or the last part of a name: fid. Null: all
            metrics of evaluations.

    Raises:
        ValueError: no run has such a metric, or `out` is neither .html nor .png.
        OSError: a folder is not a run and contains none, or `out` cannot be written.
    """
    if out is not None and out.suffix not in SUFFIXES:
        raise ValueError(f"{out} cannot be written: give it a name that ends in .html or .png")
    groups = grouped(read_runs([Path(run) for run in runs]))
    names = chosen_metrics(groups, [metrics] if isinstance(metrics, str) else metrics)
    print(as_text(groups, names))
    if out is None:
        return
    content = _page(groups, names) if out.suffix == ".html" else _picture(groups, names)
    write_whole(out, lambda path: path.write_bytes(content))
    print(f"\nwritten: {out}")


def _curves(groups: Sequence[Group], metrics: Sequence[str]) -> bytes | None:
    """Draw the curves as a PNG file; return None if there are none."""
    lines = {
        group.name: {name: curve for name in metrics if (curve := group.curve(name)) is not None} for group in groups
    }
    lines = {name: curves for name, curves in lines.items() if curves}
    if not lines:
        return None
    file = io.BytesIO()
    curve_figure(lines, metrics).savefig(file, format="png", dpi=DPI, facecolor="white")
    return file.getvalue()


def _grids(groups: Sequence[Group]) -> list[tuple[str, Image.Image | str]]:
    """Return the newest grid of samples of each run, or the reason why there is none."""
    grids: list[tuple[str, Image.Image | str]] = []
    for run in (run for group in groups for run in group.runs):
        if run.picture is None:
            grids.append((run.name, "no picture of samples has been made yet"))
            continue
        try:
            values = as_uint8(to_channels(read_image(run.picture)[None], 3))[0]
        except (OSError, ValueError) as error:
            grids.append((run.name, f"its newest picture cannot be read: {error}"))
            continue
        image = Image.fromarray(values.permute(1, 2, 0).numpy())
        image.thumbnail((LONGEST, LONGEST))
        grids.append((f"{run.name}: {run.picture.name}", image))
    return grids


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def _page(groups: Sequence[Group], metrics: Sequence[str]) -> bytes:
    parts = ["<h1>Runs compared</h1>", _table(score_rows(groups, metrics))]
    if not metrics:
        parts.append("<p>No evaluation has been made yet.</p>")
    if rows := difference_rows(groups):
        parts += ["<h2>Settings that differ</h2>", _table(rows)]
    if notes := notes_on(groups):
        parts += ["<h2>Notes</h2><ul>", *(f"<li>{html.escape(note)}</li>" for note in notes), "</ul>"]
    if (curves := _curves(groups, metrics)) is not None:
        parts += ["<h2>Curves</h2>", _embedded(curves, "curves of the metrics")]
    parts.append('<h2>Newest samples</h2><div class="grids">')
    for caption, grid in _grids(groups):
        shown = f"<p>{html.escape(grid)}</p>" if isinstance(grid, str) else _embedded(_png(grid), "samples")
        parts.append(f"<figure>{shown}<figcaption>{html.escape(caption)}</figcaption></figure>")
    parts.append("</div>")
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    head += f"<title>Runs compared</title><style>{STYLE}</style>"
    text = f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'
    return text.encode("utf-8", "backslashreplace")


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = []
    for number, row in enumerate(rows):
        kind = "td" if number else "th"
        lines.append("".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in row))
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _embedded(png: bytes, name: str) -> str:
    return f'<img alt="{name}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _picture(groups: Sequence[Group], metrics: Sequence[str]) -> bytes:
    """Draw the curves, and the grids below them."""
    curves = _curves(groups, metrics)
    parts = [] if curves is None else [Image.open(io.BytesIO(curves)).convert("RGB")]
    grids = _grids(groups)
    columns = min(4, len(grids))
    lines = -(-len(grids) // columns)
    figure = Figure(figsize=(3.4 * columns, 3.7 * lines), layout="constrained")
    for axes, (caption, grid) in zip(figure.subplots(lines, columns, squeeze=False).flatten(), grids, strict=False):
        if isinstance(grid, str):
            told = axes.text(0.5, 0.5, fill(grid, LETTERS), ha="center", va="center", fontsize=8, parse_math=False)
            told.set_in_layout(False)
        else:
            axes.imshow(grid)
        axes.set_title(fill(caption, LETTERS), fontsize=8, parse_math=False)
    for axes in figure.axes:
        axes.set_axis_off()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, facecolor="white")
    parts.append(Image.open(file).convert("RGB"))
    whole = Image.new("RGB", (max(part.width for part in parts), sum(part.height + GAP for part in parts)), "white")
    top = 0
    for part in parts:
        whole.paste(part, ((whole.width - part.width) // 2, top))
        top += part.height + GAP
    return _png(whole)
