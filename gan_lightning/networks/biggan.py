"""The networks of BigGAN.

Brock, Donahue, Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2018, arXiv 1809.11096,
appendix B, in the form of the first author's PyTorch code, with its widths for each size.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from gan_lightning.layers import ConditionalBatchNorm2d, ImageSize, check_labels, check_no_labels, pyramid
from gan_lightning.layers.conditioning import VectorBatchNorm2d
from gan_lightning.layers.initialisation import Start, start_weights
from gan_lightning.networks.attentive import AttentiveDiscriminator, AttentiveGenerator
from gan_lightning.networks.discriminator import HeadFactory
from gan_lightning.ranges import NonNegativeInt, PositiveInt

EPS = 1e-6  # of spectral norm, as in the authors' code


class BigGANGenerator(AttentiveGenerator):
    """Residual blocks whose norms see the class and a chunk of z, with attention and spectral norm.

    z is cut into equal chunks (hierarchical latents): the first makes the smallest map, and each block has another.
    Joined to an embedding of the class, which all blocks share, it gives the gains and biases of the block's norms. The
    embedding itself is not spectrally normalised.

    With 1000 classes, the defaults have the 70,433,988 parameters of BigGAN-128. With ten classes, latent_dim 128,
    image_size 32, width 64, no attention, shared_dim 0 and no hierarchy, it is the code's generator for CIFAR-10.

    NOTE: biases start at 0, and with shared_dim 0 the norms' gains at 1; the code starts them at random.

    Args:
        latent_dim: length of z; a multiple of the number of chunks (one more than the blocks) if z is hierarchical.
        image_size: height and width of an image, in pixels: one number, or a pair. The shorter side is from 16 to 1023,
            and both can be halved until it is 4 to 7.
        channels: channels of an image.
        width: channels of the last block for 128×128 ("ch" in the paper); those of the others are multiples.
        num_classes: number of classes to condition on; 0 = none.
        shared_dim: length of the shared embedding. 0 = each norm has an embedding of its own.
        hierarchical: whether z is cut into chunks; otherwise the first layer has all of z.
        attention: heights of the maps with attention, in pixels.
        init: start of the weights: "orthogonal" (the paper), "normal" (the code's for CIFAR-10) or "xavier".

    Raises:
        ValueError: latent_dim cannot be cut into the chunks; or chunks are to join embeddings that are not shared.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 120,
        image_size: ImageSize = 128,
        channels: PositiveInt = 3,
        width: PositiveInt = 96,
        num_classes: NonNegativeInt = 0,
        shared_dim: NonNegativeInt = 128,
        hierarchical: bool = True,
        attention: Sequence[PositiveInt] = (64,),
        init: Start = "orthogonal",
    ) -> None:
        chunks = len(pyramid(image_size)) if hierarchical else 1  # one for the smallest map and one for each block
        if latent_dim % chunks:
            less = latent_dim // chunks * chunks
            raise ValueError(
                f"latent_dim={latent_dim} cannot be cut into {chunks} equal chunks of z for image_size={image_size}: "
                f"make it {less or chunks} or {less + chunks}, or set hierarchical to false"
            )
        if hierarchical and num_classes and not shared_dim:
            raise ValueError(
                "chunks of z join the shared embedding of the class, and shared_dim is 0: set it to 128, or "
                "hierarchical to false"
            )
        chunk = latent_dim // chunks
        condition_dim = chunk * hierarchical + shared_dim * bool(num_classes)
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d
        if condition_dim:
            norm = partial(VectorBatchNorm2d, condition_dim=condition_dim)
        elif num_classes:
            norm = partial(ConditionalBatchNorm2d, num_classes=num_classes)
        super().__init__(chunk, image_size, channels, width, norm, attention, init, EPS)
        self.latent_dim, self.num_classes, self.chunk, self.hierarchical = latent_dim, num_classes, chunk, hierarchical
        self.embedding = nn.Embedding(num_classes, shared_dim) if num_classes and shared_dim else None
        if self.embedding is not None:
            start_weights(self.embedding, init)

    def conditions(self, z: Tensor, labels: Tensor | None) -> tuple[Tensor, Sequence[Sequence[Tensor]]]:
        """Return the first chunk of z, and for each block a vector of its chunk and the class (or the labels)."""
        count = len(self.blocks)
        first, *chunks = z.split(self.chunk, dim=1)
        if not self.num_classes:
            check_no_labels(labels)
            return first, [[chunk] for chunk in chunks] or [[]] * count
        labels = check_labels(labels, self.num_classes)
        if self.embedding is None:
            return first, [[labels]] * count
        embedded = self.embedding(labels)
        return first, [[torch.cat([embedded, chunk], dim=1)] for chunk in chunks] or [[embedded]] * count


class BigGANDiscriminator(AttentiveDiscriminator):
    """Residual blocks as wide inside as at their ends, attention, spectral norm, and a projection on the class.

    With 1000 classes, the defaults have the 87,982,370 parameters of BigGAN-128.

    Args:
        image_size: height and width of an image, in pixels: one number, or a pair; see `BigGANGenerator`.
        channels: channels of an image.
        width: channels of the first block for 128×128 ("ch" in the paper); those of the others are multiples.
        num_classes: number of classes to condition on, by projection; 0 = none.
        attention: heights of the maps with attention, in pixels.
        init: start of the weights: "orthogonal" (the paper), "normal" (the code's for CIFAR-10) or "xavier".
        head: makes a module from features to a logit. None = linear, spectrally normalised.
    """

    def __init__(
        self,
        image_size: ImageSize = 128,
        channels: PositiveInt = 3,
        width: PositiveInt = 96,
        num_classes: NonNegativeInt = 0,
        attention: Sequence[PositiveInt] = (64,),
        init: Start = "orthogonal",
        head: HeadFactory | None = None,
    ) -> None:
        super().__init__(image_size, channels, width, num_classes, attention, head, init, EPS)
