"""Results of a study: HYPE's scores with bootstrap confidence (Zhou et al. 2019, sections 2 and 3)."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Literal

import numpy as np

from gan_lightning.evaluation.hype.study import TUTORIAL_BLOCK, Answer, Design, qualified

RESAMPLES = 10_000
CONFIDENCE = 0.95

LABELS = {
    "threshold": "Threshold of exposure",
    "error": "Error rate",
    "fake_error": "Fakes taken for real",
    "real_error": "Reals taken for fake",
}
UNITS = {"threshold": "ms", "error": "%", "fake_error": "%", "real_error": "%"}


@dataclass(frozen=True)
class Person:
    """The scores of one person who went through the whole study.

    Args:
        person: name or id.
        error: share of wrong answers, in percent.
        fake_error: share of fakes taken for real, in percent.
        real_error: share of real images taken for fake, in percent.
        threshold: mean over the blocks of the modal exposure, in ms; None in HYPE-infinity.
    """

    person: str
    error: float
    fake_error: float
    real_error: float
    threshold: float | None


@dataclass(frozen=True)
class Estimate:
    """A mean over people with its uncertainty, which is None if it cannot be estimated.

    Args:
        mean: mean over people.
        std: standard deviation of the bootstrap's distribution.
        low: lower end of the 95% interval.
        high: upper end of the 95% interval.
    """

    mean: float
    std: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class HypeReport:
    """The result of a study. Only people who went through all of it count.

    Args:
        design: the study's design; its seed is the bootstrap's too.
        people: scores of those who went through all of it.
        unfinished: number of people who are still under way.
        unqualified: number of people who did not pass the tutorial.
        answers: number of answers that count, without the tutorial's.
        resampled: unit of the bootstrap: "people"; with one person "answers"; None = there is no interval.
        values: "error", "fake_error" and "real_error" in percent, in HYPE-time "threshold" in ms; empty without people.
        deviation: in HYPE-time, the median and the largest absolute difference in ms between the requested exposure and
            the one that the browser measured.
    """

    design: Design
    people: list[Person]
    unfinished: int
    unqualified: int
    answers: int
    resampled: Literal["people", "answers"] | None
    values: dict[str, Estimate]
    deviation: tuple[float, float] | None

    def as_json(self) -> str:
        """Return the report as one line of JSON."""
        return json.dumps(asdict(self) | {"confidence": CONFIDENCE, "resamples": RESAMPLES})

    def summary(self) -> str:
        """Return a sentence with the numbers of people and answers."""
        left_out = [
            f"{count} {what}"
            for count, what in ((self.unfinished, "unfinished"), (self.unqualified, "below the tutorial's pass mark"))
            if count
        ]
        return f"HYPE-{self.design.protocol}: {len(self.people)} finished, {self.answers:,} answers" + "".join(
            f"; {part}" for part in left_out
        )

    def rows(self) -> list[tuple[str, str, str]]:
        """Return for each value its label, the value and its interval, as text."""
        return [
            (LABELS[name], f"{value.mean:.1f} {UNITS[name]}", _interval(value)) for name, value in self.values.items()
        ]

    def notes(self) -> list[str]:
        """Return sentences that explain the numbers."""
        if not self.people:
            return ["Nobody has gone through the whole study yet."]
        notes = []
        if self.resampled:
            notes.append(
                f"95% intervals by bootstrap over {self.resampled}, {RESAMPLES:,} resamples, seed {self.design.seed}."
            )
        if self.resampled == "answers":
            notes.append("Intervals from one person do not describe other people.")
        if self.resampled is None:
            notes.append("No interval: the answers of one staircase depend on each other; it takes two people or more.")
        if self.deviation:
            notes.append(
                f"Exposures as the browsers measured them: off by {self.deviation[0]:.0f} ms in the median, "
                f"{self.deviation[1]:.0f} ms at most."
            )
        return notes

    def table(self) -> str:
        """Return the whole report as text for a terminal."""
        rows = self.rows()
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
        lines = [f"  {label:{widths[0]}}  {value:>{widths[1]}}  {interval}" for label, value, interval in rows]
        return "\n".join([self.summary(), *(line.rstrip() for line in lines), *self.notes()])


def report(design: Design, people: Sequence[str], answers: Iterable[Answer]) -> HypeReport:
    """Compute the result of a study from the people who joined it and all their answers."""
    given: dict[str, list[Answer]] = {person: [] for person in people}
    tutorials: dict[str, list[Answer]] = {person: [] for person in people}
    for answer in answers:
        (tutorials if answer.block == TUTORIAL_BLOCK else given)[answer.person].append(answer)
    finished = {person: each for person, each in given.items() if len(each) == design.blocks * design.num}
    unqualified = sum(len(tutorial) == design.tutorial and not qualified(tutorial) for tutorial in tutorials.values())
    counted = [answer for each in finished.values() for answer in each]
    scores = [judged(person, each) for person, each in finished.items()]
    resampled, values = _estimates(design, scores)
    off = [abs(answer.shown - answer.exposure) for answer in counted if answer.exposure and answer.shown]
    return HypeReport(
        design=design,
        people=scores,
        unfinished=len(people) - len(finished) - unqualified,
        unqualified=unqualified,
        answers=len(counted),
        resampled=resampled,
        values=values,
        deviation=(median(off), max(off)) if off else None,
    )


def judged(person: str, answers: Sequence[Answer]) -> Person:
    """Compute the scores of one person from all their answers, without the tutorial's."""
    wrong = {real: fmean(not answer.correct for answer in answers if answer.real == real) for real in (True, False)}
    blocks = defaultdict(list)
    for answer in answers:
        if answer.exposure is not None:
            blocks[answer.block].append(answer.exposure)
    return Person(
        person=person,
        error=50 * (wrong[True] + wrong[False]),
        fake_error=100 * wrong[False],
        real_error=100 * wrong[True],
        threshold=fmean(modal(exposures) for exposures in blocks.values()) if blocks else None,
    )


