"""The base of every model, with or without an adversary: recorded, evaluated, resumed exactly, loaded safely.

`AdversarialModule` adds the game of two players; `SoloModule` adds one loss and one optimizer.
"""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import lightning as L
import torch
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor, nn
from torch.utils.data import DataLoader

from gan_lightning import private
from gan_lightning.building import limited_building
from gan_lightning.data.batches import (
    Batch,
    ImageBatch,
    batch_length,
    check_fields,
    fields_of,
    first,
    grids,
    item_numbers,
    map_rows,
    split,
)
from gan_lightning.data.description import DataDescription, Described
from gan_lightning.data.growth import Growth
from gan_lightning.data.texts import TextCoder, TextDescription
from gan_lightning.draws import ImageDraws, SharedDraws
from gan_lightning.inference import Sampler, Translator, evaluating
from gan_lightning.networks.growing import Growing
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.recording import NETWORKED, TRUSTED, Recorded, describe, import_class, path_of, rebuild, unrecorded
from gan_lightning.regularizers import Terms
from gan_lightning.schedules import Constant, EndingSchedule, Schedule, Unit, misfit
from gan_lightning.training import loops, random_state
from gan_lightning.training.averaging import AveragedNetwork
from gan_lightning.training.checkpoint_content import (
    CheckpointError,
    about,
    check_callbacks,
    check_optimizer,
    check_optimizers,
    check_progress,
    checked_content,
)
from gan_lightning.training.checkpoint_io import read_checkpoint
from gan_lightning.training.layouts import is_faster_in_channels_last
from gan_lightning.training.loggers import RunCSVLogger, cut_back
from gan_lightning.training.migrations import migrate
from gan_lightning.training.pretrained import AVERAGED, fitted, layers_of, listed, load_part, read_export
from gan_lightning.training.states import Counters, FiniteGuard, stateful_parts
from gan_lightning.weights import exported_weights

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}  # by the axes of a weight


class NonFiniteLossError(RuntimeError):
    """A loss term, or a weight, became NaN or infinite; raised on all processes."""

    everywhere = True


