"""Reproductions: batched seeds equal separate ones, resumed runs whole ones, protocols, the page."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import Adam

from benchmarks.batched import (
    PointDiscriminators,
    StackedDiscriminators,
    StackedGenerators,
    Streams,
    nonsaturating,
)
from benchmarks.published import fits, mnist
from benchmarks.published.__main__ import _seeds, main, reproduce
from benchmarks.published.fits import Fits, error_of_categories, last_value, log_density, neighbours_of_codes, parzen
from benchmarks.published.mixtures import Mixtures, grid, ring, subspaces
from benchmarks.published.page import finished, merged, page, span
from benchmarks.published.rows import OTHERS, ROWS
from benchmarks.published.run import Run
from benchmarks.published.stacked import Stacked
from gan_lightning.data.batches import ImageBatch
from gan_lightning.metrics import mixture_coverage
from gan_lightning.models import BiGAN, InfoGAN
from gan_lightning.networks import (
    BiGANEncoder,
    BiGANGenerator,
    InfoGANDiscriminator,
    InfoGANGenerator,
    JointDiscriminator,
    StackedDiscriminator,
    StackedGenerator,
)
from gan_lightning.networks.packed import Packed
from tiny import Batches
from toys import trainer


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a few steps."""
    monkeypatch.setattr(Mixtures, "steps", 6)
    monkeypatch.setattr(Mixtures, "every", 3)
    monkeypatch.setattr(Mixtures, "points", 40)
    monkeypatch.setattr(Mixtures, "batch", 10)
    monkeypatch.setattr(Mixtures, "evaluated", 20)
    monkeypatch.setattr(Stacked, "steps", 3)
    monkeypatch.setattr(Stacked, "every", 2)
    monkeypatch.setattr(Stacked, "batch", 6)
    monkeypatch.setattr(Stacked, "evaluated", 12)
    digits = torch.randint(0, 256, (50, 28, 28), generator=torch.Generator().manual_seed(0)).byte()
    monkeypatch.setattr(mnist, "load", lambda split: (digits, torch.arange(50) % 10))


def trained(run: Run, steps: int) -> Run:
    for _ in range(steps):
        run.advance()
        run.step += 1
    return run


def values(run: Any) -> list[torch.Tensor]:
    return [p.detach() for network in (run.generators, run.discriminators) for p in network.parameters()]


MAKERS: dict[str, Any] = {
    "gan": partial(Mixtures, mixture=ring),
    "pac3": partial(Mixtures, mixture=grid, pack=3),
    **{
        name: partial(Mixtures, mixture=ring, game=OTHERS[name][1], penalty=OTHERS[name][2])
        for name in ("r3gan", "wgan-gp", "ragan")
    },
    "subspaces-pac2": partial(Mixtures, mixture=subspaces, pack=2),
    "stacked": partial(Stacked, width=2),
    "stacked-pac2": partial(Stacked, width=2, pack=2),
    "stacked-unrolled": partial(Stacked, width=2, unroll=2),
}