def modal(exposures: Sequence[int]) -> float:
    """Return the most frequent exposure, or the mean of several that are equally frequent."""
    counts = Counter(exposures)
    most = max(counts.values())
    return fmean(exposure for exposure, count in counts.items() if count == most)


def bootstrap_people(scores: np.ndarray, seed: int) -> np.ndarray:
    """Return means (RESAMPLES, values) over people drawn with replacement, from their scores (people, values)."""
    people = len(scores)
    # a mean depends only on how often each person is drawn
    drawn = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=RESAMPLES)
    return drawn @ scores / people


def bootstrap_answers(wrong: Sequence[int], images: int, seed: int) -> np.ndarray:
    """Return error rates (RESAMPLES, kinds) of answers drawn with replacement, separately for each kind of image.

    Args:
        wrong: number of wrong answers for each kind.
        images: number of images of each kind.
        seed: seed of the draws.
    """
    # drawing n answers of which k are wrong gives a binomial number of wrong ones, with probability k/n
    drawn = np.random.default_rng(seed).binomial(images, np.asarray(wrong) / images, size=(RESAMPLES, len(wrong)))
    return drawn / images


def _estimates(
    design: Design, people: Sequence[Person]
) -> tuple[Literal["people", "answers"] | None, dict[str, Estimate]]:
    names = ("threshold", "error", "fake_error", "real_error") if design.protocol == "time" else tuple(LABELS)[1:]
    scores = np.array([[getattr(person, name) for name in names] for person in people], dtype=np.float64)
    if not people:
        return None, {}
    if len(people) > 1:
        draws = bootstrap_people(scores, design.seed)
        return "people", _named(names, scores, draws)
    if design.protocol == "time":
        return None, {name: Estimate(mean, None, None, None) for name, mean in zip(names, scores[0], strict=True)}
    half = design.num // 2
    wrong = [round(scores[0][names.index(name)] * half / 100) for name in ("fake_error", "real_error")]
    fake, real = 100 * bootstrap_answers(wrong, half, design.seed).T
    return "answers", _named(names, scores, np.stack([(fake + real) / 2, fake, real], axis=1))


def _named(names: Sequence[str], scores: np.ndarray, draws: np.ndarray) -> dict[str, Estimate]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, (tail, 1 - tail), axis=0)
    columns = zip(names, scores.mean(axis=0), draws.std(axis=0), low, high, strict=True)
    return {name: Estimate(*map(float, numbers)) for name, *numbers in columns}


def _interval(value: Estimate) -> str:
    if value.std is None:
        return ""
    return f"{value.low:.1f} to {value.high:.1f}, standard deviation {value.std:.1f}"
