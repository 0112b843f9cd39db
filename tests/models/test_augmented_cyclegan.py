"""Augmented CycleGAN: every term by its number, the cycles of styles, styles drawn and from examples, its networks."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.augmentation import AdaptiveAugmentation
from gan_lightning.data.batches import UnpairedBatch
from gan_lightning.inference import Choice
from gan_lightning.losses import FeatureLoss
from gan_lightning.models import AugmentedCycleGAN
from gan_lightning.models.augmented_cyclegan import Fakes
from gan_lightning.networks import (
    AugmentedEncoder,
    AugmentedGenerator,
    LocalDiscriminator,
    StyleDiscriminator,
    WholeDiscriminator,
)
from gan_lightning.networks.augmented_cyclegan import StyleNorm
from gan_lightning.recording import Network
from gan_lightning.regularizers import Perceptual
from tiny import batch_for, data_for, images
from toys import trainer, weights

STYLE = 3


def augmented_cyclegan(**how: Any) -> AugmentedCycleGAN:
    torch.manual_seed(0)
    return AugmentedCycleGAN(
        AugmentedGenerator(3, 3, width=4, blocks=1, style_dim=STYLE, gain=1.0),
        AugmentedGenerator(3, 3, width=4, blocks=1, style_dim=0, gain=1.0),
        AugmentedEncoder(6, STYLE, image_size=16, width=4),
        WholeDiscriminator(16, 3, width=4, gain=1.0),
        LocalDiscriminator(3, width=4, gain=1.0),
        StyleDiscriminator(STYLE, width=8),
        **how,
    )


def augmented_cyclegan_batch(count: int, seed: int) -> UnpairedBatch:
    return UnpairedBatch(images(count, 3, seed), -images(count, 3, seed + 1))


# ------------------------------------------------------------------ the terms


class Brighten(Network):
    """G_AB: adds a number and the style's only component to an image."""

    in_channels, multiple, minimum, style_dim = 3, 1, 1, 1

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.tensor(number))

    def forward(self, images: Tensor, style: Tensor) -> Tensor:
        return images + self.number + style[:, :, None, None]


class Darken(Brighten):
    """G_BA: adds a number."""

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override]
        return images + self.number


class Difference(Network):
    """E_B: the difference in brightness of b and a, times a number."""

    image_shape = (6, 8, 8)

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, images_a: Tensor, images_b: Tensor) -> Tensor:
        return self.factor * (images_b - images_a).mean(dim=(1, 2, 3)).unsqueeze(1)


