import numpy as np
import pytest
import torch
from torch import nn

from gan_lightning.inference import LatentSampler
from gan_lightning.metrics.base import TooFewSamplesError
from gan_lightning.metrics.path_length import PerceptualPathLength
from models.test_cyclegan import cyclegan
from toys import ToyGAN

WIDTH, PIXELS = 16, 12


def squared(x, y):
    return (x - y).square().flatten(1).sum(dim=1)


class Linear(nn.Module):
    """A generator G(z) = Mz, for z unchanged or scaled to length 1."""

    def __init__(self, unit=False):
        super().__init__()
        self.unit = unit
        weights = torch.randn(PIXELS, WIDTH, generator=torch.Generator().manual_seed(0))
        self.matrix = nn.Parameter(weights / 10)

    def forward(self, z):
        assert z.dtype == torch.float32
        return ((nn.functional.normalize(z, dim=1) if self.unit else z) @ self.matrix.T).view(-1, 1, 3, 4)


class Styled(Linear):
    """A linear generator in two halves, with a space between them."""

    def mapping(self, z):
        return z

    def synthesis(self, w):
        return self(w)


def sampler(generator, num_classes=0):
    generator.latent_dim, generator.num_classes = WIDTH, num_classes
    return LatentSampler(generator)


def measured(generator, num_classes=0, **settings):
    metric = PerceptualPathLength(**{"distance": squared, "num_pairs": 4000, "batch_size": 500} | settings)
    metric.update(sampler(generator, num_classes))
    return {name: value.item() for name, value in metric.compute().items()}


def all_distances(generator, **settings):
    metric = PerceptualPathLength(**{"distance": squared, "num_pairs": 4000, "batch_size": 500} | settings)
    metric.update(sampler(generator))
    return torch.cat(metric.fake_distances).double().numpy()


def mean_squared_angle():
    """E[θ²] of two random directions: the angle's density is as sin(θ)^(d - 2)."""
    angles = np.linspace(0, np.pi, 100_001)
    density = np.sin(angles) ** (WIDTH - 2)
    return (angles**2 * density).sum() / density.sum()


@pytest.mark.parametrize("sampling", ["end", "full"])
def test_straight_lines_through_a_linear_generator(sampling):
    """E||M(w1 - w0)||² = 2 ||M||²."""
    generator = Styled()
    expected = 2 * generator.matrix.square().sum().item()
    assert all_distances(generator, space="w", sampling=sampling).mean() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("sampling", ["end", "full"])
def test_great_circles_through_a_linear_generator(sampling):
    """E[θ²] ||M||² / d on the unit sphere, and d times that at the length of the prior's latents."""
    unit, free = (Linear(unit=unit) for unit in (True, False))
    expected = mean_squared_angle() * unit.matrix.square().sum().item() / WIDTH
    assert all_distances(unit, sampling=sampling).mean() == pytest.approx(expected, rel=0.03)
    assert all_distances(free, sampling=sampling).mean() == pytest.approx(expected * WIDTH, rel=0.03)


def test_a_step_is_a_derivative_in_float32():
    """Each distance is the squared speed, to what float32 leaves of a step of 1e-4."""
    coarse, fine = (all_distances(Styled(), space="w", num_pairs=50, epsilon=epsilon) for epsilon in (1e-2, 1e-4))
    assert fine == pytest.approx(coarse, rel=5e-3)
    coarse, fine = (all_distances(Linear(), num_pairs=50, epsilon=epsilon) for epsilon in (1e-3, 1e-4))
    assert fine == pytest.approx(coarse, rel=5e-3)


@pytest.mark.parametrize("count", [1, 7, 50, 333, 50_000])
def test_outliers_are_left_out_as_published(count):
    distances = np.random.default_rng(0).exponential(size=count)
    metric = PerceptualPathLength(distance=squared, num_pairs=1)
    metric.update(sampler(Linear()))
    metric.fake_distances = [torch.from_numpy(distances)]
    low, high = np.percentile(distances, 1, method="lower"), np.percentile(distances, 99, method="higher")
    kept = distances[(distances >= low) & (distances <= high)]
    assert len(kept) == 49_002 or count != 50_000
    values = metric.compute()
    assert values["ppl"].item() == pytest.approx(kept.mean())
    assert values["ppl_std"].item() == pytest.approx(kept.std())


