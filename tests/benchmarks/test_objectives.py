import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks import objectives
from benchmarks.objectives import METHODS
from gan_lightning.recording import rebuild
from gan_lightning.training.generative import TRUSTED

RESULTS = Path(__file__).parents[2] / "docs" / "results.md"


def write(folder, name, seed, factor=1, **result):
    file = objectives.place(folder, name, factor, seed) / "result.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(result))


def complete(**replaced):
    return dict.fromkeys(objectives.COLUMNS, 1.0) | replaced


def built(name):
    """Return the model with the paper's optimizers, which the test does not use."""
    model = METHODS[name].arguments()
    settings = {key: value for key, value in model["init_args"].items() if not key.endswith("optimizer")}
    return rebuild(model | {"init_args": without_partials(settings)}, TRUSTED)


def without_partials(settings):
    """Heads are factories, which YAML knows by their type and `rebuild` by a mark."""
    return {key: value for key, value in settings.items() if key != "head"} | {
        key: value | {"init_args": without_partials(value["init_args"])}
        for key, value in settings.items()
        if key != "head" and isinstance(value, dict)
    }


def test_all_have_the_same_generator_and_convolutions_of_one_width():
    models = {name: built(name) for name in METHODS}
    generators = {name: sum(p.numel() for p in model.generator.parameters()) for name, model in models.items()}
    labelled = {name for name, model in models.items() if model.num_classes}
    assert labelled == {"cgan", "acgan", "projection"}
    assert len({count for name, count in generators.items() if name not in labelled}) == 1
    assert len({count for name, count in generators.items() if name in labelled}) == 1
    for name, method in METHODS.items():
        if not method.solo:
            convolutions = [m for m in models[name].discriminator.modules() if isinstance(m, torch.nn.Conv2d)]
            assert [m.out_channels for m in convolutions] == [16, 32, 64], name


def test_the_better_learning_rate_of_the_first_seed_is_that_of_all_and_nothing_is_done_twice(tmp_path, capsys):
    write(tmp_path, "wgan", 0, factor=2, **complete(fid=3.0))
    fids = {("LSGAN", 1): 5.0, ("LSGAN", 2): 4.0, ("WGAN, clipped", 1): 2.0}
    trained = []

    def train(method, factor, seed, folder):
        trained.append((method.title, factor, seed))
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(complete(fid=fids[method.title, factor])))

    arguments = [f"--folder={tmp_path}", "--only", "lsgan", "wgan", "--seeds=2"]
    objectives.main(arguments, train)
    assert trained == [
        ("LSGAN", 1, 0),
        ("LSGAN", 2, 0),
        ("WGAN, clipped", 1, 0),
        ("LSGAN", 2, 1),
        ("WGAN, clipped", 1, 1),
    ]
    objectives.main(arguments, train)
    assert len(trained) == 5
    assert "| [1611.04076](https://arxiv.org/abs/1611.04076) | 4.0 ± 0.0 |" in capsys.readouterr().out


def test_the_factor_is_on_all_learning_rates_and_on_nothing_else():
    one, two = METHODS["infogan"].arguments(), METHODS["infogan"].arguments(2)
    for player, rate in (("generator", 2e-3), ("discriminator", 4e-4)):
        assert one["init_args"][f"{player}_optimizer"]["init_args"].pop("lr") == rate
        assert two["init_args"][f"{player}_optimizer"]["init_args"].pop("lr") == 2 * rate
    assert one == two


def test_a_row_is_the_mean_and_deviation_of_the_seeds_and_says_how_many_diverged(tmp_path):
    write(tmp_path, "lsgan", 0, **complete(fid=1.0))
    write(tmp_path, "lsgan", 1, **complete(fid=4.0))
    write(tmp_path, "lsgan", 2, diverged="loss was nan")
    write(tmp_path, "wgan", 0, diverged="loss was nan")
    (tmp_path / "lsgan" / "speed.json").write_text("[2000.4, 2000.4]")
    head, _, lsgan, wgan = objectives.table(tmp_path).splitlines()
    assert head.startswith("| method | paper | FID | IS | precision | recall | modes | images/s |")
    assert lsgan.startswith("| LSGAN (2 of 3 seeds) | [1611.04076](https://arxiv.org/abs/1611.04076) | 2.5 ± 2.1 |")
    assert lsgan.endswith("| 2000 ± 0 |")
    assert "(0 of 1 seeds)" in wgan
    assert wgan.count("diverged") == len(objectives.COLUMNS)


def test_the_table_takes_the_place_of_the_old_one_and_of_nothing_else(tmp_path):
    file = tmp_path / "results.md"
    begin, end = objectives.MARKS
    file.write_text(f"above\n{begin}old{end}\nbelow\n")
    objectives.write_between_marks(file, "new")
    assert file.read_text() == f"above\n{begin}new{end}\nbelow\n"
    file.write_text("no marks")
    with pytest.raises(ValueError, match="no place for the table"):
        objectives.write_between_marks(file, "new")
    assert file.read_text() == "no marks"


def test_a_run_is_stopped_gone_on_with_measured_and_pictured(tmp_path, monkeypatch):
    folder = objectives.place(tmp_path, "cgan", 1, 0)
    short = ["--trainer.check_val_every_n_epoch=1", "--trainer.limit_train_batches=2"]
    objectives.train(METHODS["cgan"], 1, 0, folder, [*short, "--trainer.max_epochs=1"])
    (folder / "result.json").unlink()
    objectives.train(METHODS["cgan"], 1, 0, folder, [*short, "--trainer.max_epochs=2"])
    (result,) = objectives.results(tmp_path, "cgan")
    assert set(objectives.COLUMNS) < set(result)
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["gan_lightning"]["images_seen"] == 4 * objectives.BATCH_SIZE

    monkeypatch.setattr(objectives, "TIMED", 2)
    objectives.main([f"--folder={tmp_path}", "--only", "cgan", "--seeds=0", "--speed=2"])
    measured = objectives.speeds(tmp_path, "cgan")
    assert len(measured) == 2
    assert min(measured) > 0

    objectives.picture(tmp_path, tmp_path / "samples.png", count=4)
    assert (tmp_path / "samples.png").stat().st_size > 1000
    objectives.pictures(tmp_path, tmp_path / "pictures", count=4)
    (file,) = (tmp_path / "pictures").iterdir()
    assert file.name == "CGAN.png"
    with Image.open(file) as row:
        assert row.size == (4 * 64, 64)


def test_a_run_that_diverges_is_a_result(tmp_path):
    method = objectives.Method("wild", "0", "LSGAN", optimizer=objectives.part("torch.optim.SGD", lr=1e30))
    folder = objectives.place(tmp_path, "lsgan", 1, 0)
    objectives.train(method, 1, 0, folder, ["--trainer.limit_train_batches=20", "--trainer.precision=32-true"])
    (result,) = objectives.results(tmp_path, "lsgan")
    assert "was " in result["diverged"]


def test_the_results_have_a_place_for_the_table_and_each_method_in_it():
    _, begin, rest = RESULTS.read_text().partition(objectives.MARKS[0])
    published, end, _ = rest.partition(objectives.MARKS[1])
    assert begin
    assert end
    assert [row.split(" | ")[0].removeprefix("| ") for row in published.splitlines()[2:]] == [
        method.title for method in METHODS.values()
    ]
