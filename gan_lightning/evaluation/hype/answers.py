"""The answers file: JSON lines by one writer at a time. An answer counts only once it is on the disk."""

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
    """The contents of an answers file: the study's design, the people who agreed to take part, all answers in order."""

    design: Design
    people: list[str]
    answers: list[Answer]


def read_answers(path: Path) -> StudyRecord:
    """Read an answers file. A last line without its end, left by a crash, is ignored.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not an answers file, or a line of it is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file: name one that `hype` has written answers to")
    return _parse(path, path.read_bytes())


class AnswersFile:
    """An answers file open for writing. A missing file and its folder are created; an existing file is continued.

    Each line is flushed and fsynced before the method returns. A lock beside the file keeps a second writer out; the
    system frees it when this process ends, for any reason.

    Args:
        path: the file.
        design: the study's design. It is the file's first line, written together with the second.

    Raises:
        OSError: the file cannot be written.
        ValueError: another process writes to it; it belongs to another study; it is not an answers file, or damaged.
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
        """Record that a person has agreed to take part."""
        self._write({"person": person, "agreed": time})

    def add_answer(self, answer: Answer) -> None:
        """Record an answer."""
        self._write({"answer": asdict(answer) | {"correct": answer.correct}})

    def close(self) -> None:
        """Close the file and release its lock."""
        self._file.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _begin(self, design: Design) -> StudyRecord:
        data = self.path.read_bytes()
        if self._first.startswith(data):  # empty, or only part of its first line
            self._file.truncate(0)
            return StudyRecord(design, [], [])
        recorded = _parse(self.path, data)
        if recorded.design != design:
            raise ValueError(
                f"{self.path} belongs to another study ({_described(recorded.design)}), not to this one "
                f"({_described(design)}): name another file, or give the same settings"
            )
        self._file.truncate(data.rindex(b"\n") + 1)
        return recorded

    def _write(self, record: dict[str, Any]) -> None:
        """Append a line; if that fails, restore the file."""
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


def _described(design: Design) -> str:
    return ", ".join(f"{name} {value}" for name, value in asdict(design).items())


def _instance(kind: type[T], fields: Mapping[str, Any]) -> T:
    """Return an object of a dataclass after a check that its fields have the types that the class states.

    Raises:
        TypeError: a field is missing, unknown, or of another type.
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
                design = _instance(Design, record["study"])
            elif "person" in record:
                people.append(person_name(record["person"]))
            else:
                fields: dict[str, Any] = record["answer"]
                del fields["correct"]  # for other readers: it follows from the rest
                answers.append(_instance(Answer, fields))
                people.index(answers[-1].person)  # raises if the person has not joined
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path}, line {number}, is not one of a study: fix or remove it") from error
    if design is None:
        raise ValueError(f"{path} holds no answers: name a file that `hype` has written, or a new one")
    return StudyRecord(design, people, answers)
