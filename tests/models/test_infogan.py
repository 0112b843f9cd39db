"""InfoGAN: latents and codes, both losses, the networks that learn in each turn, and the picture of the codes."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import cross_entropy

from gan_lightning.inference import NormalPrior
from gan_lightning.models import InfoGAN
from gan_lightning.networks import InfoGANDiscriminator, InfoGANGenerator
from tiny import CLASSES, SIZE, batch_for, data_for
from toys import equal, trainer, weights


def infogan(**how: Any) -> InfoGAN:
    """Return a model of eight latents, three categories and one continuous code, with little weight on the codes."""
    sizes: dict[str, Any] = {"image_size": SIZE, "hidden": 16, "width": 4}
    codes: dict[str, Any] = {"categories": CLASSES, "continuous": 1}
    settings = {**codes, "lambda_information": 0.1, **how}
    return InfoGAN(InfoGANGenerator(8, **sizes), InfoGANDiscriminator(**sizes), **settings)


NOISE = 4  # latents of the tiny model that are noise; then CLASSES categories and one continuous code


def test_the_default_is_the_papers() -> None:
    with torch.device("meta"):
        model = InfoGAN()
    prior = model.prior
    assert (model.latent_dim, prior.categories, prior.continuous, model.lambda_information) == (74, 10, 2, 1)
    discriminator, generator = model.configure_optimizers()
    assert (discriminator.param_groups[0]["lr"], generator.param_groups[0]["lr"]) == (2e-4, 1e-3)
    assert discriminator.param_groups[0]["betas"] == generator.param_groups[0]["betas"] == (0.5, 0.999)


def test_latents_are_noise_a_category_and_continuous_codes() -> None:
    torch.manual_seed(0)
    z = infogan().latents(3000)
    noise, category, continuous = z.split([NOISE, CLASSES, 1], dim=1)
    for uniform in (noise, continuous):
        assert 0.99 < uniform.abs().max() <= 1
        assert float(uniform.std()) == pytest.approx(3**-0.5, rel=0.05)
    assert set(category.unique().tolist()) == {0, 1}
    assert torch.equal(category.sum(1), torch.ones(3000))
    assert category.mean(0) == pytest.approx(torch.full((CLASSES,), 1 / CLASSES), abs=0.05)


def test_both_losses_are_the_game_less_the_information() -> None:
    torch.manual_seed(0)
    model = infogan(lambda_information=0.5).eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    assert torch.equal(fake.images, model.generator(fake.latents))
    _, category, code = fake.latents.split([NOISE, CLASSES, 1], dim=1)
    read = model.recognition(model.discriminator.features(fake.images))
    categorical = math.log(CLASSES) - cross_entropy(read[:, :CLASSES], category.argmax(1))
    continuous = (math.log(2) - 0.5 * math.log(2 * math.pi) - 0.5 * (code - read[:, CLASSES:]) ** 2).mean()
    real_logits, fake_logits = model.discriminator(batch.images), model.discriminator(fake.images)

    for terms, game in (
        (model.discriminator_loss(batch, fake), bce(real_logits, torch.ones(4)) + bce(fake_logits, torch.zeros(4))),
        (model.generator_loss(batch, fake), bce(fake_logits, torch.ones(4))),
    ):
        torch.testing.assert_close(terms["adversarial"], game)
        torch.testing.assert_close(terms["information_categorical"], -0.5 * categorical)
        torch.testing.assert_close(terms["information_continuous"], -0.5 * continuous)
    torch.testing.assert_close(model._terms["mutual_information/categorical"], categorical.detach())
    torch.testing.assert_close(model._terms["mutual_information/continuous"], continuous.detach())


def test_q_learns_in_the_discriminators_turn_only(monkeypatch: pytest.MonkeyPatch) -> None:
    model = infogan()
    minimize = model.minimize
    moved: list[tuple[str, bool]] = []

    def watched(player: str, *losses: object) -> None:
        before = weights(model.recognition)
        minimize(player, *losses)
        moved.append((player, not equal(before, weights(model.recognition))))

    monkeypatch.setattr(model, "minimize", watched)
    trainer(max_epochs=1).fit(model, data_for(model))
    assert moved == [("discriminator", True), ("generator", False)]


def test_codes_come_to_be_read() -> None:
    torch.manual_seed(0)
    model = infogan(lambda_information=1.0)
    trainer(max_epochs=40).fit(model, data_for(model, count=16))
    assert model._terms["mutual_information/categorical"] > 0.5 * math.log(CLASSES)


def test_samples_of_wanted_codes() -> None:
    model = infogan()
    category, code = torch.tensor([2, 0, 1]), torch.tensor([[0.5], [-1.0], [0.0]])
    seen: list[Tensor] = []
    model.generator.register_forward_hook(lambda m, args, _: seen.append(args[0]))
    plain = model.sample(3, seed=1)
    wanted = model.sample(3, seed=1, category=category, continuous=code)
    assert torch.equal(seen[0][:, :NOISE], seen[1][:, :NOISE])
    assert seen[1][:, NOISE:-1].argmax(1).tolist() == [2, 0, 1]
    assert torch.equal(seen[1][:, -1:], code)
    assert not torch.equal(plain, wanted)
    with pytest.raises(ValueError, match="takes no labels: give its own categories"):
        model.sample(3, labels=category)


def test_the_preview_varies_each_code_in_rows_of_its_own() -> None:
    model = infogan()
    seen: list[Tensor] = []
    model.generator.register_forward_hook(lambda m, args, _: seen.append(args[0]))
    shown, columns = model.preview(batch_for(model), 2 * 2 * CLASSES)
    assert (shown.shape, columns) == ((4 * CLASSES, 1, SIZE, SIZE), CLASSES)
    first, second = (z.view(2, CLASSES, -1) for z in seen)  # rows, columns
    for z in (first, second):
        assert torch.equal(z[:, :, :NOISE], z[:, :1, :NOISE].expand(-1, CLASSES, -1))  # one noise a row
        assert not torch.equal(z[0, 0, :NOISE], z[1, 0, :NOISE])
    assert first[:, :, NOISE:-1].argmax(2).tolist() == [[0, 1, 2]] * 2
    assert first[:, :, -1].eq(0).all()
    assert second[:, :, NOISE:-1].argmax(2).tolist() == [[0] * CLASSES, [1] * CLASSES]
    assert second[:, :, -1].tolist() == [[-2, 0, 2]] * 2
    assert torch.equal(shown, model.preview(batch_for(model, seed=5), 2 * 2 * CLASSES)[0])


@pytest.mark.parametrize("codes", [{"categories": 0, "continuous": 2}, {"categories": 5, "continuous": 0}])
def test_either_kind_of_code_may_be_missing(codes: dict[str, int]) -> None:
    model = infogan(**codes)
    batch = batch_for(model)
    assert len(model.generator_loss(batch, model.draw_fakes(batch))) == 2
    shown, columns = model.preview(batch, 9)
    assert len(shown) % columns == 0


@pytest.mark.parametrize("codes", [{"categories": 8}, {"categories": 0, "continuous": 0}, {"continuous": -1}])
def test_codes_that_do_not_fit_are_refused(codes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"do not fit into the 8 latents|continuous=-1 is out of range"):
        infogan(**codes)


def test_its_prior_follows_from_its_codes_and_no_other_is_taken() -> None:
    with pytest.raises(TypeError, match="prior"):
        infogan(prior=NormalPrior())
