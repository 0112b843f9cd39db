import copy
from typing import Any

import pytest
import torch
from torch import nn

from gan_lightning.layers.virtual_batch_norm import VirtualBatchNorm, VirtualBatchNormGenerator
from gan_lightning.models import DCGAN
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator, MLPGenerator, ResidualGenerator
from gan_lightning.recording import describe, rebuild
from gan_lightning.training.adversarial import AdversarialModule
from toys import ToyGenerator, equal, trainer

SMALL: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 4}


@pytest.mark.parametrize("shape", [(7, 3, 4, 5), (7, 3)])
def test_statistics_are_those_of_the_reference_and_the_example_itself(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3, eps=1e-3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = torch.randn(shape) * 3 + 100  # far from 0, where E x^2 - (E x)^2 would cancel
    made = VirtualBatchNorm(norm, reference_size=4)(x)

    def normalised(example: torch.Tensor, among: torch.Tensor) -> torch.Tensor:
        values = among.double().transpose(0, 1).flatten(1)
        mean, variance = values.mean(dim=1), values.var(dim=1, correction=0)
        view = (-1, *[1] * (len(shape) - 2))
        scale = (norm.weight / (variance + 1e-3).sqrt()).view(view)
        return (example.double() - mean.view(view)) * scale + norm.bias.view(view)

    expected = [normalised(x[i], x[:4]) for i in range(4)] + [normalised(x[i], x[[0, 1, 2, 3, i]]) for i in range(4, 7)]
    torch.testing.assert_close(made.double(), torch.stack(expected), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    "plain",
    [
        lambda: DCGANGenerator(5, **SMALL),
        lambda: ResidualGenerator(5, **SMALL),
        lambda: DCGANGenerator(5, **SMALL, num_classes=3),
        lambda: ToyGenerator(5, norm=True),
    ],
)
def test_an_image_depends_on_its_own_latent_alone_in_training_as_in_evaluation(plain: Any) -> None:
    torch.manual_seed(0)
    generator = VirtualBatchNormGenerator(plain(), reference_size=6)
    assert not [m for m in generator.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    z, labels = torch.randn(4, 5), torch.arange(4) % 3
    conditions = [labels] if generator.num_classes else []
    images = generator(z, *conditions)
    assert images.shape[0] == 4
    torch.testing.assert_close(generator(z[:1], *(c[:1] for c in conditions)), images[:1])
    torch.testing.assert_close(generator.eval()(z, *conditions), images)
    plain_images = plain()(torch.cat([z, z]), *(torch.cat([c, c]) for c in conditions))
    assert plain_images.shape[1:] == images.shape[1:]


def test_it_normalises_like_batch_norm_on_the_reference_batch() -> None:
    torch.manual_seed(0)
    plain = DCGANGenerator(5, **SMALL)
    virtual = VirtualBatchNormGenerator(copy.deepcopy(plain), reference_size=64)
    expected = plain(virtual.reference)
    seen = []
    virtual.generator.register_forward_hook(lambda module, inputs, out: seen.append(out[:64]))
    virtual(torch.randn(2, 5))
    torch.testing.assert_close(seen[0], expected, atol=1e-4, rtol=1e-4)


def test_gains_and_biases_keep_learning() -> None:
    generator = VirtualBatchNormGenerator(DCGANGenerator(5, **SMALL), reference_size=3)
    assert sum(p.numel() for p in generator.parameters()) == sum(
        p.numel() for p in DCGANGenerator(5, **SMALL).parameters()
    )
    generator(torch.randn(2, 5)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in generator.parameters())


def test_a_checkpoint_restores_the_reference_batch_and_makes_the_same_images(tmp_path: Any) -> None:
    torch.manual_seed(0)
    generator = VirtualBatchNormGenerator(DCGANGenerator(5, **SMALL), reference_size=3)
    model = DCGAN(generator, DCGANDiscriminator(**SMALL), ema_half_life=10)
    run = trainer(tmp_path)
    run.strategy.connect(model)
    run.save_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    loaded = AdversarialModule.load_from_checkpoint(tmp_path / "a.ckpt")
    assert equal(dict(loaded.state_dict()), dict(model.state_dict()))
    # weights lie elsewhere in memory, which may decide the order of sums
    torch.testing.assert_close(loaded.sample(3, seed=1), model.sample(3, seed=1))  # type: ignore[attr-defined]


def test_described_in_plain_data_and_rebuilt_from_it() -> None:
    generator = VirtualBatchNormGenerator(DCGANGenerator(5, **SMALL, num_classes=3), reference_size=5)
    again = rebuild(describe(generator), ("gan_lightning",))
    again.load_state_dict(generator.state_dict())
    assert (again.latent_dim, again.num_classes) == (5, 3)
    assert again.reference_labels.tolist() == [0, 1, 2, 0, 1]


def test_statistics_are_float32_under_mixed_precision() -> None:
    torch.manual_seed(0)
    norm, x = VirtualBatchNorm(nn.BatchNorm2d(3), 4), torch.randn(6, 3, 4, 4) + 50
    with torch.autocast("cpu", torch.bfloat16):
        made = norm(x.bfloat16())
    assert made.dtype == torch.bfloat16
    torch.testing.assert_close(made.float(), norm(x.bfloat16().float()), atol=0.02, rtol=0.02)


def test_a_generator_without_batch_norm_is_refused() -> None:
    with pytest.raises(ValueError, match="MLPGenerator has no batch norm to replace"):
        VirtualBatchNormGenerator(MLPGenerator(hidden=(4,)))
