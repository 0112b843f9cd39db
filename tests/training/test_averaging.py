"""The moving average: its numbers, its mode, and that images are made with it."""

import math
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from gan_lightning.draws import ImageDraws
from gan_lightning.schedules import Cosine
from gan_lightning.training.averaging import AveragedNetwork
from toys import ToyData, ToyGAN, ToyGenerator, trainer, weights


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))


def test_an_old_weight_counts_half_after_a_half_life() -> None:
    average = AveragedNetwork(network(), half_life=1000, warm_up=0)
    assert average.decay(1000, 10**6) == pytest.approx(0.5)
    assert average.decay(2000, 10**6) == pytest.approx(0.25)
    assert average.decay(64, 64) == pytest.approx(0.5**0.064)
    assert average.decay(0, 10**6) == 1


def test_the_warm_up_caps_the_half_life_by_the_images_seen() -> None:
    average = AveragedNetwork(network(), half_life=10_000, warm_up=0.05)
    assert average.decay(64, 64) == pytest.approx(0.5 ** (64 / 3.2))
    assert average.decay(64, 20_000) == pytest.approx(0.5 ** (64 / 1000))
    # from 10,000 / 0.05 images on, there is no cap any more
    assert average.decay(64, 200_000) == average.decay(64, 10**7) == pytest.approx(0.5 ** (64 / 10_000))


def test_a_factor_lengthens_the_half_life_and_the_warm_up_caps_what_comes_out() -> None:
    average = AveragedNetwork(network(), half_life=1000, warm_up=0)
    assert average.decay(64, 10**6, factor=0.25) == pytest.approx(0.5 ** (64 / 250))
    assert average.decay(64, 10**6, factor=0) == 0  # the last weights
    capped = AveragedNetwork(network(), half_life=1000, warm_up=0.05)
    assert capped.decay(64, 2000, factor=0.5) == pytest.approx(0.5 ** (64 / 100))
    assert capped.decay(64, 2000, factor=0.01) == pytest.approx(0.5 ** (64 / 10))


def test_many_small_updates_are_one_large_one() -> None:
    torch.manual_seed(0)
    original = network()
    small, large = (AveragedNetwork(original, half_life=100, warm_up=0) for _ in range(2))
    with torch.no_grad():
        for p in original.parameters():
            p.add_(1)
    for i in range(10):
        small.update(original, 8, 8 * (i + 1))
    large.update(original, 80, 80)
    for a, b in zip(small.parameters(), large.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_weights_are_averaged_and_buffers_copied_and_the_original_is_left_alone() -> None:
    torch.manual_seed(0)
    original = network()
    average = AveragedNetwork(original, half_life=64, warm_up=0)
    start = weights(original)
    with torch.no_grad():
        for p in original.parameters():
            p.add_(1)
    original(torch.randn(8, 2))
    now = weights(original)
    average.update(original, 64, 64)
    for name, p in average.network.named_parameters():
        torch.testing.assert_close(p, start[name] + 0.5)
        assert not p.requires_grad
    for name, p in original.named_parameters():
        assert torch.equal(p, now[name])
        assert p.requires_grad
    assert int(average.network[1].num_batches_tracked) == 1
    assert torch.equal(average.network[1].running_mean, original[1].running_mean)


def test_it_stays_in_evaluation_mode() -> None:
    model = ToyGAN(ema_half_life=10)
    assert model.average is not None
    model.train()
    assert model.generator.training
    assert not any(module.training for module in model.average.modules())
    average = AveragedNetwork(network().train(), 10, 0)
    x = torch.randn(5, 2)
    assert torch.equal(average.train()(x), average(x))  # no dropout, no batch statistics


def test_samples_are_made_with_the_averaged_weights() -> None:
    model = ToyGAN(generator=ToyGenerator(norm=True), ema_half_life=64, ema_warm_up=0)
    trainer(max_epochs=3).fit(model, ToyData())
    assert model.average is not None
    with ImageDraws(1, range(5)):
        z = model.latents(5)
    with torch.no_grad():
        averaged = model.average.network(z)
        assert torch.equal(model.sample(5, seed=1), averaged)
        assert not torch.allclose(model.generator.eval()(z), averaged, atol=1e-4)


def test_the_average_follows_its_schedule() -> None:
    schedule = Cosine(24, initial=0.0, final=1.0, unit="image")
    model = ToyGAN(ema_half_life=100, ema_warm_up=0, ema_schedule=schedule)
    assert model.average is not None
    expected = weights(model.average.network)
    update = model.average.update

    def followed(network: nn.Module, images: int, images_seen: int, factor: float) -> None:
        kept = 0.5 ** (8 / (100 * 0.5 * (1 - math.cos(math.pi * images_seen / 24))))
        for name, p in weights(network).items():
            expected[name] = kept * expected[name] + (1 - kept) * p
        update(network, images, images_seen, factor)

    model.average.update = followed  # type: ignore[method-assign]
    trainer(max_epochs=1).fit(model, ToyData(batches=3, size=8))
    for name, p in model.average.network.named_parameters():
        torch.testing.assert_close(p.detach(), expected[name])


def test_r3gans_config_has_the_published_half_life() -> None:
    """The authors' code: 5 million images times (1 - cos(π n / 20 million)) / 2, after n images."""
    config = Path(__file__).parents[2] / "configs" / "r3gan" / "cifar10.yaml"
    settings = yaml.safe_load(config.read_text())["model"]["init_args"]
    schedule = Cosine(**settings["ema_schedule"]["init_args"])
    assert schedule.unit == "image"
    average = AveragedNetwork(network(), settings["ema_half_life"], settings["ema_warm_up"])
    published = {5_000_000: 732_233.047, 10_000_000: 2_500_000, 20_000_000: 5_000_000, 30_000_000: 5_000_000}
    for seen, half_life in published.items():
        assert average.decay(512, seen, schedule(seen)) == pytest.approx(0.5 ** (512 / half_life), abs=1e-12)
    assert average.decay(512, 512, schedule(512)) == 0


def test_the_average_is_in_the_checkpoint_and_not_trained() -> None:
    model = ToyGAN(ema_half_life=64)
    assert {"average.network.net.0.weight", "generator.net.0.weight"} <= model.state_dict().keys()
    trained = {id(p) for optimizer in model.configure_optimizers() for g in optimizer.param_groups for p in g["params"]}
    assert model.average is not None
    assert not trained & {id(p) for p in model.average.parameters()}


def test_no_average_without_a_half_life() -> None:
    model = ToyGAN()
    assert model.average is None
    assert model.averaged_generator is model.generator
