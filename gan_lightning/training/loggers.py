"""Logs that a resumed run continues from the position of its checkpoint."""

import csv
import io
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from gan_lightning.data import lines


class RunCSVLogger(CSVLogger):
    """`metrics.csv` in the run's own folder.

    Lightning's logger deletes an existing file. This one continues it, after it has removed a last row that a kill left
    unfinished. Rows are on disk as soon as they are logged; a new column replaces the file in one step.

    Args:
        save_dir: the run's folder.
    """

    def __init__(self, save_dir: str | Path) -> None:
        super().__init__(save_dir, name="", version="")
        self._writer: _Writer | None = None

    def log_hyperparams(self, params: Any = None) -> None:
        """Log nothing, since the run's `config.yaml` holds all hyperparameters."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer of the file."""
        if self._writer is None:
            self._writer = _Writer(Path(self.log_dir, ExperimentWriter.NAME_METRICS_FILE))
        return self._writer

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the last rows, if there are any."""
        if self._writer is not None:
            self._writer.save()

    @property
    def rows(self) -> int:
        """The number of rows, written or not; 0 on all processes but the first."""
        return self.experiment.rows if rank_zero_only.rank == 0 else 0  # type: ignore[attr-defined]

    @rank_zero_only
    def cut(self, rows: int) -> None:
        """Keep the first `rows` rows of the file."""
        self.experiment.cut(rows)


class _Writer:
    """The writer of `metrics.csv`, which replaces Lightning's ExperimentWriter.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.metrics: list[dict[str, Any]] = []  # rows that are not yet in the file
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines.drop_unfinished(path)
        self._header, rows = self._read()
        self._written = len(rows)
        if not self._header:
            path.unlink(missing_ok=True)  # killed before the first line was whole

    @property
    def rows(self) -> int:
        return self._written + len(self.metrics)

    def log_metrics(self, metrics: Mapping[str, Any], step: int) -> None:
        values = {name: value.item() if isinstance(value, Tensor) else value for name, value in metrics.items()}
        self.metrics.append(values | {"step": step})

    def save(self) -> None:
        if not self.metrics:
            return
        header = sorted({*self._header, *itertools.chain.from_iterable(self.metrics)})
        if header != self._header:
            self._replace(header, self._read()[1])
            self._header = header
        with self._path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, header).writerows(self.metrics)
        self._written += len(self.metrics)
        self.metrics = []

    def cut(self, rows: int) -> None:
        self.save()
        header, there = self._read()
        if len(there) > rows:
            self._replace(header, there[:rows])
            self._written = rows

    def _read(self) -> tuple[list[str], list[dict[str, str]]]:
        if not self._path.is_file():
            return [], []
        reader = csv.DictReader(io.StringIO(lines.read(self._path), newline=""))
        return list(reader.fieldnames or []), list(reader)

    def _replace(self, header: list[str], rows: Iterable[Mapping[str, Any]]) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, header, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        lines.replace(self._path, [text.getvalue()])


def cut_back(logger: Logger, rows: int | None, step: int) -> None:
    """Remove the rows that were logged after a checkpoint, as far as the logger allows.

    `metrics.csv` is cut. TensorBoard is made to hide them. Weights & Biases keeps them, since its history cannot be
    cut.

    Args:
        logger: one of the run's loggers.
        rows: number of rows of metrics.csv at the checkpoint. None = it was not written.
        step: the first step that the resumed run will log.
    """
    if isinstance(logger, RunCSVLogger):
        if rows is not None:
            logger.cut(rows)
    elif isinstance(logger, TensorBoardLogger):
        _hide(logger, step)


@rank_zero_only
def _hide(logger: TensorBoardLogger, step: int) -> None:
    """Mark a restart in TensorBoard's file, which hides the rows of `step` and later."""
    # slow to import, and seldom needed
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[import-untyped]  # noqa: PLC0415

    restart = Event(session_log=SessionLog(status=SessionLog.START))
    logger.experiment.file_writer.add_event(restart, step)
