"""The answers file: JSON lines that are on the disk before they count, by one writer at a time."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar, get_args, get_type_hints

from filelock import FileLock, Timeout

from gan_lightning.evaluation.hype.study import Answer, Design, person_name

T = TypeVar("T")


class StudyRecord(NamedTuple):
    """What an answers file says: the design of its study, who has agreed to take part, and all answers in order."""

    design: Design
    people: list[str]
    answers: list[Answer]


def read_answers(path: Path) -> StudyRecord:
    """The contents of an answers file. A last line without its end, which a crash has torn, does not count.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no answers file, or a line of it is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file: name one that `hype` has written answers to")
    return _parse(path, path.read_bytes())


class AnswersFile:
    """An answers file open for writing; made with its folder where it is missing, gone on with where it is there.

    Each line is flushed and fsynced before the method returns. A lock beside the file keeps a second writer out; the
    system frees it however this process ends.

    Args:
        path: of the file.
        design: of the study. It is the file's first line, written with the second.

    Raises:
        OSError: the file cannot be written.
        ValueError: another process writes to it; it belongs to another study; it is no answers file, or damaged.
    """

    def __init__(self, path: Path, design: Design) -> None:
        self.path = path
        self._first = _line({"study": asdict(design)})
        self._lock = FileLock(path.with_name(path.name + ".lock"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            self._file = path.open("ab")
        except Timeout as error:
            raise ValueError(f"{path} is written to by another process: end it, or name another file") from error
        except OSError as error:
            self._lock.release()
            raise OSError(f"answers cannot be written to {path}: {error.strerror}") from error
        try:
            self.recorded = self._begin(design)
        except BaseException:
            self.close()
            raise

    def add_person(self, person: str, time: str) -> None:
        """Keep that a person has agreed to take part."""
        self._write({"person": person, "agreed": time})

    def add_answer(self, answer: Answer) -> None:
        """Keep an answer."""
        self._write({"answer": asdict(answer) | {"correct": answer.correct}})

    def close(self) -> None:
        """Let go of the file and its lock."""
        self._file.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _begin(self, design: Design) -> StudyRecord:
        data = self.path.read_bytes()
        if self._first.startswith(data):  # empty, or torn in its first line
            self._file.truncate(0)
            return StudyRecord(design, [], [])
        recorded = _parse(self.path, data)
        if recorded.design != design:
            raise ValueError(
                f"{self.path} belongs to another study ({_told(recorded.design)}), not to this one "
                f"({_told(design)}): name another file, or give the same settings"
            )
        self._file.truncate(data.rindex(b"\n") + 1)
        return recorded

    def _write(self, record: dict[str, Any]) -> None:
        """Append a line; where that fails the file is as it was."""
        size = os.fstat(self._file.fileno()).st_size
        try:
            self._file.write(_line(record) if size else self._first + _line(record))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            os.truncate(self._file.fileno(), size)
            raise


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def _told(design: Design) -> str:
    return ", ".join(f"{name} {value}" for name, value in asdict(design).items())


def _made(kind: type[T], fields: Mapping[str, Any]) -> T:
    """An object of a dataclass, whose fields are of the types that the class states.

    Raises:
        TypeError: one is missing, unknown, or of another type.
        ValueError: a number is infinite or negative.
    """
    for name, types in get_type_hints(kind).items():
        value: Any = fields.get(name)
        allowed = get_args(types) or (types,)
        if value not in allowed and type(value) not in allowed and not (type(value) is int and float in allowed):
            raise TypeError(f"{name} is {value!r}")
        if isinstance(value, int | float) and not (math.isfinite(value) and (value >= 0 or name == "seed")):
            raise ValueError(f"{name} is {value!r}")
    return kind(**fields)


def _parse(path: Path, data: bytes) -> StudyRecord:
    design: Design | None = None
    people: list[str] = []
    answers: list[Answer] = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            record: dict[str, Any] = json.loads(line)
            if design is None:
                design = _made(Design, record["study"])
            elif "person" in record:
                people.append(person_name(record["person"]))
            else:
                fields: dict[str, Any] = record["answer"]
                del fields["correct"]  # for other readers: it follows from the rest
                answers.append(_made(Answer, fields))
                people.index(answers[-1].person)  # who has joined before
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path}, line {number}, is none that `hype` has written: mend or remove it") from error
    if design is None:
        raise ValueError(f"{path} holds no answers: name a file that `hype` has written, or a new one")
    return StudyRecord(design, people, answers)
