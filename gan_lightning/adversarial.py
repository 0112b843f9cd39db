"""The game of two players: the one training loop of this library, and all that touches an optimizer.

A model states its mathematics in two hooks, `discriminator_loss` and `generator_loss`. Everything else that a training
step needs (whose turn it is, freezing the other player, backward, averaging over processes, clipping, stepping,
schedules, the moving average, counting, logging, the guard against NaN, exact resume) is written here, once.
"""

import itertools
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import lightning as L
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from gan_lightning import random_state
from gan_lightning.averaging import AveragedNetwork
from gan_lightning.batches import Batch, ImageBatch, batch_length, detach, split
from gan_lightning.losses import AdversarialLoss
from gan_lightning.recording import Recorded, describe, import_class, path_of, rebuild
from gan_lightning.regularizers import Regularizer, Terms
from gan_lightning.schedules import Constant, Schedule

Player = Literal["discriminator", "generator"]
PLAYERS: tuple[Player, ...] = ("discriminator", "generator")  # also the order of the optimizers in a checkpoint

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
TRUSTED = ("gan_lightning", "torch", "torchvision")


class NonFiniteLossError(RuntimeError):
    """A loss term, or a weight, became NaN or infinite."""


class AdversarialModule(Recorded, L.LightningModule, ABC):
    """A generator and a discriminator that learn against each other.

    Args:
        generator: the network that makes images.
        discriminator: the network that tells real images from made ones (a critic, where the paper calls it so).
        generator_optimizer: any torch optimizer class with its settings; from Python
            `functools.partial(torch.optim.Adam, lr=...)`. None = the paper's.
        discriminator_optimizer: the same for the discriminator.
        generator_schedule: factor on the generator's learning rate over time. None = constant.
        discriminator_schedule: the same for the discriminator.
        generator_clip_norm: largest L2 norm of the generator's gradient; longer ones are scaled down. None = any.
        discriminator_clip_norm: the same for the discriminator.
        n_critic: discriminator steps for each step of the generator.
        accumulate: parts that each batch is cut into, one after another through the networks, to save memory; the
            gradient is that of the whole batch (but batch norm sees the parts).
        ema_half_life: half-life, in images, of the moving average of the generator's weights that all images are
            generated with (see `AveragedNetwork`). 0 = no average: the last weights are used.
        ema_warm_up: cap on the half-life as a share of the images seen so far. 0 = none.
        augmentation: a differentiable module in front of the discriminator, for real and fake images. None = none.
        regularizers: terms of either player beside the paper's own (see `gan_lightning.regularizers`). None = none.
        compile: compile both networks with torch.compile. Gradient penalties stay eager.
        channels_last: keep the networks' weights in channels-last layout, which is faster for convolutions.
    """

    batch_type: ClassVar[type[Batch]] = ImageBatch
    """The kind of batch this model learns from."""
    redraws: ClassVar[bool] = False
    """Whether the generator's turn draws fakes of its own (as in WGAN-GP) or shares the other turn's."""
    loss: AdversarialLoss
    """The adversarial loss, which a model's constructor sets."""
    paper_optimizer: ClassVar[OptimizerFactory] = partial(Adam, lr=2e-4, betas=(0.5, 0.999))
    """Both players' optimizer where none is given."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        generator_optimizer: OptimizerFactory | None = None,
        discriminator_optimizer: OptimizerFactory | None = None,
        generator_schedule: Schedule | None = None,
        discriminator_schedule: Schedule | None = None,
        generator_clip_norm: float | None = None,
        discriminator_clip_norm: float | None = None,
        n_critic: int = 1,
        accumulate: int = 1,
        ema_half_life: float = 0,
        ema_warm_up: float = 0.05,
        augmentation: nn.Module | None = None,
        regularizers: list[Regularizer] | None = None,
        compile: bool = False,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        if n_critic < 1 or accumulate < 1:
            raise ValueError(f"n_critic and accumulate count from 1, but are {n_critic} and {accumulate}")
        self.automatic_optimization = False
        self.save_hyperparameters({"_class_path": path_of(type(self)), **describe(self.init_args)})

        memory_format = torch.channels_last if channels_last else torch.preserve_format
        self.generator = generator.to(memory_format=memory_format)
        self.discriminator = discriminator.to(memory_format=memory_format)
        self.augmentation = augmentation or nn.Identity()
        self.regularizers = nn.ModuleList(regularizers or [])
        self.average = AveragedNetwork(generator, ema_half_life, ema_warm_up) if ema_half_life else None
        self.compiles = compile

        self.optimizer_factories: dict[Player, OptimizerFactory] = {
            "discriminator": discriminator_optimizer or type(self).paper_optimizer,
            "generator": generator_optimizer or type(self).paper_optimizer,
        }
        self.schedules: dict[Player, Schedule] = {
            "discriminator": discriminator_schedule or Constant(),
            "generator": generator_schedule or Constant(),
        }
        self.clip_norms: dict[Player, float | None] = {
            "discriminator": discriminator_clip_norm,
            "generator": generator_clip_norm,
        }
        self.n_critic = n_critic
        self.accumulate = accumulate

        self.batches_seen = 0  # training batches since the start of the run, resumed or not
        self.images_seen = 0  # real images (or pairs) in them, over all processes
        self._images_at_last_update = 0
        self._parameters_of: dict[Player, list[nn.Parameter]] = {}
        self._learning_rates: dict[Player, list[float]] = {}
        self._terms: Terms = {}
        self._unchecked: list[tuple[int, list[str], Tensor]] = []
        self._process_states: list[dict[str, Any]] | None = None
        self._random_state: dict[str, Any] = {}
        self.playing: Player = "discriminator"  # whose turn it is, or was last
        self._has_stepped = False
        self._checked_batch = False

    # ------------------------------------------------------------------ what a model states

    @abstractmethod
    def draw_fakes(self, batch: Any) -> Any:
        """What the generator makes for this batch: a tensor, or a nest of them, passed on to both losses."""

    @abstractmethod
    def discriminator_loss(self, batch: Any, fake: Any) -> Terms:
        """Named terms whose sum the discriminator minimises. `fake` is detached from the generator."""

    @abstractmethod
    def generator_loss(self, batch: Any, fake: Any) -> Terms:
        """Named terms whose sum the generator minimises, through `fake`. The discriminator is frozen."""

    @abstractmethod
    def generate(self, batch: Any) -> Tensor:
        """Images as a user gets them, float (N, C, H, W) in [-1, 1]: averaged weights, fp32, no gradient."""

    @abstractmethod
    def reference(self, batch: Any) -> Tensor:
        """The real images of a batch that `generate` should resemble, float (N, C, H, W) in [-1, 1]."""

    @abstractmethod
    def preview(self, batch: Any, count: int) -> tuple[Tensor, int]:
        """The picture that shows progress: images (M, C, H, W) in [-1, 1] and how many stand side by side.

        The same batch and count give the same latents and sources each time.
        """

    def players(self) -> dict[Player, Sequence[nn.Module]]:
        """The modules that each player learns, in the order of `PLAYERS`."""
        return {"discriminator": [self.discriminator], "generator": [self.generator]}

    # ------------------------------------------------------------------ the algorithm

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """One batch: draw the fakes; the discriminator's turn; every `n_critic`-th time, the generator's turn."""
        parts = split(batch, self.accumulate)
        generators_turn = self.is_generators_turn()
        # A graph to the generator is kept only if its turn comes and uses these very fakes. With several parts it would
        # hold all of them in memory at once, so that the generator's turn draws them anew.
        shared = generators_turn and not self.redraws and len(parts) == 1
        with torch.set_grad_enabled(shared):
            fakes = [self.draw_fakes(part) for part in parts]

        self.minimize(
            "discriminator",
            *[partial(self._discriminator_terms, part, detach(fake)) for part, fake in zip(parts, fakes, strict=True)],
        )
        if generators_turn:
            self.minimize(
                "generator",
                *[
                    partial(self._generator_terms, part, fake if shared else None)
                    for part, fake in zip(parts, fakes, strict=True)
                ],
            )
        self.finish_step(batch, averaged=generators_turn)

    def is_generators_turn(self) -> bool:
        """Whether the generator has its turn on this batch: on every `n_critic`-th."""
        return (self.batches_seen + 1) % self.n_critic == 0

    def _discriminator_terms(self, batch: Batch, fake: Any) -> Terms:
        terms = self.discriminator_loss(batch, fake)
        for regularizer in self.regularizers:
            terms |= regularizer.discriminator(self, batch, fake)  # type: ignore[operator]
        return terms

    def _generator_terms(self, batch: Batch, fake: Any) -> Terms:
        """With fakes of its own (None) where the discriminator's turn has kept no graph to the generator."""
        fake = self.draw_fakes(batch) if fake is None else fake
        terms = self.generator_loss(batch, fake)
        for regularizer in self.regularizers:
            terms |= regularizer.generator(self, batch, fake)  # type: ignore[operator]
        return terms

    def minimize(self, player: Player, *losses: Callable[[], Terms]) -> None:
        """One optimizer step of a player on the mean of the losses, with the other player frozen."""
        self.playing = player
        optimizer = self.optimizer_of(player)
        optimizer.zero_grad()
        parts: list[Terms] = []
        with self.frozen(other for other in PLAYERS if other != player):
            for loss in losses:
                terms = loss()
                self._guard(player, terms)
                self.manual_backward(torch.stack([*terms.values()]).sum() / len(losses))
                parts.append(detach(terms))
        # before the step, while fp16 gradients are scaled on all processes alike
        self._average_over_processes([p.grad for p in self._parameters_of[player] if p.grad is not None])
        for group, rate in zip(optimizer.param_groups, self._learning_rates[player], strict=True):
            group["lr"] = rate * self.schedules[player](self._progress(self.schedules[player].unit))
        if self._has_stepped:
            # `trainer.global_step` counts the steps of all optimizers and is to count batches: only the first is told
            optimizer._on_before_step = optimizer._on_after_step = _do_nothing
        self._has_stepped = True
        optimizer.step()
        for name in parts[-1]:
            self._terms[f"loss/{player}/{name}"] = torch.stack([terms[name] for terms in parts]).mean()
        self._terms[f"loss/{player}"] = torch.stack([v for terms in parts for v in terms.values()]).sum() / len(parts)

    def finish_step(self, batch: Batch, averaged: bool) -> None:
        """What ends every training step: counting, the moving average (if the generator has stepped), logging."""
        self.batches_seen += 1
        self.images_seen += batch_length(batch) * self.trainer.world_size
        if averaged:
            if self.average is not None:
                images = self.images_seen - self._images_at_last_update
                self.average.update(self.generator, images, self.images_seen)
            self._images_at_last_update = self.images_seen
        self._has_stepped = False
        # self.log costs most of a millisecond a key, each time: only when the logger will write what is logged
        if self.trainer._logger_connector.should_update_logs:
            self.check_finite()
            self._log_progress()

    def lazily(self, name: str, every: int, term: Callable[[], Tensor]) -> Terms:
        """A term that is computed on a player's every `every`-th turn only, `every` times as strong then.

        It is the lazy regularisation of Karras et al. 2019 (arXiv 1912.04958).

        Returns:
            {name: every * term()} when it is due, and no term at all otherwise; so `**self.lazily(...)` fits into a
            hook's dictionary. A logged value is that of the last time it was due.
        """
        turn = self.batches_seen if self.playing == "discriminator" else self.batches_seen // self.n_critic
        return {name: every * term()} if turn % every == 0 else {}

    def tell_apart(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """What the discriminator minimises, by the model's adversarial loss.

        All that D says of real and fake images in its turn passes through here, where it can be seen.
        """
        return self.loss.discriminator(real_logits, fake_logits)

    def discriminate(self, images: Tensor, *conditions: Tensor | None) -> Tensor:
        """The discriminator's logits of images, seen through the augmentation; in float32, as losses want them."""
        return self.discriminator(self.augmentation(images), *conditions).float()

    # ------------------------------------------------------------------ its parts

    @property
    def averaged_generator(self) -> nn.Module:
        """The generator to make images with: the moving average where there is one, else the generator itself."""
        return self.generator if self.average is None else self.average.network

    def optimizer_of(self, player: Player) -> Any:
        """A player's optimizer, wrapped by Lightning."""
        return self.trainer.strategy._lightning_optimizers[PLAYERS.index(player)]

    @contextmanager
    def frozen(self, players: Iterable[Player]) -> Iterator[None]:
        """These players' parameters need no gradient for as long as the context lasts."""
        parameters = [p for player in players for p in self._parameters_of[player]]
        for p in parameters:
            p.requires_grad_(False)
        try:
            yield
        finally:
            for p in parameters:
                p.requires_grad_(True)

    def _progress(self, unit: str) -> float:
        return {"epoch": self.current_epoch, "batch": self.batches_seen, "image": self.images_seen}[unit]

    def _average_over_processes(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its mean over processes, all in one message."""
        if self._trainer is None or self.trainer.world_size == 1 or not tensors:
            return
        flat = self.trainer.strategy.reduce(torch.cat([t.flatten() for t in tensors]), reduce_op="mean")
        means = flat.split([t.numel() for t in tensors])
        torch._foreach_copy_(tensors, [mean.view_as(t) for mean, t in zip(means, tensors, strict=True)])

    def _log_progress(self) -> None:
        totals = {f"loss/{player}" for player in PLAYERS}
        self.log_dict({name: value for name, value in self._terms.items() if name in totals}, prog_bar=True)
        self.log_dict({name: value for name, value in self._terms.items() if name not in totals})
        rates = {f"learning_rate/{p}": self.optimizer_of(p).param_groups[0]["lr"] for p in PLAYERS}
        self.log_dict({"images_seen": float(self.images_seen), **rates})

    # ------------------------------------------------------------------ the guard

    def _guard(self, player: Player, terms: Terms) -> None:
        values = torch.stack([value.detach() for value in terms.values()])
        names = [f"loss/{player}/{name}" for name in terms]
        self._unchecked.append((self.batches_seen, names, values))
        if values.device.type == "cpu":  # elsewhere a look at the value waits for the device: at the logging interval
            self.check_finite()

    def check_finite(self) -> None:
        """Look at the losses since the last look.

        Raises:
            NonFiniteLossError: one of them was NaN or infinite; the message names the term and the batch.
        """
        unchecked, self._unchecked = self._unchecked, []
        for batch, names, values in unchecked:
            for name, value in zip(names, values.tolist(), strict=True):
                if not math.isfinite(value):
                    raise NonFiniteLossError(
                        f"{name} was {value} at batch {batch}, after {self.images_seen:,} images: training stops "
                        "here, and no checkpoint is written any more; the last one on disk is from before. Go on "
                        "from it with --ckpt_path last and a lower learning rate, gradient clipping "
                        "(model.generator_clip_norm, model.discriminator_clip_norm) or full precision "
                        "(trainer.precision: 32-true)"
                    )

    # ------------------------------------------------------------------ hooks of Lightning

    def configure_optimizers(self) -> list[Optimizer]:
        """The players' optimizers, in the order of `PLAYERS`."""
        optimizers = []
        for player, modules in self.players().items():
            self._parameters_of[player] = [p for module in modules for p in module.parameters() if p.requires_grad]
            optimizer = self.optimizer_factories[player](self._parameters_of[player])
            # Kept here and not read back from the optimizer, whose groups a resume overwrites with those of the
            # checkpoint: the learning rate is the one that the user asks for now.
            self._learning_rates[player] = [group["lr"] for group in optimizer.param_groups]
            optimizers.append(optimizer)
        return optimizers

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip by norm: here fp16 gradients are back at their own scale."""
        for player in PLAYERS:
            clip_norm = self.clip_norms[player]
            if clip_norm is not None and self.optimizer_of(player).optimizer is optimizer:
                nn.utils.clip_grad_norm_(self._parameters_of[player], clip_norm)

    def on_fit_start(self) -> None:
        """Different noise on each process, compiled networks, and settings that cannot work together refused."""
        self._checked_batch = False
        if isinstance(self.trainer.strategy, DDPStrategy) and not self._trains_in_turns(self.trainer.strategy):
            raise ValueError(
                "plain DDP expects one backward pass through all parameters, where a GAN's players take turns: set "
                "trainer.strategy to adversarial_ddp (or to ddp_find_unused_parameters_true)"
            )
        if self.trainer.world_size > 1:
            # Lightning seeds all processes alike; the weights have been broadcast by now
            torch.manual_seed(torch.initial_seed() + self.global_rank)
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        for player in PLAYERS:
            fused = getattr(self.optimizer_of(player).optimizer, "_step_supports_amp_scaling", False)
            if scaler is not None and fused and self.clip_norms[player] is not None:
                raise ValueError(
                    f"the {player}'s optimizer is fused, which unscales fp16 gradients inside its step, where they "
                    f"can no longer be clipped: take `fused` away from it, or {player}_clip_norm, or use bf16-mixed"
                )
        if self.compiles:
            for module in itertools.chain.from_iterable(self.players().values()):
                module.compile()

    @staticmethod
    def _trains_in_turns(strategy: DDPStrategy) -> bool:
        wrapped = isinstance(strategy.model, nn.parallel.DistributedDataParallel)
        return not wrapped or strategy._ddp_kwargs.get("find_unused_parameters", False)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """The first batch is checked against the networks; on a resume, each process's state is put back."""
        self._check_batch(batch)
        if self._process_states is not None:
            states, self._process_states = self._process_states, None
            if len(states) == self.trainer.world_size:
                self.load_process_state(states[self.global_rank])
            else:
                warnings.warn(
                    f"the checkpoint was written by {len(states)} processes and is resumed by "
                    f"{self.trainer.world_size}: training goes on, with other noise than the first would have drawn",
                    stacklevel=2,
                )

    def on_validation_model_eval(self) -> None:
        """The first of all that a validation does: set aside the random state that training goes on with."""
        self._random_state = random_state.capture()
        super().on_validation_model_eval()

    def on_validation_model_train(self) -> None:
        """The last: put it back, so that how often one evaluates does not change what is trained."""
        random_state.restore(self._random_state)
        super().on_validation_model_train()

    def on_validation_start(self) -> None:
        """Nothing is evaluated on weights that a NaN has reached; all processes generate with the same buffers."""
        self.check_finite()
        self._average_buffers()

    def on_validation_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """The first batch is checked against the networks."""
        self._check_batch(batch)

    on_test_batch_start = on_predict_batch_start = on_validation_batch_start

    def validation_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Validation is evaluation: the images that stand against this batch of the reference set."""
        return self.generate(batch)

    test_step = predict_step = validation_step

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the counters and the state of every process; refuse to save what is not finite."""
        self.check_finite()
        self._average_buffers()
        norms = torch.stack(torch._foreach_norm([p.detach() for p in self.parameters()]))
        if not norms.isfinite().all():
            raise NonFiniteLossError(
                f"a weight is no longer finite at batch {self.batches_seen}: this checkpoint was not written, and "
                "the last one on disk is from before. Go on from it with --ckpt_path last and a lower learning rate "
                "or clipping"
            )
        states = [self.process_state()]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            gathered: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(gathered, states[0])
            states = gathered
        checkpoint["gan_lightning"] = {
            "batches_seen": self.batches_seen,
            "images_seen": self.images_seen,
            "images_at_last_update": self._images_at_last_update,
            "processes": states,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back what `on_save_checkpoint` added; say where the checkpoint's settings were others."""
        then, now = checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY], dict(self.hparams)
        changed = [
            f"{key}: {now[key]} now, {then[key]} in the checkpoint"
            for key in then
            if now.get(key, then[key]) != then[key]
        ]
        if changed:
            warnings.warn(
                f"the run goes on with other settings than it began with ({'; '.join(changed)}): those of now count, "
                "except for what an optimizer keeps itself (betas, momentum, weight decay), which comes with its state",
                stacklevel=2,
            )
        state = checkpoint["gan_lightning"]
        self.batches_seen = state["batches_seen"]
        self.images_seen = state["images_seen"]
        self._images_at_last_update = state["images_at_last_update"]
        self._process_states = state["processes"]

    def process_state(self) -> dict[str, Any]:
        """What differs between processes and an exact resume needs, in types that `weights_only` loading takes."""
        return {"random": random_state.capture()}

    def load_process_state(self, state: dict[str, Any]) -> None:
        """Take back what `process_state` returned; called at the first batch after a resume."""
        random_state.restore(state["random"])

    def _average_buffers(self) -> None:
        """Batch norm's running statistics saw this process's share only: their mean over processes on each."""
        self._average_over_processes([b for b in self.buffers() if b.is_floating_point()])

    # ------------------------------------------------------------------ fitting the data

    def _check_batch(self, batch: Any) -> None:
        if not self._checked_batch:
            with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
                self.check_batch(batch)
            self._checked_batch = True

    def check_batch(self, batch: Any) -> None:
        """Try the networks on two images of a batch, before the first step.

        Raises:
            TypeError: the batch is of another kind than this model learns from.
            ValueError: its images have a shape or a range that the networks are not made for.
        """
        name = type(self).__name__
        if not isinstance(batch, self.batch_type):
            raise TypeError(
                f"{name} learns from a {self.batch_type.__name__} ({', '.join(self.batch_type._fields)}), but the "
                f"data serve a {type(batch).__name__}: choose a datamodule that makes {self.batch_type.__name__}es, "
                "or another model"
            )
        with (
            # a batch of an evaluation comes from torch.inference_mode: only copies made outside take part in gradients
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(self.device.type, enabled=False),
            evaluating(self),
        ):
            make: Any = type(batch)
            few = make(*(None if field is None else field[:2].clone() for field in batch))
            images = [field for field in few if field is not None and field.dim() == 4]  # no labels, no captions
            for field in images:
                if not field.is_floating_point() or field.abs().max() > 1:
                    raise ValueError(
                        f"{name} takes float images in [-1, 1], but the data serve {field.dtype} in [{field.min()}, "
                        f"{field.max()}]: convert them with gan_lightning.images.to_float"
                    )
            shapes = " and ".join("x".join(map(str, field.shape[1:])) for field in images)
            real = self.reference(few)
            try:
                fake = self.generate(few)
                if fake.shape == real.shape:
                    self.discriminator_loss(few, detach(self.draw_fakes(few)))
            except (RuntimeError, ValueError, IndexError) as error:
                raise ValueError(
                    f"the networks of {name} cannot take what the data serve ({shapes}): {error}. Set the networks' "
                    "sizes and channels, and the datamodule's, to match"
                ) from error
        if fake.shape != real.shape:
            made, wanted = ("x".join(map(str, images.shape[1:])) for images in (fake, real))
            raise ValueError(
                f"the generator of {name} makes images of {made} (channels x height x width), but the data serve "
                f"{wanted}: set image_size and channels of the networks (model.init_args.generator, "
                "model.init_args.discriminator) and of the datamodule to the same"
            )

    # ------------------------------------------------------------------ loading

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | Path,
        map_location: Any = "cpu",
        trusted: Sequence[str] = TRUSTED,
        **replaced: Any,
    ) -> Self:
        """The model that a checkpoint holds, of whichever class was trained. Runs no code that the file brings along.

        Args:
            checkpoint_path: the file.
            map_location: the device to load to.
            trusted: top-level packages whose classes the file may name; add your own for your own networks.
            replaced: constructor arguments to use instead of those in the file.

        Raises:
            PermissionError: the file names a class outside the trusted packages.
            pickle.UnpicklingError: it holds anything but plain data and tensors.
            TypeError: it holds a model that is not a `cls`.
        """
        checkpoint = torch.load(checkpoint_path, map_location=map_location, weights_only=True)
        arguments = dict(checkpoint[cls.CHECKPOINT_HYPER_PARAMS_KEY])
        model_class = import_class(arguments.pop("_class_path"), trusted)
        if not issubclass(model_class, cls):
            raise TypeError(f"{checkpoint_path} holds a {model_class.__name__}, which is not a {cls.__name__}")
        recorded = {name: rebuild(value, trusted) for name, value in arguments.items() if name not in replaced}
        model = model_class(**recorded, **replaced)
        model.on_load_checkpoint(checkpoint)
        model.load_state_dict(checkpoint["state_dict"])
        return model.to(map_location) if map_location is not None else model


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The module is in evaluation mode for as long as the context lasts; then each part is back in its own."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _do_nothing() -> None:
    pass
