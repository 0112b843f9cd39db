import pytest
import torch
from torch import nn

from gan_lightning.networks.unet import Double, Halve, UNetGenerator


@pytest.mark.parametrize(("height", "width"), [(16, 16), (32, 16), (48, 80)])
def test_any_multiple_comes_back_in_its_own_size(height, width):
    net = UNetGenerator(2, 5, image_size=16, width=4)
    out = net(5 * torch.randn(1, 2, height, width))
    assert out.shape == (1, 5, height, width)
    assert 0 < out.abs().max() <= 1


def test_256_comes_down_to_one_value_a_channel_which_is_not_normalised():
    net = UNetGenerator(width=2)
    shapes = []
    for down in net.downs:
        down.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape)))
    net(torch.randn(1, 3, 256, 256))
    assert shapes[0] == (1, 2, 128, 128)
    assert shapes[-1] == (1, 16, 1, 1)
    assert isinstance(net.downs[0], nn.Conv2d)
    for layers, normalised in ((net.downs, [0, *[1] * 6, 0]), (net.ups, [*[1] * 7, 0])):
        assert [sum(isinstance(m, nn.BatchNorm2d) for m in layer.modules()) for layer in layers] == normalised


def test_widths_are_the_papers():
    net = UNetGenerator()
    convs = [m for down in net.downs for m in down.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convs] == [64, 128, 256, 512, 512, 512, 512, 512]
    ups = [m for up in net.ups for m in up.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [m.in_channels for m in ups] == [512, 1024, 1024, 1024, 1024, 512, 256, 128]


def test_dropout_in_the_first_three_decoder_layers():
    net = UNetGenerator(width=2, dropout=0.3)
    rates = [[m.p for m in up.modules() if isinstance(m, nn.Dropout)] for up in net.ups]
    assert rates == [[0.3]] * 3 + [[]] * 5
    net = UNetGenerator(image_size=16, width=4)
    source = torch.randn(2, 3, 16, 16)
    assert not torch.equal(net(source), net(source))
    net.eval()
    assert torch.equal(net(source), net(source))


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_interpolation_and_convolutions_in_place_of_transposed_convolutions(upsampling):
    net = UNetGenerator(image_size=16, width=4, norm="instance", upsampling=upsampling)
    decoder = [m for up in net.ups for m in up.modules()]
    assert [m.mode for m in decoder if isinstance(m, nn.Upsample)] == [upsampling] * 4
    convolutions = [m for m in decoder if isinstance(m, nn.Conv2d)]
    assert [m.in_channels for m in convolutions] == [32, 32, 16, 8]
    assert all(m.kernel_size == (3, 3) and m.bias is not None for m in convolutions)
    assert not any(isinstance(m, nn.ConvTranspose2d) for m in decoder)
    assert net(torch.randn(2, 3, 32, 16)).shape == (2, 3, 32, 16)
    with pytest.raises(ValueError, match=r"upsampling must be .*, not 'cubic'"):
        UNetGenerator(image_size=16, upsampling="cubic")


def test_interpolation_leaves_no_checkerboard_where_transposed_convolution_does():
    """Return the last layers' output for constant maps, away from the border, with random weights."""
    for upsampling, flat in (("transposed", False), ("nearest", True), ("bilinear", True)):
        torch.manual_seed(0)
        last = UNetGenerator(image_size=16, width=4, upsampling=upsampling).ups[-1][:-1]
        inner = last(torch.ones(1, 8, 8, 8))[0, :, 2:-2, 2:-2]
        assert (inner.std((1, 2)).max() < 1e-6) == flat


@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_size_of_the_encoder_is_handed_across(level):
    """With the way down cut just below it, an encoder layer still reaches the output."""
    net = UNetGenerator(image_size=16, width=4)
    encoded = []
    net.downs[level].register_forward_hook(lambda module, inputs, output: encoded.append(output))
    net.downs[level + 1].register_forward_pre_hook(lambda module, inputs: (inputs[0].detach(),))
    out = net(torch.randn(8, 3, 16, 16))
    (gradient,) = torch.autograd.grad(out.square().sum(), encoded)
    assert (gradient.abs().sum((0, 2, 3)) > 0).all()  # from every channel


def test_the_input_is_left_as_it_was():
    source = torch.randn(1, 3, 16, 16)
    before = source.clone()
    UNetGenerator(image_size=16, width=4)(source)
    assert torch.equal(source, before)


def test_what_cannot_be():
    with pytest.raises(ValueError, match="power of two from 16 to 8192, not 100"):
        UNetGenerator(image_size=100)
    with pytest.raises(ValueError, match="at least 16 and multiples of 16"):
        UNetGenerator(image_size=16, width=4)(torch.randn(1, 3, 32, 40))


def test_with_instance_norm_each_image_is_for_itself_and_convolutions_have_biases():
    net = UNetGenerator(image_size=16, width=4, dropout=0, norm="instance").eval()
    source = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(net(source)[:1], net(source[:1]))
    assert not [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(m.bias is not None for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d))
    assert not list(net.buffers())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kind", "torchs"), [(Halve, nn.Conv2d), (Double, nn.ConvTranspose2d)])
def test_a_single_small_map_has_the_values_and_gradients_of_pytorchs_convolution(kind, torchs, bias, monkeypatch):
    found = []
    for forward in (kind.forward, torchs.forward):
        torch.manual_seed(0)
        layer = kind(5, 7, bias)
        x = torch.randn(1, 5, 6, 8, requires_grad=True)
        with monkeypatch.context() as patch:
            if forward is kind.forward:  # a product, not the convolution that it stands for
                patch.setattr(torchs, "forward", None)
            made = forward(layer, x)
        (made * torch.linspace(-1, 1, made.numel()).view_as(made)).sum().backward()
        found.append((made.detach(), x.grad, *[parameter.grad for parameter in layer.parameters()]))
    torch.testing.assert_close(*found)


def test_several_images_large_ones_and_evaluation_go_through_pytorchs_convolution(monkeypatch):
    monkeypatch.setattr(torch.nn.functional, "unfold", None)
    layer = Halve(2, 3)
    layer(torch.zeros(2, 2, 8, 8))
    layer(torch.zeros(1, 2, 64, 64))
    layer.eval()(torch.zeros(1, 2, 8, 8))
