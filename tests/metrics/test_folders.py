"""Images from files, grey, transparent, deep or not square, and how metrics convert them."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from gan_lightning.metrics import InceptionV3

SHAPE = (48, 40)


def grey(rng):
    return rng.integers(0, 256, SHAPE, np.uint8)


def deep(rng):
    return rng.integers(0, 65536, SHAPE, np.uint16)


def grey_alpha(rng):
    return rng.integers(0, 256, (*SHAPE, 2), np.uint8)


def rgb(rng):
    return rng.integers(0, 256, (*SHAPE, 3), np.uint8)


def rgba(rng):
    return rng.integers(0, 256, (*SHAPE, 4), np.uint8)


def read(file):
    """Return the unchanged pixels of a file, (1, C, H, W)."""
    values = np.array(Image.open(file))
    return torch.from_numpy(values.reshape(*values.shape[:2], -1)).permute(2, 0, 1)[None]


def shown(file):
    """Lay a file over white with Pillow, and return uint8 RGB (1, 3, H, W)."""
    image = Image.open(file)
    if image.mode.startswith("I;16"):
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    image = image.convert("RGBA")
    paper = Image.new("RGBA", image.size, "white")
    return torch.from_numpy(np.array(Image.alpha_composite(paper, image).convert("RGB"))).permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def extractors(inception_weights):
    theirs = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(inception_weights)
    )
    return InceptionV3(inception_weights), theirs


@pytest.mark.parametrize(
    ("made", "tolerance"),
    # Pillow's blending is a level off here and there
    [(grey, 1e-5), (deep, 1e-5), (grey_alpha, 5e-3), (rgb, 1e-5), (rgba, 5e-3)],
)
def test_a_file_of_any_kind_has_the_features_of_what_is_seen_over_white(made, tolerance, extractors, tmp_path):
    Image.fromarray(made(np.random.default_rng(0))).save(tmp_path / "image.png")
    ours, theirs = extractors
    features = ours(read(tmp_path / "image.png")).pooled
    (expected,) = theirs(shown(tmp_path / "image.png"))
    assert (features - expected).norm() < tolerance * expected.norm()
    if made in (grey_alpha, rgba):
        colours = read(tmp_path / "image.png")[:, :-1]
        assert (ours(colours).pooled - expected).norm() > 4 * tolerance * expected.norm()


@pytest.mark.parametrize("pattern", ["faces-orl/s1/*.pgm", "membranes/images/*"])
def test_real_files(pattern, extractors, real_data):
    file = min(real_data.glob(pattern))
    ours, theirs = extractors
    (expected,) = theirs(shown(file))
    assert (ours(read(file)).pooled - expected).norm() < 1e-5 * expected.norm()
