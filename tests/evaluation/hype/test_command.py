import json
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from gan_lightning.__main__ import main
from gan_lightning.evaluation.hype import hype, hype_report
from gan_lightning.evaluation.hype.answers import AnswersFile, read_answers
from gan_lightning.evaluation.hype.study import Design


@contextmanager
def command(*arguments: object) -> Iterator[tuple[subprocess.Popen, str]]:
    """`gan-lightning hype` in a process of its own, and the address that it names."""
    line = [sys.executable, "-m", "gan_lightning", "hype", *map(str, arguments), "--port=0"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            first = process.stdout.readline()
            found = re.search(r"http://[\d.]+:\d+", first)
            assert found, first + process.communicate(timeout=60)[1]
            yield process, found[0]
        finally:
            process.kill()


def post(address: str, path: str, content: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(address + path, json.dumps(content).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def test_a_killed_server_loses_nothing(folders: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    study = (*folders, "--num=40", f"--answers={path}")
    acknowledged = 0
    with command(*study) as (process, address):
        post(address, "/join", {"person": "Anna"})
        with suppress(OSError, HTTPException):  # a lost connection has many names
            while acknowledged < 40:
                if acknowledged == 10:  # while the next answers are under way
                    threading.Thread(target=process.kill).start()
                answer = {"person": "anna", "index": acknowledged, "answer": "real", "shown": None}
                acknowledged = post(address, "/answer", answer)["next"]["index"]
        assert process.wait(timeout=60) == -signal.SIGKILL
    assert 10 <= acknowledged < 40
    with path.open("ab") as file:
        file.write(b'{"answer": {"person": "anna", "bl')

    with command(*study) as (process, address):
        state = post(address, "/join", {"person": "Anna"})
        assert state["index"] in (acknowledged, acknowledged + 1)  # one may be kept whose answer was not heard
        while state["stage"] == "study":
            answer = {"person": "anna", "index": state["index"], "answer": "fake", "shown": None}
            state = post(address, "/answer", answer)["next"]

        with pytest.raises(ValueError, match="written to by another process"):
            hype(*folders, num=40, answers=path)
        assert len(read_answers(path).answers) == 40

        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "1 finished, 40 answers" in said
    assert "Traceback" not in errors


def test_what_the_user_can_fix_ends_with_a_sentence_and_2(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    real, fake = map(str, folders)
    answers = f"--answers={tmp_path / 'answers.jsonl'}"
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for arguments, sentence in (
        ([real, str(tmp_path / "none")], "is not a folder"),
        ([str(tmp_path / "empty"), fake], "holds no images"),
        ([real, real], "the same folder"),
        ([real, fake], "20 real images are too few: each person is shown 50"),
        ([real, fake, "--protocol=time", "--num=14"], "each person is shown 21"),
        ([real, fake, "--num=7"], "give an even number"),
        ([real, fake, "--num=4", "--port=-1"], "port=-1 is out of range"),
        ([real, fake, "--num=4", "--host=nowhere.invalid"], "give another host or port"),
        ([real, fake, "--num=4", f"--answers={tmp_path / 'file' / 'a.jsonl'}"], "cannot be written"),
    ):
        assert main(["hype", answers, *arguments]) == 2
        said = capsys.readouterr().err
        assert sentence in said
        assert said.count("\n") == 1
    with AnswersFile(tmp_path / "answers.jsonl", Design("infinity", 4, 0, 0)):  # none of these has claimed the file
        pass


def test_report(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "answers.jsonl"
    with AnswersFile(path, Design("infinity", 4, 0, 0)) as file:
        file.add_person("anna", "")
        hype_report(path)
    assert "0 finished, 0 answers; 1 unfinished" in capsys.readouterr().out
    assert main(["hype-report", str(path), f"--json={tmp_path / 'result.json'}"]) == 0
    assert json.loads((tmp_path / "result.json").read_text())["unfinished"] == 1
    assert main(["hype-report", str(tmp_path / "none")]) == 2
    assert "is not a file" in capsys.readouterr().err
