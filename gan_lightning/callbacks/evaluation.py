"""Validation as evaluation: FID and related metrics of the generator against the images of the validation loader."""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sized
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import lightning as L
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import CombinedLoader, rank_zero_info, rank_zero_warn
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from gan_lightning.data import lines
from gan_lightning.data.batches import (
    Fingerprinted,
    Role,
    batch_length,
    caption_codes,
    class_labels,
    grids,
    has_pairs,
    item_numbers,
    select,
    states_roles,
)
from gan_lightning.data.images import to_uint8
from gan_lightning.draws import ImageDraws
from gan_lightning.evaluation import Evaluator, FeatureCache, MetricChoice, Recipe, Report, find_recipe
from gan_lightning.evaluation.cache import CACHE_VERSION
from gan_lightning.evaluation.recipes import SUITE
from gan_lightning.metrics import FeatureExtractor, Features, NoFeatures, TooFewSamplesError, make_extractor
from gan_lightning.metrics.base import EvaluationMetric
from gan_lightning.networks.growing import resolution
from gan_lightning.ranges import Checked, NonNegativeInt
from gan_lightning.run_files import REPORTS
from gan_lightning.training.generative import rendered

_LIKELIHOOD = 1  # the name of a stream of random numbers


@runtime_checkable
class Evaluated(Protocol):
    """A model that Evaluation can evaluate; its `validation_step` and `test_step` return the generated images."""

    def generate(self, batch: Any) -> Tensor:
        """Return the images generated for a batch, as the steps return them: float (N, C, H, W) in [-1, 1]."""
        ...

    def reference(self, batch: Any) -> Tensor:
        """Return the real images that the generated ones should resemble: float (N, C, H, W) in [-1, 1]."""
        ...


@runtime_checkable
class ReferenceSet(Protocol):
    """A reference loader that names its split of the data and its number of items over all ranks."""

    split: str
    num_items: int


