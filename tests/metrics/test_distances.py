import itertools
import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist
from torchvision.datasets import MNIST

from gan_lightning.metrics import Features, TooFewSamplesError, distances
from gan_lightning.metrics.distances import FeatureDistance, PixelDistance


def numbers(metric):
    return {name: value.item() for name, value in metric.compute().items()}


def of_features(real, fake, **arguments):
    metric = FeatureDistance(real.shape[1], **arguments)
    metric.update(Features(real), real=True)
    metric.update(Features(fake), real=False)
    return numbers(metric)


def of_images(real, fake, **arguments):
    metric = PixelDistance(**arguments)
    for images, is_real in (real, True), (fake, False):
        for part in images.split(20):
            metric.update(part, real=is_real)
    return numbers(metric)


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pictures(seed, *shape):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def expected(kind, real, fake, metric, scale=1.0):
    """Compute the distances with scipy, of all pairs instead of random ones."""
    nearest = cdist(fake, real, metric).min(axis=1) * scale
    return {
        f"{kind}_distance": nearest.mean(),
        f"{kind}_distance_std": nearest.std(),
        f"{kind}_diversity": pdist(fake, metric).mean() / pdist(real, metric).mean(),
    }


def test_features():
    real, fake = draw(0, 120, 6) + 50, draw(1, 80, 6) * 0.7 + 50.2
    ours, theirs = of_features(real, fake, pairs=300_000), expected("feature", real, fake, "euclidean")
    assert ours.pop("feature_diversity") == pytest.approx(theirs.pop("feature_diversity"), rel=2e-3)
    assert ours == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("rows", [2048, 16])
def test_pixels(rows, monkeypatch):
    monkeypatch.setattr(distances, "ROWS", rows)
    real, fake = pictures(0, 50, 3, 4, 6), pictures(1, 45, 3, 4, 6) // 2 + 60
    ours = of_images(real, fake, pairs=50_000)
    theirs = expected("pixel", real.flatten(1), fake.flatten(1), "cityblock", 1 / 72)
    assert ours.pop("pixel_diversity") == pytest.approx(theirs.pop("pixel_diversity"), rel=2e-3)
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_pairs_are_of_two_different_images_each_as_often():
    pairs = [(a, b) for a, b in itertools.product(range(4), repeat=2) if a != b]
    seen = []
    distances._mean_over_pairs(torch.arange(4.0), 12_000, 0, 500, lambda a, b: seen.append((a, b)) or a)
    drawn = list(zip(*(torch.cat(side).int().tolist() for side in zip(*seen, strict=True)), strict=True))
    assert set(drawn) == set(pairs)
    assert np.bincount([pairs.index(pair) for pair in drawn]) == pytest.approx(np.full(12, 1000), rel=0.15)


def test_ten_thousand_pairs_are_enough():
    real, fake = draw(0, 500, 16), draw(1, 400, 16) * 0.5
    diversity = [of_features(real, fake, seed=seed)["feature_diversity"] for seed in range(5)]
    assert diversity == pytest.approx([expected("feature", real, fake, "euclidean")["feature_diversity"]] * 5, rel=0.01)
    assert len(set(diversity)) == 5
    assert of_features(real, fake)["feature_diversity"] == diversity[0]


def test_the_same_images_and_a_collapsed_generator():
    x, images = draw(0, 50, 8), pictures(0, 50, 1, 5, 5)
    assert of_features(x, x) == {"feature_distance": 0, "feature_distance_std": 0, "feature_diversity": 1}
    assert of_images(images, images) == {"pixel_distance": 0, "pixel_distance_std": 0, "pixel_diversity": 1}
    assert of_features(x, x[:1].repeat(50, 1)) == dict.fromkeys(of_features(x, x), 0)
    assert of_images(images, images[:1].repeat(50, 1, 1, 1)) == dict.fromkeys(of_images(images, images), 0)


def test_levels_do_not_wrap_around():
    black, white = torch.zeros(2, 1, 3, 3, dtype=torch.uint8), torch.full((2, 1, 3, 3), 255, dtype=torch.uint8)
    black[1, 0, 0, 0] = 9
    assert of_images(black, white)["pixel_distance"] == 255 - 1  # the nearer of the two real ones has one grey pixel


