import json
import os
import subprocess
import sys
import textwrap
from statistics import fmean

import pytest
import torch
from torch import nn

from gan_lightning.inference import LatentSampler
from gan_lightning.metrics.base import TooFewSamplesError
from gan_lightning.metrics.classification_accuracy import ClassificationAccuracy
from gan_lightning.metrics.image_sets import PooledImageMetric, disjoint_pairs, own_random_state
from gan_lightning.metrics.ms_ssim import MultiScaleSSIM
from gan_lightning.metrics.perceptual import LPIPSDiversity
from gan_lightning.metrics.sliced_wasserstein import SlicedWasserstein


def squared(x, y):
    return (x - y).square().flatten(1).sum(dim=1)


MAKE = {
    SlicedWasserstein: lambda: SlicedWasserstein(patches=8, directions=16),
    MultiScaleSSIM: lambda: MultiScaleSSIM(num_pairs=20),
    LPIPSDiversity: lambda: LPIPSDiversity(squared, num_pairs=10),
    ClassificationAccuracy: lambda: ClassificationAccuracy(epochs=1, batch_size=8),
}


def images(count, seed, size=(24, 20), channels=1):
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    drawn = torch.randint(0, 160, (count, channels, *size), generator=random) + 90 * labels.view(-1, 1, 1, 1)
    return drawn.to(torch.uint8), labels


def fed(metric, real, fake):
    for (pixels, labels), is_real in ((real, True), (fake, False)):
        metric.update(pixels, real=is_real, labels=labels)
    return metric


def numbers(metric):
    return {name: value.item() for name, value in metric.compute().items()}


def plain_sampler():
    """Return the sampler of a linear generator."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = nn.Sequential(nn.Linear(4, 6), nn.Unflatten(1, (1, 2, 3)))
    generator.latent_dim = 4
    return LatentSampler(generator)


@pytest.mark.parametrize("kind", MAKE)
def test_real_images_are_kept_when_asked(kind):
    metric = MAKE[kind]()
    first = numbers(fed(metric, images(24, 0), images(20, 1)))
    metric.reset(keep_real=True)
    assert not metric.fake_images
    metric.update(images(20, 1)[0], real=False, labels=images(20, 1)[1])
    assert numbers(metric) == first
    metric.reset()
    assert not metric.real_images


@pytest.mark.parametrize("kind", MAKE)
def test_values_are_finite_float64_and_leave_the_global_random_state_alone(kind):
    metric = fed(MAKE[kind](), images(24, 0), images(20, 1))
    before = torch.get_rng_state()
    values = metric.compute()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(value.dtype == torch.float64 and value.ndim == 0 and value.isfinite() for value in values.values())


@pytest.mark.parametrize("kind", MAKE)
def test_the_error_says_what_is_wrong_with_the_input(kind):
    metric = MAKE[kind]()
    with pytest.raises(TypeError, match=f"{kind.__name__} takes uint8 images"):
        metric.update(torch.zeros(2, 1, 24, 20), real=True)
    pixels, labels = images(24, 0)
    metric.update(pixels, real=True, labels=labels)
    with pytest.raises(ValueError, match="real images of 24x20 with 1 channels and then of 20x24 with 1 channels"):
        metric.update(pixels.mT, real=True, labels=labels)
    with pytest.raises(ValueError, match="one for each of 24 images"):
        metric.update(pixels, real=True, labels=labels[1:])
    with pytest.raises(ValueError, match=r"float32 \(24,\)"):
        metric.update(pixels, real=True, labels=labels.float())
    with pytest.raises(TooFewSamplesError, match=f"{kind.__name__} needs at least"):
        metric.compute()
    metric.update(pixels.expand(-1, 3, -1, -1), real=False, labels=labels)
    with pytest.raises(ValueError, match="1 channels, the generated ones of 24x20 with 3 channels"):
        metric.compute()


def test_classes_of_some_images_only_are_refused():
    metric = PooledImageMetric()
    pixels, labels = images(4, 0)
    for is_real in (True, False):
        metric.update(pixels, real=is_real, labels=labels)
    assert metric.sets(1, "")[0].labels.tolist() == [0, 1, 0, 1]
    metric.update(pixels, real=False)
    with pytest.raises(ValueError, match="4 of 8 images of a set without their classes"):
        metric.sets(1, "")


def test_pairs_are_disjoint_and_as_many_as_there_are():
    members = torch.tensor([3, 5, 7, 11, 13])
    first, second = disjoint_pairs(members, 10, torch.Generator().manual_seed(0))
    assert len(first) == len(second) == 2
    assert len({*first.tolist(), *second.tolist()} & set(members.tolist())) == 4
    assert len(disjoint_pairs(members, 1, torch.Generator())[0]) == 1


def test_own_random_state_starts_from_its_seed_and_leaves_no_trace():
    before = torch.get_rng_state()
    with own_random_state(3, torch.device("cpu")):
        drawn = torch.rand(2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(drawn, torch.rand(2, generator=torch.Generator().manual_seed(3)))


def test_two_processes_with_uneven_shares_get_what_one_gets(tmp_path):
    script = tmp_path / "ranks.py"
    script.write_text(
        textwrap.dedent(
            """
            import json, sys
            import torch
            import torch.distributed as dist
            from test_image_sets import MAKE, plain_sampler, fed, images, numbers, squared
            from gan_lightning.metrics.path_length import PerceptualPathLength

            rank, place = int(sys.argv[1]), sys.argv[2]
            torch.set_num_threads(1)
            dist.init_process_group("gloo", init_method=f"file://{place}/meet", rank=rank, world_size=2)
            results = []
            for share in (slice(0, 9), slice(9, None)), (slice(0, None), slice(0, 0)):  # or rank 1 has none
                for make in MAKE.values():
                    metric = make()
                    for real, whole in (True, images(24, 0)), (False, images(20, 1)):
                        pixels, labels = (part[share[rank]] for part in whole)
                        if len(pixels):
                            metric.update(pixels, real=real, labels=labels)
                    results.append([numbers(metric), numbers(metric)])
            metric = PerceptualPathLength(distance=squared, num_pairs=42)
            metric.update(plain_sampler())
            mine = torch.cat(metric.fake_distances).tolist()
            with open(f"{place}/{rank}.json", "w") as file:
                json.dump([results, mine, numbers(metric)], file)
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

    expected = [numbers(fed(make(), images(24, 0), images(20, 1))) for make in MAKE.values()]
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    for results, _, _ in ranks:
        for (first, again), single in zip(results, expected * 2, strict=True):
            assert first == pytest.approx(single, rel=1e-9)
            assert again == first
    (_, mine, path_length), (_, others, same) = ranks
    assert len(mine) == len(others) == 21
    assert not set(mine) & set(others)  # ranks draw different paths
    assert path_length == same
    assert path_length["ppl"] == pytest.approx(fmean(mine + others), rel=1e-6)  # so few that none is an outlier
