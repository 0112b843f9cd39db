"""Mixtures of logistics: probabilities of levels, against differences of the distribution function."""

import pytest
import torch

from gan_lightning.layers.logistic import draw_mixture, maps_of, moved, nats_of_mixture, split


@pytest.mark.parametrize("scale", [-7.0, -3.0, 1.0])
def test_the_256_levels_of_a_colour_have_the_sum_one(scale: float) -> None:
    torch.manual_seed(0)
    output = torch.randn(1, maps_of(1, 4), 1, 1)
    output[:, 8:] = scale
    levels = torch.arange(256).view(-1, 1, 1, 1)
    p = (-nats_of_mixture(output.expand(256, -1, -1, -1), levels, 256).double()).exp()
    assert float(p.sum()) == pytest.approx(1, rel=1e-5)


def test_all_colours_of_a_pixel_have_the_sum_one() -> None:
    torch.manual_seed(0)
    output = torch.randn(1, maps_of(3, 2), 1, 1)
    every = torch.cartesian_prod(*[torch.arange(6)] * 3).view(-1, 3, 1, 1)
    p = (-nats_of_mixture(output.expand(len(every), -1, -1, -1), every, 6).double()).exp()
    assert float(p.sum()) == pytest.approx(1, rel=1e-5)


def test_a_level_is_a_difference_of_the_distribution_function() -> None:
    torch.manual_seed(0)
    output = torch.randn(5, maps_of(3, 4), 2, 2)
    values = torch.randint(1, 255, (5, 3, 2, 2))
    logits, means, scales, dependences = (each.double() for each in split(output, 3))
    x = values.double() / 127.5 - 1
    p = logits.softmax(1)
    for colour in range(3):
        mean = means[:, colour]
        if colour == 1:
            mean = mean + dependences[:, 0] * x[:, :1]
        if colour == 2:
            mean = mean + dependences[:, 1] * x[:, :1] + dependences[:, 2] * x[:, 1:2]
        ends = [((x[:, colour, None] + sign / 255 - mean) / scales[:, colour].exp()).sigmoid() for sign in (1, -1)]
        p = p * (ends[0] - ends[1])
    expected = -p.sum(1).log().flatten(1).sum(1)
    torch.testing.assert_close(nats_of_mixture(output, values, 256).double(), expected, rtol=1e-4, atol=1e-3)


def test_the_paper_has_ten_parameters_a_component_and_gradients_stay_finite() -> None:
    assert maps_of(3, 10) == 100
    output = torch.randn(2, 100, 2, 2)
    output[:, 40:70] = -50.0  # scales below the least
    output.requires_grad_()
    nats_of_mixture(output, torch.tensor([0, 255]).view(2, 1, 1, 1).expand(2, 3, 2, 2), 256).sum().backward()
    assert output.grad.isfinite().all()


def test_draws_follow_the_probabilities() -> None:
    torch.manual_seed(0)
    output = torch.randn(1, maps_of(2, 3))
    values = torch.zeros(20_000, 2, dtype=torch.int64)
    draw_mixture(output.expand(20_000, -1), torch.rand(20_000, 3), values, 4)
    every = torch.cartesian_prod(torch.arange(4), torch.arange(4)).view(-1, 2, 1, 1)
    p = (-nats_of_mixture(output[..., None, None].expand(16, -1, -1, -1), every, 4)).exp()
    shares = (values[:, 0] * 4 + values[:, 1]).bincount(minlength=16) / 20_000
    torch.testing.assert_close(shares, p, atol=0.015, rtol=0)
    _, means, _, dependences = split(output, 2)
    x = torch.tensor([[0.5, 9.0]])
    torch.testing.assert_close(moved(means, dependences, x, 1), means[:, 1] + 0.5 * dependences[:, 0])
