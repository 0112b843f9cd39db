"""Tests of every model: published sizes, turns, overfitting, precision, one format for all pictures."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn
from torch.optim import Adam

from every_model import BUILDERS
from gan_lightning.data.batches import CaptionedBatch, ImageBatch, PairedBatch, UnpairedBatch
from gan_lightning.data.images import to_float, to_uint8
from gan_lightning.draws import ImageDraws
from gan_lightning.families import NoiseToImage
from gan_lightning.layers import EqualisedConv2d, EqualisedLinear
from gan_lightning.models import (
    AAE,
    ACGAN,
    CGAN,
    CUT,
    DCGAN,
    FGAN,
    GAN,
    GANINTCLS,
    LSGAN,
    MMDGAN,
    MUNIT,
    R3GAN,
    SAGAN,
    SNGAN,
    SPADE,
    SRGAN,
    UNIT,
    VEEGAN,
    WGAN,
    WGANGP,
    AugmentedCycleGAN,
    BicycleGAN,
    BiGAN,
    BigGAN,
    CartoonGAN,
    CoGAN,
    CycleGAN,
    InfoGAN,
    PairedCycleGAN,
    PersonalTalkingHead,
    Pix2Pix,
    Pix2PixHD,
    ProjectionGAN,
    RaGAN,
    SemiSupervisedAAE,
    StackGAN,
    StarGAN,
    TalkingHeads,
    ThreeDVAEGAN,
)
from gan_lightning.training import random_state
from gan_lightning.training.adversarial import AdversarialModule
from models.test_acgan import acgan
from models.test_began import began
from models.test_bicyclegan import bicyclegan
from models.test_cgan import cgan
from models.test_cut import cut
from models.test_cyclegan import cyclegan
from models.test_dcgan import dcgan
from models.test_fgan import fgan
from models.test_gan import gan
from models.test_infogan import infogan
from models.test_lsgan import lsgan
from models.test_mmd_gan import mmd_gan
from models.test_munit import munit
from models.test_pix2pix import pix2pix
from models.test_pix2pix_hd import pix2pix_hd
from models.test_projection import projection
from models.test_r3gan import r3gan
from models.test_ragan import ragan
from models.test_sngan import sngan
from models.test_spade import spade
from models.test_srgan import srgan
from models.test_unit import unit
from models.test_vae_gan import vae_gan
from models.test_wgan import wgan
from models.test_wgan_gp import wgan_gp
from tiny import Batches, batch_for, data_for, networks, resting
from toys import equal, trainer, weights

Build = Callable[..., AdversarialModule]
every_model = pytest.mark.parametrize("build", BUILDERS)
TURNS = 40  # of each player alone
SHOWN_OTHERWISE = (
    VEEGAN,
    SemiSupervisedAAE,
    AAE,
    BiGAN,
    AugmentedCycleGAN,
    BicycleGAN,
    CoGAN,
    InfoGAN,
    MUNIT,
    PairedCycleGAN,
    ThreeDVAEGAN,
    GANINTCLS,
    StackGAN,
)  # previews that their own tests check


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


# ------------------------------------------------------------------ published sizes


@pytest.mark.parametrize(
    ("model", "generator", "discriminator"),
    [
        (GAN, 2_503_984, 1_231_441),
        (DCGAN, 3_576_704, 2_765_568),
        (LSGAN, 3_576_704, 2_765_568),  # DCGAN's
        (WGAN, 3_576_704, 2_765_568),
        (WGANGP, 1_204_483, 1_053_825),
        (SNGAN, 4_276_739, 1_053_824),
        (ProjectionGAN, 4_304_387, 1_055_104),
        (FGAN, 3_576_704, 2_765_568),
        (RaGAN, 1_183_616, 2_935_873),  # DCGAN's for 32x32, and SN-GAN's convolutions
        (R3GAN, 20_732_160, 20_683_776),
        (SAGAN, 42_078_852, 39_463_618),
        (BigGAN, 70_433_988, 87_982_370),
        (Pix2Pix, 54_413_955, 2_768_705),
        (SRGAN, 1_549_462, 23_565_505),
        (CoGAN, 7_842_694, 427_593),
        (BiGAN, 1_953_792, 1_903_616),
        (AAE, 1_794_784, 1_011_001),
        (CycleGAN, 2 * 11_378_179, 2 * 2_764_737),
        (CUT, 11_378_179, 2_764_737),
        (Pix2PixHD, 182_546_755, 8_404_803),
        (SPADE, 96_492_483, 5_836_930),
        (UNIT, 2 * 11_140_483 - 2 * 1_180_160, 2 * 8_271_171),  # a block of encoders and of decoders is shared
        (MUNIT, 2 * 15_026_187, 2 * 8_271_171),
        (BicycleGAN, 54_794_627 + 2_590_032, 2 * 3_458_978),
    ],
)
def test_the_defaults_have_the_published_parameters(
    model: type[AdversarialModule], generator: int, discriminator: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn.init, "normal_", lambda tensor, *_, **__: tensor)  # 54 million draws that nobody looks at
    with torch.device("meta"):
        built = model()
    assert parameters(built.generator) == generator
    assert parameters(built.discriminator) == discriminator


def test_the_default_conditional_gan_is_dcgan_with_labels_in_both_networks() -> None:
    model = CGAN()
    assert model.num_classes == 10
    # DCGAN's for 32x32 grey without labels, with ten more inputs to each first layer (4x4 kernels)
    assert parameters(model.generator) == (100 + 10) * 256 * 16 + 2 * 256 + (256 * 128 + 128 * 64 + 64) * 16 + 2 * 192
    assert parameters(model.discriminator) == (1 + 10) * 64 * 16 + (64 * 128 + 128 * 256 + 256) * 16 + 2 * 384
    model.check_batch(ImageBatch(torch.zeros(2, 1, 32, 32), torch.tensor([0, 9])))


@pytest.mark.parametrize(
    ("build", "optimizer", "settings"),
    [
        (gan, "SGD", {"lr": 0.1, "momentum": 0.5}),
        (dcgan, "Adam", {"lr": 2e-4, "betas": (0.5, 0.999)}),
        (cgan, "Adam", {"lr": 2e-4, "betas": (0.5, 0.999)}),
        (mmd_gan, "RMSprop", {"lr": 5e-5}),
        (began, "Adam", {"lr": 1e-4, "betas": (0.5, 0.999)}),
        (lsgan, "Adam", {"lr": 1e-3, "betas": (0.5, 0.999)}),
        (wgan, "RMSprop", {"lr": 5e-5, "momentum": 0}),
        (wgan_gp, "Adam", {"lr": 2e-4, "betas": (0.0, 0.9)}),
        (sngan, "Adam", {"lr": 2e-4, "betas": (0.0, 0.9)}),
        (projection, "Adam", {"lr": 2e-4, "betas": (0.0, 0.9)}),
        (acgan, "Adam", {"lr": 2e-4, "betas": (0.5, 0.999)}),
        (fgan, "Adam", {"lr": 2e-4, "betas": (0.5, 0.999)}),
        (ragan, "Adam", {"lr": 2e-4, "betas": (0.5, 0.999)}),
        (r3gan, "Adam", {"lr": 2e-4, "betas": (0.0, 0.9)}),
        (pix2pix, "Adam", {"lr": 2e-4, "betas": (0.5, 0.999)}),
        (srgan, "Adam", {"lr": 1e-4, "betas": (0.9, 0.999)}),
        (cyclegan, "Adam", {"lr": 2e-4, "betas": (0.5, 0.999)}),
        (cut, "Adam", {"lr": 2e-4, "betas": (0.5, 0.999)}),
        (pix2pix_hd, "Adam", {"lr": 2e-4, "betas": (0.5, 0.999)}),
        (spade, "Adam", {"betas": (0.0, 0.9)}),
        (unit, "Adam", {"lr": 1e-4, "betas": (0.5, 0.999), "weight_decay": 1e-4}),
        (munit, "Adam", {"lr": 1e-4, "betas": (0.5, 0.999), "weight_decay": 1e-4}),
        (bicyclegan, "Adam", {"lr": 2e-4, "betas": (0.5, 0.999)}),
    ],
)
def test_the_default_optimizers_are_the_papers(build: Build, optimizer: str, settings: dict[str, Any]) -> None:
    for made in build().configure_optimizers():
        assert type(made).__name__ == optimizer
        assert {name: made.param_groups[0][name] for name in settings} == settings


# ------------------------------------------------------------------ turns


def watch(model: AdversarialModule, seen: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Check at each turn that it moves all networks of its player, and not a bit of the other's parameters."""
    minimize = model.minimize

    def watched(player: Any, *losses: Any) -> None:
        before = {name: weights(networks(model, name)) for name in ("generator", "discriminator")}
        (other,) = before.keys() - {player}
        gradients = [None if p.grad is None else p.grad.clone() for p in networks(model, other).parameters()]
        minimize(player, *losses)
        for old, p in zip(gradients, networks(model, other).parameters(), strict=True):
            assert (old is None) == (p.grad is None)
            assert old is None or torch.equal(old, p.grad), f"the {player}'s turn sent gradients to the {other}"
        after = {name: weights(networks(model, name)) for name in ("generator", "discriminator")}
        assert equal(before[other], after[other]), f"the {player}'s turn moved the {other}"
        idle = resting(networks(model, player))
        still = [name for name, p in after[player].items() if torch.equal(before[player][name], p) and name not in idle]
        assert not [name for name in still if name.endswith("weight")], (
            f"the {player}'s turn left {still} where they were"
        )
        seen.append(player)

    monkeypatch.setattr(model, "minimize", watched)


