"""R3GAN's networks: the start, the groups, the widths, rectangles, classes, and their use by a translator."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_lightning.models import Pix2Pix
from gan_lightning.networks import R3GANDiscriminator, R3GANGenerator, R3GANTranslator
from gan_lightning.networks.r3gan import InvertedBottleneck
from models.test_pix2pix import pix2pix
from tiny import batch_for, data_for
from toys import trainer

LABELS = torch.tensor([2, 0])


def test_a_block_by_hand() -> None:
    torch.manual_seed(0)
    block = InvertedBottleneck(8, expansion=2, group_width=4, depth=6)
    x = torch.randn(2, 8, 5, 6)
    assert torch.equal(block(x), x)  # the last convolution starts at zero
    nn.init.normal_(block.conv3.weight)
    nn.init.normal_(block.conv1.bias)
    h = F.leaky_relu(F.conv2d(x, block.conv1.weight, block.conv1.bias), 0.2)
    parts = [
        F.conv2d(h[:, 4 * k :][:, :4], block.conv2.weight[4 * k :][:4], block.conv2.bias[4 * k :][:4], padding=1)
        for k in range(4)
    ]
    expected = x + F.conv2d(F.leaky_relu(torch.cat(parts, 1), 0.2), block.conv3.weight)
    torch.testing.assert_close(block(x), expected)


def test_the_start_is_scaled_by_the_number_of_blocks() -> None:
    torch.manual_seed(0)
    block = InvertedBottleneck(256, expansion=2, group_width=16, depth=8)
    gain = (2 / 1.04) ** 0.5 * 8**-0.25
    assert block.conv1.weight.std().item() == pytest.approx(gain / 256**0.5, rel=0.02)
    assert block.conv2.weight.std().item() == pytest.approx(gain / (16 * 9) ** 0.5, rel=0.02)
    assert not any(p.any() for p in (block.conv1.bias, block.conv2.bias, block.conv3.weight))


def test_no_layer_normalises() -> None:
    for net in (R3GANGenerator(width=16), R3GANDiscriminator(width=16), R3GANTranslator(width=8)):
        kinds = {type(m).__name__ for m in net.modules() if not list(m.children())}
        assert kinds <= {"Conv2d", "Linear", "Identity", "Tanh"}


def test_the_widths_of_256_are_the_papers() -> None:
    with torch.device("meta"):
        net, judge = R3GANGenerator(image_size=256), R3GANDiscriminator(image_size=256)
    inside = [m.conv1.in_channels for m in net.stages if isinstance(m, InvertedBottleneck)]
    assert inside[::2] == inside[1::2] == [768] * 4 + [384, 192, 96]
    assert [m.conv1.in_channels for m in judge.stages if isinstance(m, InvertedBottleneck)] == inside[::-1]
    groups = [m.conv2.groups for m in net.stages if isinstance(m, InvertedBottleneck)]
    assert groups[::2] == [96] * 4 + [48, 24, 12]


@pytest.mark.parametrize("size", [(16, 24), (96, 112), (8, 4)])
def test_rectangles_with_classes(size: tuple[int, int]) -> None:
    how: dict[str, Any] = {"image_size": size, "channels": 2, "width": 8, "blocks": 1, "num_classes": 3}
    net, judge = R3GANGenerator(latent_dim=5, **how), R3GANDiscriminator(**how)
    images = net(torch.randn(2, 5), LABELS)
    assert images.shape == (2, 2, *size)
    assert judge(images, LABELS).shape == (2,)


def test_the_class_is_a_product_with_the_features() -> None:
    judge = R3GANDiscriminator(image_size=8, width=16, num_classes=3)
    images = torch.randn(2, 3, 8, 8)
    phi = judge.features(images) @ judge.head.weight.T  # type: ignore[operator, union-attr]
    assert judge.embedding is not None
    expected = torch.stack([phi[0] @ judge.embedding.weight[2], phi[1] @ judge.embedding.weight[0]])
    torch.testing.assert_close(judge(images, LABELS), expected)
    with pytest.raises(ValueError, match="no head beside its classes"):
        R3GANDiscriminator(num_classes=3, head=nn.Linear)


def test_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"40 channels inside a block .* groups of 16"):
        R3GANGenerator(width=20)


def test_a_translator_uses_them() -> None:
    like = batch_for(pix2pix())
    model = Pix2Pix(
        R3GANTranslator(like.source.shape[1], like.target.shape[1], width=8, depth=1, blocks=1),
        R3GANDiscriminator(16, like.source.shape[1] + like.target.shape[1], width=8, blocks=1),
    )
    trainer(max_epochs=1).fit(model, data_for(model, batches=2))
    assert model.generate(batch_for(model)).shape == like.target.shape
