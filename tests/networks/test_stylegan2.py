"""StyleGAN2's networks: published parameter counts, rectangles, noise, styles for each layer, classes."""

from typing import Any

import pytest
import torch

from gan_lightning.inference import LatentSampler
from gan_lightning.networks import StyleGAN2Discriminator, StyleGAN2Generator

SMALL: dict[str, Any] = {"channel_base": 64, "channel_max": 8}
COUNTS = {
    "configuration F, 1024": ({"image_size": 1024}, {}, 30_370_060, 29_012_513),
    "configuration E, 1024": ({"image_size": 1024, "channel_base": 16384}, {}, 24.90e6, 24.04e6),
    "256, full": ({"image_size": 256, "channel_base": 32768}, {}, 30.03e6, 28.86e6),
    "256, half": ({"image_size": 256}, {}, 24.77e6, 24.00e6),
    "CIFAR-10": ({"image_size": 32, "channel_base": 32768, "mapping_layers": 2}, {"residual": False}, 19.95e6, 20.72e6),
    "CIFAR-10, classes": (
        {"image_size": 32, "channel_base": 32768, "mapping_layers": 2, "num_classes": 10},
        {"residual": False, "mapping_layers": 8},
        20.22e6,
        23.09e6,
    ),
}


@pytest.mark.parametrize("name", COUNTS)
def test_published_parameter_counts(name: str) -> None:
    how, critic, generator, discriminator = COUNTS[name]
    with torch.device("meta"):
        networks = (StyleGAN2Generator(**how), StyleGAN2Discriminator(**{**how, **critic}))
    for network, published in zip(networks, (generator, discriminator), strict=True):
        count = sum(p.numel() for p in network.parameters())
        assert count == published if isinstance(published, int) else round(count / 1e6, 2) == published / 1e6


@pytest.mark.parametrize(
    ("size", "smallest", "levels"),
    [((96, 64), (6, 4), 5), ((112, 96), (7, 6), 5), (32, (4, 4), 4), ((4, 5), (4, 5), 1)],
)
def test_rectangles_begin_at_their_own_smallest_map(size: Any, smallest: tuple[int, int], levels: int) -> None:
    generator, discriminator = StyleGAN2Generator(6, 5, size, 2, **SMALL), StyleGAN2Discriminator(size, 2, **SMALL)
    assert generator.start.shape[1:] == smallest
    assert generator.num_styles == 2 * levels
    made = generator(torch.randn(3, 6))
    assert made.shape == (3, 2, *((size, size) if isinstance(size, int) else size))
    assert discriminator(made).shape == (3,)


def test_images_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(ValueError, match="images of 96x92 cannot be halved"):
        StyleGAN2Generator(image_size=(96, 92))


def test_noise_is_fresh_fixed_or_none() -> None:
    generator = StyleGAN2Generator(6, 5, 16, 1, **SMALL).eval()
    for layer in generator.layers:
        torch.nn.init.ones_(layer.strength)
    w = generator.mapping(torch.randn(1, 6)).repeat(2, 1)
    fresh, fixed, none = (generator.synthesis(w, noise=kind) for kind in ("fresh", "fixed", "none"))
    assert not torch.equal(fresh[0], fresh[1])
    assert not torch.equal(fixed, none)
    for same in (fixed, none):
        torch.testing.assert_close(same[0], same[1])
    again = StyleGAN2Generator(6, 5, 16, 1, **SMALL)
    again.load_state_dict(generator.state_dict())
    assert torch.equal(again.synthesis(w, noise="fixed"), fixed)


def test_each_layer_has_a_style() -> None:
    generator = StyleGAN2Generator(6, 5, 16, 1, **SMALL).eval()
    w = generator.mapping(torch.randn(2, 6))
    each = w[:, None].repeat(1, generator.num_styles, 1)
    assert torch.equal(generator.synthesis(each), generator.synthesis(w))
    made = generator.synthesis(each)
    for layer in range(generator.num_styles):
        changed = each.clone()
        changed[:, layer] += 1
        assert not torch.equal(generator.synthesis(changed), made), layer


def test_a_sampler_finds_both_spaces() -> None:
    sampler = LatentSampler(StyleGAN2Generator(6, 5, 16, 1, num_classes=3, **SMALL))
    assert sampler.spaces == ("z", "w")
    z, labels = sampler.draw(2), torch.tensor([0, 2])
    w = sampler.map(z, labels)
    assert w.shape == (2, 5)
    assert torch.equal(sampler.synthesize(w, seed=1), sampler.images(z, labels, seed=1))


def test_classes_are_projected() -> None:
    discriminator = StyleGAN2Discriminator(16, 1, num_classes=3, **SMALL)
    images, labels = torch.randn(4, 1, 16, 16), torch.tensor([0, 1, 2, 0])
    features = discriminator.features(images)
    classes = discriminator.mapping(None, labels)  # type: ignore[misc]
    expected = (discriminator.head(features) * classes).sum(dim=1) / 8**0.5
    torch.testing.assert_close(discriminator(images, labels), expected)
    with pytest.raises(ValueError, match="was given no labels"):
        discriminator(images)
