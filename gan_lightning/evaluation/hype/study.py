"""The two protocols of HYPE: the images a person sees, their order, and their exposures (Zhou et al. 2019, section 2).

This module does not know web pages or pixels: images are names, and an answer is a record that can be written down.
"""

import random
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Protocol

ProtocolName = Literal["time", "infinity"]
Stage = Literal["tutorial", "study", "unqualified", "done"]

BLOCKS: dict[ProtocolName, int] = {"time": 3, "infinity": 1}
IMAGES: dict[ProtocolName, int] = {"time": 150, "infinity": 100}

START, SHORTEST, LONGEST = 500, 100, 1000  # exposures in ms
AFTER_CORRECT, AFTER_WRONG = -10, 30  # ms; balanced if 3 of 4 answers are correct

PASS_MARK = 0.65  # share of right answers for a tutorial's real images, and for its fakes
NAME_LENGTH = 64

TUTORIAL_BLOCK = 0


@dataclass(frozen=True)
class Design:
    """The task of every person in a study.

    Args:
        protocol: "time" (a staircase of exposures, in blocks) or "infinity" (no limit).
        num: number of images of a block, half of them real.
        tutorial: number of images of the tutorial before it, half of them real; 0 = no tutorial.
        seed: seed of the images that a person sees, and of their order.

    Raises:
        ValueError: there is no such protocol, or half of a number of images is not whole.
    """

    protocol: ProtocolName
    num: int
    tutorial: int
    seed: int

    def __post_init__(self) -> None:
        if self.protocol not in BLOCKS:
            raise ValueError(f"protocol={self.protocol!r} is not one of {', '.join(BLOCKS)}")
        if self.num < 2 or self.num % 2:
            raise ValueError(f"num={self.num}: half of the images are real, so give an even number, at least 2")
        if self.tutorial < 0 or self.tutorial % 2:
            raise ValueError(f"tutorial={self.tutorial}: half of its images are real, so give an even number, or 0")

    @property
    def blocks(self) -> int:
        """The number of blocks that a person goes through, without the tutorial."""
        return BLOCKS[self.protocol]

    @property
    def images_of_each(self) -> int:
        """The number of different real images that a person sees; the number of fakes is equal."""
        return (self.tutorial + self.blocks * self.num) // 2


class Trial(NamedTuple):
    """One image for one person. Blocks count from 1 (0 = the tutorial); numbers count from 1 in each block."""

    block: int
    number: int
    image: str
    real: bool


@dataclass(frozen=True)
class Answer:
    """A person's answer to one image: a line of the answers file.

    Args:
        person: the name or id.
        block: the block; 0 is the tutorial.
        number: the position in the block, from 1.
        image: path of the image below its folder.
        real: whether the image is in the folder of real images.
        exposure: requested exposure in ms; None = without a limit.
        shown: exposure by the browser's clock, in ms; None = without a limit.
        said_real: whether the person answered "real".
        time: time when the answer arrived, UTC, ISO 8601.
    """

    person: str
    block: int
    number: int
    image: str
    real: bool
    exposure: int | None
    shown: float | None
    said_real: bool
    time: str

    @property
    def correct(self) -> bool:
        """Whether the answer is right."""
        return self.said_real == self.real


@dataclass(frozen=True)
class Step:
    """A person's position. `index` counts all images before it, with the tutorial's; `trial` is None at the end."""

    stage: Stage
    index: int
    trial: Trial | None
    exposure: int | None


class OutOfTurnError(Exception):
    """An answer to another image than the one at the person's position."""


class Record(Protocol):
    """The storage of a study's people and answers."""

    def add_person(self, person: str, time: str) -> None:
        """Record that a person has agreed to take part."""

    def add_answer(self, answer: Answer) -> None:
        """Record an answer."""