class Evaluation(Checked, L.Callback):
    """Evaluate the generator in a validation or test run: each batch generates its share of the images.

    The validation loader is the reference set. Its progress bar also shows how many images are measured a second. The
    generated images are those that `validation_step` returns, float (N, C, H, W) in [-1, 1]. They are compared with the
    real images that `pl_module.reference(batch)` returns. Both are measured as the model's `render` shows them, if it
    has one. One pass of the extractor over an image serves all metrics. The values are logged as `val/fid`, `val/kid`,
    ... or `test/fid`, .... They are also written to `evaluations.jsonl` in the run's folder, as one line of JSON with
    the recipe, the seed and all other settings that the numbers depend on.

    Real features are computed once. They are kept in memory for later validations and on disk for later runs. The name
    of the file on disk depends on the loader's fingerprint, the extractor's fingerprint and this rank's share. Without
    a fingerprint, or where the trainer cuts the pass short (`limit_val_batches`), real features are computed each time
    and not kept.

    A metric that needs more images than there are is left out with one warning, and the run goes on.

    Metrics of pairs (PSNR, SSIM, ...) need a model that learns from a `PairedBatch`. They compare each generated image
    with the reference of the same item, both rounded to 8 bits as in a saved file.

    Likelihoods are those of all real images, by the model's `nats`; draws of it have random streams of their own.

    Metrics of styles need a model whose translator has styles to choose. They compare the outputs for the first sources
    in several styles each.

    Each generated image has its own random stream, which depends on `seed` and the image's number. Equal weights
    therefore get equal scores, for any number of processes and any batch size. The run's own random state is restored
    afterwards. (A torch DataLoader draws before the callback starts: give it a `generator`.)

    Args:
        recipe: the name of the recipe for the numbers: `fid50k_train`, `suite10k_test@digits`, ... (see
            `gan_lightning.evaluation.recipes`). The command line serves the split that the recipe names. None = as many
            generated images as references, of the split that the loader serves.
        extractor: computes features of uint8 images. Extractor and metrics are not part of the model or its
            checkpoints. None = the recipe's extractor.
        metrics: the metrics to compute. Each is a class from `gan_lightning.metrics`, or a function from the width of
            the features to a `FeatureMetric`, or an object of another kind of metric. None = the recipe's metrics;
            without a recipe, FID, inception score, KID, precision and recall.
        seed: the seed of an evaluation's random draws.
        download_weights: download the weights of the recipe's extractor if they are missing.
        cache_dir: the folder for real features, which take 4 bytes a number: 0.4 GB for 50,000 images with Inception.
            None = the environment variable GAN_LIGHTNING_CACHE, else ~/.cache/gan_lightning.

    Attributes:
        reports: the reports of the evaluations in this process so far.
        left_out: sentences about the metrics that were left out.
        within_fit: whether evaluations before and after training belong to the run, as those of the command line do.

    Raises:
        ValueError: generated images hold NaN or infinite values, there is more than one loader, or the data do not
            serve the split or the number of images that the recipe compares with.
        TypeError: `validation_step` returns no images, or the model has no `reference`. Before the first batch: a
            metric compares pairs and the model does not learn from pairs, or compares styles or measures likelihoods
            and it has none.
    """

    def __init__(
        self,
        recipe: str | None = None,
        extractor: FeatureExtractor | None = None,
        metrics: list[MetricChoice] | None = None,
        seed: NonNegativeInt = 0,
        download_weights: bool = False,
        cache_dir: Path | None = None,
    ) -> None:
        if recipe is None and extractor is None:
            raise ValueError("Evaluation needs a recipe (such as fid10k_test) or an extractor")
        self.recipe = find_recipe(recipe) if recipe else Recipe("custom", SUITE, type(extractor).__name__)
        if metrics is not None:
            self.recipe = replace(self.recipe, metrics=tuple(metrics))
        self.left_out: set[str] = set()
        self.within_fit = False
        extractor = extractor or make_extractor(self.recipe.extractor, download=download_weights)
        if isinstance(extractor, NoFeatures) and self.recipe.extractor == "auto":
            objects = [choice for choice in self.recipe.metrics if isinstance(choice, EvaluationMetric)]
            kept = tuple(each for each in objects if not getattr(each, "needs_features", False))
            self.recipe = replace(self.recipe, metrics=kept)  # only metrics that need no features
            self.left_out.add("metrics of features need an extractor, and there is none")
        self.evaluator = Evaluator(extractor, self.recipe.metrics)
        self.cache = FeatureCache(cache_dir)
        self.seed = seed
        self.reports: list[Report] = []
        self._random_state = contextlib.ExitStack()
        self._image_draws = contextlib.ExitStack()
        self._numbers, self._counts = torch.tensor([]), torch.tensor([])  # of this batch: see `_plan`
        self._items = torch.tensor([])  # numbers of this batch's real images
        self._held: str | None = None  # name of the real images in the metrics, if these are a whole reference set
        self._name: str | None = None  # name of the real images of this pass, if they have one
        self._missing: list[Features] | None = None  # real features of this pass so far, if they have to be computed
        self._batches = self._reals = self._fakes = 0  # of this pass, on this rank, so far
        self._started = self._reported = 0.0  # seconds: start of this pass, and the last update of the progress bar
        self._measured = 0  # images of this pass that have gone through the extractor

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuse metrics of pairs for a model that does not learn from pairs, and metrics of styles for one without."""
        translator = getattr(pl_module, "translator", None)
        sampler = getattr(pl_module, "sampler", None)
        varied = getattr(translator, "style_dim", 0) or getattr(sampler, "kind", "class") == "text"
        if self.evaluator.metrics_of_styles and not varied:
            raise TypeError(
                f"the recipe {self.recipe.name} compares outputs for one source in several styles, and "
                f"{type(pl_module).__name__} has no styles to choose: name a recipe without `styles` and `cis`"
            )
        if self.evaluator.asks_likelihoods and not getattr(pl_module, "likelihood_protocol", ""):
            raise TypeError(
                f"the recipe {self.recipe.name} measures the likelihood of real images, and {type(pl_module).__name__} "
                "has none: name a recipe without `nll`"
            )
        made = getattr(getattr(pl_module, "sampler", None), "makes", Role.IMAGE)
        for metric in self.evaluator.metrics_of_outputs:
            if metric.role is not made:
                raise TypeError(
                    f"{type(metric).__name__} measures {metric.role.value}, and {type(pl_module).__name__} makes "
                    f"{made.value}s: name a recipe without `shapes` and `iou`"
                )
        batch_type = getattr(pl_module, "batch_type", None)
        if self.evaluator.compares_pairs and not has_pairs(batch_type):
            raise TypeError(
                f"the recipe {self.recipe.name} compares each generated image with the one that it should be, and "
                f"{type(pl_module).__name__} does not learn from pairs (its batch_type is "
                f"{getattr(batch_type, '__name__', batch_type)}, not PairedBatch): name a recipe without metrics of "
                "pairs, such as fidfull_test"
            )

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Isolate the random state, and move extractor and metrics to the model's device."""
        loader = _loader(trainer)
        if isinstance(loader, ReferenceSet):
            self._check_reference(loader)
        if self.recipe.num_fake is not None and not isinstance(loader, Sized):
            raise ValueError(
                f"the recipe {self.recipe.name} generates {self.recipe.num_fake} images, shared out over the batches "
                "of the reference loader, which does not say how many it has: give it a __len__"
            )
        pl_module.makes_images = self.evaluator.looks_at_fakes  # type: ignore[assignment]
        self._random_state.enter_context(isolate_rng())
        torch.manual_seed(self.seed)
        self.evaluator.to(pl_module.device)
        self._batches = self._reals = self._fakes = self._measured = 0
        self._started = self._reported = time.perf_counter()

    def on_validation_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Give each image of the batch its own random numbers until the batch ends."""
        self._numbers, self._counts = self._plan(trainer, batch, batch_idx)
        self._image_draws.enter_context(ImageDraws(self.seed, self._numbers.tolist()))

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Measure the batch's generated images, and its real images if their features are not known yet."""
        self._image_draws.close()
        if not self.evaluator.looks_at_fakes:
            self._weigh(pl_module, batch)
            self._batches += 1
            self._reals += batch_length(batch)
            return
        first = rendered(pl_module, outputs[:1]) if isinstance(outputs, Tensor) else None
        if not isinstance(pl_module, Evaluated) or first is None or not first.is_floating_point():
            raise TypeError(
                f"{type(pl_module).__name__} cannot be evaluated: its validation_step and test_step must return "
                f"generated images, float (N, C, H, W) in [-1, 1] (this time: {type(outputs).__name__}), and its "
                "reference(batch) the real ones"
            )
        stated = states_roles(type(batch))
        labels, captions = (class_labels(batch), caption_codes(batch)) if stated else (None, None)
        evaluator = self.evaluator
        others = evaluator.metrics_of_styles or evaluator.metrics_of_outputs
        looked_at = evaluator.looks_at_images or evaluator.compares_pairs or bool(others)
        reference = pl_module.reference(batch)
        if self._batches == 0 or self._missing is not None or looked_at:
            real = to_uint8(rendered(pl_module, reference))
            if self._batches == 0:
                self._begin(trainer, real)
                self._teach(trainer, pl_module)
            if self._missing is not None:
                features = self.evaluator.features(real, labels, partial(self._show_speed, trainer))
                features = features._replace(captions=captions)
                self.evaluator.feed(features, real=True)
                self._missing.append(features.to("cpu"))
            if self._held is None:
                self.evaluator.show(real, real=True, labels=labels)
                self.evaluator.take_real(reference)
        self._batches += 1
        self._reals += batch_length(batch)

        from_sources = not stated or (len(grids(batch)) > 1 and getattr(pl_module, "sampler", None) is None)
        if self._counts.max() > 1 and from_sources:
            raise ValueError(
                f"the recipe {self.recipe.name} asks for more images than the data have sources to make them from: "
                "name a recipe with fewer, or with `full` for its number"
            )

        asked = labels if getattr(pl_module, "num_classes", 0) else None
        for rows, made in self._in_order(trainer, pl_module.generate, batch, outputs):
            images = rendered(pl_module, made)
            if not images.isfinite().all():
                raise ValueError(
                    f"{type(pl_module).__name__} generated NaN or infinite pixels (evaluation batch {batch_idx}): "
                    "training has diverged; go back to an earlier checkpoint, or lower the learning rate"
                )
            fake, classes = to_uint8(images), None if asked is None else asked[rows]
            features = self.evaluator.features(fake, classes, partial(self._show_speed, trainer))
            requested = None if captions is None else captions[rows]
            self.evaluator.feed(features._replace(captions=requested), real=False)
            self.evaluator.show(fake, real=False, labels=classes)
            if self.evaluator.compares_pairs:
                self.evaluator.compare(fake, real[rows])
            self.evaluator.take(made, reference[rows])
            self._fakes += len(fake)
        self._vary(pl_module, batch)
        self._weigh(pl_module, batch)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compute and log the metrics; keep the real features if they are new and complete."""
        stage = "test" if trainer.testing else "val"
        if self._name is not None and self._batches == _planned(trainer):
            if self._missing is not None:
                self.cache.save(self._name, self._missing)
            self._held = self._name
        self._missing = None

        self.evaluator.probe(getattr(pl_module, "sampler", None))  # the module may be of any class
        errors: list[TooFewSamplesError] = []
        values = self.evaluator.compute(errors.append)
        reasons = [str(error) for error in errors]
        if reasons and self._is_short(trainer):
            rank_zero_info(f"not computed in this short {stage} run: {'; '.join(reasons)}")
        elif new := [reason for reason in reasons if reason not in self.left_out]:  # warn once a run
            rank_zero_warn(f"left out of evaluations: {'; '.join(new)}")
        self.left_out.update(reasons)
        for name, value in values.items():
            pl_module.log(f"{stage}/{name}", value, prog_bar=name == "fid", sync_dist=True)
        self._report(trainer, pl_module, values)
        # 50,000 generated images are 0.4 GB of features: release them before the next epoch
        self.evaluator.reset(keep_real=self._held is not None)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restore the random state."""
        self._random_state.close()

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remove reports of evaluations after the checkpoint, since the resumed run repeats them."""
        noted = checkpoint.get("gan_lightning", {})
        if trainer.state.fn == TrainerFn.FITTING and trainer.is_global_zero and "evaluated_at" in noted:
            forget_reports(Path(trainer.default_root_dir) / REPORTS, noted["evaluated_at"])

    on_test_start = on_validation_start
    on_test_batch_start = on_validation_batch_start
    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end
    on_test_end = on_validation_end

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Restore the random state if the exception came during an evaluation."""
        self._image_draws.close()
        self._random_state.close()

    def _vary(self, pl_module: Any, batch: Any) -> None:
        """Give the outputs for this batch's sources in several styles to the metrics of styles, if they need more."""
        chosen = (self._numbers < self.evaluator.sources).nonzero().flatten()
        if not len(chosen):
            return
        made = pl_module.variations(select(batch, chosen.to(pl_module.device)), self.evaluator.styles)
        if made is not None:
            pictures = to_uint8(rendered(pl_module, made.flatten(0, 1))).unflatten(0, made.shape[:2])
            self.evaluator.vary(self._numbers[chosen], pictures)

    def _weigh(self, pl_module: Any, batch: Any) -> None:
        """Give -log p of the batch's real images to the metrics of likelihoods, if there are any."""
        if self.evaluator.asks_likelihoods:
            with ImageDraws((self.seed, _LIKELIHOOD), self._items.tolist()):
                nats = pl_module.nats(batch)
            if nats is not None:
                self.evaluator.weigh(nats, pl_module.reference(batch)[0].numel())

    def _begin(self, trainer: L.Trainer, real: Tensor) -> None:
        """Look up, by the first real images, whether this pass's real features are known."""
        self._name = self._cache_name(trainer, real)
        self._missing = None
        held = self._name is not None and self._name == self._held
        self.evaluator.reset(keep_real=held)
        if held:
            return
        self._held = None
        known = None if self._name is None else self.cache.load(self._name, self.evaluator.extractor)
        if known is None:
            self._missing = []
        else:
            for part in known.split(len(real)):  # in batches, as when they were computed: sums depend on the order
                self.evaluator.feed(part.to(real.device), real=True)

    def _teach(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Give captioned images of the training set to the metrics that learn from them, unless they have learnt."""
        pupils = [metric for metric in self.evaluator.metrics_of_features if not metric.is_taught]
        data: Any = getattr(trainer, "datamodule", None)
        if not pupils or self._is_trial(trainer) or not hasattr(data, "lesson_dataloader"):
            return
        loader, extractor = data.lesson_dataloader(), self.evaluator.extractor
        share = (trainer.global_rank, trainer.world_size, len(loader), "lessons")
        name = hashlib.sha256(f"{CACHE_VERSION} {loader.fingerprint} {extractor.fingerprint} {share}".encode())
        known = self.cache.load(name.hexdigest(), extractor)
        parts = [] if known is None else [known]
        for batch in loader if known is None else ():
            moved = trainer.strategy.batch_to_device(batch)  # and as the data module hands it over
            images = to_uint8(rendered(pl_module, pl_module.reference(moved)))  # type: ignore[operator]
            features = self.evaluator.features(images, None, partial(self._show_speed, trainer))
            parts.append(features._replace(captions=caption_codes(moved)).to("cpu"))
        if known is None and parts:
            self.cache.save(name.hexdigest(), parts)
        for metric in pupils:
            for part in parts:
                metric.learn(part.to(pl_module.device))

    def _show_speed(self, trainer: L.Trainer, count: int) -> None:
        """Count measured images, and show their number and speed once a second."""
        self._measured += count
        now = time.perf_counter()
        if now - self._reported >= 1 and (bar := _bar(trainer)) is not None:
            self._reported = now
            bar.set_postfix_str(
                f"{self._measured:,} images measured, {self._measured / (now - self._started):.1f} a second"
            )

    def _cache_name(self, trainer: L.Trainer, real: Tensor) -> str | None:
        """Return a name for the real features of this rank in a whole pass, or None where they cannot have one.

        The name depends on the first real images too, because the model chooses its reference (a translator's
        direction, a growing generator's resolution) and the loader's fingerprint does not know this choice.
        """
        loader = _loader(trainer)
        if not isinstance(loader, Fingerprinted) or not isinstance(loader, Sized) or trainer.sanity_checking:
            return None
        if _planned(trainer) != len(loader):
            return None
        share = (trainer.global_rank, trainer.world_size, len(loader), tuple(real.shape))
        extractor = self.evaluator.extractor.fingerprint
        digest = hashlib.sha256(f"{CACHE_VERSION} {loader.fingerprint} {extractor} {share}".encode())
        digest.update(real.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _plan(self, trainer: L.Trainer, batch: Any, batch_idx: int) -> tuple[Tensor, Tensor]:
        """Return, for each item of the batch, the number of its first generated image and their count; both int64 (N,).

        Of `num_fake` images, item i of n gets those from floor(i · num_fake / n) on. The images are thus spread evenly
        over all items, independent of batches and processes. If a loader does not state its number of items, each batch
        gets an equal share.
        """
        loader, count, num_fake = _loader(trainer), batch_length(batch), self.recipe.num_fake
        rank, ranks = trainer.global_rank, trainer.world_size
        items = self._items = torch.tensor(item_numbers(loader, batch_idx, count, self._reals, rank, ranks))
        if num_fake is None or self._is_trial(trainer):
            return items, torch.ones_like(items)
        if isinstance(loader, ReferenceSet):
            first, end = items * num_fake // loader.num_items, (items + 1) * num_fake // loader.num_items
            return first, end - first
        share = (rank + 1) * num_fake // ranks - rank * num_fake // ranks
        due = -(-share * (self._batches + 1) // len(loader)) - self._fakes
        places = torch.arange(count + 1) * due // count
        return (self._fakes + places[:-1]) * ranks + rank, places.diff()

    def _in_order(
        self, trainer: L.Trainer, generated: Callable[[Any], Tensor], batch: Any, outputs: Tensor
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images of the batch in the order of their numbers, in parts of at most the batch's length.

        The first image for each item is already in `outputs`; further images are generated.

        Yields:
            the indices of the items, int64 (M,), and the outputs for them (M, ...).
        """
        apart = 1 if isinstance(_loader(trainer), ReferenceSet) else trainer.world_size
        items = torch.arange(len(self._counts)).repeat_interleave(self._counts)
        later = torch.arange(len(items)) - (self._counts.cumsum(0) - self._counts)[items]
        numbers = self._numbers[items] + later * apart
        for start in range(0, len(items), len(outputs)):
            part = slice(start, start + len(outputs))
            rows, missing = items[part].to(outputs.device), later[part].nonzero().flatten()
            images = outputs[rows]
            if len(missing):
                with ImageDraws(self.seed, numbers[part][missing].tolist()):
                    images[missing] = generated(select(batch, rows[missing]))
            yield rows, images

    def _is_short(self, trainer: L.Trainer) -> bool:
        """Return whether this pass is a trial, or saw only a part of the reference set."""
        loader = _loader(trainer)
        return self._is_trial(trainer) or (isinstance(loader, Sized) and self._batches < len(loader))

    def _check_reference(self, loader: ReferenceSet) -> None:
        name, split, count = self.recipe.name, self.recipe.split, self.recipe.num_real
        if split not in (None, loader.split):
            raise ValueError(
                f"the recipe {name} compares with the {split} split, and the data serve their {loader.split} split: "
                f"set data.init_args.reference_split to {split}"
            )
        if count not in (None, loader.num_items):
            raise ValueError(
                f"the recipe {name} compares with {count} images, and the data serve {loader.num_items}: set "
                f"data.init_args.num_reference to {count}, or name a recipe with as many as there are"
            )

    def _report(self, trainer: L.Trainer, pl_module: L.LightningModule, values: dict[str, Tensor]) -> None:
        """Record the numbers together with the settings that they depend on."""
        counts = torch.tensor([self._reals, self._fakes], device=pl_module.device)
        reals, fakes = trainer.strategy.reduce(counts, reduce_op="sum").tolist()
        extractor, loader = self.evaluator.extractor, _loader(trainer)
        data = getattr(trainer, "datamodule", None)
        fitting = self.within_fit or trainer.state.fn == TrainerFn.FITTING
        report = Report(
            recipe=self.recipe.name,
            extractor=type(extractor).__name__,
            fingerprint=extractor.fingerprint,
            preprocessing=extractor.preprocessing,
            real=f"{type(data).__name__ if data else type(loader).__name__}, "
            f"{loader.split if isinstance(loader, ReferenceSet) else 'unnamed'} split",
            fake=type(pl_module).__name__ if fitting else str(trainer.ckpt_path or type(pl_module).__name__),
            num_real=reals,
            num_fake=fakes,
            seeds=[self.seed],
            values={name: [float(value)] for name, value in values.items()},
            seconds=time.perf_counter() - self._started,
            settings={
                "stage": "test" if trainer.testing else "val",
                "within_fit": fitting,
                "images_seen": getattr(pl_module, "images_seen", None),
                "batches_seen": getattr(pl_module, "batches_seen", None),
                "resolution": resolution(pl_module),
                "precision": str(trainer.precision),
                "complete": not self._is_short(trainer),
                "processes": trainer.world_size,
                "torch": torch.__version__,
                **self._protocol(pl_module, data),
            },
        )
        self.reports.append(report)
        if trainer.is_global_zero and not self._is_trial(trainer):
            try:
                report.append_to(Path(trainer.default_root_dir) / REPORTS)
            except OSError as error:
                if fitting:
                    raise
                rank_zero_warn(
                    f"the numbers are shown only, since {error.filename} cannot be written: {error.strerror}"
                )

    def _protocol(self, pl_module: Any, data: Any) -> dict[str, str]:
        """Return the protocol of the likelihoods, if there are any."""
        if not self.evaluator.asks_likelihoods:
            return {}
        values = getattr(data, "values_protocol", "values as the data serve them")
        return {"likelihood": f"{pl_module.likelihood_protocol}; {values}"}

    @staticmethod
    def _is_trial(trainer: L.Trainer) -> bool:
        return bool(trainer.sanity_checking or trainer.fast_dev_run)  # type: ignore[attr-defined]


def forget_reports(path: Path, evaluated_at: int) -> None:
    """Remove the run's own reports of evaluations after `evaluated_at` batches from the file."""
    if not path.is_file():
        return
    lines.drop_unfinished(path)

    def stays(line: str) -> bool:
        try:
            settings = json.loads(line)["settings"]
            return not settings["within_fit"] or settings["batches_seen"] <= evaluated_at
        except (ValueError, KeyError, TypeError):
            return True  # the line is not a report of this run

    there = lines.read(path).splitlines(keepends=True)
    kept = [line for line in there if stays(line)]
    if len(kept) < len(there):
        lines.replace(path, kept)


def _loader(trainer: L.Trainer) -> Any:
    """Return the only reference loader."""
    loaders = CombinedLoader(trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders).flattened
    if len(loaders) != 1:
        raise ValueError(f"Evaluation compares with one reference set, and there are {len(loaders)} loaders: give one")
    return loaders[0]


def _bar(trainer: L.Trainer) -> Any:
    """Return the progress bar of the evaluation, or None if there is none."""
    bars = trainer.progress_bar_callback
    if not isinstance(bars, TQDMProgressBar) or bars.is_disabled:
        return None
    try:
        return bars.test_progress_bar if trainer.testing else bars.val_progress_bar
    except TypeError:  # the bar has not started
        return None


def _planned(trainer: L.Trainer) -> int | float:
    """Return the number of batches that the trainer will take from the loader; infinite if its length is unknown."""
    return (trainer.num_test_batches if trainer.testing else trainer.num_val_batches)[0]
