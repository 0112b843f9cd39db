"""StarGAN's networks: counted parameters, shapes, and why their borders are zeros."""

import pytest
import torch
from torch import nn

from gan_lightning.layers import InstanceNorm2d
from gan_lightning.networks import StarGANDiscriminator, StarGANGenerator


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("targets", "generator", "discriminator"), [(5, 8_430_528, 44_762_048), (8, 8_439_936, 44_786_624)]
)
def test_networks_have_the_authors_parameters(targets: int, generator: int, discriminator: int) -> None:
    with torch.device("meta"):
        assert count(StarGANGenerator(targets)) == generator
        assert count(StarGANDiscriminator(targets)) == discriminator


def test_shapes() -> None:
    network = StarGANGenerator(3, in_channels=1, width=4, blocks=1)
    assert network(torch.zeros(2, 1, 12, 20), torch.zeros(2, 3)).shape == (2, 1, 12, 20)
    judge = StarGANDiscriminator(3, image_size=(32, 64), in_channels=1, width=4, layers=4)
    answer = judge(torch.zeros(2, 1, 32, 64))
    assert answer.logits[0].shape == (2, 1, 2, 4)
    assert answer.class_logits is not None
    assert answer.class_logits.shape == (2, 3)
    assert [each.shape[1] for each in judge(torch.zeros(2, 1, 32, 64), True, False).features[0]] == [4, 8, 16, 32]
    assert [part.negative_slope for part in judge.modules() if isinstance(part, nn.LeakyReLU)] == [0.01] * 4


def test_evaluation_uses_the_images_own_statistics() -> None:
    network = StarGANGenerator(2, width=4, blocks=1)
    norms = [part for part in network.modules() if isinstance(part, InstanceNorm2d)]
    assert len(norms) == 7
    assert all(norm.affine and not norm.track_running_stats for norm in norms)
    images, code = torch.rand(2, 3, 8, 8), torch.eye(2)
    torch.testing.assert_close(network.train()(images, code), network.eval()(images, code))


def test_a_flat_image_still_shows_its_target() -> None:
    network = StarGANGenerator(2, width=4, blocks=1)
    one, other = network(torch.zeros(2, 3, 16, 16), torch.eye(2))
    assert (one - other).abs().max() > 1e-3  # with reflected borders, instance norm would remove the code's planes


def test_what_does_not_fit_is_said() -> None:
    network = StarGANGenerator(3, width=4, blocks=1)
    with pytest.raises(ValueError, match=r"takes codes of shape \(N, 3\), not \(2, 4\)"):
        network(torch.zeros(2, 3, 8, 8), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="multiples of 4"):
        network(torch.zeros(2, 3, 10, 8), torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"6 layers halve images of 96x128 pixels to no whole number"):
        StarGANDiscriminator(3, image_size=(96, 128))
