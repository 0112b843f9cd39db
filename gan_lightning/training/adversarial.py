"""The game of two players: the only training loop of this library, and everything that uses an optimizer.

A model states its mathematics in two hooks, `discriminator_loss` and `generator_loss`. All other parts of a training
step are written here, once: turns, freezing the other player, backward, averaging over processes, clipping, stepping,
schedules, the moving average, counting, logging, the guard against NaN, exact resume.
"""

import functools
import itertools
import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar, Literal

import lightning as L
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from gan_lightning import private
from gan_lightning.augmentation import AdaptiveAugmentation
from gan_lightning.augmentation.base import Augmentation
from gan_lightning.data.batches import Batch, batch_length, detach, split
from gan_lightning.losses import AdversarialLoss
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat, PositiveFloat, PositiveInt
from gan_lightning.regularizers import Contest, LazyRegularizer, Regularizer, Terms
from gan_lightning.schedules import Constant, Schedule
from gan_lightning.training.generative import (
    TRUSTED,
    GenerativeModule,
    NonFiniteLossError,
)
from gan_lightning.training.handicap import Handicap
from gan_lightning.training.optimizers import OptimizerFactory, learnable, make_optimizer, slow_down

__all__ = [
    "PLAYERS",
    "TRUSTED",
    "AdversarialModule",
    "NonFiniteLossError",
    "OptimizerFactory",
    "Player",
    "Terms",
]

Player = Literal["discriminator", "generator"]
PLAYERS: tuple[Player, ...] = ("discriminator", "generator")  # also the order of the optimizers in a checkpoint
Listener = Callable[[Tensor, Tensor], None]
"""Called with the discriminator's logits of real images and of fakes."""


