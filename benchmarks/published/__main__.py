"""The command line of `benchmarks.published`."""

import json
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import benchmarks.published
from benchmarks.published.page import command, finished, page, span, spread
from benchmarks.published.rows import ROWS
from gan_lightning.cli.run_folder import describe_device
from gan_lightning.data.files import write_whole

FOLDER = Path("runs/published")
RESULTS = Path("docs/published.jsonl")
SAVE_EVERY = 300  # seconds


def reproduce(name: str, seeds: Sequence[int], folder: Path, until: int | None = None) -> dict[str, Any] | None:
    """Train a row from where it is, and return its result; None if it stopped after `until` steps in all."""
    row = ROWS[name]
    file = folder / f"{name}-{'.'.join(map(str, seeds))}.pt"
    folder.mkdir(parents=True, exist_ok=True)
    run = row.make(seeds, folder)
    seconds = 0.0
    if file.is_file():
        saved = torch.load(file, weights_only=True)
        run.restore(saved["run"])
        seconds = saved["seconds"]
    begun = last = time.monotonic()

    def save() -> None:
        state = {"run": run.state(), "seconds": seconds + time.monotonic() - begun}
        write_whole(file, lambda place: torch.save(state, place))

    end = run.steps if until is None else min(until, run.steps)
    while run.step < end:
        run.advance()
        run.step += 1
        if run.step % run.every == 0:
            run.curve.append({"step": run.step, "scores": run.measure()})
            print(f"{name}: {run.step:,} of {run.steps:,}: {run.curve[-1]['scores']}", flush=True)
        if time.monotonic() - last > SAVE_EVERY:
            save()
            last = time.monotonic()
    save()
    if run.step < run.steps:
        return None
    scores = run.measure()
    minutes = run.seconds(seconds + time.monotonic() - begun) / 60
    return {
        "name": name,
        "table": row.table,
        "method": row.method,
        "protocol": row.protocol,
        "departures": list(row.departures),
        "source": row.source,
        "spread": row.spread,
        "published": {measure: list(value) for measure, value in row.published.items()},
        "floor": dict(row.floor),
        "ours": {measure: spread([score[measure] for score in scores]) for measure in scores[0]},
        "seeds": list(seeds),
        "minutes": round(minutes, 1),
        "command": command(name, seeds),
        "curve": run.curve,
        "machine": _machine(),
    }


def _machine() -> str:
    """Describe the CPU and torch, on which the minutes depend, and the last digits."""
    cpu = describe_device(torch.device("cpu"))
    return f"{cpu['cpu']} ({cpu['vectors']}), one thread, torch {torch.__version__.partition('+')[0]}"


def _seeds(text: str) -> list[int]:
    """Read seeds: "0-2", or "0,3,5"."""
    first, dash, last = text.partition("-")
    return [*range(int(first), int(last) + 1)] if dash else [int(number) for number in text.split(",")]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=benchmarks.published.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows to reproduce")
    parser.add_argument("--list", action="store_true", help="print all rows")
    parser.add_argument("--seeds", type=_seeds, default=[0, 1, 2], help="0-2, or 0,3,5")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where runs are kept")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the results of finished rows")
    parser.add_argument("--jobs", type=int, default=1, help="rows that are trained at a time, each on one thread")
    parser.add_argument("--page", type=Path, help="write the page of all results")
    given = parser.parse_args(arguments)
    if unknown := sorted({*given.names} - ROWS.keys()):
        parser.error(f"no row is named {unknown[0]!r}: choose from {', '.join(ROWS)}")
    if given.list:
        for name, row in ROWS.items():
            print(f"{name:28} {row.table}: {row.method}")
    torch.set_num_threads(1)
    given.results.parent.mkdir(parents=True, exist_ok=True)  # now, and not when a row has taken hours
    if given.jobs > 1:
        _in_parallel(given.names, given)
    else:
        for name in given.names:
            _one(name, given)
    if given.page:
        text = page(finished(given.results))
        write_whole(given.page, lambda place: Path(place).write_text(text))


def _one(name: str, given: Any) -> None:
    """Train the seeds of a row that have no result, and print the result of all its seeds."""
    there = [seed for row in finished(given.results) if row["name"] == name for seed in row["seeds"]]
    if missing := [seed for seed in given.seeds if seed not in there]:
        done = reproduce(name, missing, given.folder)
        with given.results.open("a") as file:
            file.write(json.dumps(done) + "\n")
    (row,) = (row for row in finished(given.results) if row["name"] == name)
    print(json.dumps({key: row[key] for key in ("name", "seeds", "ours", "published", "minutes")}), flush=True)


def _in_parallel(names: Sequence[str], given: Any) -> None:
    waiting = list(names)
    running: list[subprocess.Popen[bytes]] = []
    while waiting or running:
        while waiting and len(running) < given.jobs:
            program = [sys.executable, "-m", "benchmarks.published", waiting.pop(0), "--seeds", span(given.seeds)]
            places = ["--folder", str(given.folder), "--results", str(given.results)]
            running.append(subprocess.Popen([*program, *places]))
        running[0].wait()
        failed = [process.args for process in running if process.poll()]
        if failed:
            raise SystemExit(f"{failed[0]!r} failed: see its message above; the same command goes on")
        running = [process for process in running if process.poll() is None]


if __name__ == "__main__":
    main()
