"""The notebooks, run as a reader runs them, in a folder of their own."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


def cells_that_draw(notebook: nbformat.NotebookNode) -> list[str]:
    """The sources of the cells that have a picture below them."""
    return [
        cell.source
        for cell in notebook.cells
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_trains_evaluates_and_draws_what_it_is_stored_with(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_LIGHTNING_NOTEBOOK_EPOCHS", "2")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    stored = cells_that_draw(notebook)
    NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert cells_that_draw(notebook) == stored
    assert len(stored) >= 3
    (run,) = tmp_path.glob("runs/*")
    assert (run / "checkpoints/best.ckpt").is_file()
    assert "val/fid" in (run / "metrics.csv").read_text()
    assert len(list((run / "samples").glob("*.png"))) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_stored_notebook_is_small_and_holds_what_a_reader_wants_to_see(path: Path) -> None:
    assert path.stat().st_size < 400_000
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            assert output.get("name", "stdout") == "stdout"  # no warnings
            assert not re.search("\r|it/s|images/s", output.get("text", ""))  # no progress bars
            assert set(output.get("data", {})) <= {"image/png"}
