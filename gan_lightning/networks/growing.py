"""The base of the networks of a growing model (Karras et al. 2017, arXiv 1710.10196)."""

from collections.abc import Sequence

from torch import nn

from gan_lightning.recording import Network


class Growing(Network):
    """A network that computes up to one of its levels, the newest of which may be fading in.

    Training sets level and alpha from the images seen: no checkpoint stores them. A network on its own is fully grown.

    Args:
        sizes: heights and widths that the network knows, in ascending order: each doubles the one before. A growth may
            start at any of them, and must end at the last.

    Attributes:
        level: the newest active level: 0 is the smallest size, and each further one doubles it.
        alpha: the share of that level, from 0 to 1; the rest is the level before, enlarged.
    """

    def __init__(self, sizes: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.sizes = [*sizes]
        self.level, self.alpha = len(self.sizes) - 1, 1.0

    @property
    def behind(self) -> int:
        """How many times the size has still to double."""
        return len(self.sizes) - 1 - self.level


def resolution(network: nn.Module) -> str | None:
    """Return the size that a network with a growing part has reached, in words; None = no part of it grows."""
    for part in network.modules():
        if isinstance(part, Growing):
            fading = f", whose share is {part.alpha:.3g}" if part.alpha < 1 else ""
            return "{}x{}".format(*part.sizes[part.level]) + fading
    return None
