"""What a datamodule says of its data as a whole, which a model holds against itself before the first step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from gan_lightning.data.batches import Batch


@dataclass(frozen=True)
class DataDescription:
    """A whole data set, of which one batch shows a part.

    Args:
        batch_type: the kind of its batches, which states what their fields hold.
        count: items in the set that is served at this stage: of training in a fit, else of the reference set.
        num_classes: of class labels, or of the classes of its class maps, whether all occur or not. None = it has none.
        shapes: shape of one item of each field as a model sees it: (C, H, W) of an image, () of a label.
    """

    batch_type: type[Batch]
    count: int
    num_classes: int | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@runtime_checkable
class Described(Protocol):
    """A datamodule that says what its data are."""

    def describe(self) -> DataDescription:
        """What it serves at this stage, once it is set up."""
        ...
