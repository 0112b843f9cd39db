"""PairedCycleGAN: every term by its number, the paste without seams, the change that stays in range, true pairs."""

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gan_lightning.augmentation import AdaptiveAugmentation
from gan_lightning.data.batches import UnpairedBatch
from gan_lightning.inference import Choice, Translator
from gan_lightning.inference.stored import translate_image
from gan_lightning.inference.translation import UntranslatableImageError
from gan_lightning.models import PairedCycleGAN
from gan_lightning.networks import ApplyingTranslator, DilatedTranslator, PatchGAN, SeamlessPaste
from gan_lightning.networks.paired_cyclegan import region_weights
from gan_lightning.recording import Network
from tiny import Batches, batch_for, data_for, images
from toys import trainer


def paired_cyclegan(**how: Any) -> PairedCycleGAN:
    torch.manual_seed(0)
    judges = [PatchGAN(in_channels=c, width=4, receptive_field=16, norm="instance") for c in (3, 3, 6)]
    translators = ApplyingTranslator(width=4, dilations=(1, 2)), DilatedTranslator(width=4, dilations=(1, 2))
    return PairedCycleGAN(*translators, *judges, **how)


def paired_cyclegan_batch(count: int, seed: int) -> UnpairedBatch:
    return UnpairedBatch(images(count, 3, seed), -images(count, 3, seed + 1))


# ------------------------------------------------------------------ the terms


class Mix(Network):
    """G: a share of the image and one of the reference."""

    in_channels, multiple, minimum = 3, 1, 1

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(0.25))

    def forward(self, images: Tensor, example: Tensor) -> Tensor:
        return (1 - self.share) * images + self.share * example

    def encode_style(self, examples: Tensor) -> Tensor:
        return examples


class Halve(Network):
    """F: half of the image."""

    in_channels, multiple, minimum = 3, 1, 1

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * images


