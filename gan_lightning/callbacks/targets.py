"""Scores of each target of a model that translates to several domains, or switches attributes."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from gan_lightning.classifiers import Classifier
from gan_lightning.inference import DomainTranslator
from gan_lightning.ranges import Checked


class TargetScores(Checked, L.Callback):
    """Translate the reference images to each target in every evaluation, and log scores of the results.

    For each target T, over all reference images of other domains, or over all images with the attribute T switched:

    - `val/distance/T`: mean absolute difference to the true picture, as a share of the range (0 to 1); and
      `val/source_distance/T`, that of the untranslated image. For aligned domains, whose batches have `truths`.
    - `val/accuracy/T`: share of translations in which a classifier sees the wanted domain, or the attribute switched.
    - `val/kept/T`: share of the other attributes that the classifier sees as they were, over those that it knows.

    Args:
        classifier: file of a classifier of the domains or attributes, by the same names, which was trained on real
            images (`gan-lightning train-classifier`). Null: only distances are measured.
    """

    def __init__(self, classifier: Path | None = None) -> None:
        self.path = classifier
        self.classifier: Classifier | None = None
        self._sums: dict[str, Tensor] = {}  # of a score, and the number of its items, by its name

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Load the classifier.

        Raises:
            ValueError: the model has no targets to choose, or the file holds no classifier.
        """
        if not isinstance(getattr(pl_module, "translator", None), DomainTranslator):
            raise ValueError(
                f"TargetScores measures translations to domains or attributes, and {type(pl_module).__name__} makes "
                "none: leave the callback out"
            )
        if self.path is not None and self.classifier is None:
            self.classifier = Classifier.load(self.path)

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin anew."""
        self._sums.clear()

    @torch.no_grad()
    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Translate a batch to each target.

        Raises:
            ValueError: there is nothing to measure, or the classifier does not know a target.
        """
        translator: DomainTranslator = pl_module.translator  # type: ignore[assignment]
        code: Tensor = pl_module.code_of(batch)  # type: ignore[operator]
        truths: Tensor | None = getattr(batch, "truths", None)
        if truths is None and self.classifier is None:
            raise ValueError(
                "TargetScores has nothing to measure: give it a classifier, or a DomainsFolder with aligned: true"
            )
        for place, name in enumerate(translator.targets):
            wanted = translator.code_to(name, code)
            rows = (wanted != code).any(dim=1)  # all but those of the domain itself
            if not rows.any():
                continue
            made = translator.apply(batch.images[rows], wanted[rows]).clamp(-1, 1)
            if truths is not None:
                for score, images in (("distance", made), ("source_distance", batch.images[rows])):
                    self._add(f"{score}/{name}", (images - truths[rows, :, place]).abs().mean(dim=(1, 2, 3)) / 2)
            if self.classifier is not None:
                self._classify(self.classifier.to(made.device), translator, name, made, wanted[rows])

    def _classify(
        self, classifier: Classifier, translator: DomainTranslator, name: str, made: Tensor, wanted: Tensor
    ) -> None:
        if (classifier.kind == "classes") != translator.are_domains:
            raise ValueError(
                f"the classifier {self.path} is one of {classifier.kind}, and the model's targets are "
                f"{'domains' if translator.are_domains else 'attributes'}: train one of those"
            )
        logits = classifier(made)
        if translator.are_domains:
            self._add(f"accuracy/{name}", (logits.argmax(dim=1) == classifier.number(name)).float())
            return
        place = translator.targets.index(name)
        self._add(f"accuracy/{name}", ((logits[:, classifier.number(name)] > 0) == (wanted[:, place] > 0)).float())
        others = [each for each in translator.targets if each != name and each in classifier.names]
        if others:
            seen = logits[:, [classifier.number(each) for each in others]] > 0
            kept = seen == (wanted[:, [translator.targets.index(each) for each in others]] > 0)
            self._add(f"kept/{name}", kept.float().mean(dim=1))

    def _add(self, score: str, values: Tensor) -> None:
        both = torch.stack([values.sum().double(), values.new_tensor(len(values)).double()])
        self._sums[score] = self._sums.get(score, torch.zeros_like(both)) + both

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the scores over all processes; one without a batch takes part."""
        translator: DomainTranslator = pl_module.translator  # type: ignore[assignment]
        scores = [f"{kind}/{name}" for kind in _KINDS for name in translator.targets]
        none = torch.zeros(2, dtype=torch.float64, device=pl_module.device)
        sums = trainer.strategy.reduce(torch.stack([self._sums.get(score, none) for score in scores]), reduce_op="sum")
        stage = "test" if trainer.testing else "val"
        means = {f"{stage}/{score}": float(total / n) for score, (total, n) in zip(scores, sums, strict=True) if n}
        pl_module.log_dict(means, sync_dist=False, rank_zero_only=False)

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end


_KINDS = ("distance", "source_distance", "accuracy", "kept")
