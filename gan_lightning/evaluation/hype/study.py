"""The two protocols of HYPE: who is shown what, in which order, for how long (Zhou et al. 2019, section 2).

Nothing here knows of web pages or pixels: images are names, and an answer is a record that can be written down.
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

START, SHORTEST, LONGEST = 500, 100, 1000  # of an exposure, in ms
AFTER_CORRECT, AFTER_WRONG = -10, 30  # in ms; balanced where 3 of 4 answers are correct

PASS_MARK = 0.65  # of a tutorial's real images, and of its fakes
NAME_LENGTH = 64

TUTORIAL_BLOCK = 0


@dataclass(frozen=True)
class Design:
    """What every person is asked to do.

    Args:
        protocol: "time" (a staircase of exposures, in blocks) or "infinity" (no limit).
        num: images of a block, half of them real.
        tutorial: images of the tutorial before it, half of them real; 0: none.
        seed: of which images a person sees, and in which order.

    Raises:
        ValueError: if there is no such protocol, or half of a number of images is not whole.
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
        """How many blocks a person goes through, the tutorial not counted."""
        return BLOCKS[self.protocol]

    @property
    def images_of_each(self) -> int:
        """How many different real images a person sees, and as many fakes."""
        return (self.tutorial + self.blocks * self.num) // 2


class Trial(NamedTuple):
    """One image for one person. Blocks count from 1, the tutorial is block 0; numbers count from 1 in each block."""

    block: int
    number: int
    image: str
    real: bool


@dataclass(frozen=True)
class Answer:
    """What a person said of one image: a line of the answers file.

    Args:
        person: their name or id.
        block: 0 is the tutorial.
        number: place in the block, from 1.
        image: path below its folder.
        real: which of the two folders that is.
        exposure: how long the image was to be shown, in ms; None: without a limit.
        shown: how long it was shown by the browser's clock, in ms; None without a limit.
        said_real: the answer.
        time: when the answer arrived, UTC, ISO 8601.
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
    """Where a person is. `index` counts all images before, the tutorial's too; `trial` is None at the end."""

    stage: Stage
    index: int
    trial: Trial | None
    exposure: int | None


class OutOfTurnError(Exception):
    """An answer to another image than the one that the person is at."""


class Record(Protocol):
    """Where a study writes down what it must not forget."""

    def add_person(self, person: str, time: str) -> None:
        """Keep that a person has agreed to take part."""

    def add_answer(self, answer: Answer) -> None:
        """Keep an answer."""


def plan(design: Design, person: str, real: Sequence[str], fake: Sequence[str]) -> list[Trial]:
    """All images for a person, in order: a function of the design's seed and of the person's name alone.

    Half of each block is real; no image comes twice.
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
    """The staircase: the exposure after one of `exposure` ms that was judged rightly or wrongly, in ms."""
    return min(max(exposure + (AFTER_CORRECT if correct else AFTER_WRONG), SHORTEST), LONGEST)


def qualified(tutorial: Iterable[Answer]) -> bool:
    """Whether these answers reach the pass mark among the real images and among the fakes; no answers do."""
    right = defaultdict(list)
    for answer in tutorial:
        right[answer.real].append(answer.correct)
    return all(sum(correct) >= PASS_MARK * len(correct) for correct in right.values())


def person_name(given: str) -> str:
    """A name as it is kept: letters in lower case and single spaces, so that a phone's capital makes no second person.

    Raises:
        ValueError: if nothing is left, or it is too long or not printable.
    """
    name = " ".join(given.split()).casefold()
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
        raise ValueError(f"a name has 1 to {NAME_LENGTH} printable characters")
    return name


def now() -> str:
    """The time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Study:
    """The people of a study and how far they have come. Safe to use from several threads.

    Args:
        design: what everyone is asked to do.
        real: names of the real images.
        fake: names of the fakes.
        record: where people and answers are written down before they count.

    Raises:
        ValueError: if there are fewer images than a person is to see.
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
        """Take up a study where its record ends.

        Raises:
            ValueError: if an answer is to another image than this study would have shown.
        """
        for person in people:
            self._admit(person)
        for answer in answers:
            given, trials = self._answers[answer.person], self._plans[answer.person]
            expected = trials[len(given)] if len(given) < len(trials) else None
            if (answer.block, answer.number, answer.image, answer.real) != expected:
                raise ValueError(
                    f"the answer of {answer.person!r} to {answer.image} (block {answer.block}, image {answer.number}) "
                    "does not fit the images there are now: give the folders that the study was begun with, "
                    "or another file for the answers"
                )
            given.append(answer)

    def join(self, person: str, most_people: int | None = None) -> Step:
        """A person agrees to take part, or comes back: where they are.

        Args:
            person: their name.
            most_people: how many may take part. None = any number.

        Raises:
            OverflowError: a new person would be one too many.
        """
        with self._lock:
            if person not in self._plans:
                if most_people is not None and len(self._plans) >= most_people:
                    raise OverflowError("As many people take part as this study is for. Thank you all the same.")
                self._record.add_person(person, now())
                self._admit(person)
            return self._step(person)

    def answer(self, person: str, index: int, said_real: bool, shown: float | None) -> tuple[Answer, Step]:
        """Take an answer to the image at `index`: what was recorded, and where the person is now.

        Raises:
            KeyError: nobody of that name has joined.
            OutOfTurnError: the person is at another image, or at the end.
            ValueError: `shown`, the time the image was seen in ms, is missing or given where it should not be.
        """
        with self._lock:
            step = self._step(person)
            if step.trial is None or index != step.index:
                raise OutOfTurnError(f"image {index} is not the one that is asked about")
            if (shown is None) != (step.exposure is None):
                raise ValueError("the time that an image was shown is needed where it is limited, and only there")
            answer = Answer(person, *step.trial, step.exposure, shown, said_real, now())
            self._record.add_answer(answer)
            self._answers[person].append(answer)
            return answer, self._step(person)

    def people(self) -> list[str]:
        """Everyone who has joined."""
        with self._lock:
            return list(self._plans)

    def answers(self, person: str | None = None) -> list[Answer]:
        """All answers, or those of one person, in their order."""
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
        for answer in before[len(before) - trial.number + 1 :]:  # those of this block
            exposure = next_exposure(exposure, answer.correct)
        return exposure
