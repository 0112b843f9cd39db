"""ProGAN's networks: the fade on both sides, and the sizes of maps."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gan_lightning.layers.fading import at_level
from gan_lightning.networks import (
    ProGANDiscriminator,
    ProGANGenerator,
    StyleGANDiscriminator,
    StyleGANGenerator,
)
from gan_lightning.networks.progan import widths

GENERATORS = [ProGANGenerator, StyleGANGenerator]
DISCRIMINATORS = [ProGANDiscriminator, StyleGANDiscriminator]
SMALL: dict[str, Any] = {"image_size": (16, 24), "channels": 2, "width": 5, "capacity": 18}


def at(network: Any, level: int, alpha: float, x: Tensor) -> Tensor:
    network.level, network.alpha = level, alpha
    torch.manual_seed(3)  # for the noise of each level
    return network.eval()(x)


def test_maps_have_the_widths_of_the_paper() -> None:
    assert widths(9, 512, 8192) == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert widths(3, 4, 4) == [2, 1, 1]


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("level", [1, 2])
def test_a_generators_fade_is_continuous_to_the_bit(kind: Any, level: int) -> None:
    torch.manual_seed(0)
    network, z = kind(latent_dim=6, **SMALL), torch.randn(3, 6)
    before, whole = at(network, level - 1, 1.0, z), at(network, level, 1.0, z)
    assert torch.equal(at(network, level, 0.0, z), before)
    assert torch.equal(at(network, level, 1 - 1e-12, z), whole)
    torch.testing.assert_close(at(network, level, 0.25, z), 0.75 * before + 0.25 * whole)
    assert before.shape == whole.shape == (3, 2, 16, 24)
    step = 2 ** (2 - level)
    blocks = F.interpolate(whole[..., ::step, ::step], scale_factor=float(step))
    assert torch.equal(whole, blocks)  # pixels of the level are repeated


@pytest.mark.parametrize("kind", DISCRIMINATORS)
@pytest.mark.parametrize("level", [1, 2])
def test_a_discriminators_fade_is_continuous_to_the_bit(kind: Any, level: int) -> None:
    torch.manual_seed(0)
    network, images = kind(**SMALL), torch.randn(4, 2, 16, 24)
    behind = 2 - level
    before = at(network, level - 1, 1.0, at_level(images, behind + 1, 1.0))
    whole = at(network, level, 1.0, at_level(images, behind, 1.0))
    assert torch.equal(at(network, level, 0.0, at_level(images, behind, 0.0)), before)
    assert torch.equal(at(network, level, 1 - 1e-12, at_level(images, behind, 1 - 1e-12)), whole)
    assert not torch.equal(before, whole)
    assert torch.equal(at(network, level, 1.0, images), whole)  # finer details are not seen


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_a_logit_depends_on_its_group_alone(kind: Any) -> None:
    network, images = kind(**SMALL).eval(), torch.randn(8, 2, 16, 24)
    changed = images.clone()
    changed[1] += 1
    differs = network(images) != network(changed)
    assert differs.tolist() == [True] * 4 + [False] * 4


def test_every_layer_of_a_new_generator_has_outputs_of_unit_size() -> None:
    torch.manual_seed(0)
    network = ProGANGenerator(64, 32, width=64, capacity=4096)
    sizes = []
    for conv in network.convs[1:]:
        conv.register_forward_hook(lambda m, _, out: sizes.append(out.square().mean().sqrt().item()))
    with torch.no_grad():
        network(torch.randn(8, 64))
    assert min(sizes) > 1.0  # He's gain of √2 on inputs of unit length, less at the borders
    assert max(sizes) < 1.5
