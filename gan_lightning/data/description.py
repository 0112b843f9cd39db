"""A datamodule's description of its data as a whole, which a model checks before the first step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from gan_lightning.data.batches import Batch
from gan_lightning.data.texts import TextDescription


@dataclass(frozen=True)
class DataDescription:
    """A description of a whole data set, of which one batch shows a part.

    Args:
        batch_type: the kind of its batches, which states their fields.
        count: number of items that are served at this stage: the training set in a fit, else the reference set.
        num_classes: number of classes of the labels or class maps, whether or not all occur. None = there are none.
        shapes: shape of one item of each field as a model sees it: (C, H, W) of an image, () of a label.
        class_names: names of the classes in the order of their numbers, or of the attributes in theirs. Empty = they
            are not known.
        labels: the class of each grey level or colour in label files, by its code (see
            `gan_lightning.data.labels.LabelCodes`). Empty = there are no label maps.
        text: the coder of the captions, and some of them. None = there are none, or it is not known.
    """

    batch_type: type[Batch]
    count: int
    num_classes: int | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    labels: Mapping[int, int] = field(default_factory=dict)
    text: TextDescription | None = None


@runtime_checkable
class Described(Protocol):
    """A datamodule that describes its data."""

    def describe(self) -> DataDescription:
        """Return the description of the data at this stage. Call it after `setup`."""
        ...
