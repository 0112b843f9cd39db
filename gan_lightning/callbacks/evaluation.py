"""Validation as evaluation: FID and its kin of the generator, against the images of the validation loader."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Sized
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import lightning as L
import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from lightning.pytorch.utilities.seed import isolate_rng
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils._pytree import tree_leaves

from gan_lightning.batches import Fingerprinted
from gan_lightning.images import to_uint8
from gan_lightning.metrics import (
    FeatureExtractor,
    FeatureMetric,
    Features,
    FrechetInceptionDistance,
    InceptionScore,
    KernelInceptionDistance,
    PrecisionRecall,
    TooFewSamplesError,
)

CACHE_VARIABLE = "GAN_LIGHTNING_CACHE"
CACHE_VERSION = 1  # of the files and of what goes into their names


@runtime_checkable
class Referenced(Protocol):
    """What Evaluation asks of a model, besides generated images from its `validation_step` and `test_step`."""

    def reference(self, batch: Any) -> Tensor:
        """The real images of a batch that the generated ones should resemble, float (N, C, H, W) in [-1, 1]."""
        ...


class Evaluation(L.Callback):
    """Makes a validation (or test) run an evaluation: per batch, as many images are generated as it holds.

    The loader is the reference set, its progress bar the progress. What `validation_step` returns are the generated
    images, float (N, C, H, W) in [-1, 1]; `pl_module.reference(batch)` are the real ones they stand against. One pass
    of the extractor over an image feeds all metrics; their values are logged as `val/fid`, `val/kid`, ... or
    `test/fid`, ...

    Real features are computed once: kept from one validation to the next, and on disk for later runs, under a name made
    of the loader's fingerprint, the extractor's, and this rank's share. Without a fingerprint, or when the trainer cuts
    the pass short (`limit_val_batches`), they are computed each time and nothing is kept: like is compared with like.

    The draws of an evaluation start from `seed` plus the rank, so that equal weights get equal scores, and the run's
    own random state is put back after it. (A torch DataLoader draws as it is iterated, which is before: give it a
    `generator`.)

    Args:
        extractor: makes features of uint8 images. It is no part of the model, nor of checkpoints; nor are the metrics.
        metrics: what to compute: classes from `gan_lightning.metrics`, or any functions from the width of the features
            to a `FeatureMetric`. None: FID, inception score, KID, precision and recall.
        seed: of an evaluation's draws.
        cache_dir: folder for real features, 4 bytes a number: 0.6 GB for 50,000 images by Inception. None: the
            environment variable GAN_LIGHTNING_CACHE, else ~/.cache/gan_lightning.

    Raises:
        TooFewSamplesError: at the end of a validation that has fewer images than a metric needs. One that was cut short
            (sanity check, `fast_dev_run`, `limit_val_batches`) leaves such a metric out and says so.
        ValueError: where generated images hold NaN or infinite values, or there is more than one loader.
        TypeError: where `validation_step` returns no images, or the model has no `reference`.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        metrics: list[Callable[[int], FeatureMetric]] | None = None,
        seed: int = 0,
        cache_dir: Path | None = None,
    ) -> None:
        if metrics is None:
            metrics = [FrechetInceptionDistance, InceptionScore, KernelInceptionDistance, PrecisionRecall]
        self.extractor = extractor
        self.metrics = [make(extractor.num_features) for make in metrics]
        self.seed = seed
        self.cache_dir = Path(cache_dir or os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache/gan_lightning")
        self._random_state = contextlib.ExitStack()
        self._held: str | None = None  # name of the real features that the metrics hold, when they are a whole set
        self._name: str | None = None  # of those that this pass needs, where they have one
        self._batches = 0  # of this pass, so far
        self._missing: list[Features] | None = None  # real features of this pass so far, where they had to be computed

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Set the random state aside; bring extractor and metrics to the model's device."""
        loaders = tree_leaves(trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders)
        if len(loaders) != 1:
            raise ValueError(
                f"Evaluation compares with one reference set, and there are {len(loaders)} loaders: give one"
            )
        self._random_state.enter_context(isolate_rng())
        torch.manual_seed(self.seed + trainer.global_rank)
        self.extractor.to(pl_module.device)
        for metric in self.metrics:
            metric.to(pl_module.device)
        self._batches = 0

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take in the features of the batch's generated images, and of its real ones where they are not known yet."""
        if not isinstance(pl_module, Referenced) or not isinstance(outputs, Tensor) or not outputs.is_floating_point():
            raise TypeError(
                f"{type(pl_module).__name__} cannot be evaluated: its validation_step and test_step must return "
                f"generated images, float (N, C, H, W) in [-1, 1] (this time: {type(outputs).__name__}), and its "
                "reference(batch) the real ones"
            )
        if not outputs.isfinite().all():
            raise ValueError(
                f"{type(pl_module).__name__} generated NaN or infinite pixels (evaluation batch {batch_idx}): training "
                "has diverged; go back to an earlier checkpoint, or lower the learning rate"
            )
        if self._batches == 0 or self._missing is not None:
            real = to_uint8(pl_module.reference(batch))
            if self._batches == 0:
                self._begin(trainer, real)
            if self._missing is not None:
                features = self.extractor(real)
                self._update(features, real=True)
                self._missing.append(features.to("cpu"))
        self._update(self.extractor(to_uint8(outputs)), real=False)
        self._batches += 1

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compute and log the metrics; keep the real features, if they are new and of the whole set."""
        stage = "test" if trainer.testing else "val"
        if self._missing is not None and self._name is not None and self._batches == _planned(trainer):
            self._save(self._name, self._missing)
            self._held = self._name
        self._missing = None
        for metric in self.metrics:
            try:
                values = metric.compute()
            except TooFewSamplesError as error:
                if not self._is_short(trainer):
                    raise
                rank_zero_info(f"not computed in this short {stage} run: {error}")
                continue
            for name, value in values.items():
                pl_module.log(f"{stage}/{name}", value, prog_bar=name == "fid", sync_dist=True)
        for metric in self.metrics:  # 50,000 generated images are 0.4 GB of features: not through the next epoch
            metric.reset(keep_real=self._held is not None)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put the random state back."""
        self._random_state.close()

    on_test_start = on_validation_start
    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end
    on_test_end = on_validation_end

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Put the random state back, should the exception have come in the middle of an evaluation."""
        self._random_state.close()

    def _begin(self, trainer: L.Trainer, real: Tensor) -> None:
        """Find out, from the first real images, whether the features of this pass's real images are known."""
        self._name = self._cache_name(trainer, real)
        self._missing = None
        held = self._name is not None and self._name == self._held
        for metric in self.metrics:
            metric.reset(keep_real=held)
        if held:
            return
        self._held = None
        known = None if self._name is None else self._load(self._name)
        if known is None:
            self._missing = []
        else:
            self._update(known.to(real.device), real=True)
            self._held = self._name

    def _cache_name(self, trainer: L.Trainer, real: Tensor) -> str | None:
        """A name for the real features of this rank in a whole pass; None where there is no such thing.

        The first images are in it since the model chooses what it is measured against (a translator's direction, a
        growing generator's resolution), which the loader's fingerprint does not know.
        """
        (loader,) = tree_leaves(trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders)
        if not isinstance(loader, Fingerprinted) or not isinstance(loader, Sized) or trainer.sanity_checking:
            return None
        if _planned(trainer) != len(loader):
            return None
        share = (trainer.global_rank, trainer.world_size, len(loader), tuple(real.shape))
        digest = hashlib.sha256(f"{CACHE_VERSION} {loader.fingerprint} {self.extractor.fingerprint} {share}".encode())
        digest.update(real.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _is_short(self, trainer: L.Trainer) -> bool:
        """Whether this pass is a trial, or saw only a part of the reference set."""
        if trainer.sanity_checking or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return True
        (loader,) = tree_leaves(trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders)
        return isinstance(loader, Sized) and self._batches < len(loader)

    def _update(self, features: Features, real: bool) -> None:
        for metric in self.metrics:
            metric.update(features, real=real)

    def _path(self, name: str) -> Path:
        return self.cache_dir / f"{name}.safetensors"

    def _load(self, name: str) -> Features | None:
        """The features on disk under that name; None where there are none, or other things than were written."""
        try:
            features = Features(**load_file(self._path(name)))
        except (OSError, SafetensorError, TypeError):
            return None
        right = features.pooled.shape[1:] == (self.extractor.num_features,) and features.pooled.isfinite().all()
        return features if right else None

    def _save(self, name: str, features: list[Features]) -> None:
        """Write the features under that name, whole or not at all."""
        tensors = {"pooled": torch.cat([part.pooled for part in features])}
        logits = [part.logits for part in features if part.logits is not None]
        if logits:
            tensors["logits"] = torch.cat(logits)
        path = self._path(name)
        unfinished = path.with_suffix(f".{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(tensors, unfinished)
            unfinished.replace(path)
        except (OSError, SafetensorError) as error:
            rank_zero_warn(f"features of real images could not be kept in {self.cache_dir} for later runs: {error}")
            with contextlib.suppress(OSError):
                unfinished.unlink()


def _planned(trainer: L.Trainer) -> int | float:
    """Batches that the trainer means to take from the one loader, infinite where its length is not known."""
    return (trainer.num_test_batches if trainer.testing else trainer.num_val_batches)[0]
