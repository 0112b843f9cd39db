"""The results of finished rows, a line of JSON each, and docs/published.md."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.published.rows import ROWS


def finished(file: Path) -> list[dict[str, Any]]:
    """Return the results in a file, merged by `merged`."""
    return merged(map(json.loads, file.read_text().splitlines() if file.is_file() else []))


def merged(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one result for each row, over the seeds of all its results; of two results of a seed, the first counts."""
    rows: dict[str, dict[str, Any]] = {}
    for result in results:
        row = rows.setdefault(result["name"], dict(result) | {"seeds": [], "minutes": 0.0, "ours": {}, "machines": []})
        new = [place for place, seed in enumerate(result["seeds"]) if seed not in row["seeds"]]
        row["minutes"] = round(row["minutes"] + result["minutes"] * len(new) / len(result["seeds"]), 1)
        for measure, found in result["ours"].items():
            values = [*row["ours"].get(measure, {"values": []})["values"], *(found["values"][place] for place in new)]
            row["ours"][measure] = spread(values)
        row["machines"] = [*dict.fromkeys([*row["machines"], result["machine"]])]
        row["seeds"] = [*row["seeds"], *(result["seeds"][place] for place in new)]
    return [*rows.values()]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return mean and standard deviation over seeds (None for one seed), and the values."""
    return {"mean": fmean(values), "std": stdev(values) if len(values) > 1 else None, "values": list(values)}


def command(name: str, seeds: Sequence[int]) -> str:
    """Return the command that trains seeds of a row."""
    return f"python -m benchmarks.published {name} --seeds {span(seeds)}"


PAGE = """# Published numbers, reproduced

Each row is a number of a paper, and ours under the same protocol, by `python -m benchmarks.published`. Ours are the
mean and the standard deviation over the seeds; the published spread is as its table says. A number is comparable only
as far as its row says that nothing differs.

Minutes are those of one core for all seeds of a row, on: {machines}.

![Digits and edges, digits and negatives, digits by category](published.png)

*Left and middle, pairs of CoGAN, each from one z. Right, InfoGAN: the ten categories in two rows, then one continuous
code in each row.*
"""


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of docs/published.md: a table for each published one, of the rows that were run."""
    lines = [PAGE.format(machines="; ".join(dict.fromkeys(name for result in results for name in result["machines"])))]
    for table in dict.fromkeys(result["table"] for result in results):
        rows = [result for result in results if result["table"] == table]
        protocols = dict.fromkeys(row["protocol"] for row in rows)
        lines += [f"## {table[0].upper()}{table[1:]}\n", f"Protocol: {'; '.join(protocols)}.\n"]
        if differing := list(dict.fromkeys(text for row in rows for text in row["departures"])):
            lines += [f"What differs: {'; '.join(differing)}.\n"]
        lines += ["| method | measure | published | ours | perfect samples | seeds | minutes | command |"]
        lines += ["|---|---|---:|---:|---:|---|---:|---|"]
        for row in rows:
            for measure, ours in row["ours"].items():
                value, deviation = row["published"].get(measure, (None, None))
                printed = "" if value is None else _number(value, deviation)
                if value is not None and row["source"] == "memory":
                    printed += " (from memory)"
                floor = row["floor"].get(measure)
                cells = [
                    *(row["method"], measure, printed, _number(ours["mean"], ours["std"])),
                    "" if floor is None else _number(floor, None),
                    *(span(row["seeds"]), f"{row['minutes']:.0f}", f"`{command(row['name'], row['seeds'])}`"),
                ]
                lines.append(f"| {' | '.join(cells)} |")
        lines.append(f"\nPublished spread: {rows[0]['spread']}.\n" if rows[0]["published"] else "")
        lines += [f"{found}\n" for row in rows if (found := ROWS[row["name"]].found)]
    return "\n".join(lines).rstrip() + "\n"


def _number(value: float, spread: float | None) -> str:
    shown = f"{value:.4g}" if abs(value) < 1 else f"{value:.2f}".rstrip("0").rstrip(".")
    return shown if spread is None else f"{shown} ± {spread:.2g}"


def span(seeds: Sequence[int]) -> str:
    """Write seeds as an argument: "0-2", "4", or "0,3,5"."""
    ordered = sorted(seeds)
    if len(ordered) > 1 and ordered == [*range(ordered[0], ordered[-1] + 1)]:
        return f"{ordered[0]}-{ordered[-1]}"
    return ",".join(map(str, ordered))
