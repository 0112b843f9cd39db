import pytest
import torch

from gan_lightning.metrics.extrapolation import at_infinity


def test_a_score_that_is_linear_in_the_inverse_number_of_images():
    sizes = []

    def score(chosen):
        assert len(chosen.unique()) == len(chosen)
        sizes.append(len(chosen))
        return torch.tensor(3 + 1000 / len(chosen), dtype=torch.float64)

    assert at_infinity(score, 50_000, seed=0).item() == pytest.approx(3, rel=1e-12)
    assert sizes == torch.linspace(5000, 50_000, 15, dtype=torch.float64).round().long().tolist()


def test_subsets_are_drawn_anew_from_all_images_by_their_seed():
    def drawn(seed):
        seen = []
        at_infinity(lambda chosen: seen.append(chosen) or torch.tensor(0.0), 200, seed)
        return seen

    first, again, other = drawn(0), drawn(0), drawn(1)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[-1], other[-1])
    assert not torch.equal(first[0], first[1][: len(first[0])])
    assert torch.equal(first[-1].sort().values, torch.arange(200))
