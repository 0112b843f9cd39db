"""The tables of models with their own networks: a run of each, its row, its picture, and its place in the results."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks import families

RESULTS = Path(__file__).parents[2] / "docs" / "results.md"
SHORT = ["--trainer.limit_train_batches=1", "--trainer.max_epochs=1", "--evaluation.recipe=suite40_test@digits"]


def write(folder: Path, name: str, seed: int, **result: Any) -> None:
    file = families.place(folder, name, seed) / "result.json"
    file.parent.mkdir(parents=True)
    values = dict.fromkeys(families.FAMILIES.columns.keys() - {"speed"}, 1.0)
    file.write_text(json.dumps(values | {"parameters": [5, 6]} | result))


def test_a_run_is_measured_in_all_spaces_and_pictured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "PATHS", 4)
    monkeypatch.setattr(families, "SAMPLES", 4)
    folder = families.place(tmp_path, "stylegan2", 0)
    entry = families.FAMILIES.entries["stylegan2"]
    families.train(entry, 0, folder, [*SHORT, "--trainer.check_val_every_n_epoch=1"])
    result = families.read_result(folder)
    assert families.FAMILIES.columns.keys() - {"speed"} < set(result)
    assert result["images"] == 32
    families.main([f"--folder={tmp_path}", "--only", "stylegan2", "--seeds=1", f"--pictures={tmp_path / 'pictures'}"])
    with Image.open(tmp_path / "pictures" / "StyleGAN2.png") as row:
        assert row.size == (16 * 64, 64)
    families.picture(families.FAMILIES, tmp_path, tmp_path / "samples.png", count=4)
    assert (tmp_path / "samples.png").stat().st_size > 1000


SLOW = ("gated_pixelcnn", "realnvp")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in families.KINDS.entries]
)
def test_each_kind_has_the_columns_that_it_can_have(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "PATHS", 2)
    monkeypatch.setattr(families, "SAMPLES", 2)
    entry = families.KINDS.entries[name]
    fewer = tuple(setting.replace("importance_samples=50", "importance_samples=2") for setting in entry.overrides)
    entry = entry._replace(overrides=fewer)
    monkeypatch.setattr(families, "NATS", "suite+nll10_test@digits")
    short = [
        *SHORT,
        "--trainer.check_val_every_n_epoch=1",
        "--evaluation.recipe=suite10_test@digits",
        "--samples.count=0",
    ]
    families.train(entry, 0, tmp_path / name / "seed0", short)
    result = families.read_result(tmp_path / name / "seed0")
    missing = families.KINDS.columns.keys() - result.keys()
    assert missing == (set() if entry.nats else {"nats"})
    assert result["minutes"] > 0
    assert len(result["parameters"]) == 1 if name in SLOW else 2
    families.main(["kinds", f"--folder={tmp_path}", "--only", name, "--seeds=1", f"--picture={tmp_path / 'x.png'}"])


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        families.main(["kinds", "--only", "stylegan"])
    assert "kinds has no stylegan, but dcgan, vae" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["progan", "biggan"])
def test_speed_is_that_of_the_full_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "TIMED", 1)
    assert families.measure_speed(f"{name}/digits") > 0


def test_finished_runs_are_not_trained_again_and_rows_have_means(tmp_path: Path, capsys: Any) -> None:
    write(tmp_path, "stylegan", 0, fid=1.0)
    write(tmp_path, "stylegan", 1, fid=4.0)
    trained = []

    def train(entry: families.Entry, seed: int, folder: Path) -> None:
        trained.append((entry.title, seed))
        write(tmp_path, "stylegan", seed)

    for _ in range(2):
        families.main([f"--folder={tmp_path}", "--only", "stylegan", "--seeds=3"], train)
    assert trained == [("StyleGAN", 2)]
    assert "| StyleGAN | [1812.04948](https://arxiv.org/abs/1812.04948) | 2.0 ± 1.7 |" in capsys.readouterr().out
    write(tmp_path, "sagan", 0)
    file = families.place(tmp_path, "sagan", 0) / "result.json"
    file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "ppl_w"}))
    assert "| 1 |  |  | 5 / 6 |" in families.table(families.FAMILIES, tmp_path)  # no space w, no speed


def test_the_configs_see_the_same_number_of_images() -> None:
    epochs = set()
    for entry in families.FAMILIES.entries.values():
        text = (Path(__file__).parents[2] / "configs" / f"{entry.config}.yaml").read_text()
        epochs.add(text.partition("max_epochs: ")[2].split()[0].rstrip("}"))
    assert len(epochs) == 1


@pytest.mark.parametrize("name", ["families", "kinds"])
def test_the_results_have_a_place_for_the_table_and_each_model_in_it(name: str) -> None:
    comparison = families.COMPARISONS[name]
    _, begin, rest = RESULTS.read_text().partition(comparison.marks[0])
    published, end, _ = rest.partition(comparison.marks[1])
    assert begin
    assert end
    rows = [line.split(" | ")[0].removeprefix("| ") for line in published.splitlines()[2:]]
    assert rows == [entry.title for entry in comparison.entries.values()]
