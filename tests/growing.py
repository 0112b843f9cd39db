"""A toy that grows: the smallest networks with a fade, and their game."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from gan_lightning.data.batches import ImageBatch
from gan_lightning.data.growth import Growth
from gan_lightning.families import NoiseToImage
from gan_lightning.layers.fading import enlarged, faded, shrunk
from gan_lightning.losses import NonSaturating
from gan_lightning.networks.growing import Growing

GROWTH: dict[str, Any] = {
    "start_size": 4,
    "final_size": 16,
    "batch_sizes": {4: 6, 8: 4, 16: 2},
    "fade_images": 10,
    "stable_images": 6,
}
"""The toy's."""


class GrowingGenerator(Growing):
    """Grey images of the final size, in which each pixel of a smaller size is repeated; a layer of noise a level."""

    def __init__(self, growth: Growth, width: int = 2) -> None:
        super().__init__(growth.sizes)
        self.start_size = growth.start_size
        self.latent_dim, self.num_classes, self.width = 3, 0, width
        self.start = nn.Linear(self.latent_dim, width * math.prod(growth.start_size))
        self.layers = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in growth.sizes)
        self.to_image = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in growth.sizes)

    def forward(self, z: Tensor) -> Tensor:
        """Images (N, 1, H, W) in [-1, 1]."""
        x = self.layers[0](self.start(z).view(-1, self.width, *self.start_size)).relu()
        before = image = self.to_image[0](x)
        for level in range(1, self.level + 1):
            x = enlarged(x)
            x = self.layers[level](x + 0.1 * torch.randn_like(x)).relu()
            before, image = image, self.to_image[level](x)
        if self.alpha < 1:
            image = faded(enlarged(before), image, self.alpha)
        return enlarged(image.tanh(), 2**self.behind)


class GrowingDiscriminator(Growing):
    """Looks at images of the final size as far as the size that it has reached."""

    def __init__(self, growth: Growth, width: int = 2) -> None:
        super().__init__(growth.sizes)
        self.from_image = nn.ModuleList(nn.Conv2d(1, width, 1) for _ in growth.sizes)
        self.layers = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in growth.sizes)
        self.end = nn.Linear(width * math.prod(growth.start_size), 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N,)."""
        images = shrunk(images, self.behind)
        x = self.from_image[self.level](images).relu()
        for level in range(self.level, 0, -1):
            x = shrunk(self.layers[level](x).relu())
            if level == self.level and self.alpha < 1:
                x = faded(self.from_image[level - 1](shrunk(images)).relu(), x, self.alpha)
        return self.end(self.layers[0](x).relu().flatten(1)).flatten()


class GrowingGAN(NoiseToImage):
    """The simplest game that grows."""

    def __init__(self, growth: Growth, **base: Any) -> None:
        super().__init__(GrowingGenerator(growth), discriminator=GrowingDiscriminator(growth), **base)
        self.growth: Growth = growth
        self.loss = NonSaturating()
        self.played: list[tuple[int, Any, float, int]] = []  # images seen before each batch; size, alpha; images in it

    def training_step(self, batch: ImageBatch, batch_idx: int) -> None:
        """Note the size and alpha of the batch."""
        seen, size = self.images_seen, self.growth.size(self.images_seen)
        self.played.append((seen, size, self.growth.alpha(seen), len(batch.images) * self.trainer.world_size))
        super().training_step(batch, batch_idx)
