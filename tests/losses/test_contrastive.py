"""PatchNCE, against the formula written out, place by place."""

import math

import pytest
import torch
from torch import Tensor

from gan_lightning.losses import patch_nce


def by_hand(queries: Tensor, keys: Tensor, temperature: float) -> float:
    """Equation 3 as loops: each query, its own key, and all other keys of its image only."""
    total, count = 0.0, 0
    for image, others in zip(queries, keys, strict=True):
        for s, v in enumerate(image):
            alike = [math.exp(float(torch.cosine_similarity(v, k, dim=0)) / temperature) for k in others]
            total -= math.log(alike[s] / sum(alike))
            count += 1
    return total / count


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_it_is_the_papers_formula(temperature: float) -> None:
    torch.manual_seed(0)
    queries, keys = torch.randn(3, 7, 5, dtype=torch.double), 4 * torch.randn(3, 7, 5, dtype=torch.double)
    assert float(patch_nce(queries, keys, temperature)) == pytest.approx(by_hand(queries, keys, temperature), rel=1e-5)


def test_the_published_temperature_is_the_default() -> None:
    torch.manual_seed(0)
    queries, keys = torch.randn(2, 2, 4, 5)
    assert torch.equal(patch_nce(queries, keys), patch_nce(queries, keys, 0.07))


def test_its_scale_lengths_do_not_count_and_alike_keys_are_a_guess() -> None:
    places = torch.eye(8)[None]  # embeddings that are all different
    assert patch_nce(places, 100 * places) < 1e-4
    assert patch_nce(places.roll(1, dims=1), places) > 10
    alike = torch.ones(2, 8, 3)
    assert float(patch_nce(alike, alike)) == pytest.approx(math.log(8))


@pytest.mark.parametrize("length", [1e-7, 4e-6, 1.0])
def test_lengths_become_one_as_in_the_authors_code(length: float) -> None:
    """x / (‖x‖ + 1e-7): what is 1e-7 long becomes half as long as what is long."""
    places = length * torch.eye(2)[None]
    alike = (length / (length + 1e-7)) ** 2  # v·v⁺; v·v⁻ is 0
    assert float(patch_nce(places, places, 0.5)) == pytest.approx(math.log(1 + math.exp(-alike / 0.5)), rel=1e-5)


def test_an_embedding_of_zero_is_as_near_to_all_and_its_gradient_is_finite() -> None:
    queries = torch.zeros(1, 4, 3, requires_grad=True)
    loss = patch_nce(queries, torch.eye(4, 3)[None])
    assert loss.item() == pytest.approx(math.log(4))
    loss.backward()
    assert queries.grad is not None
    assert queries.grad.isfinite().all()


def test_negatives_come_from_the_same_image_only() -> None:
    torch.manual_seed(0)
    queries, keys = torch.randn(2, 2, 6, 5)
    alone = [patch_nce(queries[i : i + 1], keys[i : i + 1]) for i in range(2)]
    assert float(patch_nce(queries, keys)) == pytest.approx(float(sum(alone)) / 2, rel=1e-5)


def test_keys_get_no_gradient_and_queries_do() -> None:
    queries, keys = torch.randn(1, 4, 3, requires_grad=True), torch.randn(1, 4, 3, requires_grad=True)
    patch_nce(queries, keys).backward()
    assert queries.grad is not None
    assert queries.grad.any()
    assert keys.grad is None


def test_mixed_precision_changes_nothing() -> None:
    torch.manual_seed(0)
    queries, keys = torch.randn(2, 2, 6, 5)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = patch_nce(queries, keys)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, patch_nce(queries, keys))
