"""StyleGAN2's benchmark: equal outputs and gradients of both ways, and a step of each."""

import pytest
import torch

from benchmarks import style


def test_the_authors_way_has_the_same_outputs_and_path_lengths() -> None:
    assert style.largest_difference(8) < 1e-5
    G, D = style.networks(8)
    found = []
    for change in (lambda network: network, style.as_the_authors):
        loop = style.PlainLoop(8, 4)
        loop.G, loop.D = change(G), change(D)
        torch.manual_seed(0)
        real = torch.randn(2, 3, style.SIZE, style.SIZE)
        found.append([loop.path_length().item(), loop.r1(real).item()])
    assert found[0] == pytest.approx(found[1], rel=1e-3)


@pytest.mark.parametrize(("model", "variant"), [(m, v) for m, of in style.VARIANTS.items() for v in of])
def test_every_variant_trains(model: str, variant: str) -> None:
    assert style.rate_of(model, variant, batches=1, count=2, width=8) > 0
