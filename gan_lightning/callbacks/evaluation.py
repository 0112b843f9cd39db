"""Validation as evaluation: FID and its kin of the generator, against the images of the validation loader."""

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
    batch_length,
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
from gan_lightning.ranges import Checked, NonNegativeInt
from gan_lightning.training.generative import rendered

REPORTS = "evaluations.jsonl"


@runtime_checkable
class Evaluated(Protocol):
    """A model that Evaluation can evaluate; its `validation_step` and `test_step` return the generated images."""

    def generate(self, batch: Any) -> Tensor:
        """What is made for a batch, as the steps return it: images float (N, C, H, W) in [-1, 1]."""
        ...

    def reference(self, batch: Any) -> Tensor:
        """The real ones of a batch that the generated ones should resemble, as these are."""
        ...


@runtime_checkable
class ReferenceSet(Protocol):
    """A reference loader that says what it hands out: a split of the data, and how much of it on all ranks together."""

    split: str
    num_items: int


class Evaluation(Checked, L.Callback):
    """Makes a validation (or test) run an evaluation: each batch generates its share of the images.

    The loader is the reference set, its progress bar the progress, with the images a second that are measured. What
    `validation_step` returns are the generated images, float (N, C, H, W) in [-1, 1]; `pl_module.reference(batch)` are
    the real ones they stand against. Both are measured as the model's `render` shows them, where it has one. One pass
    of the extractor over an image feeds all metrics; their values are logged as `val/fid`, `val/kid`, ... or
    `test/fid`, ..., and written with the recipe, the seed and all else that makes the numbers, as a line of JSON, into
    `evaluations.jsonl` in the run's folder.

    Real features are computed once: kept from one validation to the next, and on disk for later runs, under a name made
    of the loader's fingerprint, the extractor's, and this rank's share. Without a fingerprint, or when the trainer cuts
    the pass short (`limit_val_batches`), they are computed each time and nothing is kept: like is compared with like.

    A metric that needs more images than there are is left out, and a warning says so, once; the run goes on.

    Metrics of pairs (PSNR, SSIM, ...) are of models that learn from a `PairedBatch`: each of its images as generated is
    held against the batch's own reference, both rounded to 8 bits as they are saved.

    Each generated image draws from a stream of its own, named by `seed` and its number, so that equal weights get equal
    scores, on any number of processes and with batches of any size. The run's own random state is put back afterwards.
    (A torch DataLoader draws as it is iterated, which is before: give it a `generator`.)

    Args:
        recipe: how the numbers are made, by name: `fid50k_train`, `suite10k_test@digits`, ... (see
            `gan_lightning.evaluation.recipes`). The command line serves the split that it names. None: as many images
            as references, of whatever the loader serves.
        extractor: makes features of uint8 images. It is no part of the model, nor of checkpoints; nor are the metrics.
            None: the recipe's.
        metrics: what to compute: classes from `gan_lightning.metrics`, or any functions from the width of the features
            to a `FeatureMetric`, or objects of the other metrics. None: the recipe's; without one, FID, inception
            score, KID, precision and recall.
        seed: of an evaluation's draws.
        download_weights: fetch the weights of the recipe's extractor where they are missing.
        cache_dir: folder for real features, 4 bytes a number: 0.4 GB for 50,000 images by Inception. None: the
            environment variable GAN_LIGHTNING_CACHE, else ~/.cache/gan_lightning.

    Attributes:
        reports: of the evaluations of this process so far.
        left_out: sentences about the metrics that were left out of them.
        within_fit: whether evaluations before and after the training are the run's own too, as the command line's are.

    Raises:
        ValueError: where generated images hold NaN or infinite values, there is more than one loader, or the data do
            not serve what the recipe compares with.
        TypeError: where `validation_step` returns no images, or the model has no `reference`; before all else, where a
            metric compares pairs and the model does not learn from any.
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
            kept = tuple(choice for choice in self.recipe.metrics if isinstance(choice, EvaluationMetric))
            self.recipe = replace(self.recipe, metrics=kept)  # those that need no features
            self.left_out.add("metrics of features need an extractor, and there is none")
        self.evaluator = Evaluator(extractor, self.recipe.metrics)
        self.cache = FeatureCache(cache_dir)
        self.seed = seed
        self.reports: list[Report] = []
        self._random_state = contextlib.ExitStack()
        self._image_draws = contextlib.ExitStack()
        self._numbers, self._counts = torch.tensor([]), torch.tensor([])  # of this batch: see `_plan`
        self._held: str | None = None  # name of the real images that the metrics hold, when they are a whole set
        self._name: str | None = None  # of those of this pass, where they have one
        self._missing: list[Features] | None = None  # real features of this pass so far, where they had to be computed
        self._batches = self._reals = self._fakes = 0  # of this pass, on this rank, so far
        self._started = self._told = 0.0  # seconds: when this pass began, and when its speed was shown last
        self._measured = 0  # images of this pass that have gone through the extractor

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuse metrics of pairs with a model of none."""
        batch_type = getattr(pl_module, "batch_type", None)
        if self.evaluator.compares_pairs and not has_pairs(batch_type):
            raise TypeError(
                f"the recipe {self.recipe.name} compares each generated image with the one that it should be, and "
                f"{type(pl_module).__name__} does not learn from pairs (its batch_type is "
                f"{getattr(batch_type, '__name__', batch_type)}, not PairedBatch): name a recipe without metrics of "
                "pairs, such as fidfull_test"
            )

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Set the random state aside; bring extractor and metrics to the model's device."""
        loader = _loader(trainer)
        if isinstance(loader, ReferenceSet):
            self._check_reference(loader)
        if self.recipe.num_fake is not None and not isinstance(loader, Sized):
            raise ValueError(
                f"the recipe {self.recipe.name} generates {self.recipe.num_fake} images, shared out over the batches "
                "of the reference loader, which does not say how many it has: give it a __len__"
            )
        self._random_state.enter_context(isolate_rng())
        torch.manual_seed(self.seed)
        self.evaluator.to(pl_module.device)
        self._batches = self._reals = self._fakes = self._measured = 0
        self._started = self._told = time.perf_counter()

    def on_validation_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Give each image of the batch its own random numbers, until the batch's end."""
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
        """Take in the batch's generated images, and its real ones where they are not known yet."""
        self._image_draws.close()
        shown = rendered(pl_module, outputs) if isinstance(outputs, Tensor) else None
        if not isinstance(pl_module, Evaluated) or shown is None or not shown.is_floating_point():
            raise TypeError(
                f"{type(pl_module).__name__} cannot be evaluated: its validation_step and test_step must return "
                f"generated images, float (N, C, H, W) in [-1, 1] (this time: {type(outputs).__name__}), and its "
                "reference(batch) the real ones"
            )
        stated = states_roles(type(batch))
        labels = class_labels(batch) if stated else None
        looked_at = self.evaluator.looks_at_images or self.evaluator.compares_pairs
        if self._batches == 0 or self._missing is not None or looked_at:
            real = to_uint8(rendered(pl_module, pl_module.reference(batch)))
            if self._batches == 0:
                self._begin(trainer, real)
            if self._missing is not None:
                features = self.evaluator.features(real, labels, partial(self._tell, trainer))
                self.evaluator.feed(features, real=True)
                self._missing.append(features.to("cpu"))
            if self._held is None:
                self.evaluator.show(real, real=True, labels=labels)
        self._batches += 1
        self._reals += batch_length(batch)

        from_sources = not stated or (len(grids(batch)) > 1 and getattr(pl_module, "sampler", None) is None)
        if self._counts.max() > 1 and from_sources:
            raise ValueError(
                f"the recipe {self.recipe.name} asks for more images than the data have sources to make them from: "
                "name a recipe with fewer, or with `full` for its number"
            )

        def made_for(items: Any) -> Tensor:
            return rendered(pl_module, pl_module.generate(items))

        asked = labels if getattr(pl_module, "num_classes", 0) else None
        for rows, made in self._in_order(trainer, made_for, batch, shown):
            if not made.isfinite().all():
                raise ValueError(
                    f"{type(pl_module).__name__} generated NaN or infinite pixels (evaluation batch {batch_idx}): "
                    "training has diverged; go back to an earlier checkpoint, or lower the learning rate"
                )
            fake, classes = to_uint8(made), None if asked is None else asked[rows]
            self.evaluator.feed(self.evaluator.features(fake, classes, partial(self._tell, trainer)), real=False)
            self.evaluator.show(fake, real=False, labels=classes)
            if self.evaluator.compares_pairs:
                self.evaluator.compare(fake, real[rows])
            self._fakes += len(fake)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compute and log the metrics; keep the real features, if they are new and of the whole set."""
        stage = "test" if trainer.testing else "val"
        if self._name is not None and self._batches == _planned(trainer):
            if self._missing is not None:
                self.cache.save(self._name, self._missing)
            self._held = self._name
        self._missing = None

        self.evaluator.probe(getattr(pl_module, "sampler", None))  # of a module of any kind
        errors: list[TooFewSamplesError] = []
        values = self.evaluator.compute(errors.append)
        reasons = [str(error) for error in errors]
        if reasons and self._is_short(trainer):
            rank_zero_info(f"not computed in this short {stage} run: {'; '.join(reasons)}")
        elif new := [reason for reason in reasons if reason not in self.left_out]:  # once a run
            rank_zero_warn(f"left out of evaluations: {'; '.join(new)}")
        self.left_out.update(reasons)
        for name, value in values.items():
            pl_module.log(f"{stage}/{name}", value, prog_bar=name == "fid", sync_dist=True)
        self._report(trainer, pl_module, values)
        # 50,000 generated images are 0.4 GB of features: not through the next epoch
        self.evaluator.reset(keep_real=self._held is not None)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put the random state back."""
        self._random_state.close()

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Forget the evaluations after the checkpoint, which a resumed run makes again."""
        noted = checkpoint.get("gan_lightning", {})
        if trainer.state.fn == TrainerFn.FITTING and trainer.is_global_zero and "evaluated_at" in noted:
            forget_reports(Path(trainer.default_root_dir) / REPORTS, noted["evaluated_at"])

    on_test_start = on_validation_start
    on_test_batch_start = on_validation_batch_start
    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end
    on_test_end = on_validation_end

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Put the random state back, should the exception have come in the middle of an evaluation."""
        self._image_draws.close()
        self._random_state.close()

    def _begin(self, trainer: L.Trainer, real: Tensor) -> None:
        """Find out, from the first real images, whether this pass's real features are known."""
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
            for part in known.split(len(real)):  # batch by batch, as when they were new: sums depend on their order
                self.evaluator.feed(part.to(real.device), real=True)

    def _tell(self, trainer: L.Trainer, count: int) -> None:
        """Count images that have been measured; show their number and speed, once a second."""
        self._measured += count
        now = time.perf_counter()
        if now - self._told >= 1 and (bar := _bar(trainer)) is not None:
            self._told = now
            bar.set_postfix_str(
                f"{self._measured:,} images measured, {self._measured / (now - self._started):.1f} a second"
            )

    def _cache_name(self, trainer: L.Trainer, real: Tensor) -> str | None:
        """A name for the real features of this rank in a whole pass; None where there is no such thing.

        The first images are in it since the model chooses what it is measured against (a translator's direction, a
        growing generator's resolution), which the loader's fingerprint does not know.
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
        """For each item of the batch, the number of the first image to generate for it, and how many; int64 (N,) both.

        Of `num_fake` images, item i of n gets those from i · num_fake / n on, rounded down: so they lie evenly over all
        items, and neither batches nor processes decide which item an image is for. Only where a loader does not say how
        many items it has, each batch gets an equal share.
        """
        loader, count, wanted = _loader(trainer), batch_length(batch), self.recipe.num_fake
        rank, ranks = trainer.global_rank, trainer.world_size
        items = torch.tensor(item_numbers(loader, batch_idx, count, self._reals, rank, ranks))
        if wanted is None or self._is_trial(trainer):
            return items, torch.ones_like(items)
        if isinstance(loader, ReferenceSet):
            first, end = items * wanted // loader.num_items, (items + 1) * wanted // loader.num_items
            return first, end - first
        share = (rank + 1) * wanted // ranks - rank * wanted // ranks
        due = -(-share * (self._batches + 1) // len(loader)) - self._fakes
        places = torch.arange(count + 1) * due // count
        return (self._fakes + places[:-1]) * ranks + rank, places.diff()

    def _in_order(
        self, trainer: L.Trainer, made_for: Callable[[Any], Tensor], batch: Any, outputs: Tensor
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """All images to generate for the batch, in the order of their numbers, at most as many at a time as it has.

        The first image for each item is there already (`outputs`); further ones are generated.

        Yields:
            the items that the images are for, int64 (M,), and the images, float (M, C, H, W).
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
                    images[missing] = made_for(select(batch, rows[missing]))
            yield rows, images

    def _is_short(self, trainer: L.Trainer) -> bool:
        """Whether this pass is a trial, or saw only a part of the reference set."""
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
        """Write the numbers down together with how they were made."""
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
                "precision": str(trainer.precision),
                "complete": not self._is_short(trainer),
                "processes": trainer.world_size,
                "torch": torch.__version__,
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

    @staticmethod
    def _is_trial(trainer: L.Trainer) -> bool:
        return bool(trainer.sanity_checking or trainer.fast_dev_run)  # type: ignore[attr-defined]


