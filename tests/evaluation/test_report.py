import json
from dataclasses import replace

import pytest

from gan_lightning.evaluation import Report

REPORT = Report(
    recipe="fid2k_test@digits",
    extractor="DigitClassifier",
    fingerprint="0123456789abcdef",
    preprocessing="28x28",
    real="Digits, test split",
    fake="last.ckpt",
    num_real=2000,
    num_fake=12345,
    seeds=[0, 1, 2],
    values={"fid": [1.0, 2.0, 6.0], "inception_score": [9.5, 9.5, 9.5]},
    seconds=1.5,
    settings={"truncation": 0.7},
)


def test_several_seeds_have_a_mean_and_a_sample_standard_deviation():
    assert REPORT.mean("fid") == 3
    assert REPORT.deviation("fid") == pytest.approx(7**0.5)
    assert REPORT.deviation("inception_score") == 0
    assert replace(REPORT, seeds=[4], values={"fid": [1.0]}).deviation("fid") is None


def test_json_holds_the_numbers_and_all_that_made_them():
    line = REPORT.as_json()
    assert "\n" not in line
    read = json.loads(line)
    assert read["values"]["fid"] == {"mean": 3, "std": pytest.approx(7**0.5), "each": [1, 2, 6]}
    assert read["settings"] == {"truncation": 0.7}
    for name in (
        "recipe",
        "extractor",
        "fingerprint",
        "preprocessing",
        "real",
        "fake",
        "num_real",
        "num_fake",
        "seeds",
    ):
        assert read[name] == getattr(REPORT, name)


def test_lines_are_added_to_a_file(tmp_path):
    path = tmp_path / "new/evaluations.jsonl"
    for seed in (0, 1):
        replace(REPORT, seeds=[seed], values={"fid": [1.0]}).append_to(path)
    assert [json.loads(line)["seeds"] for line in path.read_text().splitlines()] == [[0], [1]]


def test_reports_of_several_seeds_become_one():
    single = [replace(REPORT, seeds=[seed], values={"fid": [value]}) for seed, value in ((3, 1.0), (4, 2.0))]
    merged = Report.of_seeds(single)
    assert (merged.seeds, merged.values, merged.seconds) == ([3, 4], {"fid": [1.0, 2.0]}, 3.0)


def test_the_table_says_what_was_compared_and_how_sure_the_numbers_are():
    table = REPORT.table()
    assert table.splitlines() == [
        "fid2k_test@digits: 12,345 images of last.ckpt",
        "against 2,000 of Digits, test split",
        "features by DigitClassifier (28x28), 0123456789ab; seed 0, 1, 2",
        "  fid              3 ± 2.6",
        "  inception_score  9.5 ± 0",
    ]
    assert "±" not in replace(REPORT, seeds=[0], values={"fid": [1.23456789]}).table()
    assert "1.23457" in replace(REPORT, seeds=[0], values={"fid": [1.23456789]}).table()
