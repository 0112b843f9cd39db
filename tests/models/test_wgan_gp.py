"""WGAN-GP: the penalty by hand, five turns to one, new fakes in each turn, and the penalty in float32."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.models import WGANGP
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from gan_lightning.recording import Network
from tiny import SMALL, batch_for, data_for
from toys import trainer


def wgan_gp(**how: Any) -> WGANGP:
    return WGANGP(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL, norm="none"), **how)


class LinearCritic(Network):
    """D(x) = w.x + b, whose gradient is w everywhere."""

    def __init__(self, norm: float = 3.0) -> None:
        super().__init__()
        self.linear = nn.Linear(256, 1)
        with torch.no_grad():
            self.linear.weight.mul_(norm / self.linear.weight.norm())
        self.seen: list[torch.dtype] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images.dtype)
        return self.linear(images.flatten(1)).squeeze(1)


@pytest.mark.parametrize("lambda_gp", [10.0, 0.5])
@pytest.mark.parametrize("norm", [3.0, 0.25])
def test_the_penalty_of_a_linear_critic_is_known(norm: float, lambda_gp: float) -> None:
    model = WGANGP(DCGANGenerator(6, **SMALL), LinearCritic(norm), lambda_gp=lambda_gp)
    batch = batch_for(model)
    terms = model.discriminator_loss(batch, model.draw_fakes(batch).detach())
    assert float(terms["gradient_penalty"]) == pytest.approx(lambda_gp * (norm - 1) ** 2, rel=1e-5)


def test_both_losses_are_differences_of_scores() -> None:
    model = wgan_gp()
    batch = batch_for(model)
    fake = model.draw_fakes(batch).detach()
    real_scores, fake_scores = model.discriminator(batch.images), model.discriminator(fake)
    torch.testing.assert_close(model.discriminator_loss(batch, fake)["adversarial"], (fake_scores - real_scores).mean())
    terms = model.generator_loss(batch, fake)
    assert terms.keys() == {"adversarial"}
    torch.testing.assert_close(terms["adversarial"], -fake_scores.mean())


def test_the_penalty_is_of_points_between_real_and_fake_images_one_share_an_image() -> None:
    model = wgan_gp()
    batch = batch_for(model)
    fake = model.draw_fakes(batch).detach()
    torch.manual_seed(1)
    penalty = model.discriminator_loss(batch, fake)["gradient_penalty"]

    torch.manual_seed(1)
    share = torch.rand(4, 1, 1, 1)
    between = ((1 - share) * batch.images + share * fake).requires_grad_()
    (gradients,) = torch.autograd.grad(model.discriminator(between).sum(), between)
    expected = 10 * sum((g.norm() - 1) ** 2 for g in gradients) / 4
    torch.testing.assert_close(penalty, expected)


def test_the_penalty_can_be_turned_off() -> None:
    model = wgan_gp(lambda_gp=0)
    batch = batch_for(model)
    assert model.discriminator_loss(batch, model.draw_fakes(batch)).keys() == {"adversarial"}


def test_the_critic_learns_from_the_penalty() -> None:
    model = WGANGP(DCGANGenerator(6, **SMALL), LinearCritic(3.0))
    batch = batch_for(model)
    weight = model.discriminator.linear.weight
    model.discriminator_loss(batch, model.draw_fakes(batch).detach())["gradient_penalty"].backward()
    # of 10 (|w| - 1)^2: 20 (|w| - 1) w / |w|
    torch.testing.assert_close(weight.grad, 20 * 2 * weight.detach() / 3)


def test_five_turns_of_the_critic_to_one_each_with_fakes_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model = wgan_gp()
    assert model.n_critic == 5
    turns: list[tuple[str, Tensor]] = []
    for player in ("discriminator", "generator"):
        loss = getattr(model, f"{player}_loss")

        def noted(batch: Any, fake: Tensor, player: str = player, loss: Any = loss) -> Any:
            assert fake.requires_grad == (player == "generator")
            if model.training:
                turns.append((player, fake.detach().clone()))
            return loss(batch, fake)

        monkeypatch.setattr(model, f"{player}_loss", noted)
    forwards: list[bool] = []
    model.generator.register_forward_hook(lambda m, _, out: forwards.append(out.requires_grad) if m.training else None)

    trainer(max_epochs=2).fit(model, data_for(model, batches=5))
    assert [player for player, _ in turns] == [*["discriminator"] * 5, "generator"] * 2
    assert forwards == [*[False] * 5, True] * 2
    fakes = [fake for _, fake in turns]
    assert not any(torch.equal(a, b) for i, a in enumerate(fakes) for b in fakes[:i])


def test_the_penalty_is_taken_in_float32_under_mixed_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    import gan_lightning.models.wgan_gp as module

    penalties: list[tuple[torch.dtype, set[torch.dtype]]] = []
    original = module.gradient_penalty

    def spied(critic: Any, real: Tensor, fake: Tensor, **how: Any) -> Tensor:
        dtypes: set[torch.dtype] = set()

        def watched(images: Tensor) -> Tensor:
            logits = critic(images)
            dtypes.update({images.dtype, logits.dtype, model.discriminator.net[0](images).dtype})
            return logits

        penalty = original(watched, real, fake, **how)
        if model.training:
            penalties.append((penalty.dtype, dtypes))
        return penalty

    monkeypatch.setattr(module, "gradient_penalty", spied)
    passes: set[torch.dtype] = set()
    model = wgan_gp()
    model.discriminator.net[0].register_forward_hook(lambda m, _, out: passes.add(out.dtype))
    trainer(max_epochs=1, precision="bf16-mixed").fit(model, data_for(model, batches=3))
    assert penalties == [(torch.float32, {torch.float32})] * 3
    assert torch.bfloat16 in passes  # while its scores are taken in half precision
