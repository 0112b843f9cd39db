"""The claim that scores can be published: two folders of images, scored by torch-fidelity and by our own metrics.

The weights are random, since the real ones cannot be fetched in a test; both sides read the same file of them.
"""

from importlib import resources

import numpy as np
import pytest
import torch
import torch_fidelity
from PIL import Image
from torch_fidelity.datasets import ImagesPathDataset
from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16
from torchvision.models import vgg16

from gan_lightning.evaluation.sources import FolderImages
from gan_lightning.metrics import (
    FrechetInceptionDistance,
    InceptionScore,
    KernelInceptionDistance,
    PrecisionRecall,
)
from gan_lightning.metrics.named import make_extractor

NUM_FAKE, NUM_REAL = 12, 8
SETTINGS = {"cuda": False, "cache": False, "verbose": False, "batch_size": 8, "rng_seed": 2020, "isc_splits": 3}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of digits, white on black, and one of coloured gratings, 32x32 RGB; in each, a third is of the other."""
    count = NUM_FAKE + NUM_REAL
    with np.load(resources.files("datamodules").joinpath("assets/digits.npz"), allow_pickle=False) as file:
        digits = np.pad(file["reference_images"][:count], ((0, 0), (2, 2), (2, 2)))
    digits = np.repeat(digits[..., None], 3, axis=3)
    rng = np.random.default_rng(0)
    wave, phase = rng.uniform(0.1, 1.5, (count, 2, 1, 1, 3)), rng.uniform(0, 6, (count, 1, 1, 3))
    y, x = np.mgrid[:32, :32][..., None]
    gratings = (127.5 + 127.5 * np.sin(wave[:, 0] * x + wave[:, 1] * y + phase)).astype(np.uint8)
    third = (np.arange(count) % 3 == 2)[:, None, None, None]
    fake = np.where(third, gratings, digits)[:NUM_FAKE]
    real = np.where(third, digits, gratings)[NUM_FAKE:]
    return [written(images, tmp_path_factory.mktemp(name)) for name, images in (("fake", fake), ("real", real))]


def written(images, folder):
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i:03d}.png")
    return folder


def pixels(folder):
    images = np.stack([np.asarray(Image.open(file)) for file in sorted(folder.iterdir())])
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def features(extractor, folder):
    return [extractor(batch) for batch in pixels(folder).split(8)]


def scored(metric, fake, real):
    for part in fake:
        metric.update(part, real=False)
    for part in real:
        metric.update(part, real=True)
    return {name: value.item() for name, value in metric.compute().items()}


@pytest.fixture(scope="module")
def weights(inception_weights, tmp_path_factory):
    """Random weights with batch norms that do something, and with classes that differ."""
    state = torch.load(inception_weights)
    for name, value in state.items():
        if name.endswith("running_var"):
            value.uniform_(0.7, 1.4)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.1)
    state["fc.weight"] *= 30
    path = tmp_path_factory.mktemp("weights") / inception_weights.name
    torch.save(state, path)
    return path


def test_fid_is_and_kid(folders, weights):
    fake, real = folders
    theirs = torch_fidelity.calculate_metrics(
        input1=str(fake),
        input2=str(real),
        fid=True,
        isc=True,
        kid=True,
        kid_subsets=10,
        kid_subset_size=6,
        feature_extractor_weights_path=str(weights),
        **SETTINGS,
    )
    extractor = make_extractor("inception", weights)
    fed = features(extractor, fake), features(extractor, real)
    fid = scored(FrechetInceptionDistance(2048), *fed)["fid"]
    score = scored(InceptionScore(2048, splits=3), *fed)
    kid = scored(KernelInceptionDistance(2048, subsets=10, subset_size=6), *fed)

    assert fid == pytest.approx(theirs["frechet_inception_distance"], rel=1e-4)
    assert score["inception_score"] == pytest.approx(theirs["inception_score_mean"], rel=1e-4)
    assert score["inception_score_std"] == pytest.approx(theirs["inception_score_std"], rel=1e-3)
    assert kid["kid"] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-4)
    assert kid["kid_std"] == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-3)
    # and it was no comparison of nothing with nothing
    assert min(fid, kid["kid"], kid["kid_std"], score["inception_score"] - 1, score["inception_score_std"]) > 0.001


def test_precision_and_recall(folders, tmp_path):
    fake, real = folders
    weights = tmp_path / "vgg16.pth"
    torch.manual_seed(0)
    torch.save(vgg16().state_dict(), weights)
    try:
        theirs = torch_fidelity.calculate_metrics(
            input1=str(fake),
            input2=str(real),
            prc=True,
            feature_extractor_weights_path=str(weights),
            **SETTINGS,
        )
        extractor = make_extractor("vgg16", weights)
        their_extractor = FeatureExtractorVGG16("vgg16", ["fc2_relu"], feature_extractor_weights_path=str(weights))
    finally:
        weights.unlink()  # half a gigabyte
    fed = features(extractor, fake), features(extractor, real)
    (expected,) = their_extractor(pixels(fake)[:2])
    assert (fed[0][0].pooled[:2] - expected).norm() < 1e-5 * expected.norm()

    ours = scored(PrecisionRecall(4096), *fed)
    assert 0 < min(ours.values()) < 1  # else it were no comparison
    assert ours["precision"] == pytest.approx(theirs["precision"], rel=1e-4)
    assert ours["recall"] == pytest.approx(theirs["recall"], rel=1e-4)


def test_the_orientation_that_a_camera_noted_is_applied_here_and_not_by_torch_fidelity(tmp_path):
    """As docs/evaluation.md says: the one way in which images of 8 bits in RGB differ."""
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it turned clockwise
    values = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    Image.fromarray(values).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(values).save(tmp_path / "upright.png")
    theirs = [
        ImagesPathDataset([tmp_path / name])[0].permute(1, 2, 0).numpy() for name in ("turned.png", "upright.png")
    ]
    assert (theirs[0] == values).all()
    assert (theirs[1] == values).all()
    turned, upright = (image.permute(1, 2, 0).numpy() for image in FolderImages(tmp_path).decoded())
    assert (turned == np.rot90(values, -1)).all()
    assert (upright == values).all()
