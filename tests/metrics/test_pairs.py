import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from gan_lightning.data.images import to_channels, to_float
from gan_lightning.metrics import L1, PSNR, SSIM, PairedLPIPS, TooFewSamplesError

ALL = {
    "psnr": PSNR,
    "ssim": SSIM,
    "l1": L1,
    "lpips": lambda: PairedLPIPS(lambda a, b: (a - b).square().mean(dim=(1, 2, 3))),
}


def noise(count, seed, size=(24, 20), channels=3):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, *size), generator=random, dtype=torch.uint8)


def near(images, seed, by=20):
    """Change each level of images by at most `by`."""
    off = torch.randint(-by, by + 1, images.shape, generator=torch.Generator().manual_seed(seed))
    return (images.int() + off).clamp(0, 255).to(torch.uint8)


def value(metric, fake, target):
    metric.update(fake, target)
    ((_, number),) = metric.compute().items()
    return number.item()


def psnr(x, y):
    return 10 * np.log10(255**2 / np.square(x - y).mean())


def ssim(x, y):
    """SSIM of two channels (H, W), as in Wang et al. 2004, with SciPy's Gaussian; windows are fully inside."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def blur(z):
        return ndimage.gaussian_filter(z, 1.5, truncate=3.5)[5:-5, 5:-5]

    mean_x, mean_y = blur(x), blur(y)
    spread = blur(x * x) - mean_x**2 + blur(y * y) - mean_y**2
    alike = 2 * (blur(x * y) - mean_x * mean_y) + c2
    return ((2 * mean_x * mean_y + c1) * alike / ((mean_x**2 + mean_y**2 + c1) * (spread + c2))).mean()


@pytest.mark.parametrize(("name", "reference"), [("psnr", psnr), ("ssim", lambda x, y: np.mean([*map(ssim, x, y)]))])
def test_the_mean_over_pairs_against_an_independent_implementation(name, reference):
    target = noise(4, 0)
    fake = torch.stack([near(image, 1, by) for image, by in zip(target, (2, 10, 50, 200), strict=True)])
    expected = np.mean([reference(x, y) for x, y in zip(fake.double().numpy(), target.double().numpy(), strict=True)])
    assert value(ALL[name](), fake, target) == pytest.approx(expected, rel=1e-9)


def test_names():
    for name, make in ALL.items():
        metric = make()
        metric.update(noise(1, 0), noise(1, 1))
        assert list(metric.compute()) == [name]
    assert (PSNR("y").name, SSIM("y").name) == ("psnr_y", "ssim_y")


def test_known_numbers():
    black, grey = torch.zeros(1, 3, 12, 12, dtype=torch.uint8), torch.full((1, 3, 12, 12), 51, dtype=torch.uint8)
    assert value(PSNR(), grey, black) == pytest.approx(20 * np.log10(5))
    assert value(L1(), grey, black) == pytest.approx(0.2)
    assert value(SSIM(), grey, black) == pytest.approx(6.5025 / (51**2 + 6.5025))
    distance = ALL["lpips"]()
    assert value(distance, grey, black) == pytest.approx(0.16, rel=1e-5)


def test_equal_images_are_finite_and_best():
    target = noise(3, 0)
    assert value(PSNR(), target, target) == 100
    assert value(SSIM(), target, target) == pytest.approx(1)
    assert value(L1(), target, target) == 0
    one_off = target.clone()
    one_off[:, 0, 0, 0] ^= 1
    assert value(PSNR(), one_off, target) < 100
    large = torch.zeros(1, 3, 1024, 1024, dtype=torch.uint8)
    off = large.clone()
    off[0, 0, 0, 0] = 1
    assert value(PSNR(), off, large) == 100  # nothing counts more than equality


def test_super_resolution_is_measured_on_luma_within_the_border():
    target = noise(3, 0, (24, 24))
    fake = near(target, 1)
    weights = np.array([65.481, 128.553, 24.966]).reshape(1, 3, 1, 1) / 255
    luma_fake, luma_target = (16 + (x[:, :, 4:-4, 4:-4].double().numpy() * weights).sum(1) for x in (fake, target))
    for metric, reference in (PSNR("y", border=4), psnr), (SSIM("y", border=4), ssim):
        expected = np.mean([reference(x, y) for x, y in zip(luma_fake, luma_target, strict=True)])
        assert value(metric, fake, target) == pytest.approx(expected, rel=1e-9)
    outside = fake.clone()
    outside[:, :, :4] = 255 - outside[:, :, :4]
    assert value(PSNR("y", border=4), outside, target) == value(PSNR("y", border=4), fake, target)
    # the same luma as Pillow's, but for its range, which is the whole of 0 to 255
    pillow = np.asarray(Image.fromarray(target[0].permute(1, 2, 0).numpy()).convert("YCbCr"))[:, :, 0]
    ours = 16 + (target[0].double().numpy() * weights[0]).sum(0)
    assert np.abs(pillow * (219 / 255) + 16 - ours).max() < 1


@pytest.mark.parametrize("name", ALL)
def test_grey_counts_as_rgb_and_what_is_transparent_lies_over_white(name):
    grey, other = noise(2, 0, channels=1), noise(2, 1, channels=1)
    expected = value(ALL[name](), grey, other)
    assert value(ALL[name](), grey.expand(-1, 3, -1, -1), other) == pytest.approx(expected, rel=1e-6)
    clear = torch.cat([noise(2, 2), torch.zeros(2, 1, 24, 20, dtype=torch.uint8)], dim=1)
    white = torch.full((2, 3, 24, 20), 255, dtype=torch.uint8)
    assert value(ALL[name](), clear, white) == value(ALL[name](), white, white)
    half = noise(2, 3, channels=4)
    assert value(ALL[name](), half, white) == value(ALL[name](), to_channels(half, 3), white)


@pytest.mark.parametrize("name", ALL)
def test_batches_change_nothing_and_only_sums_are_kept(name):
    fake, target = noise(7, 0), noise(7, 1)
    whole, parts = ALL[name](), ALL[name]()
    expected = value(whole, fake, target)
    for rows in torch.arange(7).split(3):
        parts.update(fake[rows], target[rows])
    assert parts.compute()[name].item() == pytest.approx(expected, rel=1e-6)
    assert sum(state.numel() for state in parts.metric_state.values()) == 2
    parts.reset(keep_real=True)
    with pytest.raises(TooFewSamplesError, match="needs at least 1 images of a set"):
        parts.compute()


def test_a_distance_sees_floats_and_makes_no_graph():
    seen = []
    weight = torch.ones((), requires_grad=True)
    metric = PairedLPIPS(lambda a, b: seen.append((a, b)) or weight * torch.ones(len(a)))
    fake, target = noise(2, 0), noise(2, 1)
    metric.update(fake, target)
    assert torch.equal(seen[0][0], to_float(fake))
    assert torch.equal(seen[0][1], to_float(target))
    assert not metric.fake_sum.requires_grad


def test_what_cannot_be_compared_is_refused():
    images = noise(2, 0)
    with pytest.raises(TypeError, match=r"PSNR takes uint8 images \(N, C, H, W\), not torch.float32"):
        PSNR().update(images.float(), images)
    for other in images[:1], images[:, :, :20]:
        with pytest.raises(ValueError, match="number, heights and widths must be equal"):
            L1().update(images, other)
    with pytest.raises(ValueError, match=r"windows of 11x11 pixels.* less a border of 5, are of 14x10"):
        SSIM(border=5).update(images, images)
    with pytest.raises(ValueError, match="24x20 pixels have no border of 10"):
        PSNR(border=10).update(images, images)
    with pytest.raises(ValueError, match='channels is "rgb" or "y", not \'luma\''):
        PSNR("luma")


def test_variances_are_exact_where_images_are_bright_and_almost_flat():
    """Differences of large squares, which float32 would get wrong."""
    target = torch.full((1, 1, 16, 16), 250, dtype=torch.uint8) + noise(1, 0, (16, 16), 1) % 2
    fake = torch.full((1, 1, 16, 16), 250, dtype=torch.uint8) + noise(1, 1, (16, 16), 1) % 2
    expected = ssim(fake[0, 0].double().numpy(), target[0, 0].double().numpy())
    assert value(SSIM(), fake, target) == pytest.approx(expected, rel=1e-9)
