"""The codebook against the formulas of its moving averages."""

import pytest
import torch

from gan_lightning.layers.codebook import Codebook, perplexity


def test_a_vector_is_replaced_by_the_nearest_and_the_gradient_is_its_own() -> None:
    torch.manual_seed(0)
    book = Codebook(7, 3)
    z = torch.randn(2, 3, 4, 5, requires_grad=True)
    quantised, codes = book(z)
    flat = z.detach().movedim(1, -1)
    assert torch.equal(codes, torch.cdist(flat.reshape(-1, 3), book.vectors).argmin(1).view(2, 4, 5))
    torch.testing.assert_close(quantised, book.vectors[codes].movedim(-1, 1))
    weights = torch.randn_like(quantised)
    (quantised * weights).sum().backward()
    assert torch.equal(z.grad, weights)


def test_averages_follow_the_formula_over_batches() -> None:
    torch.manual_seed(0)
    book = Codebook(4, 2, decay=0.9, epsilon=1e-3)
    counts, sums = torch.ones(4).double(), book.vectors.double()
    for _ in range(5):
        z = torch.randn(3, 2, 2, 2)
        codes = book.nearest(z)
        book.learn(book.statistics(z, codes))
        flat, flat_codes = z.movedim(1, -1).reshape(-1, 2).double(), codes.flatten()
        for i in range(4):
            near = flat[flat_codes == i]
            counts[i] = 0.9 * counts[i] + 0.1 * len(near)
            sums[i] = 0.9 * sums[i] + 0.1 * near.sum(0)
        total = counts.sum()
        expected = sums / ((counts + 1e-3) / (total + 4 * 1e-3) * total)[:, None]
        torch.testing.assert_close(book.vectors.double(), expected, rtol=1e-5, atol=1e-6)


def test_a_vector_that_nothing_is_near_stays() -> None:
    book = Codebook(2, 1)
    book.vectors.copy_(torch.tensor([[0.0], [100.0]]))
    book.sums.copy_(book.vectors)
    for _ in range(50):
        z = torch.randn(8, 1, 1, 1)
        book.learn(book.statistics(z, book.nearest(z)))
    assert float(book.vectors[1]) == pytest.approx(100, rel=1e-3)


def test_perplexity_counts_codes_in_use() -> None:
    assert float(perplexity(torch.tensor([0.25, 0.25, 0.25, 0.25, 0.0]))) == pytest.approx(4)
    assert float(perplexity(torch.tensor([1.0, 0.0]))) == pytest.approx(1)
