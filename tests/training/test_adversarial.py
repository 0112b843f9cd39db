"""The engine: turns, freezing, stepping, counting, averaging, guarding."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins import MixedPrecision
from torch import nn
from torch.optim import SGD, Adam

from gan_lightning.augmentation import AdaptiveAugmentation
from gan_lightning.data.batches import ImageBatch, PairedBatch, split
from gan_lightning.losses import NonSaturating
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.schedules import Cosine, LinearToZero
from gan_lightning.training.adversarial import NonFiniteLossError, Player
from toys import DeterministicGAN, ToyData, ToyDiscriminator, ToyGAN, ToyGenerator, equal, trainer, weights

SGD_01 = partial(SGD, lr=0.1)


class Watched(ToyGAN):
    """Keeps the events of each turn."""

    def __init__(self, **base: Any) -> None:
        super().__init__(**base)
        self.forwards = 0
        self.taken: list[str] = []
        self.generator.register_forward_hook(self._count)

    def _count(self, *_: Any) -> None:
        self.forwards += self.generator.training

    def minimize(self, player: str, *losses: Any) -> None:
        before = weights(self)
        super().minimize(player, *losses)
        other = {"generator": "discriminator", "discriminator": "generator"}[player]
        after = weights(self)
        moved = {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
        assert moved == {player}, f"the {player}'s turn moved {moved}"
        assert all(p.requires_grad for p in self.parameters_of_players()), f"{other} was left frozen"
        self.taken.append(player)

    def parameters_of_players(self) -> list[nn.Parameter]:
        return [*self.generator.parameters(), *self.discriminator.parameters()]


def test_each_turn_moves_its_player_only_and_one_forward_serves_both() -> None:
    model = Watched()
    trainer(max_epochs=1).fit(model, ToyData(batches=4))
    assert model.taken == ["discriminator", "generator"] * 4
    assert model.forwards == 4


def test_n_critic_gives_the_generator_every_nth_turn_across_epochs() -> None:
    model = Watched(n_critic=3)
    trainer(max_epochs=2).fit(model, ToyData(batches=4))
    turns = ["discriminator", "discriminator", "discriminator", "generator"]
    assert model.taken == [*turns, *turns, "discriminator", "discriminator"]


def test_a_model_that_redraws_gives_the_generator_other_fakes() -> None:
    class Redrawing(Watched):
        redraws = True

        def discriminator_loss(self, batch: ImageBatch, fake: torch.Tensor) -> dict[str, torch.Tensor]:
            self.seen_by_discriminator = fake
            return super().discriminator_loss(batch, fake)

        def generator_loss(self, batch: ImageBatch, fake: torch.Tensor) -> dict[str, torch.Tensor]:
            assert fake.requires_grad
            assert not torch.equal(fake, self.seen_by_discriminator)
            return super().generator_loss(batch, fake)

    model = Redrawing()
    trainer(max_epochs=1).fit(model, ToyData(batches=2))
    assert model.taken == ["discriminator", "generator"] * 2


def test_the_discriminators_fakes_carry_no_graph() -> None:
    class Checking(ToyGAN):
        def discriminator_loss(self, batch: ImageBatch, fake: torch.Tensor) -> dict[str, torch.Tensor]:
            assert not fake.requires_grad
            return super().discriminator_loss(batch, fake)

    trainer(max_epochs=1).fit(Checking(), ToyData(batches=2))


def test_one_step_is_plain_gradient_descent_on_both_losses() -> None:
    torch.manual_seed(0)
    model = DeterministicGAN(generator_optimizer=SGD_01, discriminator_optimizer=SGD_01)
    data = ToyData(batches=1)

    expected = ToyGAN()
    expected.load_state_dict(model.state_dict())
    generator, discriminator = expected.generator, expected.discriminator
    real = data.images[0]
    fake = generator(real[:, 0, 0, :3])
    loss = (
        nn.functional.softplus(-discriminator(real)).mean()
        + nn.functional.softplus(discriminator(fake.detach())).mean()
    )
    for p, g in zip(
        discriminator.parameters(), torch.autograd.grad(loss, list(discriminator.parameters())), strict=True
    ):
        p.data -= 0.1 * g
    loss = nn.functional.softplus(-discriminator(fake)).mean()
    for p, g in zip(generator.parameters(), torch.autograd.grad(loss, list(generator.parameters())), strict=True):
        p.data -= 0.1 * g

    trainer(max_epochs=1).fit(model, data)
    for name, p in expected.named_parameters():
        torch.testing.assert_close(model.state_dict()[name], p, rtol=1e-6, atol=1e-7)


def test_accumulated_parts_give_the_gradient_of_the_whole_batch() -> None:
    def trained(accumulate: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        model = DeterministicGAN(generator_optimizer=SGD_01, discriminator_optimizer=SGD_01, accumulate=accumulate)
        trainer(max_epochs=1).fit(model, ToyData(batches=3))
        return weights(model)

    whole, parts = trained(1), trained(4)
    for name, p in whole.items():
        torch.testing.assert_close(parts[name], p, rtol=1e-5, atol=1e-7)


def test_global_step_and_max_steps_count_batches() -> None:
    run = trainer(max_steps=5, max_epochs=-1)
    model = ToyGAN(n_critic=2)
    run.fit(model, ToyData(batches=4))
    assert (run.global_step, model.batches_seen, model.images_seen) == (5, 5, 40)


def test_checkpoints_every_n_batches_are_all_written(tmp_path: Any) -> None:
    save = ModelCheckpoint(tmp_path, every_n_train_steps=2, save_top_k=-1, filename="{step}")
    trainer(max_epochs=2, enable_checkpointing=True, callbacks=[save]).fit(ToyGAN(n_critic=2), ToyData(batches=4))
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["step=2", "step=4", "step=6", "step=8"]


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_gradients_are_clipped_by_norm(player: str) -> None:
    class Norms(ToyGAN):
        def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
            super().on_before_optimizer_step(optimizer)
            name = "discriminator" if optimizer is self.optimizer_of("discriminator").optimizer else "generator"
            gradients = [p.grad.flatten() for p in getattr(self, name).parameters()]
            norms.setdefault(name, []).append(float(torch.cat(gradients).norm()))

    norms: dict[str, list[float]] = {}
    trainer(max_epochs=1).fit(Norms(**{f"{player}_clip_norm": 1e-3}), ToyData())
    assert max(norms.pop(player)) == pytest.approx(1e-3, rel=1e-3)
    assert min(norms.popitem()[1]) > 1e-3


@pytest.mark.parametrize("unit", ["epoch", "batch", "image"])
def test_schedules_count_what_they_say(unit: Any) -> None:
    class Rates(ToyGAN):
        def minimize(self, player: Any, *losses: Any) -> None:
            super().minimize(player, *losses)
            if player == "generator":
                rates.append(self.optimizer_of(player).param_groups[0]["lr"])
            else:
                assert self.optimizer_of(player).param_groups[0]["lr"] == 0.1

    rates: list[float] = []
    per_unit = {"epoch": 1, "batch": 4, "image": 32}[unit]
    model = Rates(
        generator_optimizer=SGD_01,
        discriminator_optimizer=SGD_01,
        generator_schedule=LinearToZero(start=1 * per_unit, end=3 * per_unit, unit=unit),
    )
    trainer(max_epochs=3).fit(model, ToyData(batches=4))
    if unit == "epoch":
        assert rates == pytest.approx([0.1] * 8 + [0.05] * 4)
    else:
        assert rates == pytest.approx([0.1] * 5 + [0.1 * (1 - i / 8) for i in range(1, 8)])


def test_cosine_schedule() -> None:
    schedule = Cosine(end=10, final=0.2)
    assert [schedule(t) for t in (0, 5, 10, 20)] == pytest.approx([1, 0.6, 0.2, 0.2])


def test_lazy_terms_come_every_nth_batch_that_much_stronger() -> None:
    class Lazy(ToyGAN):
        def discriminator_loss(self, batch: ImageBatch, fake: torch.Tensor) -> dict[str, torch.Tensor]:
            terms = super().discriminator_loss(batch, fake)
            terms |= self.lazily("extra", 3, lambda: self.discriminate(batch.images).logits[0].square().mean())
            if self._trainer is not None and self.training:
                seen.append("extra" in terms)
            return terms

    seen: list[bool] = []
    trainer(max_epochs=2).fit(Lazy(), ToyData(batches=4))
    assert seen == [True, False, False, True, False, False, True, False]
    assert Lazy().lazily("x", 3, lambda: torch.tensor(2.0))["x"] == 6


def test_lazy_terms_of_the_generator_count_its_own_turns() -> None:
    class Lazy(ToyGAN):
        def generator_loss(self, batch: ImageBatch, fake: torch.Tensor) -> dict[str, torch.Tensor]:
            terms = super().generator_loss(batch, fake)
            terms |= self.lazily("extra", 2, lambda: fake.square().mean())
            seen.append("extra" in terms)
            return terms

    seen: list[bool] = []
    trainer(max_epochs=2).fit(Lazy(n_critic=2), ToyData(batches=4))
    assert seen == [True, False, True, False]


def test_losses_are_logged_when_the_logger_writes_and_show_in_the_bar(tmp_path: Any) -> None:
    from gan_lightning.training.loggers import RunCSVLogger

    run = trainer(max_epochs=2, logger=RunCSVLogger(str(tmp_path)), log_every_n_steps=3)
    run.fit(ToyGAN(), ToyData(batches=4))
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    names = lines[0].split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines[1:]]
    assert [row["step"] for row in rows] == ["2", "5"]
    assert [row["images_seen"] for row in rows] == ["24.0", "48.0"]
    expected = {"loss/discriminator", "loss/generator", "loss/discriminator/adversarial", "loss/generator/adversarial"}
    assert expected <= set(names)
    assert {"loss/discriminator", "loss/generator"} <= set(run.progress_bar_metrics)


def test_the_probability_of_an_adaptive_augmentation_is_logged_as_it_moves(tmp_path: Any) -> None:
    from gan_lightning.training.loggers import RunCSVLogger

    class Augmented(ToyGAN):
        def discriminator_loss(self, batch: ImageBatch, fake: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"adversarial": self.adversarial_loss(self.discriminate(batch.images), self.discriminate(fake))}

    # every r_t is above the target: 2 batches of 8 images move p by 16 / 160
    model = Augmented(
        augmentation=AdaptiveAugmentation(target=-1.1, interval=2, adjustment=160), n_critic=3, accumulate=2
    )
    run = trainer(max_epochs=1, logger=RunCSVLogger(str(tmp_path)), log_every_n_steps=2)
    run.fit(model, ToyData(batches=6, size=8))
    names, *rows = [line.split(",") for line in (tmp_path / "metrics.csv").read_text().splitlines()]
    logged = [float(dict(zip(names, row, strict=True))["augmentation/p"]) for row in rows]
    assert logged == pytest.approx([0.1, 0.2, 0.3])


def test_logs_of_a_resumed_run_are_added(tmp_path: Any) -> None:
    from gan_lightning.training.loggers import RunCSVLogger

    for _ in range(2):
        trainer(max_epochs=1, logger=RunCSVLogger(str(tmp_path)), log_every_n_steps=2).fit(ToyGAN(), ToyData(batches=4))
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 1 + 2 * 2


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_loss_that_is_not_finite_stops_with_its_name_and_step(player: str, tmp_path: Any) -> None:
    class Breaking(ToyGAN):
        def broken(self, terms: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {**terms, "broken": terms["adversarial"] * (float("nan") if self.batches_seen == 3 else 0)}

    hook = f"{player}_loss"

    def loss(self: Breaking, batch: Any, fake: Any) -> Any:
        return self.broken(getattr(ToyGAN, hook)(self, batch, fake))

    setattr(Breaking, hook, loss)
    save = ModelCheckpoint(tmp_path, every_n_train_steps=1, save_top_k=-1, filename="{step}")
    run = trainer(max_epochs=2, enable_checkpointing=True, callbacks=[save])
    model = Breaking()
    with pytest.raises(NonFiniteLossError, match=f"loss/{player}/broken was nan at batch 3"):
        run.fit(model, ToyData(batches=4))
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["step=1", "step=2", "step=3"]
    assert all(p.isfinite().all() for p in model.parameters())


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Any) -> None:
    class Poisoned(ToyGAN):
        def finish_step(self, batch: Any, averaged: bool) -> None:
            super().finish_step(batch, averaged)
            if self.batches_seen == 3:
                next(self.generator.parameters()).data[0] = float("inf")

    save = ModelCheckpoint(tmp_path, every_n_train_steps=1, filename="last", enable_version_counter=False)
    run = trainer(max_epochs=1, enable_checkpointing=True, callbacks=[save])
    with pytest.raises(NonFiniteLossError, match="a weight is not finite at batch 3"):
        run.fit(Poisoned(), ToyData(batches=4))
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert kept["gan_lightning"]["batches_seen"] == 2


def test_the_average_follows_by_half_lives_and_copies_buffers() -> None:
    model = ToyGAN(generator=ToyGenerator(norm=True), ema_half_life=16, ema_warm_up=0)
    start = weights(model.generator)
    assert model.average is not None
    run = trainer(max_epochs=1)
    run.fit(model, ToyData(batches=1, size=16))  # one half-life
    for name, averaged in model.average.network.named_parameters():
        now = dict(model.generator.named_parameters())[name]
        torch.testing.assert_close(averaged, (start[name] + now) / 2)
        assert not averaged.requires_grad
    norm, averaged_norm = model.generator.net[1], model.average.network.net[1]
    assert norm.running_mean.abs().sum() > 0
    assert torch.equal(norm.running_mean, averaged_norm.running_mean)


def test_the_average_counts_the_images_of_batches_without_a_generator_step() -> None:
    model = ToyGAN(n_critic=2, ema_half_life=16, ema_warm_up=0)
    start = weights(model.generator)
    trainer(max_epochs=1).fit(model, ToyData(batches=2, size=8))
    assert model.average is not None
    name, now = next(iter(model.generator.named_parameters()))
    torch.testing.assert_close(model.average.network.get_parameter(name), (start[name] + now) / 2)


@pytest.mark.parametrize("alone", ["discriminator", "generator"])
def test_one_player_alone_overfits(alone: str) -> None:
    class Alone(ToyGAN):
        def minimize(self, player: Any, *losses: Any) -> None:
            if player == alone:
                super().minimize(player, *losses)
                curve.append(float(self._terms[f"loss/{player}"]))

    torch.manual_seed(0)
    curve: list[float] = []
    fast = partial(Adam, lr=0.01)
    trainer(max_epochs=20).fit(Alone(generator_optimizer=fast, discriminator_optimizer=fast), ToyData(batches=4))
    assert curve[-1] < 0.8 * curve[0]


def test_a_batch_of_the_wrong_kind_fails_before_the_first_step() -> None:
    model = ToyGAN()
    with pytest.raises(TypeError, match=r"ToyGAN learns from batches of the kind ImageBatch .* serve PairedBatch"):
        model.check_batch(PairedBatch(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)))


def test_images_that_do_not_fit_fail_before_the_first_step() -> None:
    model = ToyGAN()
    before = weights(model)
    with pytest.raises(ValueError, match=r"makes images of 1x4x4 .* serve 3x8x8"):
        model.check_batch(ImageBatch(torch.zeros(2, 3, 8, 8)))
    with pytest.raises(ValueError, match=r"float images in \[-1, 1\], but .* \[0.0, 255.0\]"):
        model.check_batch(ImageBatch(torch.tensor([0.0, 255.0]).expand(2, 1, 4, 2).repeat(1, 1, 1, 2)))
    assert equal(before, weights(model))


def test_a_generator_that_does_not_state_its_latents_is_refused() -> None:
    with pytest.raises(TypeError, match="Linear does not state its latent_dim"):
        ToyGAN(generator=nn.Linear(3, 16))


def test_a_generator_that_states_no_classes_takes_no_labels() -> None:
    generator = ToyGenerator()
    del generator.num_classes
    model = ToyGAN(generator=generator)
    assert model.num_classes == 0
    labelled = ImageBatch(torch.zeros(2, 1, 4, 4), torch.tensor([0, 1]))
    model.check_batch(labelled)  # the labels go unused
    assert model.draw_fakes(labelled).shape == (2, 1, 4, 4)
    generator.num_classes = "3"  # type: ignore[assignment]
    with pytest.raises(TypeError, match=r"ToyGenerator does not state its num_classes \(it is '3'\): .*, 0 or more"):
        ToyGAN(generator=generator)


def test_sampling_is_seeded_and_leaves_no_trace() -> None:
    model = ToyGAN(generator=ToyGenerator(norm=True)).train()
    state = torch.get_rng_state()
    first, second, other = model.sample(4, seed=1), model.sample(4, seed=1), model.sample(4, seed=2)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())
    assert model.generator.training
    assert not first.requires_grad
    assert int(model.generator.net[1].num_batches_tracked) == 0


def test_truncated_latents_stay_within_bounds() -> None:
    z = ToyGAN().sampler.draw(1000, truncation=0.5)
    assert z.abs().max() <= 0.5
    assert z.std() > 0.2


def test_compiled_and_channels_last_are_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(type(self).__name__))
    trainer(max_epochs=1).fit(ToyGAN(compile=True), ToyData(batches=1))
    assert sorted(compiled) == ["ToyDiscriminator", "ToyGenerator"]

    conv = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 1), nn.Flatten(0))
    ToyGAN(discriminator=conv, channels_last=True)
    assert conv[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_counts_must_be_positive() -> None:
    with pytest.raises(ValueError, match="is out of range: make it 1 or more"):
        ToyGAN(n_critic=0)


def test_discriminator_of_the_toy_is_used() -> None:
    assert isinstance(ToyGAN().discriminator, ToyDiscriminator)


def half_precision() -> MixedPrecision:
    """fp16 with loss scaling; Lightning alone would make it bf16 on the CPU."""
    return MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**10))


def test_fp16_gradients_are_clipped_at_their_own_scale() -> None:
    class Norms(ToyGAN):
        def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
            super().on_before_optimizer_step(optimizer)
            gradients = [p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]
            norms.append(float(torch.cat(gradients).norm()))

    norms: list[float] = []
    model = Norms(generator_clip_norm=1e-3, discriminator_clip_norm=1e-3)
    trainer(max_epochs=1, plugins=half_precision()).fit(model, ToyData())
    assert norms == pytest.approx([1e-3] * 8, rel=1e-2)


def test_an_fp16_overflow_skips_that_players_step_only() -> None:
    class Overflowing(ToyGAN):
        def discriminator_loss(self, batch: ImageBatch, fake: torch.Tensor) -> dict[str, torch.Tensor]:
            terms = super().discriminator_loss(batch, fake)
            if self._trainer is not None and self.training and self.batches_seen == 1:
                terms["huge"] = (
                    self.discriminate(batch.images).logits[0].sum() * 1e35
                )  # its scaled gradient is infinite
            return terms

        def minimize(self, player: Any, *losses: Any) -> None:
            before = weights(getattr(self, player))
            super().minimize(player, *losses)
            moved.append((player, not equal(before, weights(getattr(self, player)))))

    moved: list[tuple[str, bool]] = []
    model = Overflowing()
    trainer(max_epochs=1, plugins=half_precision()).fit(model, ToyData(batches=3))
    turns = [("discriminator", True), ("generator", True)]
    assert moved == [*turns, ("discriminator", False), ("generator", True), *turns]
    assert all(p.isfinite().all() for p in model.parameters())


def test_fused_optimizers_and_clipping_are_refused_under_fp16() -> None:
    model = ToyGAN(generator_optimizer=partial(Adam, fused=True), generator_clip_norm=1.0)
    with pytest.raises(ValueError, match="the generator's optimizer is fused"):
        trainer(max_epochs=1, plugins=half_precision()).fit(model, ToyData())
    trainer(max_epochs=1, precision="bf16-mixed").fit(model, ToyData())


def test_parameters_that_modules_share_step_once() -> None:
    class Shared(DeterministicGAN):
        """A model that lists the modules of its generator twice."""

        def players(self) -> dict[Player, Sequence[nn.Module]]:
            return super().players() | {"generator": [self.generator, self.generator.net]}

    def trained(kind: type[DeterministicGAN]) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        model = kind(generator_optimizer=SGD_01, discriminator_optimizer=SGD_01)
        trainer(max_epochs=1).fit(model, ToyData(batches=1))
        return model.state_dict()

    assert equal(trained(Shared), trained(DeterministicGAN))


def test_what_a_model_has_frozen_stays_frozen() -> None:
    class Transfer(ToyGAN):
        """Freezes a layer of its discriminator when training has begun."""

        def on_train_batch_start(self, batch: ImageBatch, batch_idx: int) -> None:
            super().on_train_batch_start(batch, batch_idx)
            self.discriminator.net[1].requires_grad_(False)

    model = Transfer(generator_optimizer=SGD_01, discriminator_optimizer=SGD_01)
    before = model.discriminator.net[1].weight.clone()
    trainer(max_epochs=1).fit(model, ToyData(batches=2))
    assert not any(p.requires_grad for p in model.discriminator.net[1].parameters())
    assert torch.equal(model.discriminator.net[1].weight, before)
    assert all(p.requires_grad for p in model.discriminator.net[3].parameters())


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_clock_of_lazy_terms_counts_turns(accumulate: int) -> None:
    """The count depends neither on the parts of a batch nor on the number of turns in a batch."""

    class Lazy(ToyGAN):
        def discriminator_loss(self, batch: ImageBatch, fake: torch.Tensor) -> dict[str, torch.Tensor]:
            terms = super().discriminator_loss(batch, fake)
            terms |= self.lazily("extra", 3, lambda: fake.square().mean())
            if self.training:
                seen.append("extra" in terms)
            return terms

        def training_step(self, batch: ImageBatch, batch_idx: int) -> None:
            parts = split(batch, self.accumulate)
            for _ in range(2):
                self.minimize("discriminator", *(partial(self._discriminator_terms, p, p.images) for p in parts))
            self.finish_step(batch, averaged=False)

    seen: list[bool] = []
    trainer(max_epochs=1).fit(Lazy(accumulate=accumulate), ToyData(batches=3))
    due = [True, False, False, True, False, False]
    assert seen == [each for each in due for _ in range(accumulate)]


def test_the_adversarial_losses_are_means_over_scales() -> None:
    class Multiscale(nn.Module):
        """Judges images, and images made small."""

        def __init__(self) -> None:
            super().__init__()
            self.nets = nn.ModuleList([nn.Linear(16, 1), nn.Linear(4, 1)])

        def forward(self, images: torch.Tensor) -> DiscriminatorOutput:
            small = nn.functional.avg_pool2d(images, 2)
            return DiscriminatorOutput([net(x.flatten(1)) for net, x in zip(self.nets, (images, small), strict=True)])

    model = ToyGAN(discriminator=Multiscale(), loss=Pairs())
    real, fake = (torch.rand(4, 1, 4, 4) for _ in range(2))
    heard: list[int] = []
    model.listeners.append(lambda real_logits, fake_logits: heard.append(len(real_logits)))
    (d_loss,) = model.discriminator_loss(ImageBatch(real), fake).values()
    (made,) = model.generator_loss(ImageBatch(real), fake).values()
    pairs = list(zip(model.discriminator(real).logits, model.discriminator(fake).logits, strict=True))
    torch.testing.assert_close(d_loss, sum(((r - f) ** 2).mean() for r, f in pairs) / 2)
    torch.testing.assert_close(made, sum((r * f).mean() for r, f in pairs) / 2)
    assert heard == [4, 4]
    assert all(logits.dtype == torch.float32 for logits in model.discriminate(real).logits)


class Pairs(NonSaturating):
    """A loss that shows which logits meet."""

    def discriminator(self, real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
        return (real_logits - fake_logits).square().mean()

    def generator(self, fake_logits: torch.Tensor, real_logits: Callable[[], torch.Tensor]) -> torch.Tensor:
        return (fake_logits * real_logits()).mean()
