"""Evaluation of several outputs for one source: by any model with styles to choose, and no other."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gan_lightning.callbacks.evaluation import Evaluation
from gan_lightning.data.images import to_uint8
from gan_lightning.evaluation import Evaluator
from gan_lightning.inference import Choice
from gan_lightning.metrics import ConditionalInceptionScore, DigitClassifier, NoFeatures, StyleDiversity
from models.test_bicyclegan import bicyclegan
from models.test_cyclegan import cyclegan
from models.test_munit import munit
from tiny import data_for
from toys import trainer


def absolute(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).abs().mean(dim=(1, 2, 3))


def evaluation(**how: Any) -> Evaluation:
    metrics = [StyleDiversity(absolute, sources=5, styles=4), ConditionalInceptionScore(sources=3, styles=2)]
    return Evaluation(extractor=DigitClassifier(), metrics=metrics, **how)


@pytest.mark.parametrize("build", [munit, bicyclegan])
def test_the_first_sources_are_translated_in_the_styles_of_the_first_seeds(build: Any, tmp_path: Path) -> None:
    model = build()
    data = data_for(model, batches=3, count=3)
    measured = evaluation()
    values = trainer(callbacks=[measured], default_root_dir=tmp_path).validate(model, data, verbose=False)[0]

    diversity, score = StyleDiversity(absolute, styles=4), ConditionalInceptionScore(styles=2)
    extractor = DigitClassifier()
    for batch, count, few in zip(data.batches, (3, 2, 0), (3, 0, 0), strict=True):
        source, direction = model.sources(batch)
        made = torch.stack([model.translate(source, direction, Choice(style_seed=seed)) for seed in range(4)], 1)
        pictures = to_uint8(made.flatten(0, 1)).unflatten(0, made.shape[:2])
        diversity.update(pictures[:count])
        diversity.update_real(to_uint8(model.reference(batch)))
        if few:
            own = pictures[:few, :2]
            score.update(own, extractor(own.flatten(0, 1)))
    expected = diversity.compute() | score.compute()
    for name, value in expected.items():
        assert values[f"val/{name}"] == pytest.approx(value.item(), rel=1e-5)
    assert values["val/style_diversity"] > 0

    again = trainer(callbacks=[measured], default_root_dir=tmp_path).validate(model, data, verbose=False)[0]
    assert {name: again[name] for name in values} == values


def test_a_model_without_styles_is_refused_before_the_first_batch(tmp_path: Path) -> None:
    model = cyclegan()
    with pytest.raises(TypeError, match=r"CycleGAN has no styles to choose: name a recipe without `styles` and `cis`"):
        trainer(callbacks=[evaluation()], default_root_dir=tmp_path).validate(model, data_for(model), verbose=False)


def test_the_score_needs_an_extractor_and_the_diversity_none() -> None:
    Evaluator(NoFeatures(), [StyleDiversity(absolute)])
    with pytest.raises(ValueError, match="ConditionalInceptionScore are computed from features"):
        Evaluator(NoFeatures(), [ConditionalInceptionScore()])


def test_other_translators_have_no_variations() -> None:
    model = cyclegan()
    (batch,) = data_for(model).batches
    assert model.variations(batch, 2) is None
