"""UNIT: every term by hand, weights that both domains share, the mean in use and noise in training."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.data.batches import UnpairedBatch
from gan_lightning.export import load, save
from gan_lightning.models import UNIT
from gan_lightning.networks import MUNITDiscriminator, ResNetGenerator, UNITGenerator
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.recording import Network
from tiny import Batches, batch_for, data_for, images
from toys import trainer


def unit(**how: Any) -> UNIT:
    """Small weights, with which a few steps of plain gradients do not diverge."""
    weights = dict.fromkeys(("adversarial", "kl", "image", "cycle_kl", "cycle"), 0.1)
    generators = [UNITGenerator(width=4, blocks=2) for _ in range(2)]
    judges = [MUNITDiscriminator(width=4, layers=2, scales=2) for _ in range(2)]
    return UNIT(*generators, *judges, **{f"lambda_{name}": value for name, value in weights.items()} | how)


def unit_batch(count: int, seed: int) -> UnpairedBatch:
    return UnpairedBatch(images(count, 3, seed), -images(count, 3, seed + 1))


class Shift(Network):
    """The mean of a code is the image plus a number; a decoded image is the code plus another."""

    in_channels, multiple, minimum = 3, 1, 1

    def __init__(self, encoder: float, decoder: float) -> None:
        super().__init__()
        self.encoder, self.decoder = (nn.Parameter(torch.tensor(number)) for number in (encoder, decoder))

    def share_with(self, other: Any) -> None:
        """Share nothing."""

    def encode(self, images: Tensor) -> Tensor:
        return images + self.encoder

    def decode(self, codes: Tensor) -> Tensor:
        return codes + self.decoder

    def forward(self, images: Tensor) -> Tensor:
        return self.decode(self.encode(images))


class Judge(Network):
    """Two scales of logits: the images' first channel, times a number, and a part of it."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput([self.factor * images[:, :1], -self.factor * images[:, :1, :4]])


A, B = 0.1, 0.4
E_A, G_A, E_B, G_B = 0.2, -0.15, 0.05, 0.12
D_A, D_B = 2.0, 3.0


def numbered(**how: Any) -> UNIT:
    return UNIT(Shift(E_A, G_B), Shift(E_B, G_A), Judge(D_A), Judge(D_B), **how)


def constants() -> UnpairedBatch:
    return UnpairedBatch(torch.full((2, 3, 8, 8), A), torch.full((2, 3, 8, 8), B))


def softplus(values: Tensor) -> float:
    return float(values.detach().exp().log1p().mean())


def test_the_discriminators_losses_are_sums_over_scales() -> None:
    model = numbered().eval()
    fake = model.draw_fakes(constants())
    terms = model.discriminator_loss(constants(), fake)
    expected = {}
    for domain, factor, real, fakes in (
        ("a", D_A, constants().real_a, fake.fake_a),
        ("b", D_B, constants().real_b, fake.fake_b),
    ):
        expected[domain] = 10 * sum(
            softplus(-sign * factor * real[:, 0, :rows]) + softplus(sign * factor * fakes[:, 0, :rows])
            for sign, rows in ((1, 8), (-1, 4))
        )
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_the_generators_losses_by_their_numbers(noise: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "randn_like", lambda like: torch.full_like(like, noise))
    model = numbered().eval()
    fake = model.draw_fakes(constants())
    mean_a, mean_b = A + E_A, B + E_B
    fake_b, fake_a = mean_a + noise + G_B, mean_b + noise + G_A
    assert fake.fake_b.flatten()[0].item() == pytest.approx(fake_b)
    assert fake.fake_a.flatten()[0].item() == pytest.approx(fake_a)
    again_a, again_b = fake_b + E_B, fake_a + E_A  # means of the translations' codes
    terms = model.generator_loss(constants(), fake)
    expected = {
        "adversarial_a": 10 * sum(softplus(torch.tensor(-sign * D_A * fake_a)) for sign in (1, -1)),
        "adversarial_b": 10 * sum(softplus(torch.tensor(-sign * D_B * fake_b)) for sign in (1, -1)),
        "kl_a": 0.1 * mean_a**2,
        "kl_b": 0.1 * mean_b**2,
        "image_a": 100 * abs(mean_a + noise + G_A - A),
        "image_b": 100 * abs(mean_b + noise + G_B - B),
        "cycle_kl_a": 0.1 * again_a**2,
        "cycle_kl_b": 0.1 * again_b**2,
        "cycle_a": 100 * abs(again_a + noise + G_A - A),
        "cycle_b": 100 * abs(again_b + noise + G_B - B),
    }
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(expected, rel=1e-5)


