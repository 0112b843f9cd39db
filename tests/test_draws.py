"""Draws that belong to images: torch's draws for a whole batch, shared out; and a stream for each image."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Normal, Uniform

from gan_lightning.draws import ImageDraws, SharedDraws, fewer_images

DRAWS: dict[str, Callable[[int], Tensor]] = {
    "randn": lambda n: torch.randn(n, 5),
    "rand": lambda n: torch.rand((n, 3)),
    "rand of a double": lambda n: torch.rand(n, dtype=torch.float64),
    "randint": lambda n: torch.randint(-2, 7, (n, 1)),
    "randint below": lambda n: torch.randint(7, (n,)),
    "randn_like": lambda n: torch.randn_like(torch.zeros(n, 2, 3, 3)),
    "channels last": lambda n: torch.randn_like(torch.zeros(n, 2, 3, 3).to(memory_format=torch.channels_last)),
    "rand_like": lambda n: torch.rand_like(torch.zeros(n, 4)),
    "randint_like": lambda n: torch.randint_like(torch.zeros(n, 4), 9),
    "normal_": lambda n: torch.empty(n, 3).normal_(1, 2),
    "uniform_": lambda n: torch.empty(n, 3).uniform_(-2, 2, generator=None),
    "bernoulli_": lambda n: torch.empty(n, 3).bernoulli_(0.3),
    "exponential_": lambda n: torch.empty(n, 3).exponential_(),
    "two rows an image": lambda n: torch.randn(2 * n, 3).view(2, n, 3).transpose(0, 1),
    "from an object": lambda n: torch.zeros(n, 2).normal_().add_(torch.randn(size=(n, 2), requires_grad=False)),
    "dropout": lambda n: nn.Dropout(0.4)(torch.ones(n, 6)),
    "dropout of planes": lambda n: nn.Dropout2d(0.4)(torch.ones(n, 6, 2, 2)),
    "bernoulli": lambda n: torch.bernoulli(torch.full((n, 4), 0.3)),
    "normal": lambda n: torch.normal(torch.ones(n, 4), torch.full((n, 4), 2.0)),
    "multinomial": lambda n: torch.multinomial(torch.ones(n, 5), 1),
    "Normal": lambda n: Normal(torch.zeros(n, 2), 1.0).sample(),
    "Uniform": lambda n: Uniform(torch.zeros(n, 2), 1.0).sample(),
    "Bernoulli": lambda n: Bernoulli(torch.full((n, 2), 0.4)).sample(),
    "Categorical": lambda n: Categorical(logits=torch.zeros(n, 5)).sample(),
}


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_share_out_what_one_process_draws(ranks: int) -> None:
    torch.manual_seed(0)
    whole = {name: draw(8) for name, draw in DRAWS.items()}
    one, order = torch.rand(()), torch.randperm(9)  # for no image: the same on all
    state = torch.get_rng_state()
    for rank in range(ranks):
        torch.manual_seed(0)
        with SharedDraws(8 // ranks, rank, ranks):
            share = {name: draw(8 // ranks) for name, draw in DRAWS.items()}
            assert torch.equal(torch.rand(()), one)
            assert torch.equal(torch.randperm(9), order)
        for name, drawn in whole.items():
            assert torch.equal(share[name], drawn.chunk(ranks)[rank]), name
        assert torch.equal(torch.get_rng_state(), state)


def test_ranks_share_out_draws_for_a_part_of_the_batch() -> None:
    torch.manual_seed(0)
    whole, after = torch.randn(4, 3), torch.rand(8)
    for rank in range(2):
        torch.manual_seed(0)
        with SharedDraws(4, rank, 2):
            with fewer_images(2):
                part = torch.randn(2, 3)
            rest = torch.rand(4)
        assert torch.equal(part, whole.chunk(2)[rank])
        assert torch.equal(rest, after.chunk(2)[rank])


def test_an_image_draws_the_same_whatever_the_batch_and_not_from_the_global_state() -> None:
    state = torch.get_rng_state()
    with ImageDraws(7, range(6)):
        whole = {name: draw(6) for name, draw in DRAWS.items()}
    with ImageDraws(7, [4, 2]):
        few = {name: draw(2) for name, draw in DRAWS.items()}
    assert torch.equal(torch.get_rng_state(), state)
    for name, drawn in whole.items():
        assert torch.equal(few[name], drawn[[4, 2]]), name
        assert len(drawn.float().unique(dim=0)) > 1 or name == "bernoulli_", name  # images differ
    with ImageDraws((7, 1), range(6)):
        assert not torch.equal(DRAWS["randn"](6), whole["randn"])


def test_the_streams_have_the_distributions_that_were_asked_for() -> None:
    with ImageDraws(0, range(4000)):
        normal, uniform = torch.randn(4000, 2), torch.randint(3, (4000,))
        kept = nn.Dropout(0.25)(torch.ones(4000, 2))
    assert normal.mean().item() == pytest.approx(0, abs=0.05)
    assert normal.std().item() == pytest.approx(1, abs=0.03)
    assert normal.T.corrcoef()[0, 1].item() == pytest.approx(0, abs=0.05)
    assert (uniform.bincount() / 4000).tolist() == pytest.approx([1 / 3] * 3, abs=0.03)
    assert kept.unique().tolist() == pytest.approx([0, 4 / 3])
    assert kept.mean().item() == pytest.approx(1, abs=0.03)


def test_a_draw_from_a_named_generator_is_let_be() -> None:
    def drawn(context: object) -> Tensor:
        with context:  # type: ignore[attr-defined]
            return torch.randn(4, 2, generator=torch.Generator().manual_seed(3))

    assert torch.equal(drawn(ImageDraws(0, range(4))), drawn(nullcontext()))
    assert torch.equal(drawn(SharedDraws(4, 1, 2)), drawn(nullcontext()))


def test_gradients_pass_through_dropout() -> None:
    x = torch.ones(4, 3, requires_grad=True)
    with ImageDraws(0, range(4)):
        out = nn.Dropout(0.5)(x)
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, out.detach())


def test_nothing_changes_where_nothing_is_dropped() -> None:
    with ImageDraws(0, range(4)):
        assert torch.equal(nn.Dropout(0.5).eval()(torch.ones(4, 3)), torch.ones(4, 3))
