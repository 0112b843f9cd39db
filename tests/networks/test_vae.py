"""The VAE's and the VAE-GAN's networks: sizes, published parameters, and the meaning of the posterior's numbers."""

import pytest
import torch
from torch import nn

from gan_lightning.networks import VAEDecoder, VAEEncoder, VAEGANDecoder, VAEGANDiscriminator, VAEGANEncoder


def shapes(net: nn.Sequential, x: torch.Tensor) -> list[tuple[int, ...]]:
    """Return the shapes of the maps behind each convolution."""
    seen = []
    for layer in net:
        x = layer(x)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            seen.append(tuple(x.shape[1:]))
    return seen


def test_the_maps_are_the_notes():
    assert shapes(VAEEncoder().net, torch.zeros(1, 1, 28, 28)) == [(16, 13, 13), (32, 5, 5), (64, 1, 1)]
    assert shapes(VAEDecoder().net, torch.zeros(1, 32, 1, 1)) == [(256, 3, 3), (128, 6, 6), (64, 13, 13), (1, 28, 28)]


def test_the_maps_are_table_1s():
    images = torch.zeros(2, 3, 64, 64)
    assert shapes(VAEGANEncoder().net, images) == [(64, 32, 32), (128, 16, 16), (256, 8, 8)]
    decoded = shapes(VAEGANDecoder().net, torch.zeros(2, 128))
    assert decoded == [(256, 16, 16), (128, 32, 32), (32, 64, 64), (3, 64, 64)]
    assert shapes(VAEGANDiscriminator().net, images) == [(32, 64, 64), (128, 32, 32), (256, 16, 16), (256, 8, 8)]


@pytest.mark.parametrize(
    ("network", "published"), [(VAEGANEncoder, 18.07), (VAEGANDecoder, 4.69), (VAEGANDiscriminator, 10.95)]
)
def test_parameters_of_the_authors_code_in_millions(network, published):
    with torch.device("meta"):
        assert round(sum(p.numel() for p in network().parameters()) / 1e6, 2) == published


@pytest.mark.parametrize(("encoder", "logs"), [(VAEEncoder(5), 1), (VAEGANEncoder(5, 28 + 4, 1, 4, 8), 2)])
def test_an_encoder_answers_with_means_and_deviations(encoder, logs):
    """The notes' network ends in log σ, the paper's in log σ²."""
    encoder.eval()
    images = torch.randn(3, *encoder.image_shape)
    raw = encoder.net(images)
    mean, std = encoder(images)
    assert torch.equal(mean, raw[:, :5])
    torch.testing.assert_close(std, (raw[:, 5:] / logs).exp())
    with torch.autocast("cpu", torch.bfloat16):
        assert encoder(images).dtype == torch.float32


def test_the_decoders_images_are_its_probabilities_stretched():
    decoder, z = VAEDecoder(4, channels=3, width=4).eval(), torch.randn(2, 4)
    assert decoder(z).shape == (2, 3, 28, 28)
    torch.testing.assert_close((decoder(z) + 1) / 2, decoder.logits(z).sigmoid())


def test_features_are_the_last_convolutions_output_before_its_norm():
    net = VAEGANDiscriminator(16, channels=1, width=2, hidden=8)
    assert net.num_features == 16 * 2 * 2
    assert [type(layer) for layer in net.net][-2:] == [nn.Conv2d, nn.Flatten]
    assert [type(layer) for layer in net.head][1:3] == [nn.BatchNorm2d, nn.ReLU]
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in net.net[:3])  # none on the first convolution
    features = net.eval().features(torch.randn(2, 1, 16, 16))
    before = features.clone()
    net.head(features)
    assert torch.equal(features, before)  # a model goes on to compare them


@pytest.mark.parametrize("network", [VAEGANEncoder, VAEGANDecoder, VAEGANDiscriminator])
def test_sizes_that_cannot_be(network):
    for size in (4, 28):
        with pytest.raises(ValueError, match=f"multiple of 8, not {size}"):
            network(image_size=size)


def test_images_that_cannot_be():
    with pytest.raises(ValueError, match=r"built for images of shape \(N, 1, 28, 28\)"):
        VAEEncoder()(torch.zeros(2, 1, 32, 32))
