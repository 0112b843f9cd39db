import json
from collections.abc import Sequence

import numpy as np
import pytest
import scipy.stats

from gan_lightning.evaluation.hype.report import bootstrap_answers, bootstrap_people, judged, modal, report
from gan_lightning.evaluation.hype.study import Answer, Design, plan

INFINITY = Design("infinity", 100, 0, 0)
NAMES = [f"{number}" for number in range(300)]


def answers_of(design: Design, person: str, wrong: Sequence[bool], exposure: int | None = None) -> list[Answer]:
    """All answers of a person: wrong where `wrong` says so."""
    return [
        Answer(person, *trial, exposure, exposure and exposure + 4.0, trial.real != bad, "")
        for trial, bad in zip(plan(design, person, NAMES, NAMES), wrong, strict=True)
    ]


def people(design: Design, rates: Sequence[float], seed: int) -> tuple[list[str], list[Answer]]:
    draw = np.random.default_rng(seed)
    answers = []
    for number, rate in enumerate(rates):
        answers += answers_of(design, f"p{number}", draw.random(design.num * design.blocks) < rate)
    return [f"p{number}" for number in range(len(rates))], answers


def test_chance_answers_are_wrong_in_half_the_cases() -> None:
    result = report(INFINITY, *people(INFINITY, [0.5] * 30, seed=1))
    assert result.resampled == "people"
    assert result.answers == 3000
    for name in ("error", "fake_error", "real_error"):
        value = result.values[name]
        assert value.mean == pytest.approx(50, abs=4)
        assert value.low < 50 < value.high


def test_values_by_hand() -> None:
    design = Design("infinity", 8, 0, 0)
    kinds = [trial.real for trial in plan(design, "anna", NAMES, NAMES)]
    seen = {True: 0, False: 0}
    wrong = []
    for kind in kinds:  # 1 of 4 real images, 3 of 4 fakes
        seen[kind] += 1
        wrong.append(seen[kind] <= (1 if kind else 3))
    answers = answers_of(design, "anna", wrong) + answers_of(design, "ben", [False] * 8)
    values = report(design, ["anna", "ben"], answers).values
    assert {name: value.mean for name, value in values.items()} == {"error": 25, "fake_error": 37.5, "real_error": 12.5}
    assert values["error"].low == 0
    assert values["error"].high == 50


def test_bootstrap_over_people_agrees_with_scipy() -> None:
    scores = np.random.default_rng(0).normal(30, 10, (30, 2))
    ours = bootstrap_people(scores, seed=0)
    theirs = scipy.stats.bootstrap((scores,), np.mean, n_resamples=10_000, axis=0, method="percentile")
    assert np.quantile(ours, 0.025, axis=0) == pytest.approx(theirs.confidence_interval.low, abs=0.15)
    assert np.quantile(ours, 0.975, axis=0) == pytest.approx(theirs.confidence_interval.high, abs=0.15)
    assert ours.std(axis=0) == pytest.approx(theirs.standard_error, rel=0.03)


def test_bootstrap_over_answers_agrees_with_scipy() -> None:
    wrong = np.arange(50) < 15
    ours = bootstrap_answers([15, 0], 50, seed=0)
    theirs = scipy.stats.bootstrap((wrong,), np.mean, n_resamples=10_000, method="percentile")
    assert np.quantile(ours[:, 0], [0.025, 0.975]) == pytest.approx(theirs.confidence_interval, abs=0.021)
    assert ours[:, 0].std() == pytest.approx(theirs.standard_error, rel=0.03)
    assert not ours[:, 1].any()


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    draw = np.random.default_rng(0)
    held = 0
    for seed in range(100):
        wrong = draw.binomial(100, draw.beta(6, 14, 30)) / 100  # people differ: 30% in the mean
        low, high = np.quantile(bootstrap_people(wrong[:, None], seed), [0.025, 0.975])
        held += low <= 0.3 <= high
    assert 0.89 < held / 100 < 0.99


def test_one_person_is_resampled_by_answers_in_infinity_and_not_at_all_in_time() -> None:
    result = report(INFINITY, *people(INFINITY, [0.3], seed=0))
    error = result.values["error"]
    assert result.resampled == "answers"
    assert error.std == pytest.approx(100 * np.sqrt(0.3 * 0.7 / 100), rel=0.15)
    assert "bootstrap over answers" in result.table()

    design = Design("time", 4, 0, 0)
    result = report(design, ["anna"], answers_of(design, "anna", [False] * 12, 500))
    assert result.resampled is None
    assert result.values["threshold"].mean == 500
    assert result.values["threshold"].low is None
    assert "No interval" in result.table()


def test_threshold_is_the_mean_of_the_blocks_modes() -> None:
    assert modal([500, 490, 490]) == 490
    assert modal([500, 510]) == 505
    design = Design("time", 4, 0, 0)
    exposures = [500, 490, 490, 480, 500, 530, 530, 530, 500, 490, 480, 470]
    answers = [
        Answer("anna", trial.block, trial.number, trial.image, trial.real, exposure, exposure + 5.0, trial.real, "")
        for trial, exposure in zip(plan(design, "anna", NAMES, NAMES), exposures, strict=True)
    ]
    assert judged("anna", answers).threshold == pytest.approx((490 + 530 + 485) / 3)
    result = report(design, ["anna"], answers)
    assert next(iter(result.values)) == "threshold"
    assert result.deviation == (5, 5)


def test_only_people_who_went_through_all_of_it_count() -> None:
    design = Design("infinity", 4, 2, 0)

    def all_of(person: str, said_right: bool) -> list[Answer]:
        return answers_of(design, person, [not said_right] * 6)

    answers = all_of("whole", True) + all_of("half way", True)[:4] + all_of("failed", False)[:2]
    result = report(design, ["whole", "half way", "failed", "just here"], answers)
    assert [person.person for person in result.people] == ["whole"]
    assert (result.unfinished, result.unqualified, result.answers) == (2, 1, 4)
    assert "1 finished, 4 answers; 2 unfinished; 1 below the tutorial's pass mark" in result.summary()
    assert result.values["error"].mean == 0


def test_nobody_yet() -> None:
    result = report(INFINITY, [], [])
    assert not result.values
    assert "Nobody" in result.table()
    assert json.loads(result.as_json())["people"] == []


def test_json_and_seed() -> None:
    given = people(INFINITY, [0.1, 0.5, 0.3], seed=0)
    first, second = report(INFINITY, *given), report(INFINITY, *given)
    assert first == second
    content = json.loads(first.as_json())
    assert content["values"]["error"]["mean"] == first.values["error"].mean
    assert content["design"]["protocol"] == "infinity"
    assert [person["person"] for person in content["people"]] == ["p0", "p1", "p2"]
    assert (content["confidence"], content["resamples"]) == (0.95, 10_000)
    other = report(Design("infinity", 100, 0, 1), *given)
    assert other.values["error"].std != first.values["error"].std
