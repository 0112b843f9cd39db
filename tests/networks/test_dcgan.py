import pytest
import torch
from torch import nn

from gan_lightning.networks.dcgan import DCGANDiscriminator, DCGANGenerator


@pytest.mark.parametrize(("image_size", "channels"), [(16, 1), (32, 4), (64, 3), (128, 3)])
def test_shapes_and_range(image_size, channels):
    images = DCGANGenerator(10, image_size, channels, width=8)(10 * torch.randn(2, 10))
    assert images.shape == (2, channels, image_size, image_size)
    assert 0 < images.abs().max() <= 1
    assert DCGANDiscriminator(image_size, channels, width=8)(images).shape == (2,)


def test_widths_stop_at_eight_times_the_first():
    def widths(net):
        return [m.out_channels for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]

    assert widths(DCGANDiscriminator(image_size=256, width=4)) == [4, 8, 16, 32, 32, 32]
    assert widths(DCGANGenerator(image_size=256, width=4)) == [32, 32, 32, 16, 8, 4, 3]
    assert widths(DCGANDiscriminator(image_size=16, width=4)) == [4, 8]


@pytest.mark.parametrize("image_size", [8, 28, 96])
def test_sizes_that_cannot_be(image_size):
    for network in (DCGANGenerator, DCGANDiscriminator):
        with pytest.raises(ValueError, match=f"power of two from 16 to 8192, not {image_size}"):
            network(image_size=image_size)


def test_no_norm_on_the_images_the_logit_or_beside_a_bias():
    types = [type(m) for m in DCGANGenerator().net]
    assert types[-2:] == [nn.ConvTranspose2d, nn.Tanh]
    assert [type(m) for m in DCGANDiscriminator().net][:2] == [nn.Conv2d, nn.LeakyReLU]
    for norm in ("batch", "layer", "instance"):
        net = DCGANDiscriminator(norm=norm, width=4)
        assert all(m.bias is None for m in net.modules() if isinstance(m, nn.Conv2d))


def test_a_critic_without_norm_has_biases_and_judges_each_image_alone():
    net = DCGANDiscriminator(16, width=8, norm="none")
    assert not any(isinstance(m, nn.BatchNorm2d | nn.GroupNorm) for m in net.modules())
    assert all(m.bias is not None for m in net.modules() if isinstance(m, nn.Conv2d))
    images = torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(net(images)[:1], net(images[:1]))


@pytest.mark.parametrize(("norm", "kind"), [("batch", nn.BatchNorm2d), ("layer", nn.GroupNorm)])
def test_norm_is_what_was_asked_for(norm, kind):
    assert sum(isinstance(m, kind) for m in DCGANDiscriminator(norm=norm, width=4).modules()) == 3


def test_initial_weights():
    torch.manual_seed(0)
    for net in (DCGANGenerator(), DCGANDiscriminator()):
        convs = torch.cat([m.weight.flatten() for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)])
        gains = torch.cat([m.weight for m in net.modules() if isinstance(m, nn.BatchNorm2d)])
        assert convs.mean().item() == pytest.approx(0, abs=1e-4)
        assert convs.std().item() == pytest.approx(0.02, rel=0.01)
        assert gains.mean().item() == pytest.approx(1, abs=5e-3)
        assert gains.std().item() == pytest.approx(0.02, rel=0.1)


def test_labels_are_one_hot_vectors_behind_z_and_one_hot_maps_behind_the_channels():
    generator = DCGANGenerator(latent_dim=5, image_size=16, channels=3, width=4, num_classes=10)
    discriminator = DCGANDiscriminator(image_size=16, channels=3, width=4, num_classes=10)
    seen = []
    for net in (generator, discriminator):
        net.net[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    z, images, labels = torch.randn(2, 5), torch.randn(2, 3, 16, 16), torch.tensor([7, 0])
    generator(z, labels)
    discriminator(images, labels)
    codes = torch.zeros(2, 10)
    codes[0, 7] = codes[1, 0] = 1
    assert torch.equal(seen[0], torch.cat([z, codes], dim=1)[:, :, None, None])
    assert torch.equal(seen[1], torch.cat([images, codes[:, :, None, None].expand(2, 10, 16, 16)], dim=1))


def test_networks_are_those_of_the_torch_port():
    """The port's layers for 16×16 written out, given the same weights in the same order."""
    half = {"stride": 2, "padding": 1, "bias": False}
    reference_g = nn.Sequential(
        *(nn.ConvTranspose2d(5, 8, 4, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.ConvTranspose2d(8, 4, 4, **half), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.ConvTranspose2d(4, 3, 4, **half), nn.Tanh()),
    )
    reference_d = nn.Sequential(
        *(nn.Conv2d(3, 4, 4, **half), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(4, 8, 4, **half), nn.BatchNorm2d(8), nn.LeakyReLU(0.2)),
        nn.Conv2d(8, 1, 4, bias=False),
    )
    generator, discriminator = DCGANGenerator(5, 16, width=4), DCGANDiscriminator(16, width=4)
    for net, reference in ((generator, reference_g), (discriminator, reference_d)):
        weights = dict(zip(reference.state_dict(), net.state_dict().values(), strict=True))
        reference.load_state_dict(
            {name: weights[name].view_as(value) for name, value in reference.state_dict().items()}
        )
    z = torch.randn(6, 5)
    images = generator(z)
    torch.testing.assert_close(images, reference_g(z[:, :, None, None]))
    torch.testing.assert_close(discriminator(images), reference_d(images)[:, 0, 0, 0])


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_upsampling_by_interpolation_and_convolution(upsampling):
    generator = DCGANGenerator(5, 32, 3, width=4, upsampling=upsampling)
    doublings = [m for m in generator.net if isinstance(m, nn.Upsample)]
    assert [m.mode for m in doublings] == [upsampling] * 3
    assert sum(isinstance(m, nn.ConvTranspose2d) for m in generator.net) == 1  # from z to 4x4
    assert generator(torch.randn(2, 5)).shape == (2, 3, 32, 32)


def test_interpolation_leaves_no_checkerboard_where_transposed_convolution_does():
    """Return the last layer's output for constant maps, away from the border, with random weights."""
    for upsampling, flat in (("transposed", False), ("nearest", True), ("bilinear", True)):
        torch.manual_seed(0)
        last = DCGANGenerator(5, 16, 1, width=4, upsampling=upsampling).net[6:-1]
        inner = last(torch.ones(1, 4, 8, 8))[0, 0, 2:-2, 2:-2]
        assert (inner.std() < 1e-6) == flat


def test_an_upsampling_that_cannot_be():
    with pytest.raises(ValueError, match='"transposed", "nearest" or "bilinear", not \'bicubic\''):
        DCGANGenerator(upsampling="bicubic")


def test_spectral_norm_bounds_every_layer_of_the_critic():
    net = DCGANDiscriminator(16, width=8, norm="spectral").train()
    for _ in range(20):  # power iterations
        net(torch.randn(2, 3, 16, 16))
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 3
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)
        assert layer.bias is not None
