"""Health: its numbers against formulas, its warnings on games that were made to go wrong and on games that go well."""

import json
import os
import subprocess
import sys
import textwrap
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor, nn
from torch.optim import SGD, Adam

from datamodules import Digits
from every_model import BUILDERS
from gan_lightning.callbacks.health import Health
from gan_lightning.data.batches import ImageBatch
from gan_lightning.extractors.base import FeatureExtractor, Features
from gan_lightning.losses import AdversarialLoss, Hinge, LeastSquares, Minimax, NonSaturating, Wasserstein
from gan_lightning.models import DCGAN, GAN, WGANGP
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator
from gan_lightning.recording import Network
from gan_lightning.schedules import Schedule
from gan_lightning.training.adversarial import Player
from tiny import data_for
from toys import DeterministicGAN, ToyData, ToyGAN, ToyGenerator, equal, trainer, weights

TESTS = Path(__file__).parents[1]


class Kept(DummyLogger):
    """Keeps what is logged, by step."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[int, dict[str, float]] = {}

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        assert step is not None
        self.rows.setdefault(step, {}).update(metrics)


class Judged(DeterministicGAN):
    """Keeps the logits of its last turn of D, batch by batch, and the gradient's norm before it is clipped."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.logits: list[tuple[Tensor, Tensor]] = []
        self.norms: dict[Player, list[float]] = {"discriminator": [], "generator": []}

    def discriminator_loss(self, batch: ImageBatch, fake: Tensor) -> dict[str, Tensor]:
        if self.training:
            self.logits.append(tuple(self.discriminate(x).logits[0].detach() for x in (batch.images, fake)))
        return super().discriminator_loss(batch, fake)

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
        self.norms[self.playing].append(float(torch.cat([g.flatten() for g in gradients]).norm()))
        super().on_before_optimizer_step(optimizer)


def watch(
    model: Any, data: Any = None, health: Health | None = None, every: int = 1, **settings: Any
) -> tuple[list[dict[str, float]], list[str]]:
    """Return the values that Health logs in a run, without its prefix, and its warnings."""
    logger = Kept()
    health = health or Health()
    run = trainer(**{"max_epochs": 1, "limit_val_batches": 0, **settings}, callbacks=[health], log_every_n_steps=every)
    run.loggers = [logger]
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        run.fit(model, data or ToyData())
    rows = [{key[7:]: v for key, v in row.items() if key.startswith("health/")} for row in logger.rows.values()]
    return [row for row in rows if row], [str(w.message) for w in given if str(w.message).startswith("for ")]


def half_precision() -> MixedPrecision:
    return MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**10))


# ---------------------------------------------------------------------- the numbers


class Contrast(AdversarialLoss):
    """Compares real and fake; G's turn is D's with the two swapped."""

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return nn.functional.softplus(fake_logits - real_logits).mean()

    def generator(self, fake_logits: Tensor, real_logits: Any) -> Tensor:
        return self.discriminator(fake_logits, real_logits())


@pytest.mark.parametrize(
    ("loss", "threshold", "doubt"),
    [
        (NonSaturating(), 0, lambda r, f: (-r).sigmoid().mean() + f.sigmoid().mean()),
        (NonSaturating(real_label=0.9), 0, lambda r, f: (r.sigmoid() - 0.9).abs().mean() + f.sigmoid().mean()),
        (Minimax(), 0, lambda r, f: (-r).sigmoid().mean() + f.sigmoid().mean()),
        (Hinge(), 0, lambda r, f: (r < 1).float().mean() + (f > -1).float().mean()),
        (LeastSquares(fake_label=-0.2), 0.4, lambda r, f: (r - 1).abs().mean() + (f + 0.2).abs().mean()),
        (Wasserstein(), None, lambda r, f: 2.0),
        (Contrast(), None, lambda r, f: 2 * (f - r).sigmoid().mean()),
    ],
)
def test_what_the_logits_say(loss: AdversarialLoss, threshold: float | None, doubt: Any) -> None:
    torch.manual_seed(0)
    model = Judged(loss=loss, generator_optimizer=partial(Adam, lr=0.1), discriminator_optimizer=partial(Adam, lr=0.1))
    rows, _ = watch(model)
    assert len(rows) == len(model.logits) == 4
    for row, (real, fake) in zip(rows, model.logits, strict=True):
        pairs = real[:, None] - fake[None]
        expected = {
            "doubt": float(doubt(real, fake)),
            "logit_gap": float(real.mean() - fake.mean()),
            "pairwise_accuracy": float((pairs > 0).float().mean() + (pairs == 0).float().mean() / 2),
        }
        if threshold is not None:
            expected["real_accuracy"] = float((real > threshold).float().mean())
            expected["fake_accuracy"] = float((fake < threshold).float().mean())
            expected["overfitting"] = float((real - threshold).sign().mean())
        norms = {"generator_gradient_norm", "discriminator_gradient_norm"}
        assert row.keys() == expected.keys() | norms | {"diversity"}
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_ties_count_half() -> None:
    torch.manual_seed(0)
    model = Judged(discriminator=Dead())
    rows, _ = watch(model)
    assert [row["pairwise_accuracy"] for row in rows] == [0.5] * 4
    assert [row["logit_gap"] for row in rows] == [0] * 4


