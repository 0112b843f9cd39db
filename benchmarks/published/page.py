"""The results of a folder, and docs/published.md."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = "results.jsonl"


def finished(folder: Path) -> dict[tuple[str, tuple[int, ...]], dict[str, Any]]:
    """Return the results in a folder, by name and seeds."""
    file = folder / RESULTS
    lines = file.read_text().splitlines() if file.is_file() else []
    results = [json.loads(line) for line in lines]
    return {(result["name"], tuple(result["seeds"])): result for result in results}


PAGE = """# Published numbers, reproduced

Each row is a number of a paper, and ours under the same protocol, by `python -m benchmarks.published`. Ours are the
mean and the standard deviation over the seeds; the published spread is as its table says. A number is comparable only
as far as its row says that nothing differs.

Minutes are those of one core for all seeds of a row, on: {machines}.
"""


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of docs/published.md: a table for each published one, of the rows that were run.

    A row that was run for several sets of seeds is shown for the largest.
    """
    largest = {result["name"]: result for result in sorted(results, key=lambda result: len(result["seeds"]))}
    results = [largest[name] for name in dict.fromkeys(result["name"] for result in results)]
    lines = [PAGE.format(machines="; ".join(dict.fromkeys(result["machine"] for result in results)))]
    for table in dict.fromkeys(result["table"] for result in results):
        rows = [result for result in results if result["table"] == table]
        lines += [f"## {table[0].upper()}{table[1:]}\n", f"Protocol: {rows[0]['protocol']}.\n"]
        if differing := list(dict.fromkeys(text for row in rows for text in row["departures"])):
            lines += [f"What differs: {'; '.join(differing)}.\n"]
        lines += ["| method | measure | published | ours | perfect samples | seeds | minutes | command |"]
        lines += ["|---|---|---:|---:|---:|---|---:|---|"]
        for row in rows:
            for measure, ours in row["ours"].items():
                value, spread = row["published"].get(measure, (None, None))
                printed = "" if value is None else _number(value, spread)
                if value is not None and row["source"] == "memory":
                    printed += " (from memory)"
                floor = row["floor"].get(measure)
                cells = [
                    *(row["method"], measure, printed, _number(ours["mean"], ours["std"])),
                    "" if floor is None else _number(floor, None),
                    *(span(row["seeds"]), f"{row['minutes']:.0f}", f"`{row['command']}`"),
                ]
                lines.append(f"| {' | '.join(cells)} |")
        lines.append(f"\nPublished spread: {rows[0]['spread']}.\n" if rows[0]["published"] else "")
    return "\n".join(lines).rstrip() + "\n"


def _number(value: float, spread: float | None) -> str:
    shown = f"{value:.4g}" if abs(value) < 1 else f"{value:.2f}".rstrip("0").rstrip(".")
    return shown if spread is None else f"{shown} ± {spread:.2g}"


def span(seeds: Sequence[int]) -> str:
    """Write seeds as an argument: "0-2", "4", or "0,3,5"."""
    if len(seeds) > 1 and list(seeds) == [*range(seeds[0], seeds[-1] + 1)]:
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))