def test_where_on_its_path_a_step_begins():
    """With G(w) = w² the speed at w is 2w times that of w, and w is shortest in the middle of a line."""

    class Squares(Styled):
        def synthesis(self, w):
            return w.square().view(-1, 1, 4, 4)

    ends, anywhere = (all_distances(Squares(), space="w", sampling=sampling).mean() for sampling in ("end", "full"))
    # a component's E[4 w² (w1 - w0)²] = 4 (2 s + 2 c²), of variance s = (1 - t)² + t² and covariance c = 2t - 1
    assert ends == pytest.approx(16 * WIDTH, rel=0.1)
    assert anywhere == pytest.approx(8 * WIDTH, rel=0.1)


def test_both_ends_share_their_class_and_all_classes_come():
    class ByClass(Linear):
        def forward(self, z, labels):
            seen.append(labels)
            return super().forward(z) + 100 * labels.view(-1, 1, 1, 1)

    seen = []
    metric = PerceptualPathLength(distance=squared, num_pairs=300)
    metric.update(sampler(ByClass(), num_classes=5))
    before, after = (torch.cat(seen[start::2]) for start in (0, 1))
    assert torch.equal(before, after)
    labels = before
    assert torch.cat(metric.fake_distances).mean() < 100
    assert labels.bincount().min() > 30
    assert labels.max() == 4


def test_noise_of_the_generator_is_shared_by_both_ends_and_no_global_draw():
    drawn = []

    class Noisy(Linear):
        def forward(self, z):
            noise = torch.randn(len(z), 1, 3, 4)
            drawn.append(noise)
            return super().forward(z) + noise

    before = torch.get_rng_state()
    noisy = measured(Noisy(), num_pairs=1000)
    assert torch.equal(torch.get_rng_state(), before)
    assert noisy == pytest.approx(measured(Linear(), num_pairs=1000), rel=0.02)
    first, same, second, _ = drawn
    assert torch.equal(first, same)
    assert not torch.equal(first, second)


def test_large_images_are_averaged_down_and_cropped_as_published():
    seen = []

    class Flat(nn.Module):
        def __init__(self, height, width):
            super().__init__()
            self.register_buffer("image", torch.rand(1, height, width))

        def forward(self, z):
            return self.image.expand(len(z), -1, -1, -1)

    def keep(x, y):
        seen.append(x[0])
        return squared(x, y)

    wide, small = Flat(512, 1024), Flat(64, 32)
    for generator in wide, small:
        for crop in False, True:
            measured(generator, distance=keep, crop=crop, num_pairs=1)
    assert [tuple(image.shape) for image in seen] == [(1, 256, 512), (1, 128, 256), (1, 64, 32), (1, 32, 16)]
    assert torch.allclose(seen[0][:, 3, 5], wide.image[:, 6:8, 10:12].mean())
    assert torch.allclose(seen[1][:, 0, 0], wide.image[:, 192:194, 256:258].mean())
    assert torch.equal(seen[3], small.image[:, 24:56, 8:24])


def test_the_generator_is_left_as_it_was():
    generator = nn.Sequential(nn.Linear(WIDTH, 9), nn.BatchNorm1d(9), nn.Unflatten(1, (1, 3, 3))).bfloat16().train()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        first = measured(generator, num_pairs=20)
        assert measured(generator, num_pairs=20) == first
        assert measured(generator, num_pairs=20, seed=1) != first
    assert generator.training
    assert all(part.training for part in generator)
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    with torch.no_grad():  # running statistics: what a batch holds makes no difference
        assert measured(generator, num_pairs=20, batch_size=20)["ppl"] > 0


def test_models_of_the_library():
    model = ToyGAN()
    metric = PerceptualPathLength(distance=squared, num_pairs=10)
    metric.update(model.sampler)
    assert metric.compute()["ppl"] > 0
    model.averaged_generator.net[0].weight.data.fill_(torch.nan)
    with pytest.raises(ValueError, match="ToyGenerator makes NaN"):
        metric.update(model.sampler)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_what_it_cannot_walk_through_is_refused(tmp_path, monkeypatch):
    metric = PerceptualPathLength(distance=squared)
    with pytest.raises(TooFewSamplesError, match="call update first"):
        metric.compute()
    with pytest.raises(TypeError, match="walks between latents, and this model makes its images from none"):
        metric.update(cyclegan().sampler)
    with pytest.raises(ValueError, match="ToyGenerator has no space 'w'"):
        PerceptualPathLength(space="w", distance=squared).update(ToyGAN().sampler)
    with pytest.raises(ValueError, match="not in 'v', 'end'"):
        PerceptualPathLength(space="v", distance=squared)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.delenv("GAN_LIGHTNING_VGG16", raising=False)
    with pytest.raises(FileNotFoundError, match=r"vgg16-397923af\.pth"):
        PerceptualPathLength()
