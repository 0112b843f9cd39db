"""Autoencoders: DCGAN's two networks in one, and BEGAN's layers one by one."""

import pytest
import torch
from torch import nn

from gan_lightning.networks import (
    BEGANAutoencoder,
    BEGANGenerator,
    DCGANAutoencoder,
    DCGANDiscriminator,
    DCGANGenerator,
)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("network", [BEGANAutoencoder, DCGANAutoencoder])
@pytest.mark.parametrize("size", [16, 32])
def test_images_become_codes_and_images_again(network: type, size: int) -> None:
    net = network(code_dim=5, image_size=size, channels=2, width=4).eval()
    images = torch.rand(3, 2, size, size) * 2 - 1
    codes = net.encode(images)
    assert codes.shape == (3, 5)
    assert net(images).shape == images.shape
    assert torch.equal(net(images), net.decode(codes))
    with pytest.raises(ValueError, match="this network was built for images"):
        net(images[:, :1])


def test_dcgans_autoencoder_is_made_of_its_networks() -> None:
    with torch.device("meta"):
        net = DCGANAutoencoder(code_dim=100, image_size=64)
        trunk = count(DCGANDiscriminator()) - 512 * 4 * 4  # the logit's weights
        assert count(net.encoder) == trunk + 512 * 4 * 4 * 100
        assert count(net.decoder) == count(DCGANGenerator())


def kernels(module: nn.Module) -> list[tuple[int, int, int]]:
    """Inputs, outputs and stride of each convolution."""
    return [(c.in_channels, c.out_channels, c.stride[0]) for c in module.modules() if isinstance(c, nn.Conv2d)]


def test_began_has_the_papers_layers() -> None:
    with torch.device("meta"):
        generator, judge = BEGANGenerator(width=10, image_size=32), BEGANAutoencoder(width=10, image_size=32)
    assert kernels(generator) == [(10, 10, 1)] * 6 + [(10, 3, 1)]  # 8x8, 16x16, 32x32, image
    assert kernels(judge.decoder) == kernels(generator)
    assert kernels(judge.encoder) == [
        *[(3, 10, 1), (10, 10, 1), (10, 10, 1), (10, 10, 2)],
        *[(10, 20, 1), (20, 20, 1), (20, 20, 2)],
        *[(20, 30, 1), (30, 30, 1)],
    ]
    linear = [(m.in_features, m.out_features) for m in judge.modules() if isinstance(m, nn.Linear)]
    assert linear == [(30 * 64, 64), (64, 10 * 64)]
    assert not [m for m in judge.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len([m for m in judge.encoder if isinstance(m, nn.ELU)]) == len(kernels(judge.encoder))
