import numpy as np
import pytest
import torch
from PIL import Image
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from gan_lightning.extractors.resizing import resize_bilinear, resize_clean, resize_tf1

SIZES = [(1, 1), (2, 7), (32, 32), (64, 40), (299, 299), (301, 600)]


def noise(height, width):
    return torch.randint(0, 256, (2, 3, height, width)).float()


def by_pillow(images, size, method):
    resized = [[Image.fromarray(channel.numpy()).resize((size, size), method) for channel in image] for image in images]
    return torch.from_numpy(np.array([[np.asarray(channel) for channel in image] for image in resized]))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("size", [224, 299])
def test_tf1_is_torch_fidelitys(shape, size):
    images = noise(*shape)
    theirs = interpolate_bilinear_2d_like_tensorflow1x(images, size=(size, size), align_corners=False)
    torch.testing.assert_close(resize_tf1(images, size), theirs, rtol=0, atol=1e-4)


def test_tf1_does_not_centre_pixels():
    impulse = torch.tensor([0.0, 255.0, 0.0, 0.0]).expand(1, 1, 4, 4)
    assert resize_tf1(impulse, 8)[0, 0, 3].tolist() == [0, 127.5, 255, 127.5, 0, 0, 0, 0]


@pytest.mark.parametrize("shape", SIZES)
def test_clean_is_pillows_bicubic_cut_off(shape):
    images = noise(*shape)
    theirs = by_pillow(images, 299, Image.Resampling.BICUBIC).clamp(0, 255)
    ours = resize_clean(images, 299)
    assert (ours - theirs).abs().max() < 0.01
    if 1 < shape[0] < 299:
        assert (ours != ours.round()).any()  # not rounded


@pytest.mark.parametrize("shape", SIZES)
def test_bilinear_is_pillows(shape):
    images = noise(*shape)
    assert (resize_bilinear(images, 28) - by_pillow(images, 28, Image.Resampling.BILINEAR)).abs().max() < 0.01