class Corners(FeatureExtractor):
    """The four pixels in the corners."""

    num_features, channels, preprocessing = 4, 1, "none"

    def extract(self, images: Tensor) -> Features:
        return Features(images[:, 0, ::3, ::3].flatten(1).float())


@pytest.mark.parametrize("extractor", [None, Corners()])
def test_diversity_is_the_ratio_of_mean_distances(extractor: Corners | None) -> None:
    still = partial(SGD, lr=0.0)
    torch.manual_seed(0)
    model = ToyGAN(generator_optimizer=still, discriminator_optimizer=still)
    fakes = torch.rand(8, 1, 4, 4) * 2 - 1
    model.generate = lambda batch: fakes[: len(batch.images)]  # type: ignore[method-assign]
    data = ToyData(batches=3)
    rows, _ = watch(model, data, Health(extractor, count=5))

    def spread(images: Tensor) -> float:
        features = images[:, :, ::3, ::3] if extractor else images
        return float(sum((a - b).norm() for a in features for b in features))

    expected = [spread(fakes[:5]) / spread(real[:5]) for real in data.images]
    assert [row["diversity"] for row in rows] == pytest.approx(expected, rel=0.01 if extractor else 1e-4)


def test_what_has_no_value_is_not_logged() -> None:
    """Batches of one have no distances; nor do real images that are all the same give a ratio."""
    rows, _ = watch(ToyGAN(), ToyData(size=1))
    assert rows
    assert not any("diversity" in row for row in rows)
    data = ToyData()
    data.images = torch.zeros_like(data.images)
    rows, _ = watch(ToyGAN(), data)
    assert not any("diversity" in row for row in rows)


def sgd_game(**how: Any) -> Judged:
    torch.manual_seed(0)
    sgd = partial(SGD, lr=0.1)
    return Judged(generator_optimizer=sgd, discriminator_optimizer=sgd, **how)


def norms_of(rows: list[dict[str, float]], player: Player) -> list[float]:
    return [row[f"{player}_gradient_norm"] for row in rows if f"{player}_gradient_norm" in row]


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_gradient_norms(player: Player) -> None:
    """Before clipping; the whole batch's under accumulation; unscaled under fp16."""
    model = sgd_game()
    expected = norms_of(watch(model)[0], player)
    assert expected == pytest.approx(model.norms[player], rel=1e-5)
    clipped = sgd_game(discriminator_clip_norm=1e-4, generator_clip_norm=1e-4)
    assert norms_of(watch(clipped)[0], player) == pytest.approx(clipped.norms[player], rel=1e-5)
    assert min(clipped.norms[player]) > 1e-3
    assert norms_of(watch(sgd_game(accumulate=4))[0], player) == pytest.approx(expected, rel=1e-4)
    scaled = norms_of(watch(sgd_game(), plugins=half_precision())[0], player)
    assert scaled == pytest.approx(expected, rel=0.02)


def test_fused_optimizers_under_fp16_are_unscaled_too() -> None:
    def norms(**settings: Any) -> list[float]:
        torch.manual_seed(0)
        fused = partial(Adam, lr=1e-3, fused=True)
        rows, _ = watch(DeterministicGAN(generator_optimizer=fused, discriminator_optimizer=fused), **settings)
        return norms_of(rows, "discriminator")

    assert norms(plugins=half_precision()) == pytest.approx(norms(), rel=0.02)


def test_a_norm_that_overflowed_in_fp16_is_left_out() -> None:
    overflowing = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**127))
    rows, _ = watch(sgd_game(), plugins=overflowing)
    assert "doubt" in rows[0]
    assert "discriminator_gradient_norm" not in rows[0]


