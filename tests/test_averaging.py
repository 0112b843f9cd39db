"""The moving average: its numbers, its mode, and that images are made with it."""

import pytest
import torch
from torch import nn

from gan_lightning.averaging import AveragedNetwork
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
    z = model.latents(5, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        averaged = model.average.network(z)
        assert torch.equal(model.sample(5, seed=1), averaged)
        assert not torch.allclose(model.generator.eval()(z), averaged, atol=1e-4)


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
