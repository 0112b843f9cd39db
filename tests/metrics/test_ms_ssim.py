import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from gan_lightning.metrics.base import TooFewSamplesError
from gan_lightning.metrics.ms_ssim import SMALLEST, WEIGHTS, MultiScaleSSIM, scale_weights


def noise(count, seed, size=(32, 32), channels=3):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, *size), generator=random, dtype=torch.uint8)


def textures(count, seed, size=(32, 32)):
    """Return images that are slightly similar."""
    mixed = 0.5 * noise(count, seed, size) + 0.5 * noise(1, 99, size)
    return mixed.to(torch.uint8)


def values(real, fake, labels=(None, None), **settings):
    metric = MultiScaleSSIM(**settings)
    metric.update(real, real=True, labels=labels[0])
    metric.update(fake, real=False, labels=labels[1])
    return {name: value.item() for name, value in metric.compute().items()}


def reference(x, y):
    """MS-SSIM of two images (C, H, W), written down from Wang et al. 2003 with SciPy's Gaussian, borders reflected."""
    weights = scale_weights(min(x.shape[1:]))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def blur(z):
        return ndimage.gaussian_filter(z, (0, 1.5, 1.5), mode="mirror", truncate=3.5)

    value = 1.0
    for scale, weight in enumerate(weights):
        mean_x, mean_y = blur(x), blur(y)
        spread = blur(x * x) - mean_x**2 + blur(y * y) - mean_y**2
        contrast = (2 * (blur(x * y) - mean_x * mean_y) + c2) / (spread + c2)
        luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        last = scale == len(weights) - 1
        term = (luminance * contrast).mean() if last else contrast[:, 5:-5, 5:-5].mean()
        value *= max(term, 0) ** weight
        x, y = (F.avg_pool2d(torch.from_numpy(z), 2).numpy() for z in (x, y))
    return value


@pytest.mark.parametrize("size", [(28, 28), (50, 44), (112, 99), (176, 180)])
def test_a_pair_against_an_independent_implementation(size):
    fake, real = textures(2, 0, size), textures(2, 1, size)
    measured = values(real, fake)
    for name, pair in ("ms_ssim", fake), ("ms_ssim_real", real):
        assert measured[name] == pytest.approx(reference(*pair.double().numpy()), rel=1e-3)


def test_the_mean_is_over_disjoint_pairs():
    fake = torch.cat((textures(2, 0)[:1].expand(2, -1, -1, -1), textures(2, 1)[:1].expand(2, -1, -1, -1)))
    one, other = reference(*fake[:2].double().numpy()), reference(*fake[1:3].double().numpy())
    assert one == pytest.approx(1)
    measured = values(fake, fake)["ms_ssim"]
    assert min(abs(measured - one), abs(measured - other)) < 1e-3  # two pairs of equals, or two of strangers


def test_uniform_noise_is_as_known():
    """0.087 at 192 pixels."""
    assert values(noise(8, 0, (192, 192)), noise(8, 1, (192, 192)))["ms_ssim"] == pytest.approx(0.087, abs=0.01)


def test_equal_and_constant_images():
    same = textures(1, 0).expand(6, -1, -1, -1)
    constant = torch.full((6, 3, 32, 32), 7, dtype=torch.uint8)
    assert values(constant, same) == pytest.approx({"ms_ssim": 1, "ms_ssim_real": 1}, abs=1e-5)
    black_and_white = constant * torch.tensor([0, 36]).repeat(3).view(-1, 1, 1, 1).to(torch.uint8)
    assert 0 <= values(constant, black_and_white, num_pairs=3)["ms_ssim"] <= 1


def test_pairs_are_of_one_class_where_both_sets_have_classes():
    pictures = textures(1, 0), 255 - textures(1, 0), noise(1, 5)
    labels = torch.arange(12) % 3
    images = torch.cat([pictures[label] for label in labels])
    assert values(images, images, (labels, labels)) == pytest.approx({"ms_ssim": 1, "ms_ssim_real": 1}, abs=1e-5)
    assert values(images, images, (labels, None))["ms_ssim"] < 0.9


def test_classes_count_equally_and_only_where_they_have_pairs():
    labels = torch.tensor([0, 0, 1, 1, 1, 1, 1, 1, 2, 3])
    images = torch.cat((textures(1, 0).expand(2, -1, -1, -1), noise(8, 1)))
    per_class = [values(images[labels == c], images[labels == c])["ms_ssim"] for c in (0, 1)]
    measured = values(images, images, (labels, labels))["ms_ssim"]
    assert measured == pytest.approx(np.mean(per_class), abs=0.02)
    assert abs(per_class[0] - per_class[1]) > 0.5
    lonely = torch.arange(10)
    with pytest.raises(TooFewSamplesError, match="a pair of one class"):
        values(images, images, (lonely, lonely))


def test_pairs_are_no_more_than_asked(monkeypatch):
    from gan_lightning.metrics import ms_ssim as module

    seen = []
    original = module.multiscale_structural_similarity_index_measure
    monkeypatch.setattr(
        module,
        "multiscale_structural_similarity_index_measure",
        lambda a, b, **settings: seen.append(len(a)) or original(a, b, **settings),
    )
    values(textures(40, 0), textures(20, 1), num_pairs=15)
    assert seen == [10, 15]
    labels = torch.arange(40) % 4
    seen.clear()
    values(textures(40, 0), textures(40, 1), (labels, labels), num_pairs=8)
    assert seen == [8, 8]


def test_scales_by_size():
    for scales, smallest in SMALLEST.items():
        assert len(scale_weights(smallest)) == scales
        assert sum(scale_weights(smallest)) == pytest.approx(sum(WEIGHTS))
        # torchmetrics takes them
        assert 0 <= values(noise(2, 0, (smallest, smallest)), noise(2, 1, (smallest, smallest)))["ms_ssim"] <= 1
    with pytest.raises(ValueError, match="at least 11 pixels a side, and these have 10"):
        values(noise(2, 0, (10, 32)), noise(2, 1, (10, 32)))
