import json
import os
from pathlib import Path
from typing import Any

import pytest

from gan_lightning.evaluation.hype.answers import AnswersFile, read_answers
from gan_lightning.evaluation.hype.study import Answer, Design

DESIGN = Design("infinity", 4, 0, 7)
ANSWER = Answer("änna", 1, 1, "a/b.png", True, None, None, False, "2026-01-01T00:00:00.000+00:00")
TIMED = Answer("änna", 1, 2, "c.png", False, 490, 483.4, False, "2026-01-01T00:00:01.000+00:00")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "new folder" / "answers.jsonl"
    with AnswersFile(path, DESIGN) as file:
        assert not path.read_bytes()
        file.add_person("änna", "2026-01-01T00:00:00.000+00:00")
        file.add_answer(ANSWER)
        file.add_answer(TIMED)
    return path


def test_lines(written: Path) -> None:
    first, second, third, fourth = map(json.loads, written.read_text("utf-8").splitlines())
    assert first == {"study": {"protocol": "infinity", "num": 4, "tutorial": 0, "seed": 7}}
    assert second["person"] == "änna"
    assert third["answer"]["correct"] is False
    assert fourth["answer"] == {
        "person": "änna",
        "block": 1,
        "number": 2,
        "image": "c.png",
        "real": False,
        "exposure": 490,
        "shown": 483.4,
        "said_real": False,
        "time": "2026-01-01T00:00:01.000+00:00",
        "correct": True,
    }
    assert read_answers(written) == (DESIGN, ["änna"], [ANSWER, TIMED])


def test_every_line_is_on_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "a.jsonl", []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_size))
    with AnswersFile(path, DESIGN) as file:
        for write in (lambda: file.add_person("änna", ""), lambda: file.add_answer(ANSWER)):
            write()
            assert synced[-1] == path.stat().st_size
    assert len(synced) == 2


@pytest.mark.parametrize("kept", [0, 1, 30, -1, -2, -40])
def test_torn_last_line_does_not_count_and_is_gone_on_after(written: Path, kept: int) -> None:
    whole = written.read_bytes()
    written.write_bytes(whole[:kept])
    lines = whole[:kept].count(b"\n")
    with AnswersFile(written, DESIGN) as file:
        assert len(file.recorded.answers) == max(lines - 2, 0)
        file.add_person("ben", "")
    assert read_answers(written).people == ["änna", "ben"][0 if lines else 1 :]


def test_reading_leaves_a_torn_line_to_its_writer(written: Path) -> None:
    written.write_bytes(written.read_bytes()[:-5])
    size = written.stat().st_size
    assert read_answers(written).answers == [ANSWER]
    assert written.stat().st_size == size


def test_failed_write_leaves_the_file_as_it_was(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = written.read_bytes()
    with AnswersFile(written, DESIGN) as file:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError("no space left")))
            with pytest.raises(OSError, match="no space"):
                file.add_answer(TIMED)
        assert written.read_bytes() == whole
        file.add_answer(TIMED)
    assert len(read_answers(written).answers) == 3


def test_one_writer_at_a_time(written: Path) -> None:
    with AnswersFile(written, DESIGN), pytest.raises(ValueError, match="written to by another process"):
        AnswersFile(written, DESIGN)
    AnswersFile(written, DESIGN).close()


def test_other_study(written: Path) -> None:
    whole = written.read_bytes()
    with pytest.raises(ValueError, match=r"another study .*seed 7.*seed 8"):
        AnswersFile(written, Design("infinity", 4, 0, 8))
    assert written.read_bytes() == whole
    AnswersFile(written, DESIGN).close()  # the lock was let go


@pytest.mark.parametrize("content", ["my notes", "my notes\nof today\n", '{"study": 3}\n', "[]\n", "\n"])
def test_other_files_are_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"notes\.txt"):
        AnswersFile(path, DESIGN)
    with pytest.raises(ValueError, match=r"notes\.txt"):
        read_answers(path)
    assert path.read_text() == content


@pytest.mark.parametrize(
    "line", ["{", "7", '{"answer": {}}', '{"answer": {"person": "x", "correct": true}}', '{"answer": 3}', "\udcff"]
)
def test_damaged_line_is_named(written: Path, line: str) -> None:
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join([*lines[:3], line.encode("utf-8", "surrogateescape") + b"\n", *lines[3:]]))
    with pytest.raises(ValueError, match="line 4"):
        read_answers(written)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[
            (name, value)
            for name in ("person", "block", "image", "real", "said_real", "time")
            for value in (None, [], 1.5)
        ],
        *[("exposure", value) for value in ("long", True, -1, float("nan"))],
        *[("shown", value) for value in ("long", {}, -1, float("inf"))],
        ("block", True),
        ("real", 1),
    ],
)
def test_a_field_of_another_type_is_no_answer(written: Path, field: str, value: Any) -> None:
    lines = written.read_bytes().splitlines(keepends=True)
    record = json.loads(lines[2])
    record["answer"][field] = value
    written.write_bytes(b"".join([*lines[:2], json.dumps(record).encode() + b"\n"]))
    with pytest.raises(ValueError, match="line 3, is not one of a study"):
        read_answers(written)


@pytest.mark.parametrize(("field", "value"), [("num", "4"), ("num", 4.0), ("tutorial", None), ("seed", "x"), ("x", 1)])
def test_a_design_of_other_types_is_none(written: Path, field: str, value: Any) -> None:
    first, *others = written.read_bytes().splitlines(keepends=True)
    record = json.loads(first)
    record["study"][field] = value
    written.write_bytes(b"".join([json.dumps(record).encode() + b"\n", *others]))
    with pytest.raises(ValueError, match="line 1"):
        read_answers(written)


def test_answer_of_nobody(written: Path) -> None:
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join([lines[0], *lines[2:]]))
    with pytest.raises(ValueError, match="line 2"):
        read_answers(written)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "answers.jsonl"):
        with pytest.raises(OSError, match="cannot be written to"):
            AnswersFile(path, DESIGN)
    with pytest.raises(FileNotFoundError, match="is not a file"):
        read_answers(tmp_path)