def test_pixels_do_not_see_what_a_digit_is(real_data):
    """The notes' limitation: a digit moved by three pixels is as far from itself as another digit is."""
    digits = MNIST(real_data / "mnist", train=False).data[:300, None]
    moved = digits.roll((3, 3), (2, 3))
    assert of_images(digits, digits)["pixel_distance"] == 0
    assert of_images(digits, moved)["pixel_distance"] > of_images(digits[:150], digits[150:])["pixel_distance"]


def test_real_images_all_the_same_are_refused():
    same = torch.ones(10, 4)
    with pytest.raises(ValueError, match=r"feature diversity is relative .* check the reference set, then the ext"):
        of_features(same, draw(0, 10, 4))
    with pytest.raises(ValueError, match=r"pixel diversity is relative .* check the reference set$"):
        of_images(same.byte().view(10, 1, 2, 2), pictures(0, 10, 1, 2, 2))


def test_images_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"PixelDistance compares images of one size.* 4x4 .* 4x5 "):
        of_images(pictures(0, 3, 1, 4, 4), pictures(0, 3, 1, 4, 5))
    with pytest.raises(ValueError, match=r"PixelDistance compares images of one size.* 1 channels.* 3 channels"):
        of_images(pictures(0, 3, 1, 4, 4), pictures(0, 3, 3, 4, 4))


def test_too_few_images():
    with pytest.raises(TooFewSamplesError, match=r"FeatureDistance needs at least 2 .*pairs of images.* only 1"):
        of_features(draw(0, 5, 4), draw(1, 1, 4))
    with pytest.raises(TooFewSamplesError, match=r"PixelDistance needs at least 2 .*pairs of images.* only 0"):
        of_images(pictures(0, 5, 1, 2, 2), pictures(1, 0, 1, 2, 2))


def test_real_images_are_kept_when_asked():
    metric = PixelDistance()
    real, first, second = (pictures(seed, 30, 1, 4, 4) for seed in range(3))
    metric.update(real, real=True)
    metric.update(first, real=False)
    before = numbers(metric)
    metric.reset(keep_real=True)
    metric.update(second, real=False)
    assert numbers(metric) != before
    metric.reset(keep_real=True)
    metric.update(first, real=False)
    assert numbers(metric) == before


def shares(kind, real, fake):
    """A metric of this file or of memorisation, fed; for one process, or for one of two."""
    metric = kind() if kind is PixelDistance else kind(8)
    for images, is_real in (real, True), (fake, False):
        if len(images):
            metric.update(images.view(-1, 1, 2, 4) if kind is PixelDistance else Features(images.float()), real=is_real)
    return numbers(metric)


def test_two_processes_with_uneven_shares_get_what_one_gets(tmp_path):
    from gan_lightning.metrics.memorisation import Authenticity

    script = tmp_path / "ranks.py"
    script.write_text(
        textwrap.dedent(
            """
            import json, sys
            import torch
            import torch.distributed as dist
            from gan_lightning.metrics.memorisation import Authenticity
            from test_distances import FeatureDistance, PixelDistance, pictures, shares

            rank, place = int(sys.argv[1]), sys.argv[2]
            torch.set_num_threads(1)
            dist.init_process_group("gloo", init_method=f"file://{place}/meet", rank=rank, world_size=2)
            real, fake = pictures(0, 60, 8), pictures(1, 50, 8)
            results = [
                shares(kind, real[share[rank]], fake[share[rank]])
                for share in ((slice(0, 45), slice(45, None)), (slice(0, None), slice(0, 0)))  # or rank 1 has none
                for kind in (FeatureDistance, PixelDistance, Authenticity)
            ]
            with open(f"{place}/{rank}.json", "w") as file:
                json.dump(results, file)
            dist.destroy_process_group()
            """
        )
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(rank), tmp_path], env=environment, stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(errors)
    kinds = (FeatureDistance, PixelDistance, Authenticity)
    single = [shares(kind, pictures(0, 60, 8), pictures(1, 50, 8)) for kind in kinds]
    for rank in range(2):
        for ours, theirs in zip(json.loads((tmp_path / f"{rank}.json").read_text()), single * 2, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-9)
