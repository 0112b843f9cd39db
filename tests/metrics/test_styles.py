"""Metrics of several outputs for one source: hand-computed values, real pairs, numbers of sources and styles."""

import math

import pytest
import torch
from torch import Tensor

from gan_lightning.data.images import to_float
from gan_lightning.extractors.base import Features
from gan_lightning.metrics import ConditionalInceptionScore, StyleDiversity, StyleMetric, TooFewSamplesError


def absolute(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).abs().mean(dim=(1, 2, 3))


def grey(levels: list[list[int]]) -> Tensor:
    """Outputs uint8 (N, K, 1, 4, 4) of one level each."""
    return torch.tensor(levels, dtype=torch.uint8)[:, :, None, None, None].expand(-1, -1, 1, 4, 4)


def test_pairs_are_of_one_source_and_no_output_is_in_two() -> None:
    metric = StyleDiversity(absolute, sources=2, styles=4)
    metric.update(grey([[0, 51, 102, 153]]))
    metric.update(grey([[255, 255, 255, 0]]))
    metric.update_real(torch.tensor([0, 51, 51, 204], dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 4, 4))
    values = metric.compute()
    # pairs (0, 102), (51, 153), (255, 255), (255, 0); a level is 2 / 255 of the range [-1, 1]
    assert values["style_diversity"].item() == pytest.approx((102 + 102 + 0 + 255) / 4 * 2 / 255)
    assert values["style_diversity_real"].item() == pytest.approx((51 + 153) / 2 * 2 / 255)
    assert values["style_diversity"].dtype == torch.float64


def test_a_model_that_ignores_its_style_has_no_diversity() -> None:
    metric = StyleDiversity(absolute, styles=3)
    metric.update(torch.randint(0, 256, (5, 1, 3, 8, 8), dtype=torch.uint8).expand(-1, 3, -1, -1, -1))
    metric.update_real(torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8))
    assert metric.compute()["style_diversity"] == 0


def test_real_pairs_stop_at_the_number_of_generated_ones_and_stay() -> None:
    metric = StyleDiversity(absolute, sources=3, styles=2)
    for _ in range(3):
        metric.update_real(torch.randint(0, 256, (4, 1, 4, 4), dtype=torch.uint8))
    assert metric.real_pairs == 3
    metric.reset(keep_real=True)
    assert (metric.real_pairs, metric.fake_pairs) == (3, 0)
    metric.reset()
    assert metric.real_pairs == 0


def test_the_distance_is_perceptual_by_name() -> None:
    metric = StyleDiversity("efficientnet_lite0")
    images = torch.randint(0, 256, (1, 2, 3, 32, 32), dtype=torch.uint8)
    metric.update(images)
    metric.update_real(images[0])
    values = metric.compute()
    expected = metric.distance(*to_float(images[0])[:, None])
    assert values["style_diversity"].item() == pytest.approx(expected.item())
    assert values["style_diversity"] == values["style_diversity_real"] > 0


def test_missing_weights_of_all_distances_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_lightning.metrics.styles.make_distance", lambda name, smallest: None)
    with pytest.raises(FileNotFoundError, match=r"no network for one has its weights here: install gan_lightning"):
        StyleDiversity()


def scored(logits: Tensor) -> float:
    """CIS of logits (N, K, classes)."""
    metric = ConditionalInceptionScore()
    pictures = torch.zeros(*logits.shape[:2], 1, 4, 4, dtype=torch.uint8)
    for images, own in zip(pictures.split(1), logits.split(1), strict=True):
        metric.update(images, Features(torch.zeros(own.shape[1], 2), own.flatten(0, 1)))
    return metric.compute()["conditional_inception_score"].item()


def test_the_conditional_inception_score_by_hand() -> None:
    torch.manual_seed(0)
    logits = 3 * torch.randn(3, 4, 5)
    p = logits.double().softmax(-1)
    total = 0.0
    for source in p:
        mean = source.mean(0)
        for style in source:
            total += sum((a * math.log(a / b)).item() for a, b in zip(style, mean, strict=True))
    assert scored(logits) == pytest.approx(math.exp(total / 12))


def test_the_score_is_one_for_one_class_a_source_and_their_number_for_as_many() -> None:
    same = 50 * torch.eye(4)[:, None].expand(-1, 3, -1)  # each source has a class of its own: IS would be 4
    assert scored(same) == pytest.approx(1)
    assert scored(50 * torch.eye(4).expand(2, -1, -1)) == pytest.approx(4)


def test_the_score_needs_logits() -> None:
    with pytest.raises(ValueError, match="needs class logits"):
        ConditionalInceptionScore().update(torch.zeros(1, 2, 1, 4, 4, dtype=torch.uint8), Features(torch.zeros(2, 3)))


@pytest.mark.parametrize("metric", [StyleDiversity(absolute), ConditionalInceptionScore()])
def test_nothing_is_too_few(metric: StyleMetric) -> None:
    with pytest.raises(TooFewSamplesError, match=type(metric).__name__):
        metric.compute()


def test_sums_of_ranks_add_up() -> None:
    levels = torch.randint(0, 256, (6, 4), generator=torch.Generator().manual_seed(0)).tolist()
    whole = StyleDiversity(absolute, styles=4)
    whole.update(grey(levels))
    parts = [StyleDiversity(absolute, styles=4) for _ in range(2)]
    for metric, own in zip(parts, (levels[:2], levels[2:]), strict=True):
        metric.update(grey(own))
    torch.testing.assert_close(parts[0].fake_sum + parts[1].fake_sum, whole.fake_sum)
    assert parts[0].fake_pairs + parts[1].fake_pairs == whole.fake_pairs == 12
