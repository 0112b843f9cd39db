"""InfoGAN's networks: published sizes, the inner layers in [0, 1], and errors."""

import pytest
import torch
from torch import nn

from gan_lightning.networks import InfoGANDiscriminator, InfoGANGenerator
from gan_lightning.networks.infogan import CodeHead


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_published_sizes() -> None:
    with torch.device("meta"):
        assert round(count(InfoGANGenerator()) / 1e6, 2) == 6.65
        assert round(count(InfoGANDiscriminator().net) / 1e6, 2) == 6.56
        assert count(CodeHead(1024, 12)) == 1024 * 128 + 128 + 2 * 128 + 128 * 12 + 12


def test_images_fill_the_range_and_the_discriminator_sees_them_in_zero_to_one() -> None:
    torch.manual_seed(0)
    images = InfoGANGenerator(7, hidden=16, width=4)(torch.randn(5, 7))
    assert images.shape == (5, 1, 28, 28)
    assert images.abs().max() < 1
    net = InfoGANDiscriminator(hidden=16, width=4)
    seen: list[torch.Tensor] = []
    net.net[0].register_forward_hook(lambda m, args, _: seen.append(args[0]))
    net(torch.linspace(-1, 1, 784).view(1, 1, 28, 28).repeat(2, 1, 1, 1))
    assert (float(seen[0].min()), float(seen[0].max())) == (0, 1)


def test_the_leak_is_that_of_the_code() -> None:
    slopes = [m.negative_slope for m in InfoGANDiscriminator().modules() if isinstance(m, nn.LeakyReLU)]
    assert slopes == [0.01] * 3


@pytest.mark.parametrize("network", [InfoGANDiscriminator, InfoGANGenerator])
def test_sizes_that_do_not_divide_are_refused(network: type) -> None:
    with pytest.raises(ValueError, match="multiple of 4 from 8 up, not 30"):
        network(image_size=30)
