"""Runs side by side: what is a row, what differs, and files of any state."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from gan_lightning.__main__ import main
from gan_lightning.evaluation import runs as module
from gan_lightning.evaluation.pictures.compare import compare
from gan_lightning.evaluation.runs import grouped, measured, read_runs
from gan_lightning.run_files import CONFIG, RECORD


def make_run(folder: Path, fid: list[float] | None = None, seed: int = 0, **settings: Any) -> Path:
    """A run of 8 images a step with an evaluation every other step, as its files are."""
    folder.mkdir(parents=True)
    config: dict[str, Any] = {
        "seed_everything": seed,
        "seeds": 1,
        "ckpt_path": None,
        "trainer": {
            "default_root_dir": str(folder),
            "logger": {"class_path": "WandbLogger", "init_args": {"save_dir": str(folder), "id": f"id{seed}"}},
            "callbacks": [{"class_path": "gan_lightning.callbacks.SampleGrid", "init_args": {"count": 4}}],
        },
        "model": {"class_path": "gan_lightning.models.DCGAN", "init_args": {"n_critic": 1, "betas": [0.5, 0.9]}},
        "data": {"class_path": "datamodules.Digits", "init_args": {"place": f"{folder}/data"} | settings},
    }
    (folder / CONFIG).write_text(yaml.safe_dump(config))
    (folder / RECORD).write_text(json.dumps({"starts": [{"finished": {"max_epochs": "3"}}]}))
    rows = [f"{2 * number},{value},0.5,{16 * number}" for number, value in enumerate(fid or [])]
    (folder / "metrics.csv").write_text("\n".join(["step,val/fid,loss/generator,images_seen", *rows]) + "\n")
    (folder / "samples").mkdir()
    for number in (0, 16):
        levels = np.full((8, 12, 3), 10 * number, np.uint8)
        Image.fromarray(levels).save(folder / "samples" / f"images-{number:09d}.png")
    return folder


def table(*runs: Path, capsys: Any, **arguments: Any) -> str:
    compare([str(run) for run in runs], **arguments)
    return capsys.readouterr().out


def test_runs_that_differ_in_the_seed_are_one_row(tmp_path: Path, capsys: Any) -> None:
    for seed, scores in enumerate([[9, 3, 4], [9, 5, 6], [9, 4, 8]]):
        make_run(tmp_path / "dcgan" / f"seed-{seed}", scores, seed)
    make_run(tmp_path / "other", [9, 2, 1], seed=0, width=8)
    lines = table(tmp_path, capsys=capsys).splitlines()
    assert lines[0] == "scores by val"
    assert [[*filter(None, (cell.strip() for cell in line.split("  ")))] for line in lines[2:5]] == [
        ["run", "runs", "images", "fid ↓ best", "last"],
        ["dcgan", "3", "32", "4 ± 1", "6 ± 2"],
        ["other", "1", "32", "1", "1"],
    ]
    assert [line.split() for line in lines[6:]] == [
        ["settings", "that", "differ"],
        [],
        ["setting", "dcgan", "other"],
        ["data.width", "null", "8"],
    ]


def test_runs_with_equal_seeds_are_no_repetitions_of_each_other(tmp_path: Path, capsys: Any) -> None:
    for name in ("a", "b"):
        make_run(tmp_path / name, [9, 3])
    groups = grouped(read_runs([tmp_path]))
    assert [group.name for group in groups] == ["a", "b"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["x/seed-0", "x/seed-1"], ["x"]),
        (["seed-0", "seed-1"], ["runs"]),
        (["wgan-0", "wgan-1"], ["wgan"]),
        (["a", "b"], ["runs"]),
    ],
)
def test_the_name_of_a_row(names: list[str], expected: list[str], tmp_path: Path) -> None:
    for seed, name in enumerate(names):
        make_run(tmp_path / "runs" / name, [1.0], seed)
    assert [group.name for group in grouped(read_runs([tmp_path / "runs"]))] == expected


def damage(run: Path, file: str, content: str | None) -> None:
    if content is None:
        (run / file).unlink()
    else:
        (run / file).write_text(content)


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefghijklm", "bcdefghijklmn", strict=True)
)


@pytest.mark.parametrize(
    ("file", "content", "note"),
    [
        ("metrics.csv", None, "one: it has neither metrics.csv nor evaluations.jsonl: no score is known"),
        ("metrics.csv", "step,loss/generator,images_seen\n1,0.5,8\n", "one: no evaluation has been made yet"),
        ("metrics.csv", "a,b\n1,2\n", "one: no score can be read: .*metrics.csv has no column step"),
        (
            "metrics.csv",
            "step,val/fid,images_seen\n1,9,8\n" + 5 * "x\n",
            "one: 2 more such lines",
        ),
        (CONFIG, None, "one: it has no config.yaml: its settings are not known, and it is a row of its own"),
        (CONFIG, "{", r"one: config.yaml cannot be read \(ParserError\): its settings are not known"),
        (CONFIG, "- 1\n", r"one: config.yaml cannot be read \(ValueError\): its settings are not known"),
        (CONFIG, BOMB, r"one: config.yaml cannot be read \(ValueError\): its settings are not known"),
        (RECORD, '{"starts": [{}]}', "one: unfinished: it was stopped, is still training, or an older version trained"),
        (RECORD, "[", "one: unfinished"),
        ("samples/images-000000016.png", "no picture", "one: its newest picture cannot be read"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_files_in_any_state_are_said_in_words(
    file: str, content: str | None, note: str, tmp_path: Path, capsys: Any
) -> None:
    damage(make_run(tmp_path / "one", [9, 3]), file, content)
    make_run(tmp_path / "two", [9, 4])
    out = table(tmp_path / "one", tmp_path / "two", capsys=capsys, out=tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    if file.endswith(".png"):
        assert re.search(note.partition(": ")[2], page)
    else:
        assert re.search(note, out)
        assert re.search(note, page)


def test_runs_of_an_older_version_have_no_record(tmp_path: Path, capsys: Any) -> None:
    (make_run(tmp_path / "one", [9, 3]) / RECORD).unlink()
    assert "note" not in table(tmp_path / "one", capsys=capsys)


def test_a_config_of_an_older_version_lists_what_are_groups_now(tmp_path: Path, capsys: Any) -> None:
    make_run(tmp_path / "old", [9, 3], seed=0)
    new = make_run(tmp_path / "new", [9, 5], seed=1)
    config = yaml.safe_load((new / CONFIG).read_text())
    (grid,) = config["trainer"].pop("callbacks")
    (new / CONFIG).write_text(yaml.safe_dump(config | {"samples": grid["init_args"]}))
    assert " ± " in table(tmp_path, capsys=capsys)


def test_two_callbacks_of_a_class_are_told_apart(tmp_path: Path, capsys: Any) -> None:
    for seed, every in enumerate((1, 2)):
        run = make_run(tmp_path / f"run-{every}", [9, 3], seed=seed)
        config = yaml.safe_load((run / CONFIG).read_text())
        second = {"class_path": "gan_lightning.callbacks.SampleGrid", "init_args": {"count": every}}
        config["trainer"]["callbacks"] = [second, config["trainer"]["callbacks"][0], second]
        (run / CONFIG).write_text(yaml.safe_dump(config))
    out = table(tmp_path, capsys=capsys)
    assert "samples.count" in out
    assert "trainer.callbacks[SampleGrid 3].count" in out
    assert "trainer.callbacks[SampleGrid 2].count" not in out


def test_nothing_but_runs_that_were_not_evaluated(tmp_path: Path, capsys: Any) -> None:
    make_run(tmp_path / "one")
    out = table(tmp_path / "one", capsys=capsys, out=tmp_path / "a.png")
    assert "note: one: no evaluation has been made yet" in out
    assert Image.open(tmp_path / "a.png").width > 100


def test_a_run_that_was_moved_is_the_same_row(tmp_path: Path, capsys: Any) -> None:
    make_run(tmp_path / "a", [9, 3], seed=0)
    make_run(tmp_path / "b", [9, 5], seed=1).rename(tmp_path / "c")
    assert " ± " in table(tmp_path / "a", tmp_path / "c", capsys=capsys)


def test_scores_that_are_not_finite(tmp_path: Path, capsys: Any) -> None:
    make_run(tmp_path / "x" / "seed-0", [9, 3, math.nan])
    make_run(tmp_path / "x" / "seed-1", [9, math.inf, math.nan], seed=1)
    make_run(tmp_path / "y", [math.nan], width=8)
    out = table(tmp_path, capsys=capsys, out=tmp_path / "page.html")
    assert [line.split()[3:] for line in out.splitlines()[3:5]] == [["6", "±", "4.2", "nan"], ["-", "nan"]]
    assert measured([1.0, None]) == "1 (1 of 2)"


def test_a_page_holds_all_and_runs_nothing(tmp_path: Path, capsys: Any) -> None:
    evil = "<script>alert(1)</script>"
    run = make_run(tmp_path / "a<b>&'\"", [9, 3], seed=1, name=evil)
    other = make_run(tmp_path / "b$^{\x1b[31m", [9, 4], seed=1)
    report = {"recipe": f"{evil}/x", "values": {"fid": {"each": [3.0]}}, "settings": {"images_seen": 8, "stage": "val"}}
    (run / "evaluations.jsonl").write_text(json.dumps(report) + "\n")
    out = table(run, other, capsys=capsys, out=tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "\x1b" not in out
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "a&lt;b&gt;&amp;&#x27;&quot;" in page
    assert page.count('src="data:image/png;base64,') == page.count("src=") == 3  # curves, and a grid of each
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["{}/nope"], "there is no folder .*/nope: name the folders of runs"),
        (["{}/empty"], "/empty is no run, and its sub-folders are none"),
        (["{}/one", "--metrics", "kid"], "no run has a metric 'kid'; there are val/fid, loss/generator"),
        (["{}/one", "--out", "a.txt"], "a.txt cannot be written: give it a name that ends in .html or .png"),
        ([], "missing: runs"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], error: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "empty").mkdir()
    make_run(tmp_path / "one", [9, 3])
    assert main(["compare", *(word.format(tmp_path) for word in arguments)]) == 2
    assert re.search(error, capsys.readouterr().err)


def test_the_command_line_takes_several_runs_and_flags_in_any_order(tmp_path: Path, capsys: Any) -> None:
    for name in ("one", "two"):
        make_run(tmp_path / name, [9, 3])
    runs = [str(tmp_path / "one"), str(tmp_path / "two")]
    assert main(["compare", "--metrics=fid", runs[0], "--out", str(tmp_path / "a.html"), runs[1]]) == 0
    assert capsys.readouterr().out.count("  16  ") == 2
    assert (tmp_path / "a.html").is_file()


def test_the_names_of_a_runs_files_are_those_that_are_written() -> None:
    assert (module.CONFIG, module.RECORD) == (CONFIG, RECORD)
