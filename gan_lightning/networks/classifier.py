"""A small classifier of images, for measurements that train one."""

from torch import nn


class SmallClassifier(nn.Sequential):
    """Four 3x3 convolutions with batch norm, the last three of stride 2, and a linear layer on averages over quarters.

    Maps images (N, `channels`, H, W) with sides of at least 8 pixels, best up to 64, to logits (N, `classes`).
    """

    def __init__(self, channels: int, classes: int) -> None:
        blocks: list[nn.Module] = []
        for width, stride in ((32, 1), (64, 2), (128, 2), (256, 2)):
            blocks += [nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        super().__init__(*blocks, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, classes))
