"""The benchmark of 3D-GAN's step: equal networks in both loops, and a step of each."""

import torch

from benchmarks import shapes
from gan_lightning.data.batches import VoxelBatch
from gan_lightning.networks import ThreeDGANDiscriminator, ThreeDGANGenerator


def test_both_loops_train_the_same_networks_and_take_their_steps() -> None:
    ours = ThreeDGANGenerator(shapes.LATENT, 16, 4), ThreeDGANDiscriminator(16, 4)
    for mine, plain in zip(ours, shapes.plain_networks(16, 4), strict=True):
        assert sum(p.numel() for p in mine.parameters()) == sum(p.numel() for p in plain.parameters())
    batch = VoxelBatch(torch.rand(4, 1, 16, 16, 16).sign())
    assert shapes.plain(16, 4, batch, 1) > 0
    assert shapes.library(16, 4, batch, 2, channels_last=True) > 0
