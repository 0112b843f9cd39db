"""Models that make pictures from label maps, judged at several sizes."""

from typing import Any

import torch
from torch import Tensor, nn

from gan_lightning.data.batches import PairedBatch, first
from gan_lightning.data.description import DataDescription
from gan_lightning.data.labels import colour_of
from gan_lightning.draws import ImageDraws
from gan_lightning.families.translation import PairedTranslation, side_by_side
from gan_lightning.inference import LabelTranslator
from gan_lightning.layers.labels import LabelPlanes, levels_of
from gan_lightning.losses import PerceptualLoss, layer_matching
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.ranges import NonNegativeFloat
from gan_lightning.training.adversarial import Terms


class LabelTranslation(PairedTranslation):
    """A generator from label maps to pictures, against a discriminator whose layers are matched.

    Sources are label maps as `datamodules.LabelFolder` serves them (see `LabelPlanes`). The data's labels are kept in
    the generator, so that it translates label files of the same kind.

    Args:
        generator: G, with `planes`, a `LabelPlanes` (as `Pix2PixHDGenerator` and `SPADEGenerator` have).
        discriminator: D, called with the planes and an image concatenated along channels; it returns features on
            request, layer by layer, if they are matched.
        lambda_layers: weight of the matching of D's layers (see `layer_matching`). 0 turns it off.
        perceptual: a perceptual loss between G(s) and x. None = no such term.
        lambda_perceptual: weight of the perceptual loss.
        base: the other arguments of `AdversarialModule`.

    Raises:
        TypeError: the generator has no planes.
    """

    generator: Any

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        lambda_layers: NonNegativeFloat = 10.0,
        perceptual: PerceptualLoss | None = None,
        lambda_perceptual: NonNegativeFloat = 10.0,
        **base: Any,
    ) -> None:
        super().__init__(generator, discriminator, **base)
        if not isinstance(getattr(generator, "planes", None), LabelPlanes):
            raise TypeError(
                f"{type(self).__name__} makes pictures of label maps, and {type(generator).__name__} has no `planes` "
                "that take them: choose Pix2PixHDGenerator or SPADEGenerator, or give it a LabelPlanes of this name"
            )
        self.lambda_layers, self.lambda_perceptual = lambda_layers, lambda_perceptual
        self.perceptual = perceptual

    @property
    def translator(self) -> LabelTranslator:
        """A translator of label maps."""
        return LabelTranslator(self.averaged_generator)

    def verdict(self, batch: PairedBatch, images: Tensor, **asked: Any) -> DiscriminatorOutput:
        """Return D's output for the planes of the label maps beside images."""
        planes = self.generator.planes(batch.source).to(images.dtype)
        return self.discriminate(images, beside=planes, **asked)

    def generator_loss(self, batch: PairedBatch, fake: Any) -> Terms:
        """Let D take G(s) for real, with layers, and features of another network, like those of x."""
        images = self.fake_images(fake)
        verdict = self.verdict(batch, images, with_features=bool(self.lambda_layers))
        real = lambda: self.verdict(batch, batch.target)  # noqa: E731
        terms = {"adversarial": self.generator_adversarial_loss(verdict, real)}
        if self.lambda_layers:
            with torch.no_grad():
                layers = self.verdict(batch, batch.target, with_features=True, with_logits=False).features
            terms["layer_matching"] = self.lambda_layers * layer_matching(layers, verdict.features)
        if self.perceptual is not None and self.lambda_perceptual:
            terms["perceptual"] = self.lambda_perceptual * self.perceptual(images, batch.target)
        return terms

    def on_fit_start(self) -> None:
        """Load the perceptual loss's network, so that a missing one is an error before the first step."""
        super().on_fit_start()
        if self.perceptual is not None and self.lambda_perceptual:
            self.perceptual.load()

    def check_data(self, data: DataDescription) -> None:
        """Check the number of classes; then keep the data's labels, for label files to come."""
        super().check_data(data)
        if data.num_classes is not None and data.num_classes != self.generator.planes.num_classes:
            raise ValueError(
                f"the data's label maps have {data.num_classes} classes, and the generator of {type(self).__name__} "
                f"knows {self.generator.planes.num_classes}: set its num_classes to {data.num_classes} (which counts "
                "void), and the discriminator's in_channels to match"
            )
        if data.labels:
            generators: tuple[Any, Any] = self.generator, self.averaged_generator
            for network in generators:
                network.planes.table = data.labels

    def preview(self, batch: PairedBatch, count: int) -> tuple[Tensor, int]:
        """Return rows of label map | fake | picture.

        With styles there are two fakes, in different styles; where an example gives the style, a third has that of the
        picture itself.
        """
        shown, translator = first(batch, count), self.translator
        made = []
        for seed in range(2 if translator.style_dim else 1):
            with ImageDraws(seed, range(len(shown.source))):
                made.append(self.generate(shown))
        if translator.takes_example:
            made.append(translator.apply(shown.source, translator.encode(shown.target)))
        columns = self.coloured(shown.source), *made, self.reference(shown)
        return side_by_side(*map(self.render, columns)), len(columns)

    def coloured(self, maps: Tensor) -> Tensor:
        """Convert label maps (N, 1 or 3, H, W) to pictures float (N, 3, H, W), in the palette's colours if it has some.

        Grey levels of classes are spread over the range from black to white.
        """
        planes: LabelPlanes = self.generator.planes
        count = planes.num_classes
        colours = torch.linspace(0, 255, count)[:, None].repeat(1, 3)
        for code, number in reversed(planes.table.items()):  # of several labels of void, the first
            if (colour := colour_of(code)) is not None:
                colours[number] = torch.tensor(colour, dtype=colours.dtype)
        colours = (colours / 127.5 - 1).to(maps.device)
        return colours[levels_of(maps[:, 0]).clamp(0, count - 1)].movedim(3, 1)