def plan(design: Design, person: str, real: Sequence[str], fake: Sequence[str]) -> list[Trial]:
    """Return all images for a person, in order: a function of the design's seed and the person's name alone.

    Half of each block is real, and no image comes twice.
    """
    draw = random.Random(f"{design.seed} {person}")
    reals = iter(draw.sample(real, design.images_of_each))
    fakes = iter(draw.sample(fake, design.images_of_each))
    trials = []
    for block, size in enumerate([design.tutorial] + [design.num] * design.blocks):
        kinds = [True, False] * (size // 2)
        draw.shuffle(kinds)
        for number, kind in enumerate(kinds, start=1):
            trials.append(Trial(block, number, next(reals if kind else fakes), kind))
    return trials


def next_exposure(exposure: int, correct: bool) -> int:
    """Return the staircase's next exposure in ms, after a right or wrong answer at `exposure` ms."""
    return min(max(exposure + (AFTER_CORRECT if correct else AFTER_WRONG), SHORTEST), LONGEST)


def qualified(tutorial: Iterable[Answer]) -> bool:
    """Return whether the answers reach the pass mark for real images and for fakes. An empty tutorial passes."""
    right = defaultdict(list)
    for answer in tutorial:
        right[answer.real].append(answer.correct)
    return all(sum(correct) >= PASS_MARK * len(correct) for correct in right.values())


def person_name(given: str) -> str:
    """Normalise a name: lower case and single spaces, so that a phone's capital letter does not create a second person.

    Raises:
        ValueError: the name is empty, too long or not printable.
    """
    name = " ".join(given.split()).casefold()
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
        raise ValueError(f"a name has 1 to {NAME_LENGTH} printable characters")
    return name


def now() -> str:
    """Return the current time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Study:
    """The people of a study and their positions. Safe to use from several threads.

    Args:
        design: the task of every person.
        real: names of the real images.
        fake: names of the fakes.
        record: stores people and answers before they count.

    Raises:
        ValueError: there are fewer images than a person is to see.
    """

    def __init__(self, design: Design, real: Sequence[str], fake: Sequence[str], record: Record) -> None:
        for names, kind in (real, "real images"), (fake, "fakes"):
            if len(names) < design.images_of_each:
                raise ValueError(
                    f"{len(names)} {kind} are too few: each person is shown {design.images_of_each} different ones "
                    f"(protocol {design.protocol!r}, num={design.num}, tutorial={design.tutorial}): "
                    "give more images, or a smaller num"
                )
        self.design = design
        self._real, self._fake = real, fake
        self._record = record
        self._lock = threading.Lock()
        self._plans: dict[str, list[Trial]] = {}
        self._answers: dict[str, list[Answer]] = {}

    def restore(self, people: Iterable[str], answers: Iterable[Answer]) -> None:
        """Continue a study from its record.

        Raises:
            ValueError: an answer is to another image than this study would have shown.
        """
        for person in people:
            self._admit(person)
        for answer in answers:
            given, trials = self._answers[answer.person], self._plans[answer.person]
            expected = trials[len(given)] if len(given) < len(trials) else None
            if (answer.block, answer.number, answer.image, answer.real) != expected:
                raise ValueError(
                    f"the answer of {answer.person!r} to {answer.image} (block {answer.block}, image {answer.number}) "
                    "does not fit the present images: give the folders that the study was begun with, "
                    "or another file for the answers"
                )
            given.append(answer)

    def join(self, person: str, most_people: int | None = None) -> Step:
        """Add a person who agrees to take part, or who comes back, and return their position.

        Args:
            person: the name.
            most_people: largest number of people. None = any number.

        Raises:
            OverflowError: a new person would be one too many.
        """
        with self._lock:
            if person not in self._plans:
                if most_people is not None and len(self._plans) >= most_people:
                    raise OverflowError("The study has as many people as it needs. Thank you all the same.")
                self._record.add_person(person, now())
                self._admit(person)
            return self._step(person)

    def answer(self, person: str, index: int, said_real: bool, shown: float | None) -> tuple[Answer, Step]:
        """Take an answer to the image at `index`, and return the recorded answer and the person's next position.

        Raises:
            KeyError: nobody of that name has joined.
            OutOfTurnError: the person is at another image, or at the end.
            ValueError: `shown`, the time the image was seen in ms, is missing, or is given where it should not be.
        """
        with self._lock:
            step = self._step(person)
            if step.trial is None or index != step.index:
                raise OutOfTurnError(f"image {index} is not the one at this person's position")
            if (shown is None) != (step.exposure is None):
                raise ValueError("the time that an image was shown is needed where it is limited, and only there")
            answer = Answer(person, *step.trial, step.exposure, shown, said_real, now())
            self._record.add_answer(answer)
            self._answers[person].append(answer)
            return answer, self._step(person)

    def people(self) -> list[str]:
        """Return the names of all people who have joined."""
        with self._lock:
            return list(self._plans)

    def answers(self, person: str | None = None) -> list[Answer]:
        """Return all answers, or those of one person, in their order."""
        with self._lock:
            if person is not None:
                return list(self._answers[person])
            return [answer for answers in self._answers.values() for answer in answers]

    def _admit(self, person: str) -> None:
        self._plans[person] = plan(self.design, person, self._real, self._fake)
        self._answers[person] = []

    def _step(self, person: str) -> Step:
        answers, trials = self._answers[person], self._plans[person]
        index = len(answers)
        if index >= self.design.tutorial and not qualified(answers[: self.design.tutorial]):
            return Step("unqualified", index, None, None)
        if index == len(trials):
            return Step("done", index, None, None)
        trial = trials[index]
        if trial.block == TUTORIAL_BLOCK:
            return Step("tutorial", index, trial, None)
        return Step("study", index, trial, self._exposure(trial, answers))

    def _exposure(self, trial: Trial, before: Sequence[Answer]) -> int | None:
        if self.design.protocol == "infinity":
            return None
        exposure = START
        for answer in before[len(before) - trial.number + 1 :]:  # answers of this block
            exposure = next_exposure(exposure, answer.correct)
        return exposure
