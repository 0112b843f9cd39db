import math
from collections.abc import Callable

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import Tensor

from gan_lightning.losses import AdversarialLoss, Hinge, LeastSquares, Minimax, NonSaturating, Wasserstein, ZeroSum
from gan_lightning.recording import describe

REAL = torch.tensor([2.0, -1.0])
FAKE = torch.tensor([-3.0, 0.5])


def sigmoid(t: float) -> float:
    return 1 / (1 + math.exp(-t))


def not_needed() -> Tensor:
    raise AssertionError("this loss asked for the logits of real images, which cost a forward pass")


def test_the_whole_zero_sum_game() -> None:
    loss = ZeroSum()
    d = loss.discriminator(REAL, FAKE)
    assert d == Minimax().discriminator(REAL, FAKE)
    assert loss.generator(FAKE, lambda: REAL) == -d


LOG_D = (
    -(math.log(sigmoid(2)) + math.log(sigmoid(-1))) / 2 - (math.log(1 - sigmoid(-3)) + math.log(1 - sigmoid(0.5))) / 2
)
SMOOTH_D = (
    -(0.9 * math.log(sigmoid(2)) + 0.1 * math.log(1 - sigmoid(2))) / 2
    - (0.9 * math.log(sigmoid(-1)) + 0.1 * math.log(1 - sigmoid(-1))) / 2
    - (math.log(1 - sigmoid(-3)) + math.log(1 - sigmoid(0.5))) / 2
)


@pytest.mark.parametrize(
    ("loss", "discriminator", "generator"),
    [
        (Minimax(), LOG_D, (math.log(1 - sigmoid(-3)) + math.log(1 - sigmoid(0.5))) / 2),
        (NonSaturating(), LOG_D, -(math.log(sigmoid(-3)) + math.log(sigmoid(0.5))) / 2),
        (NonSaturating(real_label=0.9), SMOOTH_D, -(math.log(sigmoid(-3)) + math.log(sigmoid(0.5))) / 2),
        # real: (1 + 4) / 2; fake: (9 + 0.25) / 2; generator: (16 + 0.25) / 2
        (LeastSquares(), 0.5 * (2.5 + 4.625), 0.5 * 8.125),
        (LeastSquares(generator_scale=1), 0.5 * (2.5 + 4.625), 8.125),  # CycleGAN's
        (LeastSquares(discriminator_scale=1), 2.5 + 4.625, 0.5 * 8.125),
        # fake: (4 + 2.25) / 2; generator: (9 + 0.25) / 2
        (LeastSquares(fake_label=-1, real_label=1, generator_label=0), 0.5 * (2.5 + 3.125), 0.5 * 4.625),
        # real: (0 + 2) / 2; fake: (0 + 1.5) / 2
        (Hinge(), 1 + 0.75, 1.25),
        (Wasserstein(), -1.25 - 0.5, 1.25),
    ],
)
def test_values_by_hand(loss, discriminator, generator):
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(discriminator, rel=1e-6)
    assert loss.generator(FAKE, not_needed).item() == pytest.approx(generator, rel=1e-6)
    # a patch map is averaged like a batch
    real_map, fake_map = REAL.view(1, 1, 1, 2).expand(3, 1, 4, 2), FAKE.view(1, 1, 2, 1).expand(3, 1, 2, 4)
    assert loss.discriminator(real_map, fake_map).item() == pytest.approx(discriminator, rel=1e-6)
    assert loss.generator(fake_map, not_needed).item() == pytest.approx(generator, rel=1e-6)


def generator_gradient(loss: AdversarialLoss, logit: float) -> float:
    fake = torch.full((1,), logit, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss.generator(fake, not_needed), fake)
    return gradient.item()


def test_the_minimax_gradient_vanishes_where_the_discriminator_is_sure():
    assert generator_gradient(Minimax(), -20.0) == pytest.approx(-sigmoid(-20), rel=1e-5)
    assert generator_gradient(NonSaturating(), -20.0) == pytest.approx(-1, rel=1e-5)


@pytest.mark.parametrize("loss", [Minimax(), NonSaturating(), LeastSquares(), Hinge(), Wasserstein()])
def test_each_player_is_pushed_its_own_way(loss):
    assert generator_gradient(loss, -1.0) < 0  # raising the logit lowers the loss
    real, fake = torch.zeros(1, requires_grad=True), torch.full((1,), 0.5, requires_grad=True)
    real_gradient, fake_gradient = torch.autograd.grad(loss.discriminator(real, fake), [real, fake])
    assert real_gradient.item() < 0 < fake_gradient.item()


@pytest.mark.parametrize("loss", [Minimax(), NonSaturating(), NonSaturating(0.9)])
def test_huge_logits_stay_finite(loss):
    real, fake = torch.tensor([-1e4, 1e4], requires_grad=True), torch.tensor([1e4, -1e4], requires_grad=True)
    total = loss.discriminator(real, fake) + loss.generator(fake, not_needed)
    assert total.isfinite()
    assert all(g.isfinite().all() for g in torch.autograd.grad(total, [real, fake]))


def test_hinge_ignores_what_is_past_the_margin():
    real, fake = torch.tensor([1.5], requires_grad=True), torch.tensor([-1.5], requires_grad=True)
    gradients = torch.autograd.grad(Hinge().discriminator(real, fake), [real, fake])
    assert [g.item() for g in gradients] == [0, 0]
    assert generator_gradient(Hinge(), 5.0) == -1  # the generator is not hinged


@pytest.mark.parametrize(
    ("name", "init_args"),
    [
        ("Minimax", {}),
        ("NonSaturating", {"real_label": 0.9}),
        (
            "LeastSquares",
            {
                "fake_label": -1.0,
                "real_label": 0.9,
                "generator_label": 0.0,
                "discriminator_scale": 1.0,
                "generator_scale": 2.0,
            },
        ),
        ("Hinge", {}),
        ("Wasserstein", {}),
    ],
)
def test_built_from_yaml_and_described_back(name, init_args):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(AdversarialLoss, "loss")
    said = {"class_path": f"gan_lightning.losses.{name}", "init_args": init_args}
    loss = parser.instantiate(parser.parse_object({"loss": said})).loss
    assert type(loss).__name__ == name
    assert describe(loss) == {"class_path": f"gan_lightning.losses.adversarial.{name}", "init_args": init_args}


def test_a_loss_must_state_both_players():
    class OneSided(AdversarialLoss):
        def generator(self, fake_logits: Tensor, real_logits: Callable[[], Tensor]) -> Tensor:
            return fake_logits.mean()

    with pytest.raises(TypeError, match="abstract"):
        OneSided()