@pytest.fixture
def double() -> Iterator[None]:
    """Float64, in which Adam does not step by the rounding of gradients that are zero (of biases before a norm)."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("quick", "double")
@pytest.mark.parametrize("name", MAKERS)
def test_seeds_together_end_as_each_would_alone(name: str) -> None:
    together = trained(MAKERS[name](seeds=[3, 5]), 3)
    begun = MAKERS[name](seeds=[3, 5])
    for place, seed in enumerate((3, 5)):
        alone = trained(MAKERS[name](seeds=[seed]), 3)
        for whole, single, before in zip(values(together), values(alone), values(begun), strict=True):
            # of grouped channels, or of a first dimension of seeds
            part, start = whole.chunk(2)[place], before.chunk(2)[place]
            assert (part - single).norm() <= 1e-5 * (single - start).norm() + 1e-9
        if isinstance(together, Mixtures):
            assert together.measure()[place] == pytest.approx(alone.measure()[0])


def test_a_batched_network_is_the_librarys_for_each_seed() -> None:
    torch.manual_seed(0)
    pairs = [(StackedGenerator(), StackedDiscriminator(6)) for _ in range(3)]
    z = torch.randn(3, 5, 256)
    made = StackedGenerators([g for g, _ in pairs])(z)
    packs = torch.randn(3, 4, 6, 28, 28)
    logits = StackedDiscriminators([d for _, d in pairs])(packs)
    for seed, (generator, discriminator) in enumerate(pairs):
        torch.testing.assert_close(made[seed], generator.train()(z[seed]), rtol=1e-4, atol=1e-5)
        images = packs[seed].unflatten(1, (2, 3)).flatten(0, 1)  # as consecutive images
        torch.testing.assert_close(logits[seed], Packed(discriminator, 2)(images), rtol=1e-4, atol=1e-5)


def test_the_published_networks_for_points() -> None:
    run = Mixtures([0, 1], grid, pack=2)
    counts = [sum(p.numel() for p in network.parameters()) // 2 for network in (run.generators, run.discriminators)]
    assert counts[0] == 2 * 400 + 3 * 400 * 400 + 4 * 2 * 400 + 400 * 2 + 2
    assert counts[1] == 4 * 1000 + 1000 + 2 * (200 * 1000 + 1000) + 200 + 1
    assert run.data.shape == (2, 100_000, 2)
    means = run.mixture.means
    spread = (run.data[0] - means[torch.cdist(run.data[0], means).argmin(1)]).std(0)
    torch.testing.assert_close(spread, torch.full((2,), 0.05), rtol=0.02, atol=0)
    weights = [p for p in run.discriminators.parameters() if p.dim() == 3 and p.shape[1] > 1]
    assert all(abs(float(p.detach().std()) - 0.02) < 2e-3 for p in weights)
    assert (run.d_optimizer.defaults["lr"], run.d_optimizer.defaults["betas"]) == (1e-4, (0.8, 0.999))


@pytest.mark.usefixtures("quick")
def test_an_epoch_shows_each_pack_of_the_fixed_table_once() -> None:
    run = Mixtures([0], ring, pack=2)
    seen = []
    for step in range(4):
        run.step = step
        seen.append(run.real()[0])
    table = run.data[0][run.packs[0]].flatten(1)
    assert sorted(map(tuple, torch.cat(seen).tolist())) == sorted(map(tuple, table.tolist()))


def test_points_in_subspaces_spread_along_700_axes_and_are_too_far_from_their_means(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Mixtures, "points", 300)
    run = Mixtures([0], subspaces)
    deviations = run.data[0] - run.mixture.means[torch.cdist(run.data[0], run.mixture.means).argmin(1)]
    assert deviations[:, :700].std() == pytest.approx(1, rel=0.02)
    assert (deviations[:, 700:] == 0).all()
    assert sorted(set(run.data[0][:, -1].tolist())) == [-13, -5.5, -2.5, -2, -1, -0.5, 0, 0.25, 0.5, 10]
    perfect = mixture_coverage(run.data[0], run.mixture.means, run.mixture.std, run.mixture.radius)
    floor = ROWS["subspaces-gan"].floor
    assert (float(perfect["modes_covered"]), float(perfect["high_quality"])) == (floor["modes"], floor["high_quality"])


def test_the_discriminator_of_points_by_hand() -> None:
    network = PointDiscriminators(Streams([0]), 2, width=3, pieces=2)
    x = torch.randn(1, 4, 2)
    h = x[0]
    for layer in network.hidden:
        both = (h @ layer.weight[0] + layer.bias[0]).reshape(4, 3, 2)
        h = both.max(2).values
    torch.testing.assert_close(network(x)[0], (h @ network.last.weight[0] + network.last.bias[0])[:, 0])
    d, g = nonsaturating(torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0]]))
    assert float(d) == pytest.approx((0.693147 + 0.126928) / 2 + 1.313262, rel=1e-5)
    assert float(g) == pytest.approx(0.313262, rel=1e-5)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["ring-pac2", "grid-r3gan", "stacked-quarter-pac2", "stacked-half-unrolled1"])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(name: str, tmp_path: Path) -> None:
    whole = reproduce(name, [0, 4], tmp_path / "whole")
    assert reproduce(name, [0, 4], tmp_path / "parts", until=1) is None
    resumed = reproduce(name, [0, 4], tmp_path / "parts")
    assert whole is not None
    assert resumed is not None
    for key in ("ours", "curve", "seeds", "published"):
        assert str(whole[key]) == str(resumed[key])
    assert whole["curve"]
    assert json.loads(json.dumps(whole))["command"] == f"python -m benchmarks.published {name} --seeds 0,4"


@pytest.mark.usefixtures("quick")
def test_the_program_writes_a_line_a_row_and_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, text = tmp_path / "results.jsonl", tmp_path / "page.md"
    arguments = ["ring-gan", "ring-lsgan", "--seeds", "0-1", "--folder", str(tmp_path), "--results", str(results)]
    main([*arguments, "--page", str(text)])
    lines = results.read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["ring-gan", "ring-lsgan"]
    main(arguments)  # finished rows are not trained again
    assert results.read_text().splitlines() == lines
    page = text.read_text()
    assert "| GAN | modes | 6.3 ± 0.5 |" in page
    assert "0-1" in page
    assert "`python -m benchmarks.published ring-gan --seeds 0-1`" in page
    assert "perfect samples" in page
    assert re.search(r"on: .+ \((AVX2|AVX512|DEFAULT|NO AVX)\), one thread, torch 2\.", page)
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "no row is named 'nothing'" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_seeds_that_are_trained_later_join_their_row(tmp_path: Path) -> None:
    results, text = tmp_path / "results.jsonl", tmp_path / "page.md"
    for seeds in ("1", "0-2", "0"):
        places = ["--folder", str(tmp_path), "--results", str(results), "--page", str(text)]
        main(["ring-gan", "--seeds", seeds, *places])
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [line["seeds"] for line in lines] == [[1], [0, 2]]
    (row,) = merged(lines)
    values = [value for line in lines for value in line["ours"]["kl"]["values"]]
    assert row["ours"]["kl"]["values"] == values
    assert row["ours"]["kl"]["mean"] == pytest.approx(sum(values) / 3)
    assert "`python -m benchmarks.published ring-gan --seeds 0-2`" in text.read_text()


def test_the_page_of_the_documentation_is_that_of_the_results() -> None:
    docs = Path(__file__).parents[2] / "docs"
    results = finished(docs / "published.jsonl")
    assert (docs / "published.md").read_text() == page(results)
    for row in results:
        assert (row["table"], row["method"]) == (ROWS[row["name"]].table, ROWS[row["name"]].method)


def test_a_seed_of_two_results_counts_once() -> None:
    def result(seeds: list[int], values: list[float]) -> dict[str, Any]:
        ours = {"error": {"values": values}}
        return {"name": "row", "machine": "a CPU", "seeds": seeds, "minutes": 10.0, "ours": ours}

    (row,) = merged([result([0], [1.0]), result([0, 1], [9.0, 3.0])])
    assert (row["seeds"], row["minutes"], row["machines"]) == ([0, 1], 15.0, ["a CPU"])
    assert row["ours"]["error"]["values"] == [1.0, 3.0]


def test_all_rows_of_both_tables_are_there_and_can_be_made(quick: None) -> None:
    tables = {f"{name}-{m}" for name in ("ring", "grid") for m in ("gan", "pac2", "pac3", "pac4", *OTHERS)}
    sizes = [f"stacked-{size}" for size in ("quarter", "half")]
    tables |= {f"{size}-{m}" for size in sizes for m in ("dcgan", "pac2", "pac3", "pac4")}
    tables |= {f"{size}-unrolled{k}" for size in sizes for k in (1, 5, 10)}
    assert tables <= ROWS.keys()
    for name, row in ROWS.items():
        assert row.protocol, name
        assert all(len(value) == 2 for value in row.published.values())
    floor = ROWS["ring-gan"].floor["kl"]
    assert floor == pytest.approx(7 / 2 / 2500, rel=0.02)
    optimizer = Stacked([0], 2).g_optimizer
    assert isinstance(optimizer, Adam)
    assert (optimizer.defaults["lr"], optimizer.defaults["betas"]) == (1e-4, (0.5, 0.99))


def test_neighbours_of_codes_by_hand(quick: None, tmp_path: Path) -> None:
    how: dict[str, Any] = {"image_size": 28, "hidden": 8}
    model = BiGAN(BiGANGenerator(4, **how), BiGANEncoder(4, **how), JointDiscriminator(4, **how))
    run = trainer(max_epochs=1)
    digits, labels = mnist.load("train")
    run.fit(model, Batches([ImageBatch(digits[:8, None].float() / 127.5 - 1)]))
    run.save_checkpoint(tmp_path / "bigan.ckpt")
    with torch.no_grad():
        codes = model.encoder.eval().unbounded(digits[:, None].float() / 127.5 - 1)
    nearest = torch.cdist(codes.double(), codes.double()).argmin(1)  # the test set here is the training set
    expected = float((labels[nearest] == labels).double().mean())
    assert neighbours_of_codes(tmp_path / "bigan.ckpt") == {"accuracy": expected}


def test_a_config_is_trained_seed_by_seed_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(fits, "command_line", seen.append)
    monkeypatch.setattr(fits, "seconds_of_training", lambda path: 60.0)
    half = tmp_path / "bigan-mnist-4" / "checkpoints" / "last.ckpt"
    for number in (0, 4):
        (tmp_path / f"bigan-mnist-{number}").mkdir()
    half.parent.mkdir()
    half.touch()
    run = Fits([0, 4], tmp_path, "bigan/mnist", lambda path: {"accuracy": float(path == half)})
    trained(run, 2)
    assert run.measure() == [{"accuracy": 0.0}, {"accuracy": 1.0}]
    assert run.seconds(1.0) == 120
    assert "--ckpt_path" not in seen[0]
    assert seen[1][seen[1].index("--ckpt_path") + 1] == "last"
    assert [call[call.index("--seed_everything") + 1] for call in seen] == ["0", "4"]
    other = Fits([0, 4], tmp_path, "bigan/mnist", lambda path: {})
    other.restore(run.state())
    assert other.measure() == run.measure()
    again = Fits([4], tmp_path, "bigan/mnist", lambda path: {})
    trained(again, 1)
    assert again.measure() == [{"accuracy": 1.0}]
    assert len(seen) == 2  # a finished seed is not trained again


def test_settings_of_a_row_reach_its_run_and_have_a_folder_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(fits, "command_line", seen.append)
    monkeypatch.setattr(fits, "last_value", lambda path, name: 0.99)
    monkeypatch.setattr(fits, "seconds_of_training", lambda path: 60.0)
    run = ROWS["ssgan-200"].make([3], tmp_path)
    assert isinstance(run, Fits)
    run.place(3).mkdir()
    trained(run, 1)
    assert {"--data.labels_per_class=20", "--data.label_set=3", "32-true"} < set(seen[0])
    assert run.measure() == [{"errors": pytest.approx(100)}]
    other = ROWS["ssgan-100"].make([3], tmp_path)
    assert isinstance(other, Fits)
    assert run.place(3) != other.place(3)


def test_the_last_value_is_read_and_a_missing_one_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,val/nats\n1,90.5\n2,\n3,88.25\n4,\n")
    last = tmp_path / "checkpoints" / "last.ckpt"
    assert last_value(last, "val/nats") == 88.25
    with pytest.raises(ValueError, match="has no val/accuracy"):
        last_value(last, "val/accuracy")


def test_a_window_has_the_density_of_a_mixture_of_gaussians() -> None:
    points, samples = torch.randn(7, 3), torch.randn(5, 3)
    normal = torch.distributions.Independent(torch.distributions.Normal(samples.double(), 0.4), 1)
    mixture = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(torch.ones(5).double()), normal)
    torch.testing.assert_close(log_density(points, samples, 0.4), mixture.log_prob(points.double()))


@pytest.mark.usefixtures("quick")
def test_windows_and_categories_are_measured_from_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fits, "SAMPLES", 20)
    small: dict[str, Any] = {"image_size": 28, "channels": 1, "width": 4, "hidden": 8}
    model = InfoGAN(InfoGANGenerator(latent_dim=14, **small), InfoGANDiscriminator(**small), categories=10)
    run = trainer(tmp_path, max_epochs=1)
    digits, labels = mnist.load("train")
    run.fit(model, Batches([ImageBatch(digits[:8, None].float() / 127.5 - 1)]))
    run.save_checkpoint(tmp_path / "infogan.ckpt")
    model.eval()
    ((features,),) = model.discriminator(digits[:, None].float() / 127.5 - 1, with_features=True).features
    category = model.recognition(features)[:, :10].argmax(1)
    right = sum(int((labels[category == c].bincount()).max()) for c in category.unique())
    assert error_of_categories(tmp_path / "infogan.ckpt") == {"error": pytest.approx(1 - right / 50)}
    assert parzen(tmp_path / "infogan.ckpt")["nats"] < 0


def test_seeds_are_written_as_the_argument_that_gives_them() -> None:
    assert [span(seeds) for seeds in ([4], [0, 1, 2], [0, 3, 5])] == ["4", "0-2", "0,3,5"]
    assert all(_seeds(span(seeds)) == seeds for seeds in ([4], [0, 1, 2], [0, 3, 5]))


@pytest.mark.usefixtures("quick")
def test_the_time_of_a_run_counts_on_where_it_is_resumed(tmp_path: Path, real_data: Path) -> None:
    overrides = {"trainer.limit_train_batches": 1, "trainer.limit_val_batches": 1, "evaluation.recipe": "null"}
    overrides |= {"validate_before_fit": "false", "model.generator.hidden": 8, "model.generator.width": 4}
    overrides |= {"model.discriminator.hidden": 8, "model.discriminator.width": 4}
    half = Fits([0], tmp_path, "infogan/mnist", lambda path: {}, overrides | {"trainer.max_epochs": 1})
    whole = Fits([0], tmp_path, "infogan/mnist", lambda path: {}, overrides | {"trainer.max_epochs": 2})
    run = tmp_path / "run"
    first = fits.seconds_of_training(half.train(0, run))
    (run / "run.json").unlink()  # as if it had not come to its end
    second = fits.seconds_of_training(whole.train(0, run))
    assert 0 < first < second
    assert fits.seconds_of_training(whole.train(0, run)) == second  # nothing is left to train
