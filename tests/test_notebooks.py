"""The notebooks, run as a reader runs them, in a folder of their own."""

import json
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_its_first_cell_to_its_last(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_LIGHTNING_NOTEBOOK_EPOCHS", "2")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}}).execute()
    drawn = [
        cell.source
        for cell in notebook.cells
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
    ]
    assert len(drawn) == 5
    run = tmp_path / "runs/notebook"
    assert (run / "checkpoints/best.ckpt").is_file()
    assert "val/fid" in (run / "metrics.csv").read_text()
    assert len(list((run / "samples").glob("*.png"))) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_stored_notebook_is_small_and_holds_what_a_reader_wants_to_see(path: Path) -> None:
    assert path.stat().st_size < 400_000
    for cell in json.loads(path.read_text())["cells"]:
        for output in cell.get("outputs", []):
            assert output.get("name", "stdout") == "stdout"  # no warnings
            assert not re.search("\r|it/s", "".join(output.get("text", [])))  # no progress bars
            assert set(output.get("data", {})) <= {"image/png"}
