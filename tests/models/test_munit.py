"""MUNIT: every term by hand, the styles of each turn, the codes of each domain, and its many outputs."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_lightning.data.batches import UnpairedBatch
from gan_lightning.inference import Choice
from gan_lightning.losses import PerceptualLoss
from gan_lightning.models import MUNIT
from gan_lightning.networks import MUNITDiscriminator, MUNITGenerator, ResNetGenerator
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.recording import Network
from tiny import Batches, batch_for, data_for, images
from toys import trainer


def munit(**how: Any) -> MUNIT:
    generators = [MUNITGenerator(width=4, blocks=1, style_dim=2, hidden=8) for _ in range(2)]
    judges = [MUNITDiscriminator(width=4, layers=2, scales=2) for _ in range(2)]
    return MUNIT(*generators, *judges, **how)


def munit_batch(count: int, seed: int) -> UnpairedBatch:
    return UnpairedBatch(images(count, 3, seed), -images(count, 3, seed + 1))


class Content(nn.Module):
    """The content is the image's mean, plus a number."""

    def __init__(self, plus: float) -> None:
        super().__init__()
        self.plus = nn.Parameter(torch.tensor(plus))

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3), keepdim=True) + self.plus


class Style(Content):
    """The style is the image's mean, plus a number, for both components."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).flatten(1).expand(-1, 2)


class Decoder(nn.Module):
    """An image of one value: content + factor · the style's first component."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        return (content + self.factor * style[:, :1, None, None]).expand(-1, 3, 8, 8)


class Toy(Network):
    in_channels, multiple, minimum, style_dim = 3, 1, 1, 2

    def __init__(self, content: float, style: float, factor: float) -> None:
        super().__init__()
        self.content, self.style, self.decoder = Content(content), Style(style), Decoder(factor)

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        return self.decoder(self.content(images), code)

    def encode_style(self, examples: Tensor) -> Tensor:
        return self.style(examples)