@every_model
def test_each_turn_moves_its_own_player_only(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = build(n_critic=2), []
    watch(model, seen, monkeypatch)
    trainer(max_epochs=1).fit(model, data_for(model, batches=4))
    assert seen == ["discriminator", "discriminator", "generator"] * 2


def count_forwards(module: nn.Module) -> list[bool]:
    """A list that grows with each forward pass in training: whether it kept a graph."""
    seen: list[bool] = []
    module.register_forward_hook(lambda m, _, out: seen.append(out.requires_grad) if m.training else None)
    return seen


@pytest.mark.parametrize("build", [gan, dcgan, lsgan, fgan, cgan, acgan, pix2pix])
def test_both_turns_share_one_forward_of_the_generator(build: Build) -> None:
    model = build()
    seen = count_forwards(model.generator)
    trainer(max_epochs=1).fit(model, data_for(model, batches=3))
    assert seen == [True] * 3


@pytest.mark.parametrize("build", [gan, dcgan, lsgan, fgan, cgan, acgan, pix2pix])
def test_no_graph_is_kept_where_the_generators_turn_does_not_come(build: Build) -> None:
    model = build(n_critic=2)
    seen = count_forwards(model.generator)
    trainer(max_epochs=1).fit(model, data_for(model, batches=4))
    assert seen == [False, True, False, True]


# ------------------------------------------------------------------ one player alone


@every_model
def test_each_player_alone_overfits(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one batch: the discriminator against a generator that stands still, then the generator against that one."""
    torch.manual_seed(0)
    fast = partial(Adam, lr=6e-3, betas=(0.5, 0.9))
    model = build(generator_optimizer=fast, discriminator_optimizer=fast)
    model.n_critic = 1
    curves: dict[str, list[float]] = {"discriminator": [], "generator": []}
    minimize = model.minimize

    def alone(player: Any, *losses: Any) -> None:
        if player == ("discriminator" if model.batches_seen < TURNS else "generator"):
            minimize(player, *losses)
            curves[player].append(float(model._terms[f"loss/{player}"]))

    monkeypatch.setattr(model, "minimize", alone)
    trainer(max_epochs=2 * TURNS).fit(model, data_for(model))
    for player, curve in curves.items():
        assert len(curve) == TURNS
        start, end = sum(curve[:3]) / 3, sum(curve[-3:]) / 3
        # a critic's score has no scale of its own: its loss falls by numbers, not by shares
        assert end < (start - 0.5 if isinstance(model, WGAN | WGANGP | MMDGAN) else 0.8 * start), (
            f"{player}: {start} came to {end}"
        )


# ------------------------------------------------------------------ precision


@every_model
def test_mixed_precision_trains_with_losses_in_float32_and_makes_float32_images(build: Build) -> None:
    model = build(ema_half_life=10)
    model.n_critic = 1
    forward_dtypes, logit_dtypes = set(), set()
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d | EqualisedLinear | EqualisedConv2d):
            module.register_forward_hook(lambda m, _, out: forward_dtypes.add(out.dtype) if m.training else None)
    for name in ("discriminator", "generator") if hasattr(model, "loss") else ():
        original = getattr(model.loss, name)

        def spied(logits: Tensor, other: Any, original: Any = original) -> Tensor:
            logit_dtypes.add(logits.dtype)
            value = original(logits, other)
            logit_dtypes.add(value.dtype)
            return value

        setattr(model.loss, name, spied)

    data = data_for(model, batches=3)
    run = trainer(max_epochs=1, precision="bf16-mixed")
    run.fit(model, data)
    assert model.batches_seen == 3
    assert torch.bfloat16 in forward_dtypes  # or nothing was tried
    assert logit_dtypes == ({torch.float32} if hasattr(model, "loss") else set())
    assert {term.dtype for term in model._terms.values()} == {torch.float32}
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in model.parameters())

    for made in run.predict(model, data):
        assert made.dtype == torch.float32
        assert not torch.equal(made, made.bfloat16().float()), "these images went through bfloat16"


# ------------------------------------------------------------------ one policy for all pictures


@every_model
def test_an_untrained_model_can_be_evaluated_first_and_then_trained(build: Build) -> None:
    model = build()
    model.n_critic = 1
    data = data_for(model, batches=2)
    before = weights(model)
    run = trainer(max_epochs=1)
    run.validate(model, data, verbose=False)
    assert equal(before, weights(model))
    run.fit(model, data)
    assert not equal(before, weights(model))
    trainer().test(model, data, verbose=False)


@every_model
def test_previews_evaluation_and_prediction_make_the_same_pictures(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    torch.manual_seed(0)
    model = build(ema_half_life=20)
    data = data_for(model, batches=2)
    trainer(max_epochs=2).fit(model, data)
    batch = data.batches[0]

    def seeded(make: Callable[[], Any]) -> Tensor:
        torch.manual_seed(7)
        return make()

    validated: list[Tensor] = []
    step = type(model).validation_step
    monkeypatch.setattr(
        type(model), "validation_step", lambda self, *args: validated.append(out := step(self, *args)) or out
    )
    with ImageDraws(7, range(len(batch[0]))):
        predicted = model.generate(batch)
    assert torch.equal(seeded(lambda: trainer().predict(model, Batches([batch]))[0]), predicted)
    expected = seeded(lambda: model.generate(batch))
    seeded(lambda: trainer().validate(model, Batches([batch]), verbose=False))
    assert torch.equal(validated[0], expected)
    assert expected.shape == model.reference(batch).shape
    assert expected.abs().max() <= 1
    assert not expected.requires_grad

    shown, columns = seeded(lambda: model.preview(batch, 4))
    if isinstance(model, SRGAN | TalkingHeads | PersonalTalkingHead):
        assert torch.equal(shown[2::columns], expected)
    elif isinstance(model, Pix2Pix | CycleGAN | CUT | CartoonGAN | UNIT):
        assert torch.equal(shown[1::columns], expected)
    elif isinstance(model, StarGAN):
        following = (batch.labels + 1) % 3
        assert torch.equal(shown.unflatten(0, (4, 4))[torch.arange(4), 1 + following], expected)
    elif isinstance(model, Pix2PixHD | SPADE):  # fixed styles, whatever the global state
        with ImageDraws(0, range(4)):
            assert torch.equal(shown[1::columns], model.generate(batch))
    elif not isinstance(model, SHOWN_OTHERWISE):  # fixed latents, whatever the global state
        assert torch.equal(shown, model.render(model.sample(4, seed=0)))


@every_model
def test_image_k_of_a_seed_is_the_same_among_any_number(build: Build) -> None:
    model = build(ema_half_life=20)
    if not isinstance(model, NoiseToImage):
        pytest.skip("it makes images of images")
    images = model.sample(9, seed=3)
    apart = float((images[0] - model.sample(1, seed=4)[0]).abs().max())
    assert apart > 0
    for first, count in {0: 1, 3: 2, 4: 5}.items():
        # a matrix of fewer rows may be summed up in another order
        again = model.sample(count, seed=3, first=first)
        torch.testing.assert_close(again, images[first:][:count], rtol=0, atol=1e-3 * apart)


@every_model
def test_the_last_weights_are_used_without_an_average_and_the_average_where_there_is_one(build: Build) -> None:
    for half_life in (0, 1e9):
        model = build(ema_half_life=half_life, ema_warm_up=0)
        model.n_critic = 1
        batch = batch_for(model)
        torch.manual_seed(0)
        before = model.generate(batch)
        with torch.no_grad():
            for p in model.generator.parameters():
                p.add_(0.1 * torch.randn_like(p))
        torch.manual_seed(0)
        assert torch.equal(before, model.generate(batch)) == bool(half_life)


@every_model
def test_making_images_leaves_modes_statistics_and_weights_as_they_were(build: Build) -> None:
    model = build().train()
    next(m for m in model.generator.modules() if not list(m.children())).eval()
    modes = [m.training for m in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    batch = batch_for(model)
    model.generate(batch)
    model.preview(batch, 3)
    assert [m.training for m in model.modules()] == modes
    assert equal(state, dict(model.state_dict()))
    assert model.generator.training


@every_model
def test_a_preview_shows_what_is_asked_for(build: Build) -> None:
    model = build()
    shown, columns = model.preview(batch_for(model, count=5), 4)
    expected = {
        Pix2Pix: (12, 3),
        SRGAN: (16, 4),
        TalkingHeads: (16, 4),
        PersonalTalkingHead: (16, 4),
        CycleGAN: (24, 6),
        CUT: (16, 4),
        StarGAN: (16, 4),
        Pix2PixHD: (16, 4),
        SPADE: (20, 5),
        CartoonGAN: (16, 4),
        UNIT: (24, 6),
        MUNIT: (40, 10),
        BicycleGAN: (24, 6),
        CGAN: (4, 3),
        ACGAN: (4, 3),
        ProjectionGAN: (4, 3),
        SAGAN: (4, 3),
        BigGAN: (4, 3),
        InfoGAN: (6, 3),
        CoGAN: (3, 12),
        AugmentedCycleGAN: (32, 8),
        PairedCycleGAN: (20, 5),
        ThreeDVAEGAN: (12, 6),
        BiGAN: (12, 3),
        AAE: (12, 3),
        VEEGAN: (12, 3),
        SemiSupervisedAAE: (12, 3),
    }.get(type(model), (4, 2))
    assert (len(shown), columns) == expected


# ------------------------------------------------------------------ what does not fit


def refused(model: AdversarialModule, batch: Any, kind: type[Exception], match: str, size: int = 1) -> None:
    """Check that a fit on these batches ends before the first step with this sentence, and changes nothing."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(kind, match=match):
        trainer(max_epochs=1).fit(model, Batches([batch] * size))
    assert equal(before, dict(model.state_dict()))
    assert model.batches_seen == 0


IMAGES, PAIRS, DOMAINS, CAPTIONS = (
    ImageBatch(torch.zeros(2, 1, 16, 16), torch.tensor([0, 1])),
    PairedBatch(torch.zeros(2, 1, 16, 16), torch.zeros(2, 3, 16, 16)),
    UnpairedBatch(torch.zeros(2, 3, 16, 16), torch.zeros(2, 3, 16, 16)),
    CaptionedBatch(torch.zeros(2, 1, 16, 16), torch.zeros(2, 5)),
)


@pytest.mark.parametrize("batch", [IMAGES, PAIRS, DOMAINS, CAPTIONS, [torch.zeros(2, 1, 16, 16)]])
@every_model
def test_the_wrong_kind_of_batch_is_refused_with_both_names(build: Build, batch: Any) -> None:
    model = build()
    if isinstance(batch, model.batch_type):
        return
    match = f"{type(model).__name__} learns from .* {model.batch_type.__name__} .* serve {type(batch).__name__}"
    refused(model, batch, TypeError, match)


def grey(*sizes: int) -> Tensor:
    return torch.zeros(2, *sizes)


@pytest.mark.parametrize(
    ("build", "batch", "match"),
    [
        (gan, ImageBatch(grey(3, 16, 16)), r"GAN makes images of 1x16x16 .* serve 3x16x16"),
        (dcgan, ImageBatch(grey(3, 16, 16)), r"DCGAN makes images of 1x16x16 .* serve 3x16x16"),
        (dcgan, ImageBatch(grey(1, 32, 32)), r"DCGAN makes images of 1x16x16 .* serve 1x32x32"),
        (dcgan, ImageBatch(grey(1, 16, 24)), r"DCGAN makes images of 1x16x16 .* serve 1x16x24"),
        (wgan_gp, ImageBatch(grey(1, 32, 32)), r"WGANGP makes images of 1x16x16 .* serve 1x32x32"),
        (cgan, ImageBatch(grey(1, 32, 32), torch.tensor([0, 1])), r"CGAN makes images of 1x16x16 .* serve 1x32x32"),
        (pix2pix, PairedBatch(grey(3, 16, 16), grey(3, 16, 16)), r"Pix2Pix cannot take .*\(3x16x16 and 3x16x16\)"),
        (pix2pix, PairedBatch(grey(1, 16, 16), grey(1, 16, 16)), r"Pix2Pix makes images of 3x16x16 .* serve 1x16x16"),
        (pix2pix, PairedBatch(grey(1, 24, 24), grey(3, 24, 24)), r"Pix2Pix cannot take .*\(1x24x24 and 3x24x24\)"),
        (srgan, PairedBatch(grey(3, 8, 8), grey(3, 24, 24)), r"SRGAN makes images of 3x16x16 .* serve 3x24x24"),
        (srgan, PairedBatch(grey(1, 8, 8), grey(3, 16, 16)), r"SRGAN cannot take .*\(1x8x8 and 3x16x16\)"),
        (cyclegan, UnpairedBatch(grey(1, 16, 16), grey(3, 16, 16)), r"CycleGAN cannot take .*\(1x16x16 and 3x16x16\)"),
        (cyclegan, UnpairedBatch(grey(3, 16, 16), grey(1, 16, 16)), r"CycleGAN makes images of 3x16x16 .* 1x16x16"),
        (cyclegan, UnpairedBatch(grey(3, 18, 18), grey(3, 18, 18)), r"CycleGAN cannot take .*\(3x18x18 and 3x18x18\)"),
        (cut, UnpairedBatch(grey(3, 16, 16), grey(1, 16, 16)), r"CUT makes images of 3x16x16 .* 1x16x16"),
        (cut, UnpairedBatch(grey(3, 18, 18), grey(3, 18, 18)), r"CUT cannot take .*\(3x18x18 and 3x18x18\)"),
    ],
)
def test_images_that_do_not_fit_are_refused_with_both_shapes(build: Build, batch: Any, match: str) -> None:
    refused(build(), batch, ValueError, match)


@pytest.mark.parametrize("build", [dcgan, pix2pix, cyclegan])
def test_a_discriminator_for_other_images_than_the_generators_is_refused(build: Build) -> None:
    model = build()
    for name, module in model.discriminator.named_modules():
        if isinstance(module, nn.Conv2d):
            wrong = nn.Conv2d(module.in_channels + 1, module.out_channels, 4, 2, 1)
            model.discriminator.set_submodule(name, wrong)
            break
    refused(model, batch_for(model), ValueError, f"the networks of {type(model).__name__} cannot take")


@every_model
def test_images_out_of_range_are_refused(build: Build) -> None:
    model = build()
    batch = batch_for(model)
    wide = type(batch)(*(field if field is None or not field.is_floating_point() else field * 100 for field in batch))
    refused(model, wide, ValueError, rf"{type(model).__name__} takes float (images|voxels) in \[-1, 1\].*to_float")
    stored = type(batch)(
        *(field if field is None or field.dtype == torch.int64 else to_uint8(field) for field in batch)
    )
    refused(model, stored, ValueError, r"float (images|voxels) in \[-1, 1\], but the data serve torch.uint8")
    model.check_batch(type(batch)(*(to_float(f) if f is not None and f.dtype == torch.uint8 else f for f in stored)))


@pytest.mark.parametrize("build", [pix2pix, cyclegan])
def test_sources_out_of_range_are_refused(build: Build) -> None:
    model = build()
    source, target = batch_for(model)
    refused(model, model.batch_type(source * 100, target), ValueError, r"float images in \[-1, 1\]")


@every_model
def test_the_check_draws_nothing_from_the_random_state_of_training(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build()
    states: list[Tensor] = []
    draw = model.draw_fakes
    monkeypatch.setattr(model, "draw_fakes", lambda batch: (states.append(torch.get_rng_state()), draw(batch))[1])
    with isolate_rng():
        seed = random_state.run_seed()
        trainer(max_epochs=1).fit(model, data_for(model))
        random_state.start(seed, batches_seen=0)
        expected = torch.get_rng_state()
    assert len(states) >= 2  # the check's, and training's
    assert torch.equal(states[1], expected)


@pytest.mark.parametrize(("make", "trains"), [(wgan_gp, True), (r3gan, True), (infogan, False), (vae_gan, False)])
def test_a_batch_of_one_trains_or_is_refused_before_the_first_step(
    tmp_path: Path, make: Callable[[], AdversarialModule], trains: bool
) -> None:
    model = make()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    refused = pytest.raises(ValueError, match=r"gets one image at a time, .* make data.batch_size at least 2 \(")
    with nullcontext() if trains else refused:
        trainer(tmp_path, max_epochs=1).fit(model, data_for(model, count=1))
    assert model.batches_seen == trains
    assert trains or all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
