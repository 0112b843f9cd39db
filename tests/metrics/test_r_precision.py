"""R-precision: perfect images, images of nothing, chance, words and embeddings, and what it needs."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.extractors.base import Features
from gan_lightning.metrics import RPrecision, TooFewSamplesError

SENTENCES, WIDTH = 300, 12


def embeddings(count: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed)), dim=1)


def shown(captions: Tensor, noise: float = 0.0, seed: int = 0) -> Features:
    """Features of images that show their captions: a linear map of them, and noise."""
    turn = torch.randn(WIDTH, 20, generator=torch.Generator().manual_seed(9))
    features = captions @ turn + 3
    features = features + noise * torch.randn(features.shape, generator=torch.Generator().manual_seed(seed))
    return Features(features, captions=captions)


def taught(**how: float) -> RPrecision:
    metric = RPrecision(20, ridge=1e-3, **how)
    assert not metric.is_taught
    metric.learn(shown(embeddings(400, 1)))
    assert metric.is_taught
    return metric


def test_images_that_show_their_captions_are_all_matched_and_others_by_chance() -> None:
    metric, captions = taught(), embeddings(SENTENCES, 2)
    metric.update(shown(captions), real=True)
    for start in range(0, SENTENCES, 100):  # in any batches
        metric.update(shown(captions[start : start + 100]), real=False)
    assert {name: float(value) for name, value in metric.compute().items()} == {
        "r_precision": 1,
        "r_precision_real": 1,
        "r_precision_chance": 0.01,
    }
    metric.reset(keep_real=True)
    assert metric.is_taught
    many = captions.repeat(20, 1)
    other = shown(embeddings(len(many), 3))
    metric.update(other._replace(captions=many), real=False)
    assert float(metric.compute()["r_precision"]) == pytest.approx(0.01, abs=0.004)
    metric.reset()
    assert not metric.is_taught


def test_more_noise_is_less_precision() -> None:
    values = []
    for noise in (0.0, 1.0, 4.0, 100.0):
        metric, captions = taught(), embeddings(SENTENCES, 2)
        metric.update(shown(captions), real=True)
        metric.update(shown(captions, noise), real=False)
        values.append(float(metric.compute()["r_precision"]))
    assert values == sorted(values, reverse=True)
    assert values[0] == 1
    assert values[-1] < 0.1


def test_equal_captions_are_no_wrong_candidates() -> None:
    metric, captions = taught(), embeddings(3, 2).repeat(50, 1)
    for real in (True, False):
        metric.update(shown(captions), real=real)
    values = metric.compute()
    assert float(values["r_precision"]) == 1
    assert float(values["r_precision_chance"]) == pytest.approx(1 / 3)


def test_token_ids_are_compared_by_their_words() -> None:
    random = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 30, (400, 4), generator=random)
    words = F.one_hot(tokens, 30).sum(dim=1).clamp(max=1).float()[:, 1:]
    metric = RPrecision(29, ridge=1e-3)
    metric.learn(Features(words, captions=tokens))
    for real in (True, False):
        metric.update(Features(words[:200], captions=F.pad(tokens[:200].flip(1), (0, 0))), real=real)
    assert float(metric.compute()["r_precision"]) > 0.97


def test_unknown_words_count_for_nothing_and_equally_near_captions_share_a_hit() -> None:
    tokens = torch.arange(2, 22).unsqueeze(1)
    words = F.one_hot(tokens[:, 0] - 2, 20).float()
    metric = RPrecision(20, ridge=1e-3)
    metric.learn(Features(words, captions=F.pad(tokens, (0, 1))))
    # each word with one of two words that the training set lacks: 1, as a vocabulary's unknown one, and a higher id
    asked = torch.cat([torch.cat([tokens, torch.full_like(tokens, other)], dim=1) for other in (1, 90)])
    for real in (True, False):
        metric.update(Features(words.repeat(2, 1), captions=asked), real=real)
    assert float(metric.compute()["r_precision"]) == pytest.approx(0.5)


def test_what_is_missing_is_said() -> None:
    metric = RPrecision(20)
    with pytest.raises(TooFewSamplesError, match="learns from the captioned images of the training set"):
        metric.compute()
    with pytest.raises(ValueError, match=r"these data have none: use .*CaptionedFolder"):
        metric.update(Features(torch.zeros(2, 20)), real=True)
    metric = taught()
    metric.update(shown(embeddings(3, 0)), real=True)
    with pytest.raises(TooFewSamplesError, match="needs at least 2 images"):
        metric.compute()
