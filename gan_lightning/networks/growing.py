"""The base of the networks of a growing model (Karras et al. 2017, arXiv 1710.10196)."""

from gan_lightning.data.growth import Growth
from gan_lightning.recording import Network


class Growing(Network):
    """A network that computes up to one of its levels, the newest of which may be fading in.

    Training sets level and alpha from the images seen: no checkpoint stores them. A network on its own is fully grown.

    Args:
        growth: the growth of the model.

    Attributes:
        level: the newest active level: 0 is the start size, and each further one doubles it.
        alpha: the share of that level, from 0 to 1; the rest is the level before, enlarged.
    """

    def __init__(self, growth: Growth) -> None:
        super().__init__()
        self.growth = growth
        self.level, self.alpha = growth.levels, 1.0