def forget_reports(path: Path, evaluated_at: int) -> None:
    """Take away a run's own reports of evaluations after the one at this many batches."""
    if not path.is_file():
        return
    lines.mend(path)

    def stays(line: str) -> bool:
        try:
            settings = json.loads(line)["settings"]
            return not settings["within_fit"] or settings["batches_seen"] <= evaluated_at
        except (ValueError, KeyError, TypeError):
            return True  # it is none of the run's

    there = lines.read(path).splitlines(keepends=True)
    kept = [line for line in there if stays(line)]
    if len(kept) < len(there):
        lines.replace(path, kept)


def _loader(trainer: L.Trainer) -> Any:
    """The one reference loader."""
    loaders = CombinedLoader(trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders).flattened
    if len(loaders) != 1:
        raise ValueError(f"Evaluation compares with one reference set, and there are {len(loaders)} loaders: give one")
    return loaders[0]


def _bar(trainer: L.Trainer) -> Any:
    """The bar that shows the progress of an evaluation; None where there is none."""
    bars = trainer.progress_bar_callback
    if not isinstance(bars, TQDMProgressBar) or bars.is_disabled:
        return None
    try:
        return bars.test_progress_bar if trainer.testing else bars.val_progress_bar
    except TypeError:  # it has not begun
        return None


def _planned(trainer: L.Trainer) -> int | float:
    """Batches that the trainer means to take from the one loader, infinite where its length is not known."""
    return (trainer.num_test_batches if trainer.testing else trainer.num_val_batches)[0]
