import pytest
import torch
from torch import nn

from gan_lightning.networks import CartoonDiscriminator, CartoonGenerator
from gan_lightning.networks.discriminator import DiscriminatorOutput


@pytest.mark.parametrize("size", [(8, 8), (20, 44)])
def test_any_multiple_of_four_comes_back_in_its_own_size(size):
    out = CartoonGenerator(2, 5, width=4, blocks=1)(5 * torch.randn(1, 2, *size))
    assert out.shape == (1, 5, *size)
    assert 0 < out.abs().max() <= 1
    with pytest.raises(ValueError, match="at least 8 and multiples of 4"):
        CartoonGenerator(width=4, blocks=1)(torch.randn(1, 3, 30, 32))


def test_the_layers_are_those_of_figure_2():
    shapes = [
        (tuple(m.weight.shape), m.stride[0])
        for m in CartoonGenerator().net
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert shapes == [
        ((64, 3, 7, 7), 1),
        ((128, 64, 3, 3), 2),
        ((128, 128, 3, 3), 1),
        ((256, 128, 3, 3), 2),
        ((256, 256, 3, 3), 1),
        ((256, 128, 3, 3), 2),
        ((128, 128, 3, 3), 1),
        ((128, 64, 3, 3), 2),
        ((64, 64, 3, 3), 1),
        ((3, 64, 7, 7), 1),
    ]
    convolutions = [m for m in CartoonDiscriminator().net if isinstance(m, nn.Conv2d)]
    assert [(m.out_channels, m.stride[0]) for m in convolutions] == [
        (32, 1),
        (64, 2),
        (128, 1),
        (128, 2),
        (256, 1),
        (256, 1),
        (1, 1),
    ]
    norms = [m for m in CartoonDiscriminator().net if isinstance(m, nn.InstanceNorm2d)]
    assert [(m.num_features, m.affine) for m in norms] == [(128, True), (256, True), (256, True)]


def test_a_logit_sees_37_pixels_a_side():
    net = CartoonDiscriminator(width=2).double()
    for i, module in enumerate(net.net):
        if isinstance(module, nn.InstanceNorm2d):  # which would make every logit depend on the whole image
            net.net[i] = nn.Identity()
    images = torch.randn(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    logits = net(images)
    assert logits.shape == (1, 1, 16, 16)
    logits[0, 0, 8, 8].backward()
    seen = images.grad[0].abs().sum(dim=0) > 0
    assert (seen.any(dim=0).sum(), seen.any(dim=1).sum()) == (37, 37)


def test_features_are_the_outputs_of_the_activations():
    net = CartoonDiscriminator(width=2).eval()
    images = torch.randn(2, 3, 16, 16)
    output = net(images, with_features=True)
    assert isinstance(output, DiscriminatorOutput)
    torch.testing.assert_close(output.logits[0], net(images))
    assert [tuple(f.shape[1:]) for f in output.features[0]] == [
        (2, 16, 16),
        (4, 8, 8),
        (8, 8, 8),
        (8, 4, 4),
        (16, 4, 4),
        (16, 4, 4),
    ]
    assert not net(images, with_features=True, with_logits=False).logits
