import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage, stats

from gan_lightning.metrics import sliced_wasserstein as module
from gan_lightning.metrics.sliced_wasserstein import Patches, SlicedWasserstein, sliced_wasserstein


def noise(count, seed, size=(32, 32), channels=3):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, *size), generator=random, dtype=torch.uint8)


def values(real, fake, **settings):
    metric = SlicedWasserstein(**settings)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return {name: value.item() for name, value in metric.compute().items()}


def pyramid(images, levels):
    """The Laplacian pyramid of float64 images, written down from the publication with SciPy's filters."""
    binomial = np.array([1, 4, 6, 4, 1]) / 16

    def smooth(x, gain):
        for axis in (2, 3):
            x = ndimage.convolve1d(x, gain * binomial, axis=axis, mode="mirror")
        return x

    details = [images]
    for _ in range(levels - 1):
        fine = details[-1]
        coarse = smooth(fine, 1)[:, :, ::2, ::2]
        holes = np.zeros_like(fine)
        holes[:, :, ::2, ::2] = coarse
        details[-1] = fine - smooth(holes, 2)
        details.append(coarse)
    return details


def normalised(patches):
    """Patches (P, C, 7, 7) as the publication normalises them, (P, C * 49)."""
    centred = patches - patches.mean(axis=(0, 2, 3), keepdims=True)
    return (centred / centred.std(axis=(0, 2, 3), keepdims=True)).reshape(len(patches), -1)


def mean_distance(x, y, directions):
    return np.mean([stats.wasserstein_distance(x @ d, y @ d) for d in directions.T])


@pytest.mark.parametrize("size", [(64, 64), (45, 70), (31, 32)])
def test_levels_are_those_of_a_laplacian_pyramid(size):
    images = noise(3, 0, size)
    expected = pyramid(images.double().numpy() - 128, len(module._sizes(*size)))
    for level, detail in enumerate(expected):
        assert module._detail(images, level).numpy() == pytest.approx(detail, abs=1e-3)


def test_distance_of_patches_is_scipys():
    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 2, (400, 3, 7, 7)), rng.exponential(5, (400, 3, 7, 7)) + np.arange(7)
    directions = F.normalize(torch.randn(147, 40, generator=torch.Generator().manual_seed(0)), dim=0)
    sets = []
    for drawn in x, y:
        moments = torch.from_numpy(drawn.mean(axis=(0, 2, 3))), torch.from_numpy(drawn.std(axis=(0, 2, 3)))
        sets.append(Patches(torch.from_numpy(drawn.reshape(400, 147)).half(), *moments))
    expected = mean_distance(normalised(x), normalised(y), directions.double().numpy())
    assert sliced_wasserstein(*sets, directions).item() == pytest.approx(expected, rel=1e-3)


def test_images_of_a_patchs_size_against_scipy():
    """An image of 7x7 has but one patch."""
    real, fake = noise(300, 0, (7, 7)), noise(300, 1, (7, 7)) // 2 + torch.arange(7, dtype=torch.uint8) * 16
    directions = F.normalize(torch.randn(147, 64, generator=torch.Generator().manual_seed(5)), dim=0)
    expected = 1000 * mean_distance(
        *(normalised(images.double().numpy()) for images in (real, fake)), directions.double().numpy()
    )
    measured = values(real, fake, patches=1, directions=64, seed=5)
    assert measured == pytest.approx({"swd": expected, "swd_7": expected}, rel=1e-3)


def test_floor_of_equal_gaussians_is_as_known():
    """147 dimensions: 0.0547 at 1,000 patches, 0.0290 at 4,000, of one draw each."""
    random = torch.Generator().manual_seed(0)
    directions = F.normalize(torch.randn(147, 512, generator=random), dim=0)
    for count, known in (1000, 0.0547), (4000, 0.0290):
        sets = [
            Patches(torch.randn(count, 147, generator=random).half(), torch.zeros(3), torch.ones(3)) for _ in range(2)
        ]
        assert sliced_wasserstein(*sets, directions).item() == pytest.approx(known, rel=0.1)
        assert sliced_wasserstein(sets[0], sets[0], directions) == 0


def test_blocks_of_directions_make_no_difference(monkeypatch):
    real, fake = noise(20, 0), noise(20, 1)
    whole = values(real, fake, patches=4, directions=30)
    monkeypatch.setattr(module, "BLOCK", 7 * 80)
    assert values(real, fake, patches=4, directions=30) == pytest.approx(whole, rel=1e-6)


def test_patches_are_windows_from_everywhere_in_the_image():
    height, width = 9, 12
    place = torch.arange(height * width).view(1, 1, height, width).to(torch.uint8).expand(50, 2, -1, -1)
    patches = SlicedWasserstein(patches=40)._draw_patches(place, 0, torch.Generator().manual_seed(0))
    windows = patches.values.float().view(-1, 2, 7, 7) + 128
    window = torch.arange(7)[:, None] * width + torch.arange(7)
    corners = windows[:, 0, 0, 0]
    assert len(windows) == 2000
    assert torch.equal(windows, (corners.view(-1, 1, 1, 1) + window).expand(-1, 2, -1, -1))
    assert set(corners.tolist()) == {row * width + column for row in range(3) for column in range(6)}


def test_what_differs_in_detail_shows_at_the_fine_levels():
    real, other = noise(200, 0, (64, 64)), noise(200, 1, (64, 64))
    smooth = F.avg_pool2d(other.float(), 3, 1, 1).to(torch.uint8)
    floor, blurred = (values(real, fake, patches=16, directions=128) for fake in (other, smooth))
    assert list(floor) == ["swd", "swd_64", "swd_32", "swd_16"]
    assert floor["swd"] == pytest.approx((floor["swd_64"] + floor["swd_32"] + floor["swd_16"]) / 3)
    assert blurred["swd_64"] > 1.5 * floor["swd_64"]
    assert blurred["swd_16"] < 1.5 * floor["swd_16"]


@pytest.mark.parametrize(
    ("size", "levels"),
    [((28, 28), ["swd_28"]), ((32, 32), ["swd_32", "swd_16"]), ((112, 92), ["swd_112x92", "swd_56x46", "swd_28x23"])],
)
def test_levels_by_size(size, levels):
    measured = values(noise(4, 0, size, 1), noise(4, 1, size, 1), patches=8, directions=4)
    assert list(measured) == ["swd", *levels]


def test_the_larger_set_is_cut():
    real, fake = noise(50, 0), noise(80, 1)
    measured = values(real, fake, patches=16)
    assert values(real, fake, patches=16) == measured
    assert measured == pytest.approx(values(real, fake[:50], patches=16), rel=0.3)
    assert values(real, fake, patches=16, seed=1) != measured


def test_constant_images():
    grey, black = torch.full((20, 3, 32, 32), 90, dtype=torch.uint8), torch.zeros(20, 3, 32, 32, dtype=torch.uint8)
    assert values(grey, black, patches=8) == {"swd": 0, "swd_32": 0, "swd_16": 0}
    assert values(noise(20, 0), grey, patches=8)["swd"] == pytest.approx(780, rel=0.1)  # E|N(0, 1)| = 0.798


def test_images_smaller_than_a_patch_are_refused():
    with pytest.raises(ValueError, match="patches of 7x7 from images, and these are of 6x32"):
        values(noise(4, 0, (6, 32)), noise(4, 1, (6, 32)))
