"""PixelCNN: the probability of an image is that of its values, and binarised data are asked for."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from gan_lightning.data.batches import ImageBatch
from gan_lightning.models import PixelCNN
from gan_lightning.networks import PixelCNNNetwork
from tiny import Batches, images
from toys import trainer


def pixelcnn(**how: Any) -> PixelCNN:
    return PixelCNN(PixelCNNNetwork(8, 1, 256, width=4, blocks=1), **how)


def pixelcnn_batch(count: int = 4, seed: int = 0) -> ImageBatch:
    return ImageBatch(F.interpolate(images(count, 1, seed), 8, mode="bilinear"))


def test_the_loss_is_minus_log_p_by_the_chain_rule() -> None:
    torch.manual_seed(0)
    model = PixelCNN(PixelCNNNetwork(3, 2, 4, width=6, blocks=1))
    levels = torch.randint(4, (2, 2, 3, 3))
    batch = ImageBatch(levels / 1.5 - 1)
    expected = torch.zeros(2)
    for n in range(2):
        seen = torch.zeros(1, 2, 3, 3, dtype=torch.int64)  # later values may be anything
        for row in range(3):
            for column in range(3):
                for colour in range(2):
                    p = model.generator(seen)[0, :, colour, row, column].softmax(0)
                    expected[n] -= p[levels[n, colour, row, column]].log()
                    seen[0, colour, row, column] = levels[n, colour, row, column]
    torch.testing.assert_close(model.nats(batch), expected.detach())
    terms = model.losses(batch)
    torch.testing.assert_close(terms["nats"], expected.mean().detach(), check_stride=False)
    bits = float(terms["nats"]) / (18 * math.log(2))
    assert float(model.records["bits_per_dim"]) == pytest.approx(bits, rel=1e-6)


def test_probabilities_of_all_images_sum_to_one() -> None:
    torch.manual_seed(0)
    model = PixelCNN(PixelCNNNetwork(2, 2, 3, width=6, blocks=1))
    every = torch.cartesian_prod(*[torch.arange(3)] * 8).view(-1, 2, 2, 2)
    total = (-model.nats(ImageBatch(every.float() - 1)).double()).exp().sum()
    assert float(total) == pytest.approx(1, rel=1e-5)


def test_grey_images_are_refused_by_a_model_of_black_and_white() -> None:
    model = PixelCNN(PixelCNNNetwork(8, levels=2, width=4, blocks=1))
    with pytest.raises(ValueError, match=r"2 levels, and the data serve values between: .* data.binarise to fixed"):
        trainer(max_epochs=1).fit(model, Batches([pixelcnn_batch()]))
    assert model.batches_seen == 0
    trainer(max_epochs=1).fit(model, Batches([ImageBatch(pixelcnn_batch().images.sign())]))
    assert model.batches_seen == 1


def test_it_overfits_one_batch() -> None:
    torch.manual_seed(0)
    model = PixelCNN(PixelCNNNetwork(8, levels=2, width=8, blocks=1))
    data = Batches([ImageBatch(pixelcnn_batch(2).images.sign())])
    trainer(max_epochs=60).fit(model, data)
    assert float(model.records["loss/nats"]) < 0.3 * 64 * math.log(2)


def test_samples_follow_the_model() -> None:
    """One pixel of three levels: shares of samples are the probabilities."""
    torch.manual_seed(0)
    model = PixelCNN(PixelCNNNetwork(1, 1, 3, width=4, blocks=1))
    probabilities = model.generator(torch.zeros(1, 1, 1, 1, dtype=torch.int64)).softmax(1).flatten()
    made = (model.sample(4000, seed=0) + 1).round().long().flatten()
    shares = made.bincount(minlength=3) / 4000
    torch.testing.assert_close(shares, probabilities.detach(), atol=0.03, rtol=0)
