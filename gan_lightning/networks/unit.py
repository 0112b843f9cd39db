"""The generator of UNIT, whose latent space two domains share.

Liu, Breuel, Kautz, "Unsupervised Image-to-Image Translation Networks", 2017, arXiv 1703.00848, section 3, and the
authors' code.
"""

from torch import Tensor, nn

from gan_lightning.layers import check_sides
from gan_lightning.layers.initialisation import initialise
from gan_lightning.networks.base import TranslationNetwork
from gan_lightning.networks.cyclegan import ResidualBlock
from gan_lightning.networks.munit import contraction, expansion
from gan_lightning.ranges import NonNegativeInt, PositiveInt


class UNITGenerator(TranslationNetwork):
    """Translates from one domain to another: the encoder E_1 of the first, and the generator G_2 of the second.

    Two of them, one for each direction, hold the auto-encoders of both domains; `share_with` lets them have the last
    blocks of the encoders, and the first of the generators, in common. Codes are maps of 4 · width channels at a
    quarter of the size.

    The defaults have the 11,140,483 parameters that the authors' code has for a domain. Any height and width that are
    multiples of 4, from 8 up.

    NOTE: layers are those of the authors' later code, which shares none: ReLU, layer norm in the expansion, no dropout.

    Args:
        in_channels: channels of the first domain's images.
        out_channels: channels of the second domain's images.
        width: channels at full size; doubled at half of it and again at a quarter.
        blocks: number of residual blocks in the encoder, and in the generator.
        shared: number of these blocks, of each, that both directions have in common. 0 = the domains share none.
    """

    multiple = 4
    minimum = 8

    def __init__(
        self,
        in_channels: PositiveInt = 3,
        out_channels: PositiveInt = 3,
        width: PositiveInt = 64,
        blocks: PositiveInt = 4,
        shared: NonNegativeInt = 1,
    ) -> None:
        super().__init__()
        if shared > blocks:
            raise ValueError(f"a network of {blocks} residual blocks cannot share {shared} of them: set shared lower")
        self.in_channels = in_channels
        private, common = ([ResidualBlock(4 * width) for _ in range(2 * count)] for count in (blocks - shared, shared))
        self.encoder = nn.Sequential(*contraction(in_channels, width), *private[: blocks - shared])
        self.shared_encoder = nn.Sequential(*common[:shared])
        self.shared_decoder = nn.Sequential(*common[shared:])
        self.decoder = nn.Sequential(*private[blocks - shared :], *expansion(width, out_channels))
        initialise(self, "kaiming")

    def share_with(self, other: "UNITGenerator") -> None:
        """Replace the shared blocks of another network by these.

        Raises:
            ValueError: the blocks differ in number or width.
        """
        for name in ("shared_encoder", "shared_decoder"):
            own, theirs = getattr(self, name), getattr(other, name)
            if str(own) != str(theirs):
                raise ValueError(
                    "both directions share residual blocks, and theirs differ in number or width: give both networks "
                    "the same `width` and `shared`"
                )
            setattr(other, name, own)

    def encode(self, images: Tensor) -> Tensor:
        """Map images of the first domain (N, C, H, W) in [-1, 1] to the means of their codes (N, 4 · width, h, w)."""
        check_sides(images, self.in_channels, minimum=self.minimum, multiple=self.multiple)
        return self.shared_encoder(self.encoder(images))

    def decode(self, codes: Tensor) -> Tensor:
        """Map codes (N, 4 · width, h, w) to images of the second domain (N, C, 4 · h, 4 · w) in [-1, 1]."""
        return self.decoder(self.shared_decoder(codes))

    def forward(self, images: Tensor) -> Tensor:
        """Map images of the first domain (N, C, H, W) in [-1, 1] to images of the second, by the means of codes."""
        return self.decode(self.encode(images))