def test_the_generators_norm_is_that_of_its_last_turn() -> None:
    model = sgd_game(n_critic=3)
    rows, _ = watch(model, ToyData(batches=8), every=2)
    turns = model.norms["generator"]  # at batches 3 and 6
    assert norms_of(rows, "generator") == pytest.approx([turns[0], turns[1], turns[1]])  # at 4, 6 and 8
    assert norms_of(rows, "discriminator") == pytest.approx(model.norms["discriminator"][1::2])


# ---------------------------------------------------------------------- beside the training


@pytest.mark.parametrize("build", BUILDERS)
def test_every_model_trains_as_without(build: Any) -> None:
    def trained(health: list[Health]) -> dict[str, Tensor]:
        torch.manual_seed(0)
        model = build()
        data = data_for(model, batches=3)
        run = trainer(max_epochs=2, callbacks=health, log_every_n_steps=2, limit_val_batches=0)
        run.fit(model, data)
        logged = {name for name in run.callback_metrics if name.startswith("health/")}
        expected = {"health/diversity", "health/generator_gradient_norm"}
        if hasattr(model, "loss"):  # others have no verdict on each image to hear
            expected.add("health/doubt")
            assert vars(model.loss).keys() == vars(build().loss).keys()
        assert bool(health) == (expected <= logged)
        return weights(model)

    assert equal(trained([Health()]), trained([]))


def test_nothing_is_done_between_logging_steps() -> None:
    calls: list[int] = []

    class Counted(ToyGAN):
        def generate(self, batch: ImageBatch) -> Tensor:
            calls.append(self.batches_seen)
            return super().generate(batch)

        def discriminator_loss(self, batch: ImageBatch, fake: Tensor) -> dict[str, Tensor]:
            terms = super().discriminator_loss(batch, fake)
            heard.append(len(health._logits))
            return terms

    heard: list[int] = []
    health = Health()
    model = Counted()
    model._checked_batch = True
    model.check_batch = lambda batch: None  # type: ignore[method-assign]
    rows, _ = watch(model, ToyData(batches=7), health, every=3)
    assert calls == [3, 6]
    assert heard == [0, 0, 1] * 2 + [0]
    assert len(rows) == 2


def test_after_a_failed_step_it_listens_no_more() -> None:
    class Failing(ToyGAN):
        def generator_loss(self, batch: ImageBatch, fake: Tensor) -> dict[str, Tensor]:
            raise ArithmeticError

    model = Failing()
    with pytest.raises(ArithmeticError):
        watch(model)
    assert model.listeners == []


def test_a_model_without_an_adversarial_loss_is_looked_at_as_far_as_it_goes() -> None:
    class Own(ToyGAN):
        def __init__(self) -> None:
            super().__init__()
            self.loss = None  # type: ignore[assignment]

        def discriminator_loss(self, batch: ImageBatch, fake: Tensor) -> dict[str, Tensor]:
            return {"own": self.discriminate(fake).logits[0].mean() - self.discriminate(batch.images).logits[0].mean()}

        def generator_loss(self, batch: ImageBatch, fake: Tensor) -> dict[str, Tensor]:
            return {"own": -self.discriminate(fake).logits[0].mean()}

    rows, _ = watch(Own())
    assert rows[0].keys() == {"generator_gradient_norm", "discriminator_gradient_norm", "diversity"}


@pytest.mark.parametrize("wrong", [{"count": 1}, {"patience": 0}])
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="out of range: make it"):
        Health(**wrong)


def test_a_model_of_one_player_is_refused() -> None:
    class Plain(L.LightningModule):
        def training_step(self, batch: Any) -> None:
            raise AssertionError

        def configure_optimizers(self) -> None:
            return None

    with pytest.raises(TypeError, match=r"and Plain is not one: remove it from trainer\.callbacks"):
        watch(Plain())


