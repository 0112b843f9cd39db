"""Logs that a resumed run goes on with from where its checkpoint was written."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from gan_lightning.data import lines


class RunCSVLogger(CSVLogger):
    """`metrics.csv` in the run's own folder.

    Where Lightning's logger deletes a file that is there, this one goes on in it, less a last row that a kill has torn.
    Rows are on disk as soon as they are logged; a new column replaces the file in one step.

    Args:
        save_dir: the run's folder.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir, name="", version="")

    def log_hyperparams(self, params: Any = None) -> None:
        """Nothing: the run's `config.yaml` has them all."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer of the file."""
        if self._experiment is None:
            self._experiment = _Writer(self.log_dir)
        return self._experiment

    @property
    def rows(self) -> int:
        """Rows in the file and not yet in it; 0 on all processes but the first."""
        return self.experiment.rows if rank_zero_only.rank == 0 else 0  # type: ignore[attr-defined]

    @rank_zero_only
    def cut(self, rows: int) -> None:
        """Keep the first `rows` rows of the file."""
        self.experiment.cut(rows)


class _Writer(ExperimentWriter):
    def _check_log_dir_exists(self) -> None:
        lines.mend(self._path)
        header, rows = self._read()
        self.metrics_keys, self._written = header, len(rows)
        if not header:
            self._path.unlink(missing_ok=True)  # killed before the first line was whole

    @property
    def _path(self) -> Path:
        return Path(self.metrics_file_path)

    @property
    def rows(self) -> int:
        return self._written + len(self.metrics)

    def save(self) -> None:
        count = len(self.metrics)
        super().save()
        self._written += count

    def cut(self, rows: int) -> None:
        self.save()
        header, there = self._read()
        if len(there) > rows:
            self._write(header, there[:rows])
            self._written = rows

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        _, there = self._read()
        self._write(fieldnames, there)

    def _read(self) -> tuple[list[str], list[dict[str, str]]]:
        if not self._path.is_file():
            return [], []
        reader = csv.DictReader(io.StringIO(lines.read(self._path), newline=""))
        return list(reader.fieldnames or []), list(reader)

    def _write(self, header: list[str], rows: Iterable[Mapping[str, Any]]) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, header, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        lines.replace(self._path, [text.getvalue()])


def cut_back(logger: Logger, rows: int | None, step: int) -> None:
    """Take away what was logged after a checkpoint, as far as the logger allows.

    `metrics.csv` is cut. TensorBoard is told not to show it. Weights & Biases keeps it: its history cannot be cut.

    Args:
        logger: any of the run's.
        rows: of metrics.csv at the checkpoint. None = it was not written.
        step: the first step that the resumed run will log.
    """
    if isinstance(logger, RunCSVLogger):
        if rows is not None:
            logger.cut(rows)
    elif isinstance(logger, TensorBoardLogger):
        _hide(logger, step)


@rank_zero_only
def _hide(logger: TensorBoardLogger, step: int) -> None:
    """Mark a restart in TensorBoard's file: what is there of `step` and later is no longer shown."""
    # slow to import, and seldom needed
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[import-untyped]  # noqa: PLC0415

    restart = Event(session_log=SessionLog(status=SessionLog.START))
    logger.experiment.file_writer.add_event(restart, step)
