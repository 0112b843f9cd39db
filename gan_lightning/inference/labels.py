"""Translation of label maps."""

from typing import Any

import torch
from torch import Tensor

from gan_lightning.data.labels import classes_of
from gan_lightning.inference.choices import StyleTranslator
from gan_lightning.inference.translation import UntranslatableImageError


class LabelTranslator(StyleTranslator):
    """Translates label maps to images, in a style if the network takes one.

    Its networks have `planes`, a `gan_lightning.layers.labels.LabelPlanes` whose table says which grey level or which
    colour of a file stands for which class.
    """

    def read(self, stored: Tensor, direction: str | None = None) -> Tensor:
        """Convert a label map from a file to the form that networks take: class c as the grey level c of 8 bits.

        A file has grey levels, or the colours of the palette. For a network with boundaries whose labels are grey
        levels, it may also be RGB: the label in red, and the high and the low byte of the instance's number in green
        and blue.

        Args:
            stored: uint8 or uint16 (C, H, W), C from 1 to 4.
            direction: one of the `directions`. None = the first.

        Returns:
            The same dtype, of 1 channel, or of 3 with instances; alpha is kept as a further channel.

        Raises:
            UntranslatableImageError: a label belongs to no class. The message names no file.
        """
        network: Any = self.network(direction)
        channels, values = len(stored), stored.permute(1, 2, 0).numpy()
        table = network.planes.table
        has_instances = channels > 2 and network.planes.boundaries and max(table) < 256
        kept = [stored[1:3]] if has_instances else []
        try:
            classes = torch.from_numpy(classes_of(values[..., :1] if has_instances else values, table))[None]
        except ValueError as error:
            raise UntranslatableImageError(str(error)) from None
        if stored.dtype == torch.uint16:
            classes = (classes.int() * 257).to(torch.uint16)
        return torch.cat([classes, *kept, *([stored[-1:]] if channels in (2, 4) else [])])
