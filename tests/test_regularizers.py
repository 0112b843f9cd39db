"""Feature matching and historical averaging by hand, beside any model, and across a resume."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from every_model import BUILDERS
from gan_lightning.data.batches import ImageBatch, PairedBatch
from gan_lightning.losses import NonSaturating, WeightedGenerator, feature_matching
from gan_lightning.models import CGAN, DCGAN, Pix2Pix
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator, PatchGAN, UNetGenerator
from gan_lightning.regularizers import FeatureMatching, HistoricalAveraging
from gan_lightning.training.adversarial import AdversarialModule
from models.test_cut import cut
from models.test_cyclegan import cyclegan
from models.test_pix2pix import pix2pix as pix2pix_
from tiny import data_for
from toys import ToyData, ToyGAN, equal, trainer, weights

SMALL: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 4}


def dcgan(**how: Any) -> DCGAN:
    return DCGAN(DCGANGenerator(6, **SMALL), DCGANDiscriminator(**SMALL), **how)


def cgan(**how: Any) -> CGAN:
    conditional = {**SMALL, "num_classes": 3}
    return CGAN(DCGANGenerator(6, **conditional), DCGANDiscriminator(**conditional), **how)


def pix2pix(**how: Any) -> Pix2Pix:
    return Pix2Pix(UNetGenerator(1, 1, image_size=16, width=4), PatchGAN(2, width=4, receptive_field=16), **how)


def batch_for(model: AdversarialModule, seed: int = 0) -> Any:
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    if isinstance(model, Pix2Pix):
        return PairedBatch(images, -images)
    return ImageBatch(images, torch.tensor([0, 1, 2, 0]) if isinstance(model, CGAN) else None)


def fit(model: AdversarialModule, batches: int = 1, folder: Path | None = None, epochs: int = 1, **how: Any) -> Any:
    run = trainer(folder, max_epochs=epochs)
    data = [batch_for(model, seed) for seed in range(batches)]
    run.fit(model, DataLoader(data, batch_size=None, generator=torch.Generator()), **how)
    return run


def test_feature_matching_by_hand() -> None:
    real, fake = torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([[0.0, 0.0], [0.0, 4.0], [0.0, 2.0]])
    assert feature_matching(real, fake).item() == 2**2 + 1**2


@pytest.mark.parametrize("build", [dcgan, cgan])
def test_feature_matching_looks_into_the_discriminator(build: Any) -> None:
    torch.manual_seed(0)
    model = build().eval()
    batch = batch_for(model)
    labels = [] if batch.labels is None else [batch.labels]
    fake = model.draw_fakes(batch)
    real_mean, fake_mean = (model.discriminator.features(x, *labels).mean(0) for x in (batch.images, fake))
    (term,) = FeatureMatching(weight=3.0).generator(model, batch, fake).values()
    torch.testing.assert_close(term, 3 * (real_mean - fake_mean).square().sum())
    term.backward()
    assert all(p.grad is not None for p in model.generator.parameters())
    assert FeatureMatching().discriminator(model, batch, fake) == {}


def test_feature_matching_sees_through_the_augmentation() -> None:
    class Darken(torch.nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images * 0

    model = dcgan(augmentation=Darken()).eval()
    batch = batch_for(model)
    assert FeatureMatching().generator(model, batch, model.draw_fakes(batch))["feature_matching"] == 0


def test_feature_matching_in_the_place_of_the_adversarial_term() -> None:
    torch.manual_seed(0)
    loss = WeightedGenerator(NonSaturating(0.9), weight=0)
    model = dcgan(loss=loss, regularizers=[FeatureMatching()])
    fit(model, batches=2)
    assert model._terms["loss/generator/adversarial"] == 0
    assert model._terms["loss/generator"] == model._terms["loss/generator/feature_matching"] > 0
    logits = torch.randn(2, 5)
    assert loss.discriminator(*logits) == NonSaturating(0.9).discriminator(*logits)
    assert loss.threshold == 0
    assert WeightedGenerator(NonSaturating(), 0.5).generator(
        logits[0], lambda: logits[1]
    ) == 0.5 * NonSaturating().generator(logits[0], lambda: logits[1])


def test_feature_matching_needs_features() -> None:
    with pytest.raises(TypeError, match=r"ToyGAN's ToyDiscriminator has none on request: take"):
        trainer(max_epochs=1).fit(ToyGAN(regularizers=[FeatureMatching()]), ToyData())
    with pytest.raises(TypeError, match=r"Pix2Pix's PatchGAN has none on request: take"):
        fit(pix2pix(regularizers=[FeatureMatching()]))


@pytest.mark.parametrize("build", [build for build in BUILDERS if build not in (pix2pix_, cyclegan, cut)])
def test_feature_matching_stands_beside_every_model_whose_discriminator_has_features(build: Any) -> None:
    model = build(regularizers=[FeatureMatching()])
    if model.discriminator.__class__.__name__ in ("DCGANAutoencoder", "BEGANAutoencoder"):
        with pytest.raises(TypeError, match="has none on request"):
            FeatureMatching().check(model)
        return
    trainer(max_epochs=1).fit(model, data_for(model, batches=model.n_critic))
    assert float(model.records["loss/generator/feature_matching"]) > 0


def flat(model: AdversarialModule, player: str) -> Tensor:
    return torch.cat([p.detach().flatten() for p in getattr(model, player).parameters()])


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_historical_averaging_by_hand(player: str, accumulate: int) -> None:
    """The game has a learning rate of 0, and the test sets the history."""
    model = dcgan(accumulate=accumulate, channels_last=True)
    term = HistoricalAveraging(player, weight=0.5)
    past: list[Tensor] = []
    for turn in range(4):
        model.counters.batches_seen = turn
        past.append(flat(model, player))
        expected = 0.5 * (past[-1] - torch.stack(past).mean(0)).square().sum()
        for _ in range(accumulate):
            (value,) = getattr(term, player)(model, None, None).values()
            torch.testing.assert_close(value, expected)
        value.backward()
        with torch.no_grad():
            for p in getattr(model, player).parameters():
                p.add_(torch.randn_like(p))
    other = {"generator": "discriminator", "discriminator": "generator"}[player]
    assert getattr(term, other)(model, None, None) == {}
    gradient = torch.cat([p.grad.flatten() for p in getattr(model, player).parameters()])
    steps = [past[i] - torch.stack(past[: i + 1]).mean(0) for i in range(4)]
    torch.testing.assert_close(gradient, torch.stack(steps).sum(0))  # 2 * 0.5 * (θ - mean): none through the mean


def test_a_strong_pull_keeps_a_player_where_it_was() -> None:
    def moved(regularizers: Any) -> float:
        torch.manual_seed(0)
        sgd: Any = torch.optim.SGD
        model = ToyGAN(
            generator_optimizer=lambda p: sgd(p, lr=0.05),
            discriminator_optimizer=lambda p: sgd(p, lr=0.05),
            regularizers=regularizers,
        )
        before = flat(model, "generator")
        trainer(max_epochs=4).fit(model, ToyData())
        return (flat(model, "generator") - before).norm().item()

    assert moved([HistoricalAveraging("generator", weight=5)]) < 0.6 * moved([])


def test_a_stopped_run_resumes_with_its_history_bit_by_bit(tmp_path: Path) -> None:
    def build() -> DCGAN:
        torch.manual_seed(0)
        regularizers = [HistoricalAveraging("generator"), HistoricalAveraging("discriminator", 0.1), FeatureMatching()]
        return dcgan(regularizers=regularizers)

    fit(whole := build(), 3, tmp_path, epochs=2)
    fit(build(), 3, tmp_path).save_checkpoint(tmp_path / "half.ckpt")
    run = fit(resumed := build(), 3, tmp_path, epochs=2, ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    run.save_checkpoint(tmp_path / "a.ckpt")
    assert equal(dict(whole.state_dict()), dict(resumed.state_dict()))
    assert resumed.regularizers[0].turns == 6
    loaded = AdversarialModule.load_from_checkpoint(tmp_path / "a.ckpt")
    assert equal(dict(loaded.state_dict()), dict(resumed.state_dict()))


def test_any_of_them_beside_a_conditional_game_that_cuts_its_batches_up() -> None:
    regularizers = [FeatureMatching(0.1), HistoricalAveraging("generator"), HistoricalAveraging("discriminator")]
    model = cgan(regularizers=regularizers, accumulate=2, n_critic=2)
    before = weights(model)
    fit(model, batches=4)
    assert not equal(before, weights(model))
    assert [int(r.turns) for r in model.regularizers if isinstance(r, HistoricalAveraging)] == [2, 4]
    assert {"feature_matching", "historical_averaging"} < {name.split("/")[-1] for name in model._terms}
