"""A linear classifier on a discriminator's features."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from gan_lightning.data.batches import class_labels
from gan_lightning.inference import evaluating
from gan_lightning.metrics.linear_probe import check_linear_svm, linear_svm_accuracy
from gan_lightning.networks.discriminator import Discriminator
from gan_lightning.ranges import Checked, PositiveFloat, PositiveInt
from gan_lightning.training.adversarial import AdversarialModule


class LinearProbe(Checked, L.Callback):
    """At the end of `gan-lightning validate` or `test`, classify the data by a linear SVM on D's features.

    Radford et al. 2015, arXiv 1511.06434, section 5.1; Wu et al. 2016, arXiv 1610.07584, section 4.2. The SVM learns
    from the training set and is measured on the reference set. Features are the discriminator's `descriptors` where it
    has such, else its `features`. Logged as `val/linear_svm_accuracy`, beside `val/linear_svm_chance`, the share of the
    reference set's largest class; both in [0, 1].

    Args:
        penalty: C of the SVM.
        batch_size: number of items that pass through the discriminator at a time.
    """

    def __init__(self, penalty: PositiveFloat = 0.01, batch_size: PositiveInt = 64) -> None:
        self.penalty, self.batch_size = penalty, batch_size

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuse models without such features, and data without classes.

        Raises:
            TypeError: the model has no discriminator with features.
            ValueError: the data have no classes, or are of a datamodule without storages.
            ModuleNotFoundError: scikit-learn is missing.
        """
        check_linear_svm()
        if not isinstance(pl_module, AdversarialModule) or not isinstance(pl_module.discriminator, Discriminator):
            raise TypeError(f"{type(pl_module).__name__} has no discriminator with features: leave LinearProbe out")
        data = getattr(trainer, "datamodule", None)
        if not hasattr(data, "training_storage") or getattr(data, "num_classes", None) is None:
            raise ValueError(
                f"LinearProbe classifies the data, and {type(data).__name__} serves no classes: label them, as by "
                "data.labels or data.labelled, or leave LinearProbe out"
            )

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Train and measure the classifier, but not within a fit."""
        if trainer.state.fn == TrainerFn.FITTING:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        train, test = (
            self._features(pl_module, data, storage) for storage in (data.training_storage(), data.reference_storage())
        )
        stage = "test" if trainer.testing else "val"
        chance = test[1].bincount().max() / len(test[1])
        accuracy = linear_svm_accuracy(*train, *test, self.penalty)
        pl_module.log(f"{stage}/linear_svm_accuracy", accuracy, sync_dist=True)
        pl_module.log(f"{stage}/linear_svm_chance", float(chance), sync_dist=True)

    on_test_epoch_end = on_validation_epoch_end

    @torch.no_grad()
    def _features(self, pl_module: Any, data: Any, storage: Any) -> tuple[Tensor, Tensor]:
        """Return the features of a whole storage, float32 (N, d), and the classes, int64 (N,), on the CPU."""
        network = pl_module.discriminator
        describe = getattr(network, "descriptors", network.features)
        found, labels = [], []
        with evaluating(network), torch.autocast(pl_module.device.type, enabled=False):
            for rows in storage.order().split(self.batch_size):
                batch = storage.batch(rows)
                moved = type(batch)(*(None if field is None else field.to(pl_module.device) for field in batch))
                ready = data.on_after_batch_transfer(moved, 0)
                found.append(describe(pl_module.reference(ready)).float().cpu())
                labels.append(class_labels(ready).cpu())  # type: ignore[union-attr]
        return torch.cat(found), torch.cat(labels)
