from collections import Counter

import numpy as np
import pytest

from gan_lightning.evaluation.hype.report import judged
from gan_lightning.evaluation.hype.study import (
    Answer,
    Design,
    OutOfTurnError,
    Step,
    Study,
    next_exposure,
    person_name,
    plan,
    qualified,
)

REAL = [f"r{number}" for number in range(400)]
FAKE = [f"f{number}" for number in range(400)]


class Memory:
    def __init__(self) -> None:
        self.people: list[str] = []
        self.answers: list[Answer] = []

    def add_person(self, person: str, time: str) -> None:
        self.people.append(person)

    def add_answer(self, answer: Answer) -> None:
        self.answers.append(answer)


def study_of(design: Design) -> Study:
    return Study(design, REAL, FAKE, Memory())


def say(study: Study, person: str, step: Step, correct: bool) -> Step:
    assert step.trial
    shown = None if step.exposure is None else float(step.exposure)
    return study.answer(person, step.index, step.trial.real == correct, shown)[1]


def test_staircase() -> None:
    assert next_exposure(500, correct=True) == 490
    assert next_exposure(500, correct=False) == 530
    assert next_exposure(100, correct=True) == next_exposure(105, correct=True) == 100
    assert next_exposure(1000, correct=False) == next_exposure(980, correct=False) == 1000


@pytest.mark.parametrize("threshold", [300, 600])
def test_staircase_finds_the_exposure_of_75_percent(threshold: int) -> None:
    """People who guess at 0 ms, are always right after a second, and right in 75% of cases at their threshold."""
    design = Design("time", 150, 0, 0)
    draw = np.random.default_rng(threshold)
    found, right = [], []
    for number in range(30):
        study, person = study_of(design), f"person {number}"
        step = study.join(person)
        while step.trial:
            assert step.exposure
            chance = 0.5 + 0.5 / (1 + np.exp(-(step.exposure - threshold) / 40))
            step = say(study, person, step, bool(draw.random() < chance))
        score = judged(person, study.answers(person))
        assert score.threshold
        found.append(score.threshold)
        right += [answer.correct for answer in study.answers(person) if answer.number > 75]
    assert np.mean(found) == pytest.approx(threshold, abs=25)
    assert np.mean(right) == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize(("always", "end"), [(True, 100), (False, 1000)])
def test_staircase_ends_at_its_limits(always: bool, end: int) -> None:
    study = study_of(Design("time", 150, 0, 0))
    step = study.join("anna")
    while step.trial:
        step = say(study, "anna", step, always)
    assert judged("anna", study.answers("anna")).threshold == end


def test_every_block_of_time_begins_at_500_ms() -> None:
    study = study_of(Design("time", 10, 4, 0))
    step = study.join("anna")
    seen = []
    while step.trial:
        seen.append((step.stage, step.trial.block, step.trial.number, step.exposure))
        step = say(study, "anna", step, True)
    assert seen[:4] == [("tutorial", 0, number, None) for number in (1, 2, 3, 4)]
    assert seen[4:] == [("study", block, number, 510 - 10 * number) for block in (1, 2, 3) for number in range(1, 11)]
    assert step.stage == "done"


def test_published_numbers_of_images() -> None:
    trials = plan(Design("time", 150, 0, 0), "anna", REAL, FAKE)
    assert Counter((trial.block, trial.real) for trial in trials) == {
        (block, real): 75 for block in (1, 2, 3) for real in (True, False)
    }
    trials = plan(Design("infinity", 100, 100, 0), "anna", REAL, FAKE)
    assert Counter((trial.block, trial.real) for trial in trials) == {
        (block, real): 50 for block in (0, 1) for real in (True, False)
    }
    assert len({trial.image for trial in trials}) == 200
    assert all((trial.image in REAL) == trial.real for trial in trials)


