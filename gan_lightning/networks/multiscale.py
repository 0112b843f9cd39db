"""Discriminators of several sizes of the same image.

Wang, Liu, Zhu, Tao, Kautz, Catanzaro, "High-Resolution Image Synthesis and Semantic Manipulation with Conditional
GANs", 2017, arXiv 1711.11585, section 3.2 and the authors' code.
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from gan_lightning.layers import check_sides
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.networks.patchgan import PatchGAN
from gan_lightning.ranges import PositiveInt
from gan_lightning.recording import Network

DiscriminatorFactory = Callable[[], nn.Module]
"""Makes a discriminator of images of any size; also called with `width`, if that is given for its scale."""


class MultiScale(Network):
    """A discriminator for the image, one for the image at half its size, one at a quarter, ...

    Each has weights of its own. Sizes are halved by the mean of 3×3 pixels, those beyond the border left out.
    With pix2pixHD's `PatchGAN` (39 channels, norm "instance", padding 2) two scales have 5,603,202 parameters, three
    have 8,404,803.

    Args:
        discriminator: makes the discriminator of a scale. It must take images of any size, and return features if
            requested (as `PatchGAN`) where a model matches features.
        scales: number of sizes, from the whole image down.
        widths: the argument `width` of each scale's discriminator, from the whole image down. None = its default.

    Raises:
        ValueError: there are more or fewer widths than scales.
    """

    def __init__(
        self,
        discriminator: DiscriminatorFactory = PatchGAN,
        scales: PositiveInt = 3,
        widths: Sequence[PositiveInt] | None = None,
    ) -> None:
        super().__init__()
        if widths is not None and len(widths) != scales:
            raise ValueError(f"widths={list(widths)} are not one number for each of {scales} scales: give {scales}")
        each = [{}] * scales if widths is None else [{"width": width} for width in widths]
        self.scales = nn.ModuleList([discriminator(**how) for how in each])
        self.in_channels: int | None = getattr(self.scales[0], "in_channels", None)
        # a side of n pixels is halved to (n + 1) // 2
        self.minimum = max((getattr(d, "minimum", 1) - 1) * 2**scale + 1 for scale, d in enumerate(self.scales))

    def forward(
        self, images: Tensor, *conditions: Tensor, with_features: bool = False, with_logits: bool = True
    ) -> DiscriminatorOutput:
        """Map images (N, C, H, W) in [-1, 1], and each discriminator's other inputs, to logits of each scale.

        With features, the output also has the features of each scale, layer by layer; without logits, only those.
        """
        if self.in_channels is not None:
            check_sides(images, self.in_channels, minimum=self.minimum)
        asked = {"with_features": True, "with_logits": with_logits} if with_features else {}
        outputs = []
        for scale, discriminator in enumerate(self.scales):
            if scale:
                images = avg_pool2d(images, 3, stride=2, padding=1, count_include_pad=False)
            outputs.append(DiscriminatorOutput.of(discriminator(images, *conditions, **asked)))
        return DiscriminatorOutput(
            [logits for output in outputs for logits in output.logits],
            [layers for output in outputs for layers in output.features],
        )