def test_two_ranks_log_what_one_with_the_whole_batch_does(tmp_path: Path) -> None:
    script = """
        import json, sys
        from pathlib import Path
        from ddp_fit import SharedData
        from test_health import sgd_game, watch

        model = sgd_game()
        rows, _ = watch(model, SharedData(batches=4, size=8), devices=2, strategy="adversarial_ddp")
        Path(sys.argv[1], f"{model.global_rank}.json").write_text(json.dumps(rows))
    """
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(script))
    folders = [TESTS.parent, TESTS, TESTS / "callbacks"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(path), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    alone, _ = watch(sgd_game(), ToyData(batches=4, size=8))
    both = json.loads((tmp_path / "0.json").read_text())
    means = {
        "doubt",
        "logit_gap",
        "real_accuracy",
        "fake_accuracy",
        "overfitting",
    }  # over the batch, so over its halves
    for one, two in zip(alone, both, strict=True):
        assert one.keys() == two.keys()
        for name in means | {"generator_gradient_norm", "discriminator_gradient_norm"}:
            assert two[name] == pytest.approx(one[name], rel=1e-4, abs=1e-6), name


@pytest.mark.slow
def test_compiled_networks_are_looked_at_as_eager_ones() -> None:
    def rows(compiled: bool) -> list[dict[str, float]]:
        torch.manual_seed(0)
        networks = (DCGANGenerator(8, image_size=16, channels=1, width=4), critic())
        return watch(WGANGP(*networks, n_critic=1, compile=compiled), digits(8), limit_train_batches=2)[0]

    for eager, compiled in zip(rows(False), rows(True), strict=True):
        assert compiled == pytest.approx(eager, rel=1e-2, abs=1e-3)


def critic() -> DCGANDiscriminator:
    return DCGANDiscriminator(image_size=16, channels=1, width=4, norm="none")


def digits(batch_size: int = 64) -> Digits:
    return Digits(image_size=16, batch_size=batch_size)


# ---------------------------------------------------------------------- the warnings


class Dead(Network):
    """A discriminator with all units off."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1, bias=False))
        nn.init.constant_(self.net[1].bias, -100)

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images).flatten()


class Deaf(ToyGenerator):
    """A generator that ignores its latents."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(torch.zeros_like(z))


class Clusters(ToyData):
    """Four bright images and a little noise: far from what an untrained generator makes."""

    def __init__(self, batches: int = 60, size: int = 32) -> None:
        super().__init__(batches, size)
        random = torch.Generator().manual_seed(1)
        centres = torch.rand(4, 1, 4, 4, generator=random).round() * 0.9
        which = torch.randint(4, (batches, size), generator=random)
        self.images = (centres[which] + self.images * 0.1).clamp(-1, 1)


def adam(lr: float) -> Any:
    return partial(Adam, lr=lr, betas=(0.5, 0.999))


def toy(g: float, d: float, **how: Any) -> ToyGAN:
    torch.manual_seed(0)
    return ToyGAN(generator_optimizer=adam(g), discriminator_optimizer=adam(d), **how)


def impatient(**how: Any) -> Health:
    return Health(patience=100, **how)


LONG: dict[str, Any] = {"every": 10, "max_epochs": 4}  # 240 batches


def small_dcgan(g: float, d: float, loss: AdversarialLoss | None = None) -> DCGAN:
    torch.manual_seed(0)
    networks = DCGANGenerator(16, image_size=16, channels=1, width=8), DCGANDiscriminator(16, 1, width=8)
    how = {"generator_optimizer": adam(g), "discriminator_optimizer": adam(d), "ema_half_life": 1000}
    return DCGAN(*networks, loss=loss, **how)


@pytest.mark.parametrize("loss", [NonSaturating(), Minimax(), Hinge()])
def test_a_starved_generator_means_that_d_has_won(loss: AdversarialLoss) -> None:
    rows, given = watch(toy(1e-7, 0.05, loss=loss), Clusters(), impatient(), **LONG)
    assert len(given) == 1
    assert "D has been sure of every image" in given[0]
    assert "discriminator_optimizer" in given[0]
    assert rows[-1]["real_accuracy"] == rows[-1]["fake_accuracy"] == rows[-1]["pairwise_accuracy"] == 1


def test_d_wins_on_digits_too() -> None:
    _, given = watch(small_dcgan(1e-6, 5e-3), digits(), Health(patience=60), every=10, limit_train_batches=100)
    assert len(given) == 1
    assert "D has won" in given[0]


def test_a_critic_is_meant_to_be_ahead() -> None:
    rows, given = watch(toy(1e-5, 0.01, loss=Wasserstein()), Clusters(), impatient(), **LONG)
    assert min(row["pairwise_accuracy"] for row in rows) > 0.999
    assert not given


def test_a_generator_far_too_fast_for_d_collapses() -> None:
    rows, given = watch(toy(0.05, 1e-6), Clusters(), impatient(), **LONG)
    assert rows[0]["diversity"] > 0.9
    assert rows[-1]["diversity"] < 0.1
    assert len(given) == 1
    assert "G's images have been all but the same" in given[0]
    assert "generator_optimizer" in given[0]


def test_it_collapses_on_digits_too() -> None:
    torch.manual_seed(0)
    networks = MLPGenerator(8, image_size=16, hidden=(32,)), MLPDiscriminator(image_size=16, hidden=(32,))
    model = GAN(*networks, generator_optimizer=adam(0.01), discriminator_optimizer=adam(1e-6))
    _, given = watch(model, digits(), Health(patience=80), every=10, limit_train_batches=120)
    assert len(given) == 1
    assert "G has collapsed" in given[0]


def test_a_generator_deaf_to_its_latents_has_collapsed() -> None:
    rows, given = watch(toy(1e-3, 1e-3, generator=Deaf()), Clusters(), impatient(extractor=Corners()), **LONG)
    assert {row["diversity"] for row in rows} == {0}
    assert len(given) == 1
    assert "they are 0 times as far apart as real ones" in given[0]


def test_diversity_that_is_low_but_grows_is_a_run_that_is_young() -> None:
    class Young(ToyGAN):
        def generate(self, batch: ImageBatch) -> Tensor:
            size = min(self.batches_seen, 200) / 2000
            return size * torch.rand(batch.images.shape).sub(0.5)

    sgd = partial(SGD, lr=1e-3)
    model = Young(generator_optimizer=sgd, discriminator_optimizer=sgd)
    rows, given = watch(model, Clusters(), impatient(), every=10, max_epochs=4)  # 240 batches
    assert max(row["diversity"] for row in rows) < 0.2
    assert not given
    model = Young(generator_optimizer=sgd, discriminator_optimizer=sgd)
    _, given = watch(model, Clusters(), impatient(), every=10, max_epochs=7)  # by then it has stopped growing
    assert len(given) == 1


def test_nobody_learns_at_rates_of_zero() -> None:
    _, given = watch(toy(0.0, 0.0), Clusters(), impatient(), **LONG)
    assert len(given) == 1
    assert "both players have stood still" in given[0]
    assert "a learning rate of 0" in given[0]


def test_nobody_learns_from_a_dead_discriminator() -> None:
    rows, given = watch(toy(0.01, 0.01, discriminator=Dead()), Clusters(), impatient(), **LONG)
    assert len(given) == 1
    assert "both players have stood still" in given[0]
    assert "LeakyReLU" in given[0]
    assert rows[-1]["generator_gradient_norm"] == rows[-1]["discriminator_gradient_norm"] == 0


def test_nobody_learns_where_every_fp16_step_overflows() -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=0.999)
    plugin = MixedPrecision("16-mixed", "cpu", scaler)
    _, given = watch(toy(0.01, 0.01), Clusters(), impatient(), **LONG, plugins=plugin)
    assert len(given) == 1
    assert "at a gradient norm of unknown" in given[0]