class Judge(Network):
    """Two scales of logits: the images' first channel, times a number, and minus it."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput([self.factor * images[:, :1], -self.factor * images[:, :1, :4]])


A, B = 0.1, 0.4  # the brightness of each domain
CONTENT_A, CONTENT_B = 0.02, -0.03  # what the content encoders add
STYLE_A, STYLE_B = 0.5, 0.6  # what the style encoders add
G_A, G_B = 0.2, 0.3  # the decoders' factors
D_A, D_B = 2.0, 3.0


def numbered(**how: Any) -> MUNIT:
    return MUNIT(Toy(CONTENT_A, STYLE_B, G_B), Toy(CONTENT_B, STYLE_A, G_A), Judge(D_A), Judge(D_B), **how)


def constants(count: int = 2) -> UnpairedBatch:
    return UnpairedBatch(torch.full((count, 3, 8, 8), A), torch.full((count, 3, 8, 8), B))


def squares(*values: Tensor) -> float:
    return float(sum(value.detach().square().mean() for value in values))


def test_the_discriminators_losses_are_sums_over_scales_and_not_halved() -> None:
    model = numbered().eval()
    fake = model.draw_fakes(constants())
    terms = model.discriminator_loss(constants(), fake)
    expected = {}
    for domain, factor, real, fakes in (("a", D_A, A, fake.fake_a), ("b", D_B, B, fake.fake_b)):
        value = fakes[:, 0, 0, 0]
        real_logits = torch.tensor([factor * real, -factor * real])
        fakes_at = squares(factor * value, -factor * value)
        expected[domain] = float((real_logits - 1).square().sum()) + fakes_at
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(expected, rel=1e-5)


def test_the_generators_losses_by_their_numbers() -> None:
    model = numbered(lambda_image=7.0, lambda_content=2.0, lambda_style=3.0, lambda_cycle=5.0).eval()
    fake = model.draw_fakes(constants())
    s_a, s_b = fake.style_a[:, 0], fake.style_b[:, 0]
    content_a, content_b = A + CONTENT_A, B + CONTENT_B
    own_a, own_b = A + STYLE_A, B + STYLE_B
    fake_b, fake_a = content_a + G_B * s_b, content_b + G_A * s_a
    torch.testing.assert_close(fake.fake_b[:, 0, 0, 0], fake_b)
    torch.testing.assert_close(fake.fake_a[:, 2, 7, 7], fake_a)
    back_a, back_b = fake_b + CONTENT_B, fake_a + CONTENT_A  # contents of the translations, by the other encoder

    terms = model.generator_loss(constants(), fake)
    expected = {
        "adversarial_a": squares(D_A * fake_a - 1, -D_A * fake_a - 1),
        "adversarial_b": squares(D_B * fake_b - 1, -D_B * fake_b - 1),
        "image_a": 7 * abs(content_a + G_A * own_a - A),
        "image_b": 7 * abs(content_b + G_B * own_b - B),
        "content_a": 2 * float((back_a - content_a).abs().mean()),
        "content_b": 2 * float((back_b - content_b).abs().mean()),
        "style_a": 3 * float((fake_a[:, None] + STYLE_A - fake.style_a).abs().mean()),
        "style_b": 3 * float((fake_b[:, None] + STYLE_B - fake.style_b).abs().mean()),
        "cycle_a": 5 * float((back_a + G_A * own_a - A).abs().mean()),
        "cycle_b": 5 * float((back_b + G_B * own_b - B).abs().mean()),
    }
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(expected, rel=1e-5)


def test_the_paper_has_no_cycle_and_weights_of_ten_and_one() -> None:
    model = numbered().eval()
    assert (model.lambda_image, model.lambda_content, model.lambda_style) == (10, 1, 1)
    terms = model.generator_loss(constants(), model.draw_fakes(constants()))
    assert not [name for name in terms if name.startswith(("cycle", "perceptual"))]


def test_a_perceptual_loss_compares_each_image_with_its_translation() -> None:
    class Mean(PerceptualLoss):
        def __init__(self) -> None:
            super().__init__({"": 1.0}, "l1")

        def make_features(self) -> Any:
            raise NotImplementedError

        def forward(self, fake: Tensor, target: Tensor) -> Tensor:
            return l1_loss(fake, target)

    model = numbered(perceptual=Mean(), lambda_perceptual=4.0).eval()
    fake = model.draw_fakes(constants())
    terms = model.generator_loss(constants(), fake)
    torch.testing.assert_close(terms["perceptual_a"], 4 * l1_loss(fake.fake_b, constants().real_a))
    torch.testing.assert_close(terms["perceptual_b"], 4 * l1_loss(fake.fake_a, constants().real_b))


def test_contents_are_not_detached() -> None:
    model = numbered()
    fake = model.draw_fakes(constants(1))
    model.generator_loss(constants(1), fake)["content_a"].backward()
    # |E_2^c(G_2(c, s)) - c| with c = mean + plus: c itself drops out, where a constant c would leave a gradient of 1
    first, second = (model.generator[direction].content.plus.grad for direction in ("a_to_b", "b_to_a"))
    assert first is not None
    assert (first.abs().item(), second.abs().item()) == pytest.approx((0, 1), abs=1e-6)


def test_both_turns_draw_styles_of_their_own() -> None:
    model = munit()
    drawn: list[Tensor] = []
    draw = model.draw_fakes

    def noted(batch: Any) -> Any:
        fake = draw(batch)
        if model.training:
            drawn.append(fake.style_a)
        return fake

    model.draw_fakes = noted  # type: ignore[method-assign]
    trainer(max_epochs=1).fit(model, data_for(model))
    assert len(drawn) == 2
    assert drawn[0].shape == (4, 2)
    assert not torch.allclose(drawn[0], drawn[1])


def test_translations_take_a_style_by_seed_or_by_example() -> None:
    model = munit()
    translator = model.translator
    assert (translator.style_dim, translator.takes_example) == (2, True)
    source, example = images(2, 3, 0), images(1, 3, 9)
    for direction in ("a_to_b", "b_to_a"):
        network = model.generator[direction]
        made = model.translate(source, direction, Choice(example=example))
        with torch.no_grad():
            style = network.style(example).expand(2, -1)
            torch.testing.assert_close(made, network.decoder(network.content(source), style))
        first, second = (model.translate(source, direction, Choice(style_seed=seed)) for seed in (0, 1))
        assert (first - second).abs().max() > 1e-4


def test_variations_are_the_styles_of_the_first_seeds_in_the_evaluated_direction() -> None:
    model = munit(evaluated="b_to_a")
    batch = batch_for(model)
    made = model.variations(batch, 3)
    assert made is not None
    assert made.shape == (4, 3, 3, 16, 16)
    for seed in range(3):
        assert torch.equal(made[:, seed], model.translate(batch.real_b, "b_to_a", Choice(style_seed=seed)))


def test_a_preview_shows_several_styles_of_a_source() -> None:
    model = munit()
    batch = batch_for(model)
    shown, columns = model.preview(batch, 2)
    assert columns == 10
    rows = shown.unflatten(0, (2, columns))
    assert torch.equal(rows[:, 0], batch.real_a[:2])
    assert torch.equal(rows[:, 5], batch.real_b[:2])
    for seed in range(3):
        assert torch.equal(rows[:, 1 + seed], model.translate(batch.real_a[:2], "a_to_b", Choice(style_seed=seed)))
    alike = model.translate(batch.real_a[:1], "a_to_b", Choice(example=batch.real_b[:1]))
    torch.testing.assert_close(rows[:1, 4], alike)


def test_cycle_errors_go_back_in_the_images_own_style() -> None:
    model = numbered()
    validated = trainer().validate(model, Batches([constants()]), verbose=False)[0]
    model.eval()
    fake_b, fake_a, rec_a, rec_b = (made.unique().item() for made in model.cycles(constants(1)))
    assert fake_b == pytest.approx(A + CONTENT_A + G_B * (B + STYLE_B))
    assert fake_a == pytest.approx(B + CONTENT_B + G_A * (A + STYLE_A))
    assert rec_a == pytest.approx(fake_b + CONTENT_B + G_A * (A + STYLE_A))
    assert rec_b == pytest.approx(fake_a + CONTENT_A + G_B * (B + STYLE_B))
    assert validated["val/cycle_a"] == pytest.approx(abs(rec_a - A) / 2)
    assert validated["val/cycle_b"] == pytest.approx(abs(rec_b - B) / 2)


def test_generators_without_codes_are_refused() -> None:
    with pytest.raises(TypeError, match=r"MUNIT uses content, style, decoder, .* and ResNetGenerator has no content"):
        MUNIT(ResNetGenerator(width=2, blocks=1), ResNetGenerator(width=2, blocks=1))


def test_grey_can_become_colour_with_styles_of_different_lengths() -> None:
    small: dict[str, Any] = {"width": 2, "blocks": 1, "hidden": 4}
    generators = MUNITGenerator(1, 3, style_dim=3, **small), MUNITGenerator(3, 1, style_dim=2, **small)
    judges = [MUNITDiscriminator(channels, width=2, layers=2, scales=2) for channels in (1, 3)]
    model = MUNIT(*generators, *judges, lambda_cycle=1.0)
    batch = UnpairedBatch(torch.zeros(2, 1, 16, 16), torch.zeros(2, 3, 16, 16))
    trainer(max_epochs=1).fit(model, Batches([batch]))
    assert model.preview(batch, 2)[0].shape == (20, 3, 16, 16)