class Scale(Network):
    """A discriminator: the first channel of its input, and half of the last, times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * (images[:, :1] + images[:, -1:] / 2)


class Reference(Network):
    """W: a tenth of the image more than the reference."""

    def forward(self, images: Tensor, references: Tensor) -> Tensor:
        return references + images / 10


X, Y = 0.2, 0.6
D_X, D_Y, D_S = 2.0, 3.0, 4.0
APPLIED, REMOVED = 0.75 * X + 0.25 * Y, Y / 2
LAMBDAS = {"lambda_adversarial": 0.5, "lambda_identity": 2.0, "lambda_style": 3.0, "lambda_pair": 0.25}


def zeta(value: float) -> float:
    return float(softplus(torch.tensor(value)))


def numbered(**how: Any) -> PairedCycleGAN:
    return PairedCycleGAN(Mix(), Halve(), Scale(D_X), Scale(D_Y), Scale(D_S), Reference(), **how).eval()


def constants() -> UnpairedBatch:
    return UnpairedBatch(torch.full((2, 3, 8, 8), X), torch.full((2, 3, 8, 8), Y))


def style_logit(result: float) -> float:
    return D_S * (Y + result / 2)


def test_the_discriminators_losses_by_their_numbers() -> None:
    model = numbered(**LAMBDAS)
    terms = model.discriminator_loss(constants(), model.draw_fakes(constants()))
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(
        {
            "a": 0.5 * (zeta(-1.5 * D_X * X) + zeta(1.5 * D_X * REMOVED)),
            "b": 0.5 * (zeta(-1.5 * D_Y * Y) + zeta(1.5 * D_Y * APPLIED)),
            "style": 0.25 * (zeta(-style_logit(Y + X / 10)) + zeta(style_logit(APPLIED))),
        }
    )


def test_the_generators_losses_by_their_numbers() -> None:
    model = numbered(**LAMBDAS)
    terms = model.generator_loss(constants(), model.draw_fakes(constants()))
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(
        {
            "adversarial_a": 0.5 * zeta(-1.5 * D_X * REMOVED),
            "adversarial_b": 0.5 * zeta(-1.5 * D_Y * APPLIED),
            "identity": 2 * abs(APPLIED / 2 - X),  # F(G(x, y)) - x
            "style": 3 * abs(0.75 * REMOVED + 0.25 * APPLIED - Y),  # G(F(y), G(x, y)) - y
            "adversarial_style": 0.25 * zeta(-style_logit(APPLIED)),
        },
        rel=1e-5,
    )


def test_terms_that_are_off_are_not_there() -> None:
    model = numbered(lambda_identity=0, lambda_style=0, lambda_pair=0)
    fake = model.draw_fakes(constants())
    assert set(model.discriminator_loss(constants(), fake)) == {"a", "b"} == set(model.discriminator)
    assert set(model.generator_loss(constants(), fake)) == {"adversarial_a", "adversarial_b"}


# ------------------------------------------------------------------ the networks


def test_a_paste_has_no_seam_and_keeps_the_references_gradients() -> None:
    torch.manual_seed(0)
    paste = SeamlessPaste((0.25, 0.25, 0.75, 0.75))
    shown = 0.3 * (2 * torch.rand(2, 3, 16, 16) - 1)
    inner = (..., slice(5, 11), slice(5, 11))  # the rows and columns 4 to 11, without their border
    mark = torch.zeros_like(shown)
    mark[inner] = 0.2 * torch.randn(2, 3, 6, 6)
    # references whose border differs by a plane: all of it is taken back
    plane = 0.1 + 0.01 * torch.arange(16.0) - 0.02 * torch.arange(16.0)[:, None]
    torch.testing.assert_close(paste(shown, shown + plane + mark), shown + mark)
    any_reference = 0.5 * (2 * torch.rand(2, 3, 16, 16) - 1)
    pasted = paste(shown, any_reference)
    inside = torch.zeros(16, 16, dtype=torch.bool)
    inside[5:11, 5:11] = True
    changed = (pasted - shown).abs().amax(dim=(0, 1)) > 1e-6
    assert torch.equal(changed, inside)  # the border of the rectangle keeps the image's values


@pytest.mark.parametrize("region", [(0.5, 0.0, 0.5, 1.0), (0.0, 0.0, 1.0, 1.5), (0.0, 0.6, 1.0, 0.4)])
def test_a_region_that_is_no_rectangle_is_refused(region: Any) -> None:
    for network in (SeamlessPaste, DilatedTranslator, ApplyingTranslator):
        with pytest.raises(ValueError, match="no rectangle"):
            network(region=region)


def test_a_change_stays_in_its_region_and_fades_in_from_the_border() -> None:
    network = DilatedTranslator(width=4, dilations=(1,), region=(0.25, 0.0, 0.75, 0.5)).eval()
    nn.init.constant_(network.last[0].bias, 20.0)  # everything turns white
    made = network(torch.zeros(1, 3, 64, 64))
    rows, columns = torch.zeros(64), torch.zeros(64)
    ramp = (torch.arange(4) + 0.5) / 4  # a sixteenth of the side
    rows[16:48], rows[16:20], rows[44:48] = 1.0, ramp, ramp.flip(0)
    columns[:32], columns[28:32] = 1.0, ramp.flip(0)  # the image's own border does not fade
    torch.testing.assert_close(made, (rows[:, None] * columns).expand(1, 3, 64, 64))


def test_a_region_lies_in_its_place_in_bfloat16_too() -> None:
    like = torch.zeros(1, dtype=torch.bfloat16)
    found = region_weights((0.25, 0.25, 0.75, 0.75), 1000, 1000, like)
    assert found.dtype == torch.bfloat16
    expected = region_weights((0.25, 0.25, 0.75, 0.75), 1000, 1000, like.float())
    torch.testing.assert_close(found.float(), expected, atol=0.005, rtol=0)


def test_an_image_in_tiles_has_no_place_for_a_region() -> None:
    stored = (torch.rand(3, 64, 32) * 255).to(torch.uint8)
    for region, refused in ((None, False), ((0.25, 0.25, 0.75, 0.75), True)):
        network = DilatedTranslator(width=4, dilations=(1,), region=region)
        assert translate_image(Translator(network), stored, tile=64).shape == stored.shape
        with (
            pytest.raises(UntranslatableImageError, match=r"32x64 pixels need tiles of 32, .* set --tile to 64")
            if refused
            else nullcontext()
        ):
            translate_image(Translator(network), stored, tile=32)


def test_a_change_moves_towards_white_or_black_and_never_beyond() -> None:
    network = DilatedTranslator(width=4, dilations=(1,)).eval()
    for bias, limit in ((20.0, 1.0), (-20.0, -1.0)):
        nn.init.constant_(network.last[0].bias, bias)
        torch.testing.assert_close(network(images(2, 3, 0)), torch.full((2, 3, 16, 16), limit))
    nn.init.zeros_(network.last[0].weight)
    nn.init.zeros_(network.last[0].bias)
    assert torch.equal(network(images(2, 3, 0)), images(2, 3, 0))


def test_a_reference_may_have_another_size_and_is_seen() -> None:
    torch.manual_seed(0)
    network = ApplyingTranslator(width=4, dilations=(1, 2)).eval()
    shown = images(2, 3, 0)
    small, other = (network(shown, torch.rand(2, 3, side, side)) for side in (10, 16))
    assert small.shape == shown.shape
    assert (small - other).abs().max() > 1e-5
    with pytest.raises(ValueError, match="reference images of 3 channels"):
        network(shown)
    with pytest.raises(ValueError, match="reference images of 0 channels"):
        DilatedTranslator()(shown, shown)


# ------------------------------------------------------------------ use


def test_an_example_gives_the_style_and_removal_needs_none() -> None:
    model = paired_cyclegan().eval()
    batch = batch_for(model)
    example = batch.real_b[:1]
    applied = model.translate(batch.real_a, "a_to_b", Choice(example=example))
    torch.testing.assert_close(applied, model.generator["a_to_b"](batch.real_a, example.expand(4, -1, -1, -1)))
    torch.testing.assert_close(model.translate(batch.real_b, "b_to_a"), model.generator["b_to_a"](batch.real_b))
    with pytest.raises(ValueError, match="example"):
        model.translate(batch.real_b, "b_to_a", Choice(example=example))
    torch.testing.assert_close(model.generate(batch), model.generator["a_to_b"](batch.real_a, batch.real_b))


def test_evaluations_measure_the_distance_to_true_pairs() -> None:
    (found,) = trainer().validate(numbered(pairs=True), Batches([constants()]), verbose=False)
    expected = {
        "val/removal_error": abs(REMOVED - X) / 2,
        "val/application_error": abs(APPLIED - Y) / 2,
        "val/copy_error": abs(X - Y) / 2,
        "val/cycle_a": abs(APPLIED / 2 - X) / 2,
        "val/cycle_b": abs(0.75 * REMOVED + 0.25 * APPLIED - Y) / 2,
    }
    assert found == pytest.approx(expected, rel=1e-5)
    (found,) = trainer().test(numbered(), Batches([constants()]), verbose=False)
    assert set(found) == {"test/cycle_a", "test/cycle_b"}


def test_a_preview_shows_each_image_in_the_style_of_the_next() -> None:
    model = numbered()
    batch = UnpairedBatch(torch.full((2, 3, 8, 8), X), torch.stack([torch.full((3, 8, 8), v) for v in (0.6, -0.4)]))
    shown, columns = model.preview(batch, 2)
    means = shown.mean(dim=(1, 2, 3)).view(2, columns)
    applied = 0.75 * X + 0.25 * -0.4
    assert means[0].tolist() == pytest.approx([X, -0.4, applied, applied / 2, -0.2])


def test_training_without_the_pairs_discriminator_and_with_all() -> None:
    for how in ({}, {"lambda_pair": 0}):
        model = paired_cyclegan(**how)
        trainer(max_epochs=1, limit_val_batches=0).fit(model, data_for(model, batches=2))
        assert model.batches_seen == 2


def test_reference_and_result_pass_the_augmentation_together_with_their_colours_apart() -> None:
    model = paired_cyclegan(augmentation=AdaptiveAugmentation())
    model.check_batch(paired_cyclegan_batch(2, 0))  # ADA refuses six channels that it does not know as two images
