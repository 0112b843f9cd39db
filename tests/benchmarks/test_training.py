import json
from argparse import Namespace

import pytest
import torch

from benchmarks import loading, training
from benchmarks.rounds import compare, ratios, table


def test_ratios_are_taken_round_by_round():
    assert ratios([6.0, 2.0], [3.0, 4.0]) == [2.0, 0.5]


def test_the_table_compares_with_the_first_variant():
    last = table({"plain": [2.0, 4.0, 8.0], "ours": [4.0, 4.0, 12.0]}).splitlines()[-1]
    assert last == "| ours | 4.00 | 4.00 | 12.00 | 1.50 | 1.00 | 2.00 |"


def test_each_round_begins_with_the_next_variant(tmp_path, capsys):
    calls = []

    def variant(name):
        return lambda: calls.append(name) or 1.0

    file = tmp_path / "rates.json"
    arguments = Namespace(rounds=3, batch_size=64, threads=torch.get_num_threads(), json=file)
    compare({name: variant(name) for name in "abc"}, arguments)
    assert "".join(calls) == "abcbcacab"
    assert json.loads(file.read_text())["rates"] == {"a": [1.0] * 3, "b": [1.0] * 3, "c": [1.0] * 3}
    assert "| c | 1.00 |" in capsys.readouterr().out


def test_the_warm_up_is_not_timed():
    warm_up = [100.0 * batch for batch in range(training.WARM_UP)]
    ends = [*warm_up, warm_up[-1] + 1, warm_up[-1] + 4]
    assert training.rate(ends) == pytest.approx(2 / 4)


def test_both_ways_of_training_run(real_data):
    overrides = training.WITH_AVERAGE
    assert training.ours(real_data / "mnist", 1, 4, overrides) > 0
    assert training.plain(real_data / "mnist", 1, 4, workers=0) > 0


def test_loading_beats_torchvision(real_data, capsys):
    size = ["--rounds=1", "--batches=10", "--batch-size=64", f"--threads={torch.get_num_threads()}"]
    loading.main([f"--root={real_data / 'mnist'}", *size])
    ours = capsys.readouterr().out.splitlines()[-1]
    assert ours.startswith("| datamodules.MNIST |")
    assert float(ours.split("|")[5]) > 1  # 20 and more on a machine with nothing else to do