class GenerativeModule(Recorded, L.LightningModule, ABC):
    """A model that makes images.

    Args:
        generator: the network that makes images.
        ema_half_life: half-life, in images, of the moving average of the generator's weights, with which all images are
            generated (see `AveragedNetwork`). 0 = no average: the last weights are used.
        ema_warm_up: upper limit of the half-life, as a share of the images seen so far. 0 = no limit.
        ema_schedule: factor on the half-life over time. None = constant.
        compile: compile all networks that learn with torch.compile.
        channels_last: keep the networks' weights in channels-last layout. "auto" = where training was measured to be
            faster in it, for this kind of generator and device (`gan_lightning.training.layouts`).
    """

    batch_type: ClassVar[type[Batch]] = ImageBatch
    """The kind of batch this model learns from."""
    totals: ClassVar[Sequence[str]]
    """The losses that are sums of all others, by the names under which they are logged."""
    accumulate: int = 1
    """Number of parts of a batch that pass through the networks one after another."""
    growth: Growth | None = None
    """Growth of image and batch sizes with the images seen, set by a growing model's constructor. None = no growth."""
    evaluate_every_images: int | None = None
    """For a growing model: evaluate each time this number of images was seen. None = as the trainer's settings say."""
    class_names: tuple[str, ...] = ()
    """Names of the classes of the training data, in the order of their numbers. Empty = they are not known (yet)."""
    makes_images: bool = True
    """Whether evaluations need generated images; set by the callback, False where likelihoods alone are measured."""
    tried: int = 2
    """Number of images of the first batch that the networks are tried on."""
    text: TextDescription | None = None
    """The coder of the training data's captions, and some sentences. None = there are none, or none are known yet."""
    clipping: ClassVar[str]
    """The arguments that clip gradients, for the message about a loss that is not finite."""
    measured: tuple[str, ...] = ()
    """The names of the means that `measure` is given in evaluations. The progress bar shows the first."""

    def __init__(
        self,
        generator: nn.Module,
        ema_half_life: NonNegativeFloat = 0,
        ema_warm_up: NonNegativeFloat = 0.05,
        ema_schedule: Schedule | None = None,
        compile: bool = False,
        channels_last: bool | Literal["auto"] = "auto",
    ) -> None:
        super().__init__()
        self.save_hyperparameters({"_class_path": path_of(type(self)), **describe(self.init_args)})
        self.channels_last = channels_last
        self.generator = generator
        self.average = AveragedNetwork(generator, ema_half_life, ema_warm_up) if ema_half_life else None
        self.ema_schedule = ema_schedule or Constant()
        self.compiles = compile

        self.counters = Counters()
        self.guard = FiniteGuard()
        self.random = random_state.RandomState()
        self._loaded_at = 0  # `batches_seen` of the checkpoint that the run was resumed from
        self._terms: Terms = {}
        self._resume_state: dict[str, Any] | None = None  # until the first batch of a resumed run
        self._checked_batch = False
        self._predicted = 0  # images of this process, since a prediction began
        self._sums: dict[str, list[Tensor]] = {}  # in this evaluation, of what `measure` was given
        self._evaluated_at = -1  # batches seen at the end of the last evaluation
        self._resumed: dict[str, Any] | None = None  # a checkpoint's notes, until the training goes on
        self._trusted: Sequence[str] = TRUSTED  # packages whose classes a checkpoint may name
        self._max_steps: int | None = None  # the trainer's own limit, while an evaluation needs a higher one

    # ------------------------------------------------------------------ the hooks of a model

    @abstractmethod
    def generate(self, batch: Any) -> Tensor:
        """Return the model's outputs for a batch, as a user gets them: averaged weights, fp32, no gradient.

        Images are float (N, C, H, W) in [-1, 1]; other outputs have the form that `render` takes.
        """

    def variations(self, batch: Any, count: int) -> Tensor | None:
        """Return outputs of `generate` in `count` styles for each item, the same styles for all: (N, count, ...).

        None = the model has no styles to choose.
        """
        return None

    likelihood_protocol: str = ""
    """How `nats` relates to log p(x): exact or a bound, and what is drawn. Empty = the model has no likelihood."""

    def nats(self, batch: Any) -> Tensor | None:
        """Return -log p(x) of each real image, float32 (N,), by averaged weights, without gradient, in fp32.

        p is the probability of an image's integer values. It is exact or an upper bound, as `likelihood_protocol` says.
        None = the model gives these images no probability.
        """
        return None

    @abstractmethod
    def reference(self, batch: Any) -> Tensor:
        """Return the real counterparts in a batch that outputs of `generate` should resemble, in the same form."""

    def render(self, outputs: Tensor) -> Tensor:
        """Convert outputs (images, class maps, voxels, frames) to pictures float (N, C, H, W) in [-1, 1].

        Pictures are shown to people, written to files, and used by feature extractors. Images are pictures already. The
        sampler's outputs, if there is one, are rendered as it does.
        """
        sampler = self.sampler
        return outputs if sampler is None else sampler.render(outputs)

    def prepare(self) -> None:
        """Do what the averaged networks need before they make images, such as measuring statistics anew.

        It is called before evaluations, predictions and previews, and before a checkpoint is written, on one process
        or all. It draws nothing from the global random state, and changes nothing that training uses.
        """

    @abstractmethod
    def preview(self, batch: Any, count: int) -> tuple[Tensor, int]:
        """Return the picture that shows progress: images (M, C, H, W) in [-1, 1], and the number of columns.

        The same batch and count give the same latents and sources each time.
        """

    @abstractmethod
    def learners(self) -> Sequence[nn.Module]:
        """Return all modules that learn."""

    @abstractmethod
    def trial_step(self, batch: Any) -> None:
        """Compute a loss of a batch and drop it, to find mismatches of the networks and the data."""

    # ------------------------------------------------------------------ its parts

    @property
    def batches_seen(self) -> int:
        """The number of training batches since the start of the run, across resumes."""
        return self.counters.batches_seen

    @property
    def images_seen(self) -> int:
        """The number of real images (or pairs) in these batches, over all processes."""
        return self.counters.images_seen

    @property
    def sampler(self) -> Sampler | None:
        """The sampler, which makes images from noise with the averaged weights. None = the model needs images."""
        return None

    @property
    def translator(self) -> Translator | None:
        """The translator, which makes images from images with averaged weights. None = the model takes no images."""
        return None

    @property
    def averaged_generator(self) -> nn.Module:
        """The generator to make images with: the moving average if there is one, else the generator itself."""
        return self.generator if self.average is None else self.average.network

    def lay_out(self, device: torch.device) -> None:
        """Convert all networks to the memory layout that `channels_last` selects for a device."""
        asked = self.channels_last
        last = is_faster_in_channels_last(self.generator, device) if asked == "auto" else asked
        for network in (*self.learners(), self.averaged_generator):
            for tensor in (*network.parameters(), *network.buffers()):
                if tensor.dim() in CHANNELS_LAST:
                    layout = CHANNELS_LAST[tensor.dim()] if last else torch.contiguous_format
                    tensor.data = tensor.data.to(memory_format=layout)

    @property
    def is_evaluated(self) -> bool:
        """Whether the model has been evaluated since its last training step."""
        return self._evaluated_at == self.batches_seen

    @property
    def has_trained(self) -> bool:
        """Whether the model has learnt from a batch since it was made or loaded."""
        return self.batches_seen > self._loaded_at

    def _count_batch(self, batch: Batch) -> None:
        before = self.images_seen
        self.counters.batches_seen += 1
        self.counters.images_seen += batch_length(batch) * self.trainer.world_size
        self._grow()
        growth = self.growth
        if growth is not None and growth.reset_moments and growth.phase(before) != growth.phase(self.images_seen):
            for optimizer in self.trainer.optimizers:
                optimizer.state.clear()

    def _grow(self) -> None:
        """Set the level and alpha of growing networks by the images seen."""
        if self.growth is None:
            return
        behind, alpha = self.growth.behind(self.images_seen), self.growth.alpha(self.images_seen)
        for network in self.modules():
            if isinstance(network, Growing):
                if network.sizes[-self.growth.levels - 1 :] != self.growth.sizes:
                    raise ValueError(
                        f"model.growth has the sizes {_from_to(self.growth.sizes)}, and {type(network).__name__} has "
                        f"{_from_to(network.sizes)}: set its image_size to the final size, and let the growth start at "
                        "one of its sizes"
                    )
                network.level, network.alpha = len(network.sizes) - 1 - behind, alpha

    def _update_average(self) -> None:
        """Update the moving average after a step of the generator."""
        if self.average is not None:
            images = self.images_seen - self.counters.images_at_last_update
            self.average.update(self.generator, images, self.images_seen, self.at(self.ema_schedule))
        self.counters.images_at_last_update = self.images_seen

    def rate(self, schedule: Schedule) -> float:
        """Return the present factor on a learning rate: that of its schedule, and that of the growth."""
        return self.at(schedule) * (1.0 if self.growth is None else self.growth.rate(self.images_seen))

    def at(self, schedule: Schedule) -> float:
        """Return the present factor of a schedule."""
        return schedule.over(self.length(schedule.unit, private.trainer_of(self)))(self._progress(schedule.unit))

    def record(self, name: str, value: Tensor) -> None:
        """Record a scalar, to be logged under this name with the next losses."""
        self._terms[name] = value.detach()

    def say(self, sentence: str) -> None:
        """Print a sentence about the run, on one process."""
        rank_zero_info(sentence)

    @property
    def records(self) -> Mapping[str, Tensor]:
        """The latest losses and values of `record`, by the names under which they are logged."""
        return self._terms

    def mean_over_processes(self, tensor: Tensor) -> Tensor:
        """Return the mean of a tensor over all processes, the same on each."""
        mean = tensor.detach().clone()
        self._average_over_processes([mean])
        return mean

    def rate_schedules(self) -> dict[str, Schedule]:
        """Return the schedules of learning rates, by the names of their arguments."""
        return {}

    def _progress(self, unit: Unit) -> float:
        return {"epoch": self.current_epoch, "batch": self.batches_seen, "image": self.images_seen}[unit]

    def length(self, unit: Unit, trainer: L.Trainer | None) -> float:
        """Return the epochs, batches or images of the whole run; infinite if the end is not known (yet)."""
        if trainer is None:
            return math.inf
        epochs = math.inf if trainer.max_epochs in (None, -1) else trainer.max_epochs
        steps = math.inf if trainer.max_steps == -1 else trainer.max_steps * trainer.accumulate_grad_batches
        each = trainer.num_training_batches or math.inf  # in an epoch; infinite until the data are set up
        loader = trainer.train_dataloader
        if self.growth is not None and loader is not None:
            length = loader.extent(epochs, steps, trainer.limit_train_batches)
            return dict(zip(("epoch", "batch", "image"), length, strict=True))[unit]
        if unit == "epoch":
            return epochs if math.isinf(steps) else math.inf if math.isinf(each) else min(epochs, steps / each)
        batches = min(epochs * each, steps)
        if unit == "batch" or math.isinf(batches):
            return batches
        size = getattr(loader, "batch_size", None)
        if size is None:
            return math.inf
        return batches * size * (trainer.world_size if isinstance(loader, DataLoader) else 1)

    def check_schedules(self, trainer: L.Trainer) -> None:
        """Compare the schedules with the run's length, as far as it is known; warn of those that do not end with it.

        Raises:
            ValueError: all learning rates would be zero before the run's end; or a schedule ends with the run, and the
                run has no end.
        """
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        if self.growth is not None and (images := self.length("image", trainer)) < self.growth.ends:
            height, width = self.growth.final_size
            rank_zero_warn(
                f"model.growth comes to its final size of {height}x{width} after {self.growth.ends:,} images, and this "
                f"run ends after {images:,.0f}: train longer, or make fade_images and stable_images smaller"
            )
        rates, idle = self.rate_schedules(), set()
        found: dict[str, list[str]] = {}  # names of schedules, by the sentence about them
        for name, schedule in _schedules(self.init_args):
            length = self.length(schedule.unit, trainer)
            if math.isinf(length):
                if trainer.training and isinstance(schedule, EndingSchedule) and schedule.given_end is None:
                    raise ValueError(
                        f"model.{name} ends where the run does (end: null), and this run has no end that is known in "
                        f"{schedule.units}: set trainer.max_epochs or trainer.max_steps, or the schedule's end"
                    )
                continue
            if name in rates and (first := schedule.over(length).zero_from(length)) is not None:
                idle.add(name)
                sentence: str | None = (
                    f"zero after {first} {schedule.units}, and this run ends after {length:g}: nothing is learnt from "
                    "there on; null as its `end` is the run's own end"
                )
            else:
                sentence = misfit(schedule, length)
            if sentence is not None:
                found.setdefault(sentence, []).append(f"model.{name}")
        sentences = [f"{' and '.join(names)}: {sentence}" for sentence, names in found.items()]
        if idle and idle == rates.keys():
            raise ValueError("; ".join(sentences))
        for sentence in sentences:
            rank_zero_warn(sentence)

    def _average_over_processes(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its mean over processes, all in one message."""
        if private.trainer_of(self) is None or self.trainer.world_size == 1 or not tensors:
            return
        flat = self.trainer.strategy.reduce(torch.cat([t.flatten() for t in tensors]), reduce_op="mean")
        means = flat.split([t.numel() for t in tensors])
        private.copy_all(tensors, [mean.view_as(t) for mean, t in zip(means, tensors, strict=True)])

    def _average_buffers(self) -> None:
        """Average batch norm's running statistics over processes, since each process saw only its share."""
        self._average_over_processes([b for b in self.buffers() if b.is_floating_point()])

    def _log_progress(self) -> None:
        """Log losses and progress; show the totals in the progress bar too."""
        # self.log takes nearly a millisecond for each key: call it only when the logger will write the values
        if not private.is_logging_due(self.trainer):
            return
        self.check_finite()
        self.log_dict({name: value for name, value in self._terms.items() if name in self.totals}, prog_bar=True)
        self.log_dict({name: value for name, value in self._terms.items() if name not in self.totals})
        self.log_dict(self.progress())

    def progress(self) -> dict[str, float | Tensor]:
        """Return the values that are logged beside the losses: images seen, and height and alpha of a growing model."""
        seen: dict[str, float | Tensor] = {"images_seen": float(self.images_seen)}
        if self.growth is not None:
            size, alpha = self.growth.size(self.images_seen), self.growth.alpha(self.images_seen)
            seen |= {"growth/size": float(size[0]), "growth/alpha": alpha}
        return seen

    # ------------------------------------------------------------------ the guard

    def _guard(self, losses: Terms) -> None:
        """Keep these losses, by the names under which they are logged, for the next check."""
        self.guard.note(self.batches_seen, losses)
        if self.device.type == "cpu":  # elsewhere a check waits for the device, and is made at the logging interval
            self.check_finite()

    def check_finite(self) -> None:
        """Check the losses since the last check. All processes check at the same time, and end together.

        Raises:
            NonFiniteLossError: a loss was NaN or infinite; the message names the term and the batch.
        """
        found = self.guard.first_not_finite()
        if private.trainer_of(self) is not None and self.trainer.world_size > 1:
            own = None if found is None else f"{found} on process {self.global_rank}"
            reported: list[str | None] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(reported, own)
            found = next((each for each in reported if each is not None), None)
        if found is not None:
            raise NonFiniteLossError(
                f"{found}, after {self.images_seen:,} images: training stops here, and no further checkpoint is "
                "written; the last one on disk is from before. Go on from it with --ckpt_path last and a lower "
                f"learning rate, gradient clipping ({self.clipping}) or full precision (trainer.precision: 32-true)"
            )

    # ------------------------------------------------------------------ hooks of Lightning

    def setup(self, stage: str) -> None:
        """Set the memory layout of the networks for the device, and the size for the images seen."""
        self.lay_out(self.trainer.strategy.root_device)
        self._grow()

    def on_fit_start(self) -> None:
        """Start one random stream for all processes, and compile the networks."""
        self._checked_batch = False
        if self.growth is not None:
            self._check_batch_sizes(self.growth)
            loops.allow_epochs_of_any_length(self.trainer)
        random_state.start(self.trainer.strategy.broadcast(random_state.run_seed()), self.batches_seen)
        if self.trainer.world_size > 1:
            self.training_step = self._training_step_on_shared_draws  # type: ignore[method-assign]
        if nameless := sorted({*unrecorded(dict(self.hparams))}):
            warnings.warn(
                f"checkpoints of this run do not record how {', '.join(nameless)} was built, so that only this "
                "program or config can load them: derive your own networks from gan_lightning.recording.Network",
                stacklevel=2,
            )
        if self.compiles:
            for module in self.learners():
                module.compile()

    def _check_batch_sizes(self, growth: Growth) -> None:
        """Check that the batch sizes of a growth can be cut into the parts of a batch.

        Raises:
            ValueError: a batch size is not a multiple of the number of parts.
        """
        parts = self.accumulate * self.trainer.world_size
        for size, count in growth.batch_sizes.items():
            if count % parts:
                raise ValueError(
                    f"model.growth has batches of {count} images at height {size}, which cannot be cut into {parts} "
                    f"equal parts (accumulate={self.accumulate}, processes: {self.trainer.world_size}): make each "
                    f"of its batch_sizes a multiple of {parts}"
                )

    def _training_step_on_shared_draws(self, batch: Any, batch_idx: int) -> Any:
        """Run the model's `training_step`, where each process draws what a single process would draw for its images."""
        with SharedDraws(batch_length(batch) // self.accumulate, self.global_rank, self.trainer.world_size):
            return type(self).training_step(self, batch, batch_idx)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Check the first batch against the networks; after a resume, restore the random state."""
        if not self._checked_batch:
            self._check_batch(batch)
            self._check_training(batch)
        if self.evaluate_every_images is not None:
            images = self.images_seen + batch_length(batch) * self.trainer.world_size
            due = images // self.evaluate_every_images > self.images_seen // self.evaluate_every_images
            loops.evaluate_after_this_batch(self.trainer, self.batches_seen + 1, due)
        if self._resume_state is not None:
            state, self._resume_state = self._resume_state, None
            try:
                self.load_resume_state(state)
            except (LookupError, TypeError, AttributeError, RuntimeError) as error:
                raise CheckpointError(
                    f"the checkpoint {self.trainer.ckpt_path} holds under 'gan_lightning' a state that this model does "
                    f"not write ({type(error).__name__}: {error}): give a checkpoint that `gan-lightning fit` wrote"
                ) from error

    def on_train_start(self) -> None:
        """Check the schedules against the run's length; after a resume, continue from the run's position.

        Raises:
            ValueError: the model grows, but its data do not.
        """
        if getattr(self.trainer.train_dataloader, "growth", None) is not self.growth:
            raise ValueError(
                f"{type(self).__name__} grows, but the data do not serve batches of the sizes that its growth states: "
                "use a datamodule that derives from datamodules.base.ImageDataModule"
            )
        self.check_schedules(self.trainer)
        if self.trainer.ckpt_path is not None:
            with about(self.trainer.ckpt_path):
                for optimizer in self.trainer.optimizers:
                    check_optimizer(optimizer)
        if self._resumed is None:
            return
        noted, self._resumed = self._resumed, None
        where = noted["standing"]
        again = where["due"] or noted["row"] is not None  # the last batch is logged, or its evaluation, once more
        for logger in self.trainer.loggers:
            cut_back(logger, noted["rows"], where["logged"] - again)
            if noted["row"] is not None:
                logger.log_metrics(noted["row"][1], step=noted["row"][0])
                logger.save()
        self._terms = {name: value.to(self.device) for name, value in noted["terms"].items()}
        if self.evaluate_every_images is not None:
            loops.evaluate_after_this_batch(self.trainer, self.batches_seen, where["due"])
        if not loops.go_on(self.trainer, where, evaluated=self.is_evaluated):
            self._end_at_max_steps()

    def _end_at_max_steps(self) -> None:
        if self._max_steps is not None:
            self.trainer.fit_loop.epoch_loop.max_steps, self._max_steps = self._max_steps, None

    def on_validation_model_eval(self) -> None:
        """Set aside the training's random state before a validation draws anything."""
        self._end_at_max_steps()
        self.random.set_aside()
        super().on_validation_model_eval()

    def on_validation_model_train(self) -> None:
        """Restore the random state, so that the number of evaluations does not change the training."""
        self.random.put_back()
        super().on_validation_model_train()

    def on_validation_start(self) -> None:
        """Refuse to evaluate weights after a NaN; average the buffers over processes, and prepare the networks."""
        self.check_finite()
        self._average_buffers()
        self.prepare()

    on_test_start = on_validation_start

    def on_validation_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Check the first batch against the networks."""
        self._check_batch(batch)

    on_test_batch_start = on_predict_batch_start = on_validation_batch_start

    @property
    def stage(self) -> str:
        """The beginning of the names of what an evaluation logs: "val" or "test"."""
        return "test" if self.trainer.testing else "val"

    def measure(self, name: str, mean: Tensor, count: int) -> None:
        """Add the mean of `count` items to those of this evaluation, of which `val/name` or `test/name` is the mean.

        It is exact for batches of any lengths, and for a process that has none.
        """
        self._sums.setdefault(name, []).append(torch.stack([mean.float() * count, mean.new_tensor(count).float()]))

    def on_validation_epoch_end(self) -> None:
        """Record that the model in its present state was evaluated, so that a resume need not repeat it."""
        if not self.trainer.sanity_checking:
            self._evaluated_at = self.batches_seen
        self._log_measured()

    def on_test_epoch_end(self) -> None:
        """Log what was measured."""
        self._log_measured()

    def _log_measured(self) -> None:
        """Log the means of all processes; one without a batch takes part."""
        if not self.measured:
            return
        none = torch.zeros(2, device=self.device)
        totals = torch.stack([torch.stack([none, *self._sums.get(name, [])]).sum(dim=0) for name in self.measured])
        self._sums.clear()
        for name, (total, count) in zip(
            self.measured, self.trainer.strategy.reduce(totals, reduce_op="sum"), strict=True
        ):
            if count:
                self.log(f"{self.stage}/{name}", total / count, prog_bar=name == self.measured[0], sync_dist=True)

    def validation_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Make the images that are compared with this batch of the reference set; return None if none are asked for."""
        return self.generate(batch) if self.makes_images else None  # type: ignore[return-value]

    test_step = validation_step

    def on_predict_start(self) -> None:
        """Number the images from 0, and prepare the networks."""
        self._predicted = 0
        self.prepare()

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Make images for a batch by the run's seed. Each is the same for any batch size and number of processes."""
        count, loader = batch_length(batch), self.trainer.predict_dataloaders
        numbers = item_numbers(loader, batch_idx, count, self._predicted, self.global_rank, self.trainer.world_size)
        self._predicted += count
        with ImageDraws(random_state.run_seed(), numbers):
            return self.generate(batch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the counters and the random state; refuse to save weights that are not finite."""
        self.check_finite()
        self._average_buffers()
        self.prepare()
        if not nn.utils.get_total_norm(self.parameters()).isfinite():
            raise NonFiniteLossError(
                f"a weight is not finite at batch {self.batches_seen}: this checkpoint was not written, and "
                "the last one on disk is from before. Go on from it with --ckpt_path last and a lower learning rate "
                "or clipping"
            )
        checkpoint["gan_lightning"] = {
            **self.counters.state_dict(),
            "class_names": list(self.class_names),
            "resume_state": self.resume_state() if self._resume_state is None else self._resume_state,
        }
        if self.text is not None:
            checkpoint["gan_lightning"]["text"] = {
                "coder": describe(self.text.coder),
                "sentences": list(self.text.sentences),
                "codes": self.text.codes.cpu(),
            }
        checkpoint["gan_lightning"] |= self._place_in_run()

    def _place_in_run(self) -> dict[str, Any]:
        """Return the run's position in its epochs, evaluations and logs."""
        if self._resumed is not None:  # a resumed run that has not gone on yet keeps its position
            return {name: self._resumed[name] for name in ("standing", "evaluated_at", "rows", "row", "terms")}
        if private.trainer_of(self) is None:
            return {}
        for logger in self.trainer.loggers:
            logger.save()
        rows = [logger.rows for logger in self.trainer.loggers if isinstance(logger, RunCSVLogger)]
        return {
            "standing": dict(loops.standing(self.trainer, evaluated=self.is_evaluated)),
            "evaluated_at": self._evaluated_at,
            "rows": rows[0] if rows else None,
            "row": loops.row_to_log(self.trainer),
            "terms": {name: value.detach().cpu() for name, value in self._terms.items()},
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the state that `on_save_checkpoint` added; warn if the checkpoint's settings differ.

        Raises:
            CheckpointError: the checkpoint is of another model, or holds values that no run writes.
        """
        self.check_checkpoint(checkpoint)
        then, now = checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY], dict(self.hparams)
        changed = [
            f"{key}: {now[key]} now, {then[key]} in the checkpoint"
            for key in then
            if now.get(key, then[key]) != then[key]
        ]
        if changed:
            warnings.warn(
                f"the run goes on with other settings than it began with ({'; '.join(changed)}): the present ones are "
                "used, except for those that an optimizer keeps itself (betas, momentum, weight decay)",
                stacklevel=2,
            )
        state = checkpoint["gan_lightning"]
        self.counters.load_state_dict(state)
        self.class_names = tuple(state.get("class_names", ()))
        if "text" in state:
            text = state["text"]
            coder = rebuild(text["coder"], self._trusted)
            if not isinstance(coder, TextCoder):
                raise CheckpointError(
                    f"the checkpoint's captions are coded by a {type(coder).__name__}, which is no TextCoder: give one "
                    "that `gan-lightning fit` wrote"
                )
            self.text = TextDescription(coder, tuple(text["sentences"]), text["codes"])
        self._grow()
        self._loaded_at = self.batches_seen
        self._resume_state = state["resume_state"]
        if private.trainer_of(self) is not None and self.trainer.state.fn == TrainerFn.FITTING and "standing" in state:
            self._evaluated_at, self._resumed = state["evaluated_at"], state
            self._check_what_is_left(state["standing"], checkpoint["global_step"])
            loops.put_back(checkpoint["loops"], state["standing"])

    def _check_what_is_left(self, where: loops.Standing, steps: int) -> None:
        """Refuse to resume a run that is at its end; permit an evaluation after its last step.

        Raises:
            ValueError: there is nothing left to do.
        """
        trainer = self.trainer
        has_epochs = trainer.max_epochs in (None, -1) or where["epoch"] < trainer.max_epochs
        has_steps = trainer.max_steps == -1 or steps < trainer.max_steps
        if has_epochs and where["due"] and not has_steps:
            self._max_steps, trainer.fit_loop.epoch_loop.max_steps = trainer.max_steps, steps + 1
        elif not ((has_epochs and has_steps) or trainer.fast_dev_run):  # type: ignore[attr-defined]
            limit = f"max_steps={trainer.max_steps}" if has_epochs else f"max_epochs={trainer.max_epochs}"
            raise ValueError(
                f"nothing is left to train: {trainer.ckpt_path} has had {where['epoch']} epochs and {steps} batches, "
                f"and {limit}. Raise that to go on, or start a new run, in a folder of its own, from these weights: "
                "--start_from instead of --ckpt_path"
            )

    def check_checkpoint(self, checkpoint: dict[str, Any], path: Any = None) -> None:
        """Check a whole checkpoint, and replace its content by the checked copy, before anything is restored from it.

        Args:
            checkpoint: the content of the file.
            path: path of the file. None = the checkpoint that the trainer resumes from.

        Raises:
            CheckpointError: it is of another model, or holds values that no run writes.
        """
        trainer = private.trainer_of(self)
        path = trainer.ckpt_path if path is None and trainer is not None else path
        local = path is not None and "://" not in str(path)
        with about(path):
            content = checked_content(checkpoint, Path(str(path)).absolute().parent if local else None)
        checkpoint.clear()
        checkpoint.update(content)
        migrate(checkpoint)
        then, now = checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY]["_class_path"], path_of(type(self))
        if then.rpartition(".")[2] != now.rpartition(".")[2]:  # the module may have moved
            raise CheckpointError(
                f"the checkpoint{'' if path is None else f' {path}'} is of the model {then}, but the model to load it "
                f"into is {now}: give the config that it was trained with, or another checkpoint"
            )
        if trainer is None or trainer.state.fn is None:
            return
        counts = checkpoint.get("loops", {})
        if trainer.state.fn == TrainerFn.FITTING:
            for key in ("optimizer_states", "lr_schedulers", "callbacks", "loops", "epoch", "global_step"):
                if key not in checkpoint:
                    raise CheckpointError(
                        f"the checkpoint {path} holds the model without the state of its training (key {key!r}), so "
                        "that training cannot go on from it: give one that was saved with save_weights_only=False"
                    )
            optimizers: Any = self.configure_optimizers()
            with about(path):
                check_progress(counts.get("fit_loop", {}), trainer.fit_loop.state_dict())
                check_optimizers(
                    checkpoint["optimizer_states"], optimizers if isinstance(optimizers, list) else [optimizers]
                )
        with about(path):
            check_callbacks(checkpoint.get("callbacks", {}), trainer.callbacks)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load the weights of a checkpoint.

        Raises:
            CheckpointError: they are of other networks.
        """
        own = self.state_dict()
        for name, value in state_dict.items():
            if name in own and _kind(value) != _kind(own[name]):
                raise CheckpointError(
                    f"the weights hold {value.dtype} numbers under {name!r}, but this {type(self).__name__} has "
                    f"{own[name].dtype}: give a checkpoint that `gan-lightning fit` wrote"
                )
        try:
            return super().load_state_dict(state_dict, strict, assign)
        except (RuntimeError, TypeError, AttributeError) as error:
            problems = [line.strip(" \t.") for line in str(error).splitlines()[1:] if line.strip()] or [str(error)]
            more = f", and {len(problems) - 1} more differences" if len(problems) > 1 else ""
            raise CheckpointError(
                f"the weights are of other networks than those of this {type(self).__name__} ({problems[0][:300]}"
                f"{more}): give the config that the checkpoint was trained with"
            ) from error

    def load_weights(self, source: str | Path | Mapping[str, str | Path | Mapping[str, str | Path]]) -> None:
        """Start from weights that other runs have trained; counters and optimizers do not change.

        Layers whose shapes differ start anew, and a warning names them.

        Args:
            source: a checkpoint of a model of this class, whose networks are all loaded; an exported model, which is a
                generator; or such a file for each part of this model: {"generator": ..., "encoder": ...}, of any model
                with such a part, or with one of another name: {"autoencoder": {"generator": ...}} loads the generator
                of the file. The other parts do not change. The generator of an export has averaged weights, and so
                has that of a checkpoint for a part, if the other run kept an average; a generator and its average then
                both start from them.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no such file, is of another model or other networks, or one of the models has no such
                part.
        """
        if not isinstance(source, Mapping):
            if (file := exported_weights(source)) is not None:
                self.begin_from(read_export(file, self.state_dict()), source)
                return
            checkpoint = read_checkpoint(source)
            self.check_checkpoint(checkpoint, source)
            self.begin_from(checkpoint["state_dict"], source)
            return
        parts = {name: part for name, part in self.named_children() if part is not self.average}
        for name, path in source.items():
            if name not in parts:
                raise ValueError(f"{type(self).__name__} has no part {name!r}: choose {', '.join(parts)}")
            theirs = name
            if isinstance(path, Mapping):
                if len(path) != 1:
                    raise ValueError(f"{name} is started from one part of one file, not from {dict(path)}")
                ((theirs, path),) = path.items()  # noqa: PLW2901
            anew = load_part(parts[name], Path(path), theirs, exactly=False)
            _warn_of_new_layers([f"{name}.{layer}" for layer in anew], path)
        if "generator" in source and self.average is not None:
            self.average.network.load_state_dict(self.generator.state_dict())

    def begin_from(self, state_dict: Mapping[str, Any], source: str | Path | None = None) -> None:
        """Load the weights that a new run begins with from the networks of another run's `state_dict`.

        Augmentation and regularizers start anew, and so do layers whose shapes differ, which a warning names. The
        moving average starts with the generator's weights if the other run had none.

        Args:
            state_dict: weights by their names in a model. Parts of the model without any start anew.
            source: where they come from, for the messages.

        Raises:
            CheckpointError: no layer of a part fits those of that part in `state_dict`.
        """
        networks = {
            name: value
            for name, value in self.state_dict().items()
            if not name.startswith(("augmentation.", "regularizers.", AVERAGED))
        }
        state, differing = fitted(networks, state_dict)
        learning = layers_of(name for name, parameter in self.named_parameters() if parameter.requires_grad)
        anew = [layer for layer in differing if layer in learning]
        for part in dict.fromkeys(layer.partition(".")[0] for layer in learning):
            layers = {layer for layer in learning if layer.partition(".")[0] == part}
            if not layers <= {*anew}:
                continue
            if any(name.startswith(f"{part}.") for name in state_dict):
                raise CheckpointError(
                    f"the weights{'' if source is None else f' in {source}'} are of other networks than those of this "
                    f"{type(self).__name__}: no layer of its {part} has the same name and shape; give the config that "
                    "they were trained with"
                )
            anew = [part, *(layer for layer in anew if layer not in layers)]
        _warn_of_new_layers(anew, source)
        if self.average is not None:
            generator = {name: value for name, value in state.items() if name.startswith("generator.")}
            state |= {f"{AVERAGED}{name.removeprefix('generator.')}": value for name, value in generator.items()}
            averaged, _ = fitted({n: v for n, v in state.items() if n.startswith(AVERAGED)}, state_dict)
            state |= averaged
        self.load_state_dict(self.state_dict() | state)

    def resume_state(self) -> dict[str, Any]:
        """Return the states of this model's `stateful_parts`, by their names: the random state, pools, and so on."""
        parts = stateful_parts(self)
        return {name: part.state_dict() for name, part in parts.items() if part is not self.counters}

    def load_resume_state(self, state: dict[str, Any]) -> None:
        """Restore a `resume_state`; called at the first batch after a resume."""
        for name, part in stateful_parts(self).items():
            if part is not self.counters:
                part.load_state_dict(state[name])

    # ------------------------------------------------------------------ fitting the data

    def _check_batch(self, batch: Any) -> None:
        if not self._checked_batch:
            # these draws must not change the run's random state, or that of an evaluated image
            with (
                torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []),
                ImageDraws(0, range(min(self.tried, batch_length(batch)))),
            ):
                self.check_batch(batch)
                data = getattr(self.trainer, "datamodule", None)
                if isinstance(data, Described):
                    description = data.describe()
                    self.check_data(description)
                    self.class_names = description.class_names or self.class_names
                    self.text = description.text or self.text
            self._checked_batch = True

    def _check_training(self, batch: Any) -> None:
        """If networks train on one image at a time, test whether they can; all state is restored.

        Raises:
            ValueError: they cannot, since batch norm needs more than one value of a channel.
        """
        part = split(batch, self.accumulate)[0]
        if self.growth is not None:  # batch sizes may decrease
            smallest = min(self.growth.batch_sizes.values()) // (self.accumulate * self.trainer.world_size)
            part = first(part, smallest)
        if batch_length(part) > 1:
            return
        state, buffers = self.resume_state(), [b.clone() for b in self.buffers()]
        try:
            with torch.enable_grad():  # needed by gradient penalties
                self.trial_step(part)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                f"{type(self).__name__} gets one image at a time, but its networks normalise over a batch, which needs "
                f"two or more ({error}): make data.batch_size at least {2 * self.trainer.world_size * self.accumulate} "
                "(it counts the images of all processes, and of all parts of model.accumulate), or choose networks "
                "without batch norm"
            ) from error
        finally:
            for buffer, before in zip(self.buffers(), buffers, strict=True):
                buffer.copy_(before)
            self.load_resume_state(state)

    def check_data(self, data: DataDescription) -> None:
        """Check the model against the data as a whole, before the first step.

        Raises:
            ValueError: the data have other classes than the networks, for example; the message names both, and the fix.
        """

    def check_kind(self, batch: Any) -> None:
        """Check that a batch is of the kind that the model learns from.

        Raises:
            TypeError: it is of another kind.
            ValueError: its fields do not have the form that their kind states.
        """
        name, kind = type(self).__name__, self.batch_type
        if not isinstance(batch, kind):
            raise TypeError(
                f"{name} learns from batches of the kind {kind.__name__} ({', '.join(fields_of(kind))}), but the data "
                f"serve {type(batch).__name__}: choose a datamodule that makes {kind.__name__}es, or another model"
            )
        check_fields(batch, name)

    def check_batch(self, batch: Any) -> None:
        """Try the networks on a few items (`tried`) of a batch, before the first step.

        Raises:
            TypeError: the batch is of another kind than this model learns from, or `render` does not return pictures.
            ValueError: its images have a shape or a range that the networks do not support.
        """
        name = type(self).__name__
        self.check_kind(batch)
        with (
            # a batch of an evaluation comes from torch.inference_mode: only copies made outside support gradients
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(self.device.type, enabled=False),
            evaluating(self),
        ):
            few = map_rows(batch, lambda values: values[: self.tried].clone())
            shapes = " and ".join("x".join(map(str, grid.shape[1:])) for grid in grids(few).values())
            real = self.reference(few)
            try:
                fake = self.generate(few)
                shown = self.render(fake)
                if fake.dim() != real.dim():  # the outputs have another form than the data
                    fake, real = shown, self.render(real)
                if fake.shape == real.shape:
                    self.trial_step(few)
            except (RuntimeError, ValueError, IndexError) as error:
                raise ValueError(
                    f"the networks of {name} cannot take what the data serve ({shapes}): {error}. Set the networks' "
                    "sizes and channels, and the datamodule's, to match"
                ) from error
        if fake.shape != real.shape:
            made, served = ("x".join(map(str, images.shape[1:])) for images in (fake, real))
            kind = f"images of {made} (channels x height x width)" if fake.dim() == 4 else f"the shape {made}"
            raise ValueError(
                f"the generator of {name} makes {kind}, but the data serve {served}: set image_size and channels of "
                "the networks (under model.init_args) and of the datamodule to the same"
            )
        if shown.dim() != 4 or not shown.is_floating_point():
            raise TypeError(
                f"the render of {name} returns {shown.dtype} of shape {tuple(shown.shape)}: let it return pictures, "
                "float (N, C, H, W) in [-1, 1]"
            )

    # ------------------------------------------------------------------ loading

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | Path,
        map_location: Any = "cpu",
        trusted: str | Sequence[str] = (),
        **replaced: Any,
    ) -> Self:
        """Load the model that a checkpoint holds, of the class that was trained. No code from the file is run.

        Args:
            checkpoint_path: the file.
            map_location: the device to load to.
            trusted: further packages whose classes the file may name: "my_gan" for classes in a file my_gan.py. Always
                trusted are this project's own package, torch.nn, torch.optim, torchvision.models and .ops, and the
                package of the class that this method is called on.
            replaced: constructor arguments to use instead of those in the file.

        Raises:
            FileNotFoundError: there is no such file.
            CheckpointError: it is not a checkpoint, is damaged, or holds values that no run writes.
            PermissionError: it names a class outside the trusted packages.
            ValueError: the model cannot be built from its arguments.
            TypeError: it holds a model that is not a `cls`.
        """
        checkpoint = read_checkpoint(checkpoint_path, map_location)
        migrate(checkpoint)
        own = cls.__module__.partition(".")[0]
        trusted = [*dict.fromkeys((*TRUSTED, own, *([trusted] if isinstance(trusted, str) else trusted)))]
        arguments = dict(checkpoint[cls.CHECKPOINT_HYPER_PARAMS_KEY])
        model_class = import_class(arguments.pop("_class_path"), trusted)
        if not issubclass(model_class, cls):
            raise TypeError(f"{checkpoint_path} holds a {model_class.__name__}, which is not a {cls.__name__}")
        advice = "give a checkpoint that `gan-lightning fit` wrote, or pass the wrong part as an argument when loading"
        with limited_building(checkpoint_path, checkpoint["state_dict"], advice, CheckpointError):
            recorded: dict[str, Any] = {
                name: False if name in NETWORKED else rebuild(value, trusted)
                for name, value in arguments.items()
                if name not in replaced
            }
            model = model_class(**recorded, **replaced)
        model._trusted = trusted
        model.on_load_checkpoint(checkpoint)
        model.load_state_dict(checkpoint["state_dict"])
        if map_location is not None:
            model.to(map_location)
        model.lay_out(model.device)
        return model


def _schedules(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Schedule]]:
    """Yield the schedules in a constructor's arguments, and in those of its parts, by their dotted names."""
    for name, value in arguments.items():
        if isinstance(value, Schedule):
            yield name, value
            continue
        for place, part in enumerate(value) if isinstance(value, list) else [("", value)]:
            if isinstance(part, Recorded):
                inner = f"{name}.{place}" if isinstance(value, list) else name
                yield from ((f"{inner}.{each}", schedule) for each, schedule in _schedules(part.init_args))


def rendered(module: L.LightningModule, outputs: Tensor) -> Tensor:
    """Return a module's outputs as pictures, by its `render` if it has one."""
    return module.render(outputs) if isinstance(module, GenerativeModule) else outputs


def _warn_of_new_layers(layers: list[str], source: str | Path | None) -> None:
    """Name the layers that do not start from the weights of another model, if there are any."""
    if layers:
        rank_zero_warn(
            f"these layers start anew, since {'the other model' if source is None else source} has none of their names "
            f"and shapes: {listed(layers)}"
        )


def _from_to(sizes: Sequence[tuple[int, int]]) -> str:
    return " to ".join(f"{height}x{width}" for height, width in (sizes[0], sizes[-1]))


def _kind(tensor: Tensor) -> tuple[bool, bool]:
    """Return whether a tensor is floating-point, and complex; loading would convert one kind to another silently."""
    return tensor.is_floating_point(), tensor.is_complex()
