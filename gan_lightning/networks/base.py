"""Base classes of generators and translators; those of discriminators are in `gan_lightning.networks.discriminator`.

A network of your own may derive from these, or have the same attributes.
"""

from gan_lightning.recording import Network


class Generator(Network):
    """Maps latents (N, latent_dim), and labels int64 (N,) if it takes any, to images (N, C, H, W) in [-1, 1].

    A constructor sets `latent_dim`, and `num_classes` unless it is 0. A generator with a space of styles w between
    latents and images also has `mapping(z, *labels)` and `synthesis(w)` (see `gan_lightning.inference.LatentSampler`),
    and `num_styles` if its layers can have different ones.
    """

    latent_dim: int
    """Number of components of a latent vector."""
    num_classes: int = 0
    """Number of classes to condition on. 0 = the generator takes no labels."""


class TranslationNetwork(Network):
    """Maps images (N, in_channels, H, W) in [-1, 1] to others, of `scale` times their height and width.

    A network with a choice is called with a code too, `network(images, code)`: of a target (see
    `gan_lightning.inference.DomainTranslator`), or of a style (see `StyleTranslator`).
    """

    in_channels: int
    """Number of channels of the input."""
    multiple: int = 1
    """Height and width of the input must be multiples of this number, in pixels."""
    minimum: int = 1
    """The smallest height and width of the input, in pixels."""
    scale: int = 1
    """Ratio of the sides of the output to those of the input."""
    style_dim: int = 0
    """Number of components of the styles that the network takes as a second argument (N, style_dim).

    0 = it takes none that can be drawn.

    If it has a method `encode_style(examples)`, images give styles too."""
    classes: int = 0
    """Number of classes of the maps that the network makes. 0 = it makes images."""