def test_one_player_at_rest_is_no_standstill() -> None:
    assert not watch(toy(0.0, 1e-4), Clusters(), impatient(), **LONG)[1]


class Pause(Schedule):
    """No learning but from batch 130 to 150."""

    def __call__(self, progress: float) -> float:
        return float(130 <= progress < 150)

    def zero_from(self, length: float) -> None:
        """Do nothing, so that no warning comes at start."""


def test_each_episode_is_reported_once() -> None:
    pause = {"generator_schedule": Pause("batch"), "discriminator_schedule": Pause("batch")}
    _, given = watch(toy(1e-3, 1e-3, **pause), Clusters(), impatient(), every=10, max_epochs=7)  # 420 batches
    assert [message.split(" both")[0] for message in given] == ["for 100 batches"] * 2


def test_a_resumed_run_is_looked_at_afresh(tmp_path: Path) -> None:
    health = impatient()
    _, given = watch(toy(0.0, 0.0), Clusters(), health, every=10, max_epochs=2)  # 120 batches: a warning
    assert len(given) == 1
    _, given = watch(toy(0.0, 0.0), Clusters(), health, every=10)  # 60 batches: too early to tell
    assert not given
    _, given = watch(toy(0.0, 0.0), Clusters(), health, every=10, max_epochs=2)
    assert len(given) == 1


@pytest.mark.parametrize("loss", [NonSaturating(), LeastSquares(), Hinge()])
def test_a_run_that_goes_well_is_left_in_peace(loss: AdversarialLoss) -> None:
    rows, given = watch(small_dcgan(2e-3, 2e-3, loss), digits(), Health(patience=60), every=10)  # 125 batches
    assert not given
    assert rows[-1]["diversity"] > 0.3
    assert rows[-1]["pairwise_accuracy"] > 0.7