def test_order_is_hidden_and_comes_from_seed_and_person() -> None:
    design = Design("infinity", 100, 0, 3)
    assert plan(design, "anna", REAL, FAKE) == plan(design, "anna", REAL, FAKE)
    assert plan(design, "anna", REAL, FAKE) != plan(design, "ben", REAL, FAKE)
    assert plan(design, "anna", REAL, FAKE) != plan(Design("infinity", 100, 0, 4), "anna", REAL, FAKE)

    kinds = np.array([[trial.real for trial in plan(design, f"{number}", REAL, FAKE)] for number in range(400)])
    assert (kinds.sum(axis=1) == 50).all()
    assert np.abs(kinds.mean(axis=0) - 0.5).max() < 0.12  # no place tells anything
    assert np.mean(kinds[:, 1:] == kinds[:, :-1]) == pytest.approx(49 / 99, abs=0.01)  # nor does the image before
    assert len({trial.image for number in range(60) for trial in plan(design, f"{number}", REAL, FAKE)}) == 800


def test_tutorial_needs_65_percent_of_both_kinds() -> None:
    def answers(real: int, fake: int) -> list[Answer]:
        return [
            Answer("anna", 0, 1, "", kind, None, None, kind if number < right else not kind, "")
            for kind, right in ((True, real), (False, fake))
            for number in range(20)
        ]

    assert qualified([])
    assert qualified(answers(13, 13))
    assert not qualified(answers(12, 20))
    assert not qualified(answers(20, 12))


def test_who_fails_the_tutorial_goes_no_further() -> None:
    study = study_of(Design("infinity", 4, 2, 0))
    step = study.join("anna")
    step = say(study, "anna", step, False)
    assert step.stage == "tutorial"
    step = say(study, "anna", step, True)
    assert step.stage == study.join("anna").stage == "unqualified"
    with pytest.raises(OutOfTurnError):
        study.answer("anna", 2, True, None)


def test_an_answer_counts_once() -> None:
    study = study_of(Design("infinity", 4, 0, 0))
    study.join("anna")
    study.answer("anna", 0, True, None)
    for index in (-1, 0, 2):
        with pytest.raises(OutOfTurnError):
            study.answer("anna", index, True, None)
    with pytest.raises(ValueError, match="shown"):
        study.answer("anna", 1, True, 500.0)
    with pytest.raises(KeyError):
        study.answer("ben", 0, True, None)
    assert len(study.answers()) == 1


def test_what_cannot_be_written_does_not_count() -> None:
    class Full(Memory):
        def add_answer(self, answer: Answer) -> None:
            raise OSError("no space left")

    study = Study(Design("infinity", 4, 0, 0), REAL, FAKE, Full())
    study.join("anna")
    with pytest.raises(OSError, match="no space"):
        study.answer("anna", 0, True, None)
    assert study.join("anna").index == 0


def test_study_goes_on_where_its_record_ends() -> None:
    design, memory = Design("time", 4, 0, 0), Memory()
    study = Study(design, REAL, FAKE, memory)
    step = study.join("anna")
    for correct in (True, False, False):
        step = say(study, "anna", step, correct)
    assert step.exposure == 500 - 10 + 30 + 30

    again = Study(design, REAL, FAKE, Memory())
    again.restore(memory.people, memory.answers)
    assert again.join("anna") == step

    other = Study(design, [f"x{name}" for name in REAL], [f"x{name}" for name in FAKE], Memory())
    with pytest.raises(ValueError, match="give the folders that the study was begun with"):
        other.restore(memory.people, memory.answers)


@pytest.mark.parametrize(
    "arguments", [("infinity", 0, 0), ("infinity", 5, 0), ("time", 10, 3), ("time", 10, -2), ("x", 2, 0)]
)
def test_impossible_designs(arguments: tuple) -> None:
    with pytest.raises(ValueError, match=r"even number|is not one of"):
        Design(*arguments, seed=0)


def test_too_few_images() -> None:
    with pytest.raises(ValueError, match="400 real images are too few: each person is shown 402"):
        study_of(Design("infinity", 802, 2, 0))
    with pytest.raises(ValueError, match="1 fakes are too few"):
        Study(Design("infinity", 4, 0, 0), REAL, FAKE[:1], Memory())


def test_names() -> None:
    assert person_name("  Anna\t Lena ") == "anna lena"
    for bad in ("", "   ", "a" * 65, "a\u202eb", "\x00", "\ud800"):
        with pytest.raises(ValueError, match="printable"):
            person_name(bad)
