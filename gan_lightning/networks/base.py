"""What generators and translators say of themselves; discriminators do in `gan_lightning.networks.discriminator`.

A network of your own may derive from these, or have the same attributes.
"""

from gan_lightning.recording import Network


class Generator(Network):
    """From latents (N, latent_dim), and labels int64 (N,) where it takes any, to images (N, C, H, W) in [-1, 1].

    A constructor sets `latent_dim`, and `num_classes` where it is not 0. One with a space of styles w between latents
    and images also has `mapping(z, *labels)` and `synthesis(w)` (see `gan_lightning.inference.LatentSampler`).
    """

    latent_dim: int
    """Components of a latent vector."""
    num_classes: int = 0
    """Classes to condition on. 0 = it takes no labels."""


class TranslationNetwork(Network):
    """From images (N, in_channels, H, W) in [-1, 1] to others, of `scale` times their height and width."""

    in_channels: int
    """Channels that it takes."""
    multiple: int = 1
    """What height and width must be multiples of, in pixels."""
    minimum: int = 1
    """The smallest height and width, in pixels."""
    scale: int = 1
    """How often a side goes into that of the translation."""
    classes: int = 0
    """Classes of the maps that it makes. 0 = it makes images."""