def test_the_divergence_is_that_of_normal_codes_up_to_a_factor() -> None:
    from torch.distributions import Normal, kl_divergence

    model = unit(lambda_kl=1.0).eval()
    fake = model.draw_fakes(batch_for(model))
    divergence = kl_divergence(Normal(fake.mean_a, 1.0), Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(model.generator_loss(batch_for(model), fake)["kl_a"], 2 * divergence)


def shared(generator: Any) -> list[list[nn.Parameter]]:
    return [
        [*part.parameters()]
        for network in generator.values()
        for part in (network.shared_encoder, network.shared_decoder)
    ]


def test_both_directions_have_the_shared_blocks_themselves_in_common() -> None:
    model = unit(ema_half_life=100)
    for generator in (model.generator, model.averaged_generator):
        a_encoder, a_decoder, b_encoder, b_decoder = shared(generator)
        assert len(a_encoder) == len(a_decoder) == 4  # two convolutions with biases
        assert all(one is other for one, other in zip(a_encoder + a_decoder, b_encoder + b_decoder, strict=True))
        a_to_b, b_to_a = generator["a_to_b"], generator["b_to_a"]
        private = [{id(p) for p in part.parameters()} for part in (a_to_b.encoder, b_to_a.encoder)]
        assert not private[0] & private[1]
        assert len(a_to_b.shared_encoder) == len(b_to_a.shared_decoder) == 1
    assert not {id(p) for p in model.generator.parameters()} & {id(p) for p in model.averaged_generator.parameters()}


def test_shared_weights_step_once_and_stay_shared_after_training_and_in_a_checkpoint(tmp_path: Any) -> None:
    model = unit(ema_half_life=100)
    fitted = trainer(max_epochs=2)
    fitted.fit(model, data_for(model))
    (group,) = model.optimizer_of("generator").param_groups
    assert len({id(p) for p in group["params"]}) == len(group["params"]) == len([*model.generator.parameters()])
    a_encoder, _, b_encoder, _ = shared(model.generator)
    assert all(one is other for one, other in zip(a_encoder, b_encoder, strict=True))
    fitted.save_checkpoint(tmp_path / "model.ckpt")
    loaded = UNIT.load_from_checkpoint(tmp_path / "model.ckpt")
    a_encoder, _, b_encoder, _ = shared(loaded.generator)
    assert all(one is other for one, other in zip(a_encoder, b_encoder, strict=True))
    source = images(2, 3, 0)
    for direction in ("a_to_b", "b_to_a"):
        assert torch.equal(loaded.translate(source, direction), model.translate(source, direction))


def test_an_export_translates_alike_in_both_directions(tmp_path: Any) -> None:
    model = unit()
    save(model.translator, tmp_path / "export")
    loaded = load(tmp_path / "export")
    source = images(2, 3, 0)
    for direction in ("a_to_b", "b_to_a"):
        assert torch.equal(loaded.translate(source, direction), model.translate(source, direction))  # type: ignore[union-attr]


def test_training_adds_noise_and_use_takes_the_mean() -> None:
    model = unit()
    batch = batch_for(model)
    first, second = model.draw_fakes(batch), model.draw_fakes(batch)
    assert torch.equal(first.mean_a, second.mean_a)
    assert not torch.allclose(first.fake_b, second.fake_b)
    assert (first.code_a - first.mean_a).std().item() == pytest.approx(1, abs=0.1)
    a_to_b = model.generator["a_to_b"].eval()
    with torch.no_grad():
        torch.testing.assert_close(model.translate(batch.real_a), a_to_b.decode(a_to_b.encode(batch.real_a)))
    assert torch.equal(model.translate(batch.real_a), model.translate(batch.real_a))


def test_nothing_is_shared_where_shared_is_zero() -> None:
    model = UNIT(*(UNITGenerator(width=4, blocks=1, shared=0) for _ in range(2)), *unit().discriminator.values())
    assert not any(shared(model.generator))
    trainer(max_epochs=1).fit(model, data_for(model))


def test_networks_that_cannot_share_are_refused() -> None:
    with pytest.raises(ValueError, match="share residual blocks, and theirs differ in number or width"):
        UNIT(UNITGenerator(width=4), UNITGenerator(width=8))
    with pytest.raises(ValueError, match="2 residual blocks cannot share 3"):
        UNITGenerator(width=4, blocks=2, shared=3)
    with pytest.raises(TypeError, match="UNIT uses encode, decode, share_with of its generators, and ResNetGenerator"):
        UNIT(ResNetGenerator(width=2, blocks=1), ResNetGenerator(width=2, blocks=1))


def test_grey_can_become_colour() -> None:
    generators = UNITGenerator(1, 3, width=2, blocks=1), UNITGenerator(3, 1, width=2, blocks=1)
    judges = [MUNITDiscriminator(channels, width=2, layers=2, scales=2) for channels in (1, 3)]
    model = UNIT(*generators, *judges)
    batch = UnpairedBatch(torch.zeros(2, 1, 16, 16), torch.zeros(2, 3, 16, 16))
    trainer(max_epochs=1).fit(model, Batches([batch]))
    assert model.preview(batch, 2)[0].shape == (12, 3, 16, 16)