class Scale(Network):
    """A discriminator: the mean of its input, times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, values: Tensor) -> Tensor:
        return self.factor * values.flatten(1).mean(dim=1)


A, B, Z = 0.1, 0.4, 0.3
TO_B, TO_A, E = 0.2, -0.05, 2.0
D_A, D_B, D_Z = 2.0, 3.0, 4.0
FAKE_B, FAKE_A = A + TO_B + Z, B + TO_A
FOUND = E * (B - FAKE_A)


def numbered(**how: Any) -> AugmentedCycleGAN:
    parts = Brighten(TO_B), Darken(TO_A), Difference(E), Scale(D_A), Scale(D_B), Scale(D_Z)
    return AugmentedCycleGAN(*parts, **how).eval()


def constants() -> UnpairedBatch:
    return UnpairedBatch(torch.full((2, 3, 8, 8), A), torch.full((2, 3, 8, 8), B))


def fakes(model: AugmentedCycleGAN, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    monkeypatch.setattr(torch, "randn", lambda *shape, **_: torch.full(shape, Z))
    return model.draw_fakes(constants())


def test_the_fakes_by_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fakes(numbered(), monkeypatch)
    expected = (FAKE_B, FAKE_A, Z, FOUND)
    assert [float(each.mean()) for each in made] == pytest.approx(expected)


def test_the_discriminators_losses_by_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    model = numbered()
    terms = model.discriminator_loss(constants(), fakes(model, monkeypatch))
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(
        {
            "a": 0.5 * ((D_A * A - 1) ** 2 + (D_A * FAKE_A) ** 2),
            "b": 0.5 * ((D_B * B - 1) ** 2 + (D_B * FAKE_B) ** 2),
            "style": 0.5 * ((D_Z * Z - 1) ** 2 + (D_Z * FOUND) ** 2),  # the prior is real, what is found is fake
        }
    )


@pytest.mark.parametrize("weights_of", [(1.0, 1.0, 0.025), (2.0, 3.0, 0.5)])
def test_the_generators_losses_by_their_numbers(
    weights_of: tuple[float, float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("lambda_cycle_a", "lambda_cycle_b", "lambda_cycle_style")
    given = {} if weights_of == (1.0, 1.0, 0.025) else dict(zip(names, weights_of, strict=True))
    model = numbered(**given)
    terms = model.generator_loss(constants(), fakes(model, monkeypatch))
    of_a, of_b, of_style = weights_of
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(
        {
            "adversarial_a": (D_A * FAKE_A - 1) ** 2,
            "adversarial_b": (D_B * FAKE_B - 1) ** 2,
            "adversarial_style": (D_Z * FOUND - 1) ** 2,
            "cycle_a": of_a * abs(FAKE_B + TO_A - A),
            "cycle_b": of_b * abs(FAKE_A + TO_B + FOUND - B),
            "cycle_style": of_style * abs(E * (FAKE_B - A) - Z),
        },
        rel=1e-5,
    )


def test_terms_that_are_off_are_not_there() -> None:
    model = numbered(lambda_cycle_a=0, lambda_cycle_b=0, lambda_cycle_style=0)
    terms = model.generator_loss(constants(), model.draw_fakes(constants()))
    assert set(terms) == {"adversarial_a", "adversarial_b", "adversarial_style"}


# ------------------------------------------------------------------ the networks


def test_the_norm_is_scaled_and_shifted_by_rectified_linear_functions_of_the_style() -> None:
    torch.manual_seed(0)
    norm, x, style = StyleNorm(5, STYLE), torch.randn(2, 5, 4, 6), torch.randn(2, STYLE)
    flat = x.double().flatten(2)
    normal = (flat - flat.mean(2, keepdim=True)) / (flat.var(2, unbiased=False, keepdim=True) + 1e-5).sqrt()
    gain, bias = (
        (style @ layer.weight.T + layer.bias).clamp(min=0).double()[:, :, None] for layer in (norm.gain, norm.bias)
    )
    torch.testing.assert_close(norm(x, style).double(), (normal * gain + bias).view_as(x), atol=1e-5, rtol=1e-5)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_authors_networks_have_their_layers() -> None:
    def conv(inputs: int, outputs: int, side: int) -> int:
        return inputs * outputs * side**2 + outputs

    ways = conv(3, 32, 7) + conv(32, 64, 3) + 2 * conv(64, 128, 3) + conv(64, 32, 3) + conv(32, 3, 7)
    ways += 64 - 128 + 6 * conv(128, 128, 3)  # a transposed convolution has the biases of its outputs
    by_style = sum(2 * (16 * c + c) for c in (32, 64, 128, 128, 128, 128, 64, 32))
    assert count(AugmentedGenerator()) == ways + by_style + 3 * 2 * 128
    assert count(AugmentedGenerator(style_dim=0)) == ways + 2 * (32 + 64 + 128 + 3 * 128 + 64 + 32)
    by_stride = conv(3, 32, 3) + conv(32, 64, 3) + conv(64, 128, 3) + conv(128, 128, 3) + conv(128, 1, 4)
    assert count(WholeDiscriminator()) == by_stride + 2 * (64 + 128 + 128)
    local = conv(3, 64, 4) + conv(64, 128, 4) + conv(128, 256, 4) + conv(256, 256, 4) + conv(256, 1, 4)
    assert count(LocalDiscriminator()) == local + 2 * (128 + 256 + 256)
    encoder = conv(6, 32, 3) + 9 * (32 * 64 + 64 * 128 + 128 * 256) + 16 * 256**2 + 2 * (64 + 128 + 256 + 256)
    assert count(AugmentedEncoder()) == encoder + 256 * 16 + 16
    assert count(StyleDiscriminator()) == 16 * 64 + 64 + 2 * (64 * 64 + 64) + 3 * 128 + 65
    assert WholeDiscriminator()(torch.zeros(2, 3, 64, 64)).shape == (2,)


def test_the_authors_gains_start_at_0_and_others_at_1() -> None:
    for gain in (0.0, 1.0):
        network = AugmentedGenerator(gain=gain)
        norms = [part for part in network.modules() if isinstance(part, nn.InstanceNorm2d) and part.affine]
        assert {round(float(norm.weight.mean()), 1) for norm in norms} == {gain}
        assert all(bool((part.gain.bias == gain).all()) for part in network.modules() if isinstance(part, StyleNorm))


def test_a_network_without_styles_refuses_one_and_the_other_needs_one() -> None:
    with pytest.raises(ValueError, match="styles of 0 components"):
        AugmentedGenerator(style_dim=0)(torch.zeros(1, 3, 8, 8), torch.zeros(1, 16))
    with pytest.raises(ValueError, match="styles of 16 components"):
        AugmentedGenerator()(torch.zeros(1, 3, 8, 8))


# ------------------------------------------------------------------ use


def test_the_generator_back_is_one_object_in_both_directions_and_is_stepped_once() -> None:
    model = augmented_cyclegan(ema_half_life=10)
    for networks in (model.generator, model.averaged_generator):
        assert networks["a_to_b"].inverse is networks["b_to_a"]
    before = weights(model)
    trainer(max_epochs=1, limit_val_batches=0).fit(model, data_for(model))
    changed = {name for name, value in weights(model).items() if not torch.equal(value, before[name])}
    idle = {name for name in before if name not in changed}
    assert not [name for name in idle if not name.endswith("bias")]  # biases before a norm have no gradient
    for optimizer in model.optimizers():
        held = [p for group in optimizer.param_groups for p in group["params"]]
        assert len(held) == len({*held})


def test_a_style_is_drawn_by_a_seed_or_taken_from_an_example() -> None:
    model = augmented_cyclegan().eval()
    shown = batch_for(model)
    first, again, other = (model.translate(shown.real_a, None, Choice(style_seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 1e-4
    example = shown.real_b[:1]
    styled = model.translate(shown.real_a, "a_to_b", Choice(example=example))
    there = model.generator["a_to_b"]
    style = there.encoder(model.generator["b_to_a"](example), example)
    torch.testing.assert_close(styled, there.generator(shown.real_a, style.expand(4, -1)))
    with pytest.raises(ValueError, match="style"):
        model.translate(shown.real_b, "b_to_a", Choice(style_seed=0))


def test_evaluations_log_cycles_in_the_first_drawn_style() -> None:
    model = augmented_cyclegan()
    (found,) = trainer().validate(model, data_for(model, batches=2), verbose=False)
    model.eval()
    batch = batch_for(model)
    fake_b, fake_a, rec_a, rec_b = model.cycles(batch)
    torch.testing.assert_close(fake_b, model.translate(batch.real_a, "a_to_b", Choice(style_seed=0)))
    torch.testing.assert_close(rec_a, model.generator["b_to_a"](fake_b))
    there = model.generator["a_to_b"]
    torch.testing.assert_close(rec_b, there(fake_a, there.encoder(fake_a, batch.real_b)))
    assert {"val/cycle_a", "val/cycle_b"} <= found.keys()


def test_a_preview_shows_four_styles_of_each_source() -> None:
    model = augmented_cyclegan().eval()
    batch = batch_for(model)
    shown, columns = model.preview(batch, 3)
    assert (len(shown), columns) == (3 * 8, 8)
    torch.testing.assert_close(shown[0::8], batch.real_a[:3])
    torch.testing.assert_close(shown[2::8], model.translate(batch.real_a[:3], "a_to_b", Choice(style_seed=1)))


def test_the_discriminators_learn_at_a_fifth_of_the_generators_rate() -> None:
    rates = [optimizer.param_groups[0]["lr"] for optimizer in augmented_cyclegan().configure_optimizers()]
    assert rates == pytest.approx([4e-5, 2e-4])


def test_ada_and_losses_of_images_leave_the_discriminator_of_styles_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = FeatureLoss(nn.Sequential(nn.Conv2d(3, 3, 1)), {"0": 1.0})  # refuses styles
    model = augmented_cyclegan(augmentation=AdaptiveAugmentation(), regularizers=[Perceptual(loss, target="source")])
    observed: list[torch.Size] = []
    monkeypatch.setattr(model.augmentation, "observe", lambda logits, _: observed.append(logits.shape))
    batch = augmented_cyclegan_batch(4, 0)
    fake = model.draw_fakes(batch)
    assert list(model.discriminator_loss(batch, fake)) == ["a", "b", "style"]
    assert len(observed) == 2  # the logits of both domains' images
    (perceptual,) = model.regularizers
    assert list(perceptual.generator(model, batch, fake)) == ["perceptual_a", "perceptual_b"]  # type: ignore[operator]


def test_upsampling_by_nearest_pixels_takes_the_place_of_the_transposed_convolution() -> None:
    transposed, nearest = (AugmentedGenerator(width=4, upsampling=how) for how in ("transposed", "nearest"))
    kinds = [[type(part) for part in network.modules()] for network in (transposed, nearest)]
    assert [each.count(torch.nn.ConvTranspose2d) for each in kinds] == [1, 0]
    assert [each.count(torch.nn.Upsample) for each in kinds] == [0, 1]
    images, style = torch.rand(2, 3, 12, 8), torch.randn(2, 16)
    assert nearest(images, style).shape == transposed(images, style).shape == (2, 3, 12, 8)
    with pytest.raises(ValueError, match=r"upsampling must be .*, not 'cubic'"):
        AugmentedGenerator(upsampling="cubic")  # type: ignore[arg-type]
