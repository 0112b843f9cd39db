import torch
from torch.nn import functional

from gan_lightning.layers.fading import at_size


def test_real_images_fade_between_half_their_size_enlarged_and_their_size() -> None:
    images = torch.rand(2, 1, 16, 16)
    whole = functional.avg_pool2d(images, 2)
    half = functional.avg_pool2d(images, 4).repeat_interleave(2, 2).repeat_interleave(2, 3)
    for alpha in 0, 0.25, 1:
        torch.testing.assert_close(at_size(images, 8, alpha), alpha * whole + (1 - alpha) * half)
