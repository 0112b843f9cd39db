"""Logs that grow by whole lines, are cut back on a resume, and survive a kill at any point of a write."""

import csv
from pathlib import Path
from typing import Any

import pytest

from gan_lightning.data import lines
from gan_lightning.training.loggers import RunCSVLogger, cut_back


def logged(folder: Path, *rows: dict[str, float], cut: int | None = None) -> list[dict[str, str]]:
    """Start a logger on an existing file, cut it, log these values, and return the rows of metrics.csv."""
    logger = RunCSVLogger(str(folder))
    cut_back(logger, cut, 0)
    for step, row in enumerate(rows):
        logger.log_metrics(row, step)
        logger.save()
    return written(folder)


def written(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        ("", []),
        ("a,st", []),  # killed within the header
        ("a,step\n", []),
        ("a,step\n1.0,0\n2.0,", ["1.0"]),
        ("a,step\r\n1.0,0\r\n2.0,1\r\n", ["1.0", "2.0"]),
    ],
)
def test_a_torn_line_goes_and_whole_ones_stay(left: str, kept: list[str], tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(left, newline="")
    assert [row["a"] for row in logged(tmp_path, {"a": 9.0})] == [*kept, "9.0"]


def test_rows_after_a_checkpoint_are_cut_and_columns_may_come_later(tmp_path: Path) -> None:
    logged(tmp_path, *({"a": float(i)} for i in range(4)))
    rows = logged(tmp_path, {"b": 7.0}, {"a": 8.0, "c": 9.0}, cut=2)
    assert [(row["a"], row["b"], row["c"]) for row in rows] == [
        ("0.0", "", ""),
        ("1.0", "", ""),
        ("", "7.0", ""),
        ("8.0", "", "9.0"),
    ]
    assert len(logged(tmp_path, cut=100)) == 4  # fewer than the checkpoint knows of: all stay


def test_a_kill_while_a_column_is_added_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = logged(tmp_path, {"a": 1.0}, {"a": 2.0})

    def killed(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(SystemExit):
            logged(tmp_path, {"b": 3.0})
    assert written(tmp_path) == before
    assert [row["a"] for row in logged(tmp_path, {"b": 3.0})] == ["1.0", "2.0", ""]


def test_lines_are_whole_after_a_torn_one_and_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lines.txt"
    lines.append(path, "one")
    path.write_bytes(path.read_bytes() + b"tw")
    lines.append(path, "three")
    assert lines.read(path) == "one\nthree\n"
    lines.replace(path, ["four\n"])
    assert [file.name for file in path.parent.iterdir()] == ["lines.txt"]
    path.write_bytes(b"\xff\n")
    with pytest.raises(ValueError, match=r"lines\.txt is damaged .*move it away"):
        lines.read(path)