class AdversarialModule(GenerativeModule):
    """A generator and a discriminator that learn against each other.

    Args:
        generator: the network that makes images.
        discriminator: the network that distinguishes real images from fakes (a critic, if the paper calls it so).
        generator_optimizer: any torch optimizer class with its settings; from Python
            `functools.partial(torch.optim.Adam, lr=...)`. None = the paper's.
        discriminator_optimizer: any torch optimizer class with its settings, for the discriminator. None = the paper's.
        generator_schedule: factor on the generator's learning rate over time. None = constant.
        discriminator_schedule: factor on the discriminator's learning rate over time. None = constant.
        beta2_schedule: factor on 1 - β2 over time, for the second β of both optimizers: a factor that falls from 1 to
            0.1 raises a β2 of 0.9 to 0.99. None = constant.
        generator_clip_norm: largest L2 norm of the generator's gradient; longer ones are scaled down. None = no limit.
        discriminator_clip_norm: largest L2 norm of the discriminator's gradient; longer ones are scaled down. None = no
            limit.
        n_critic: number of discriminator steps for each step of the generator.
        accumulate: number of parts that each batch is cut into. They pass the networks one after another, to save
            memory; the gradient is that of the whole batch (but batch norm sees the parts).
        ema_half_life: half-life, in images, of the moving average of the generator's weights, with which all images are
            generated (see `AveragedNetwork`). 0 = no average: the last weights are used.
        ema_warm_up: upper limit of the half-life, as a share of the images seen so far. 0 = no limit.
        ema_schedule: factor on the half-life over time. None = constant.
        augmentation: a differentiable module in front of the discriminator, for real and fake images (see
            `gan_lightning.augmentation`). None = no augmentation.
        regularizers: terms of either player beside the paper's own (see `gan_lightning.regularizers`). None = no such
            terms.
        compile: compile both networks with torch.compile. Gradient penalties stay eager.
        channels_last: keep the networks' weights in channels-last layout. "auto" = where training was measured to be
            faster in it, for this kind of generator and device (`gan_lightning.training.layouts`).
    """

    totals: ClassVar[Sequence[str]] = [f"loss/{player}" for player in PLAYERS]
    clipping: ClassVar[str] = "model.generator_clip_norm, model.discriminator_clip_norm"
    redraws: ClassVar[bool] = False
    """Whether the generator's turn draws new fakes (as in WGAN-GP) or shares those of the discriminator's turn."""
    takes_packs: ClassVar[bool] = True
    """Whether a verdict may be for several images; False if the model needs an answer for each."""
    loss: AdversarialLoss
    """The adversarial loss, which a model's constructor sets."""
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=2e-4, betas=(0.5, 0.999))
    """The optimizer of a player for which none is given."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        generator_optimizer: OptimizerFactory | None = None,
        discriminator_optimizer: OptimizerFactory | None = None,
        generator_schedule: Schedule | None = None,
        discriminator_schedule: Schedule | None = None,
        beta2_schedule: Schedule | None = None,
        generator_clip_norm: PositiveFloat | None = None,
        discriminator_clip_norm: PositiveFloat | None = None,
        n_critic: PositiveInt = 1,
        accumulate: PositiveInt = 1,
        ema_half_life: NonNegativeFloat = 0,
        ema_warm_up: NonNegativeFloat = 0.05,
        ema_schedule: Schedule | None = None,
        augmentation: nn.Module | None = None,
        regularizers: list[Regularizer] | None = None,
        compile: bool = False,
        channels_last: bool | Literal["auto"] = "auto",
    ) -> None:
        super().__init__(generator, ema_half_life, ema_warm_up, ema_schedule, compile, channels_last)
        self.automatic_optimization = False

        self.discriminator = discriminator
        if self.pack > 1 and not self.takes_packs:
            raise ValueError(
                f"{type(self).__name__} needs an answer of its discriminator for each image, and a packed one has one "
                f"for {self.pack} together: give it without Packed"
            )
        self.tried = max(self.tried, self.pack)
        self.augmentation = augmentation or nn.Identity()
        self.regularizers = nn.ModuleList(regularizers or [])

        self.optimizer_factories: dict[Player, OptimizerFactory] = {
            "discriminator": discriminator_optimizer or type(self).paper_optimizer,
            "generator": generator_optimizer or type(self).paper_optimizer,
        }
        self.schedules: dict[Player, Schedule] = {
            "discriminator": discriminator_schedule or Constant(),
            "generator": generator_schedule or Constant(),
        }
        self.beta2_schedule = beta2_schedule
        self.clip_norms: dict[Player, float | None] = {
            "discriminator": discriminator_clip_norm,
            "generator": generator_clip_norm,
        }
        self.n_critic = n_critic
        self.accumulate = accumulate

        self._parameters_of: dict[Player, list[nn.Parameter]] = {}
        self._learning_rates: dict[Player, list[float]] = {}
        self._betas: dict[Player, list[tuple[float, ...]]] = {}
        self.handicap: Handicap | None = None  # set by a model whose discriminator rests at times
        self.playing: Player = "discriminator"  # the player of the present or the last turn
        self.counters.turns = dict.fromkeys(PLAYERS, 0)
        self.listeners: list[Listener] = []  # called with the logits that `adversarial_loss` receives
        self._has_stepped = False
        self._looks_ahead = False  # whether the logits that pass are those of an unrolled discriminator

    # ------------------------------------------------------------------ the hooks of a model

    @abstractmethod
    def draw_fakes(self, batch: Any) -> Any:
        """Make the fakes for this batch: a tensor, or nested tensors, for both losses."""

    def verdict(self, batch: Any, images: Tensor, **asked: Any) -> DiscriminatorOutput:
        """Return the discriminator's output for real or fake images (N, C, H, W), given the batch's conditions.

        Args:
            batch: the batch that the images belong to, or were made for.
            images: float (N, C, H, W) in [-1, 1].
            asked: further arguments of `discriminate`: `with_features`, `with_logits`.
        """
        return self.discriminate(images, **asked)

    def fake_images(self, fake: Any) -> Tensor:
        """Return the images (N, C, H, W) in the outputs of `draw_fakes`, against the batch's `reference`."""
        return fake

    def origins(self, batch: Any) -> Tensor | None:
        """Return the images (N, C, H, W) that the fakes of a batch are made from, or None if it is noise."""
        return None

    def contests(self, batch: Any, fake: Any = None) -> Sequence[Contest]:
        """Return the task of each discriminator in a batch, for losses and regularizers.

        Args:
            batch: the batch.
            fake: the output of `draw_fakes` for it. None = only real images are needed.
        """
        images = None if fake is None else self.fake_images(fake)
        verdict = partial(self.verdict, batch)
        return [Contest("", self.reference(batch), images, verdict, self.origins(batch), self.pack)]

    def discriminator_loss(self, batch: Any, fake: Any) -> Terms:
        """Return named terms whose sum the discriminator minimises. `fake` is detached from the generator.

        The default is the adversarial loss of real images and fakes in each contest. Both pass the discriminator one
        after the other, each with their own batch statistics.
        """
        terms = {}
        for contest in self.contests(batch, fake):
            real = contest.verdict(contest.real)
            loss = self.adversarial_loss(real, contest.on_fakes(contest.fake), of_codes=contest.of_codes)
            terms[contest.name or "adversarial"] = contest.weight * self.adversarial_weight(real) * loss
        return terms

    def generator_loss(self, batch: Any, fake: Any) -> Terms:
        """Return named terms whose sum the generator minimises, through `fake`. The discriminator is frozen.

        The default is the adversarial loss of the fakes, and of real images if it compares the two, in each contest.
        """
        terms = {}
        for contest in self.contests(batch, fake):
            verdict = contest.on_fakes(contest.fake)
            loss = self.generator_adversarial_loss(verdict, partial(contest.verdict, contest.real))
            terms[contest.term("adversarial")] = contest.weight * self.adversarial_weight(verdict) * loss
        return terms

    def adversarial_weight(self, verdict: DiscriminatorOutput) -> float:
        """Return the weight of a contest's adversarial loss, which is a mean over the scales of the verdict."""
        return 1

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """Return the modules that each player trains, in the order of `PLAYERS`.

        Several networks by name are separate: each is called, and compiled, by itself.
        """
        return {"discriminator": _separately(self.discriminator), "generator": _separately(self.generator)}

    def learners(self) -> Sequence[nn.Module]:
        """Return the modules of both players."""
        return [*itertools.chain.from_iterable(self.players().values())]

    def trial_step(self, batch: Any) -> None:
        """Compute the discriminator's loss of a batch and its fakes."""
        self.discriminator_loss(batch, detach(self.draw_fakes(batch)))

    @property
    def pack(self) -> int:
        """The number of consecutive images that each verdict of the discriminator is for."""
        return getattr(self.discriminator, "pack", 1)

    def _check_training(self, batch: Any) -> None:
        share = batch_length(batch) // self.accumulate
        shares = [share]
        if self.growth is not None:
            shares = [size // (self.accumulate * self.trainer.world_size) for size in self.growth.batch_sizes.values()]
        for share in shares:
            if share % self.pack:
                together = self.pack * self.accumulate * self.trainer.world_size
                raise ValueError(
                    f"the discriminator judges packs of {self.pack} images, and {share} images of a batch pass it "
                    f"together: make data.batch_size a multiple of {together} (it counts the images of all processes, "
                    "and of all parts of model.accumulate)"
                )
        super()._check_training(batch)

    # ------------------------------------------------------------------ the algorithm

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Train on a batch: draw fakes; the discriminator's turn; every `n_critic`-th time, the generator's turn."""
        if isinstance(self.augmentation, AdaptiveAugmentation) and self.augmentation.schedule is not None:
            self.augmentation.follow(self.at(self.augmentation.schedule))
        parts = split(batch, self.accumulate)
        generators_turn = self.is_generators_turn()
        # A graph to the generator is kept only if its turn comes and uses these fakes. With several parts, all graphs
        # would be in memory at once, so that the generator's turn draws new fakes.
        shared = generators_turn and not self.redraws and len(parts) == 1
        with torch.set_grad_enabled(shared):
            fakes = [self.draw_fakes(part) for part in parts]

        self._discriminators_turn(
            parts,
            [partial(self._discriminator_terms, part, detach(fake)) for part, fake in zip(parts, fakes, strict=True)],
        )
        if generators_turn:
            self.minimize(
                "generator",
                *[
                    partial(self._generator_terms, part, fake if shared else None)
                    for part, fake in zip(parts, fakes, strict=True)
                ],
            )
            self.regularize("generator", parts)
        self.finish_step(batch, averaged=generators_turn)

    def _discriminators_turn(self, parts: Sequence[Batch], losses: Sequence[Callable[[], Terms]]) -> None:
        """Let the discriminator learn, or, while its handicap makes it rest, only compute its losses."""
        if self.handicap is None:
            self.minimize("discriminator", *losses)
            self.regularize("discriminator", parts)
            return
        self.handicap.begin()
        if self.handicap.rests:
            self._observe("discriminator", losses)
        else:
            self.minimize("discriminator", *losses)
            self.regularize("discriminator", parts)
        accuracy = self.handicap.end(self.mean_over_processes)
        if accuracy is not None:
            self.record("discriminator_accuracy", accuracy)

    def _observe(self, player: Player, losses: Sequence[Callable[[], Terms]]) -> None:
        """Compute and record a player's losses on a batch on which it rests; its turn is counted."""
        self.playing = player
        self.counters.turns[player] += 1
        parts = [detach(loss()) for loss in losses]
        for terms in parts:
            self._guard({f"loss/{player}/{name}": value for name, value in terms.items()})
        self._record_terms(player, parts)
        self._record_total(player, parts)

    def _record_total(self, player: Player, parts: Sequence[Terms]) -> None:
        """Record the sum of a player's terms, as the mean over the parts of a batch."""
        self.record(f"loss/{player}", torch.stack([v for terms in parts for v in terms.values()]).sum() / len(parts))

    def _record_terms(self, player: Player, parts: Sequence[Terms]) -> None:
        """Record each term of a player, as the mean over the parts of a batch."""
        for name in parts[-1]:
            self.record(f"loss/{player}/{name}", torch.stack([terms[name] for terms in parts]).mean())

    def is_generators_turn(self) -> bool:
        """Return whether the generator has its turn on this batch, as on every `n_critic`-th."""
        return (self.batches_seen + 1) % self.n_critic == 0

    def _discriminator_terms(self, batch: Batch, fake: Any) -> Terms:
        terms = self.discriminator_loss(batch, fake)
        for regularizer in self.regularizers:
            terms = _joined(terms, regularizer.discriminator(self, batch, fake), regularizer)  # type: ignore[operator]
        return terms

    def _generator_terms(self, batch: Batch, fake: Any) -> Terms:
        """Return the generator's terms; draw new fakes if the discriminator's turn has kept no graph (None)."""
        fake = self.draw_fakes(batch) if fake is None else fake
        terms = self.generator_loss(batch, fake)
        for regularizer in self.regularizers:
            terms = _joined(terms, regularizer.generator(self, batch, fake), regularizer)  # type: ignore[operator]
        return terms

    def rate_schedules(self) -> dict[str, Schedule]:
        """Return a schedule for each player."""
        return {f"{player}_schedule": schedule for player, schedule in self.schedules.items()}

    def check_schedules(self, trainer: L.Trainer) -> None:
        """Check that β2 stays below 1, and all schedules against the run's length.

        Raises:
            ValueError: β2 would be 1, or as in `GenerativeModule.check_schedules`.
        """
        super().check_schedules(trainer)
        if self.beta2_schedule is None or math.isinf(length := self.length(self.beta2_schedule.unit, trainer)):
            return
        first = self.beta2_schedule.over(length).zero_from(length)
        if first is not None:
            raise ValueError(
                f"model.beta2_schedule is zero after {first} {self.beta2_schedule.units}, where the optimizers' second "
                "beta would be 1 and forget nothing: give it a `final` above 0"
            )

    def minimize(self, player: Player, *losses: Callable[[], Terms]) -> None:
        """Make one optimizer step of a player on the mean of the losses, with the other player frozen: its turn."""
        self.counters.turns[player] += 1
        self._record_total(player, self._step(player, losses))

    def regularize(self, player: Player, parts: Sequence[Batch]) -> None:
        """After a player's turn, make a step for each lazy regularizer of its that is due.

        The values are logged under their names, and are no part of the player's total.
        """
        for regularizer in self.lazy_regularizers(player):
            if (self.counters.turns[player] - 1) % regularizer.every == 0:
                terms = [partial(regularizer.terms, self, part) for part in parts]  # type: ignore[arg-type]
                self._step(player, terms, regularizer.every)

    def lazy_regularizers(self, player: Player) -> list[LazyRegularizer]:
        """Return the regularizers that take optimizer steps of their own for a player."""
        return [each for each in self.regularizers if isinstance(each, LazyRegularizer) and each.player == player]

    def _step(self, player: Player, losses: Sequence[Callable[[], Terms]], factor: float = 1.0) -> list[Terms]:
        """Make an optimizer step on `factor` times the mean of the losses; record and return their terms."""
        self.playing = player
        optimizer = self.optimizer_of(player)
        optimizer.zero_grad()
        parts: list[Terms] = []
        with self.frozen(other for other in PLAYERS if other != player):
            for loss in losses:
                terms = loss()
                self._guard({f"loss/{player}/{name}": value for name, value in terms.items()})
                self.manual_backward(torch.stack([*terms.values()]).sum() * (factor / len(losses)))
                parts.append(detach(terms))
        # before the step, while fp16 gradients are scaled on all processes alike
        self._average_over_processes([p.grad for p in self._parameters_of[player] if p.grad is not None])
        for group, rate in zip(optimizer.param_groups, self._learning_rates[player], strict=True):
            group["lr"] = rate * self.rate(self.schedules[player])
        if self.beta2_schedule is not None:
            for group, (first, second) in zip(optimizer.param_groups, self._betas[player], strict=True):
                group["betas"] = (first, self._second_beta(second))
        if self._has_stepped:
            # `trainer.global_step` counts the steps of all optimizers, but is to count batches: only the first step
            # counts
            private.count_no_step(optimizer)
        self._has_stepped = True
        optimizer.step()
        self._record_terms(player, parts)
        return parts

    def _second_beta(self, own: float) -> float:
        """Return the present second β of an optimizer whose own is given.

        Raises:
            ValueError: it is not in [0, 1).
        """
        assert self.beta2_schedule is not None
        beta = 1 - (1 - own) * self.at(self.beta2_schedule)
        if not 0 <= beta < 1:
            raise ValueError(
                f"model.beta2_schedule makes the optimizers' second beta {beta:.3g}, which must be from 0 to below 1: "
                f"let its factor on 1 - {own:g} stay above 0 and at most {1 / max(1 - own, 1e-12):.3g}"
            )
        return beta

    def finish_step(self, batch: Batch, averaged: bool, judged: bool = True) -> None:
        """End a training step: count, adapt ADA, update the moving average, log.

        Args:
            batch: the batch of the step.
            averaged: whether the generator has stepped, so that the moving average is updated.
            judged: whether the discriminator has had its turn, so that ADA adapts.
        """
        self._count_batch(batch)
        if judged and isinstance(self.augmentation, AdaptiveAugmentation):
            images = batch_length(batch) * self.trainer.world_size
            self.augmentation.adapt(self.batches_seen, images, self._average_over_processes)
        if averaged:
            self._update_average()
        if self.handicap is not None and not self._has_stepped:  # nobody has, and `trainer.global_step` counts batches
            private.count_step(self.optimizer_of("discriminator"))
        self._has_stepped = False
        self._log_progress()

    def lazily(self, name: str, every: int, term: Callable[[], Tensor]) -> Terms:
        """Compute a term only on a player's every `every`-th turn, with the factor `every`.

        This is the lazy regularisation of Karras et al. 2019 (arXiv 1912.04958). It counts the player's turns, and the
        first is due, for any `n_critic` and `accumulate`.

        Returns:
            {name: every * term()} if it is due, and an empty dictionary otherwise, so that `**self.lazily(...)` fits
            into a hook's dictionary. The logged value is that of the last time it was due.
        """
        turn = max(self.counters.turns[self.playing] - 1, 0)
        return {name: every * term()} if turn % every == 0 else {}

    def discriminate(
        self,
        images: Tensor,
        *conditions: Tensor | None,
        beside: Tensor | None = None,
        by: nn.Module | None = None,
        with_features: bool = False,
        with_logits: bool = True,
    ) -> DiscriminatorOutput:
        """Return a discriminator's output for augmented images, with logits in float32.

        Args:
            images: float (N, C, H, W) in [-1, 1].
            conditions: further arguments of the discriminator, such as labels.
            beside: other images (N, C', H, W) of the same places, such as the sources of a translation. They are
                augmented in the same way, and the discriminator sees both joined along channels, these first.
            by: the discriminator. None = the model's only one.
            with_features: request its features too. The discriminator must then be a
                `gan_lightning.networks.discriminator.Discriminator`, or another that takes this argument.
            with_logits: False = request the features alone, so that the rest of the network need not run.
        """
        asked = {"with_features": True, "with_logits": with_logits} if with_features else {}
        network = self.discriminator if by is None else by
        shown = self.augmentation(images) if beside is None else self._augment_pairs(beside, images)
        return DiscriminatorOutput.of(network(shown, *conditions, **asked)).float()

    def _augment_pairs(self, beside: Tensor, images: Tensor) -> Tensor:
        joined = torch.cat([beside, images], dim=1)
        if isinstance(self.augmentation, Augmentation):
            return self.augmentation(joined, [beside.shape[1], images.shape[1]])
        return self.augmentation(joined)

    def adversarial_loss(
        self, real: DiscriminatorOutput, fake: DiscriminatorOutput, *, of_codes: bool = False
    ) -> Tensor:
        """Return the adversarial term that the discriminator minimises: a scalar, the mean over its scales.

        All logits of the discriminator's turn pass through here, where ADA and `listeners` observe them.

        Args:
            real: the output for real images.
            fake: the output for fakes.
            of_codes: the discriminator judges codes, which say nothing of overfitting to images: ADA does not observe.
        """
        scales = list(zip(real.logits, fake.logits, strict=True))
        for real_logits, fake_logits in scales:
            if self._looks_ahead:
                continue
            if isinstance(self.augmentation, AdaptiveAugmentation) and not of_codes:
                self.augmentation.observe(real_logits, self.loss.threshold)
            if self.handicap is not None:
                self.handicap.observe(real_logits, fake_logits, self.loss.threshold)
            for listener in self.listeners if self.training else ():
                listener(real_logits, fake_logits)
        return _mean([self.loss.discriminator(*logits) for logits in scales])

    def generator_adversarial_loss(self, fake: DiscriminatorOutput, real: Callable[[], DiscriminatorOutput]) -> Tensor:
        """Return the adversarial term that the generator minimises: a scalar, the mean over scales.

        Args:
            fake: the discriminator's output for fakes, through which the generator learns.
            real: returns its output for real images; called only by losses that compare the two.
        """
        once = functools.cache(real)
        return _mean(
            [
                self.loss.generator(logits, lambda scale=scale: once().logits[scale])  # type: ignore[misc]
                for scale, logits in enumerate(fake.logits)
            ]
        )

    # ------------------------------------------------------------------ its parts

    def optimizer_of(self, player: Player) -> Any:
        """Return a player's optimizer, wrapped by Lightning."""
        return self.optimizers()[PLAYERS.index(player)]  # type: ignore[index]

    def progress(self) -> dict[str, float | Tensor]:
        """Return the logged values, with the players' learning rates and ADA's p."""
        rates = {f"learning_rate/{p}": self.optimizer_of(p).param_groups[0]["lr"] for p in PLAYERS}
        adaptive = isinstance(self.augmentation, AdaptiveAugmentation)
        if self.beta2_schedule is not None:
            rates |= {f"beta2/{p}": self.optimizer_of(p).param_groups[0]["betas"][1] for p in PLAYERS}
        return super().progress() | rates | ({"augmentation/p": self.augmentation.p} if adaptive else {})

    @contextmanager
    def looking_ahead(self) -> Iterator[None]:
        """Within the context, compute D's losses as in its turn, without a trace: nothing is observed or recorded."""
        records, player = dict(self._terms), self.playing
        buffers = {b: b.clone() for part in (self.augmentation, self.regularizers) for b in part.buffers()}
        self._looks_ahead, self.playing = True, "discriminator"
        try:
            yield
        finally:
            self._terms, self._looks_ahead, self.playing = records, False, player
            for buffer, before in buffers.items():
                if not torch.equal(buffer, before):  # a write would spoil a graph that holds the buffer
                    buffer.copy_(before)

    @contextmanager
    def frozen(self, players: Iterable[Player]) -> Iterator[None]:
        """Keep these players' parameters from learning within the context; then restore each."""
        learning = [p for player in players for p in self._parameters_of[player] if p.requires_grad]
        for p in learning:
            p.requires_grad_(False)
        try:
            yield
        finally:
            for p in learning:
                p.requires_grad_(True)

    # ------------------------------------------------------------------ hooks of Lightning

    def configure_optimizers(self) -> list[Optimizer]:
        """Make the players' optimizers, in the order of `PLAYERS`."""
        optimizers = []
        for player, modules in self.players().items():
            self._parameters_of[player] = parameters = learnable(modules)
            optimizer = make_optimizer(self.optimizer_factories[player], parameters, f"{player}_optimizer")
            slow_down(optimizer, 1 + sum(1 / each.every for each in self.lazy_regularizers(player)))
            # Kept here and not read from the optimizer, since a resume overwrites its groups with those of the
            # checkpoint: the learning rate is the one of the present settings.
            self._learning_rates[player] = [group["lr"] for group in optimizer.param_groups]
            if self.beta2_schedule is not None:
                self._betas[player] = _betas(optimizer, player)
            optimizers.append(optimizer)
        return optimizers

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the state of a run; compute the turns if its version did not count them."""
        super().on_load_checkpoint(checkpoint)
        turns = {"discriminator": self.batches_seen, "generator": self.batches_seen // self.n_critic}
        self.counters.turns = turns | self.counters.turns

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip by norm; at this point fp16 gradients have their own scale again."""
        for player in PLAYERS:
            clip_norm = self.clip_norms[player]
            if clip_norm is not None and self.optimizer_of(player).optimizer is optimizer:
                nn.utils.clip_grad_norm_(self._parameters_of[player], clip_norm)

    def on_fit_start(self) -> None:
        """Refuse settings that do not work together."""
        if isinstance(self.trainer.strategy, DDPStrategy) and not self._trains_in_turns(self.trainer.strategy):
            raise ValueError(
                "plain DDP expects one backward pass through all parameters, but a GAN's players take turns: set "
                "trainer.strategy to adversarial_ddp (or to ddp_find_unused_parameters_true)"
            )
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        for player in PLAYERS:
            fused = private.unscales_in_step(self.optimizer_of(player).optimizer)
            if scaler is not None and fused and self.clip_norms[player] is not None:
                raise ValueError(
                    f"the {player}'s optimizer is fused, and unscales fp16 gradients inside its step, where they "
                    f"cannot be clipped: remove its `fused`, or {player}_clip_norm, or use bf16-mixed"
                )
        for regularizer in self.regularizers:
            regularizer.check(self)  # type: ignore[operator]
        super().on_fit_start()

    @staticmethod
    def _trains_in_turns(strategy: DDPStrategy) -> bool:
        model = strategy.model
        return not isinstance(model, nn.parallel.DistributedDataParallel) or model.find_unused_parameters


def _betas(optimizer: Optimizer, player: Player) -> list[tuple[float, ...]]:
    """Return the pair of β of each group of an optimizer.

    Raises:
        ValueError: it has none.
    """
    betas = [group.get("betas") for group in optimizer.param_groups]
    if not all(isinstance(pair, Sequence) and len(pair) == 2 for pair in betas):
        raise ValueError(
            f"model.beta2_schedule changes the second beta of both optimizers, and the {player}'s, "
            f"{type(optimizer).__name__}, has none: choose Adam, or leave the schedule out"
        )
    return [tuple(pair) for pair in betas if pair is not None]


def _separately(network: nn.Module) -> list[nn.Module]:
    return [*network.values()] if isinstance(network, nn.ModuleDict) else [network]


def _joined(terms: Terms, more: Terms, regularizer: nn.Module) -> Terms:
    """Return the terms of a player and those of a regularizer.

    Raises:
        ValueError: both have a term of the same name, of which one would be lost.
    """
    if twice := sorted(terms.keys() & more.keys()):
        raise ValueError(
            f"{type(regularizer).__name__} adds a term {twice[0]!r}, and the player has one of this name already: take "
            "one of them out of model.regularizers, or give it another `name` if it has this argument"
        )
    return terms | more


def _mean(losses: list[Tensor]) -> Tensor:
    return losses[0] if len(losses) == 1 else torch.stack(losses).mean()
