"""Kinds of batches, which a datamodule gives to a model.

A batch is a NamedTuple of tensors with N rows each. Its class states for each field its role (`Role`), and which
fields show the same place (`View`). All operations on batches use only these statements, so that a new kind is one
class:

    class SegmentedBatch(NamedTuple):
        images: Annotated[Tensor, Role.IMAGE, View("scene")]
        classes: Annotated[Tensor, Role.CLASS_MAP, View("scene")]
        labels: Annotated[Tensor | None, Role.LABELS] = None
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, NamedTuple, Protocol, TypeAlias, TypeVar, get_type_hints, runtime_checkable

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor


class Role(Enum):
    """The content of a batch's field.

    Pictures (images, voxels, frames) are float in [-1, 1] when a model sees them: a datamodule converts integers on the
    device. Grids are pictures and class maps. Their last axes are height and width, which are cropped and mirrored.
    """

    IMAGE = "image"  # float (N, C, H, W)
    VOXELS = "voxels"  # float (N, C, D, H, W)
    FRAMES = "frames"  # float (N, C, T, H, W)
    CLASS_MAP = "class map"  # integer (N, H, W): the class, or the instance, of each pixel
    LABELS = "labels"  # int64 (N,): class indices, -1 where unknown
    ATTRIBUTES = "attributes"  # float (N, A) in {0, 1}
    CAPTION = "caption"  # float (N, E) embeddings or int64 (N, T) token ids
    LANDMARKS = "landmarks"  # float (N, K, 2): column and row of points; (0, 0) is the middle of the first pixel

    @property
    def is_picture(self) -> bool:
        """Whether the field holds images, voxels or frames."""
        return self in (Role.IMAGE, Role.VOXELS, Role.FRAMES)

    @property
    def is_grid(self) -> bool:
        """Whether the last axes are height and width."""
        return self.is_picture or self is Role.CLASS_MAP

    def fits(self, values: Tensor) -> bool:
        """Return whether values have the role's number of axes and kind of numbers; their range is not checked."""
        axes, floating = _FORMS[self]
        return values.dim() == axes and floating in (None, values.is_floating_point())


_FORMS: Mapping[Role, tuple[int, bool | None]] = {
    Role.IMAGE: (4, True),
    Role.VOXELS: (5, True),
    Role.FRAMES: (5, True),
    Role.CLASS_MAP: (3, False),
    Role.LABELS: (1, False),
    Role.ATTRIBUTES: (2, True),
    Role.CAPTION: (2, None),
    Role.LANDMARKS: (3, True),
}
_EXPECTED = {
    Role.IMAGE: "images, float (N, C, H, W)",
    Role.VOXELS: "voxels, float (N, C, D, H, W)",
    Role.FRAMES: "frames, float (N, C, T, H, W)",
    Role.CLASS_MAP: "a class of each pixel, int64 (N, H, W)",
    Role.LABELS: "class indices, int64 (N,)",
    Role.ATTRIBUTES: "attributes, float (N, A)",
    Role.CAPTION: "embeddings, float (N, E), or token ids, int64 (N, T)",
    Role.LANDMARKS: "points, float (N, K, 2)",
}


@dataclass(frozen=True)
class View:
    """A place that several fields of a batch show: they are cropped at the same position and mirrored together.

    Args:
        name: equal for fields that show the same place. A field without a view has one of its own.
    """

    name: str


class Field(NamedTuple):
    """The statements of a batch class about one field."""

    roles: tuple[Role, ...]  # one role; or both, if a field holds either labels or attributes
    view: str

    @property
    def role(self) -> Role:
        """The first of the roles."""
        return self.roles[0]


class ImageBatch(NamedTuple):
    """Images, and their labels (or attributes) if the data set has any."""

    images: Annotated[Tensor, Role.IMAGE]
    labels: Annotated[Tensor | None, Role.LABELS, Role.ATTRIBUTES] = None


class PairedBatch(NamedTuple):
    """A source image and its target, aligned; in super-resolution the target is the larger one."""

    source: Annotated[Tensor, Role.IMAGE, View("pair")]
    target: Annotated[Tensor, Role.IMAGE, View("pair")]


class UnpairedBatch(NamedTuple):
    """An image of domain A and an unrelated image of domain B."""

    real_a: Annotated[Tensor, Role.IMAGE]
    real_b: Annotated[Tensor, Role.IMAGE]


class DomainsBatch(NamedTuple):
    """Images of several domains, the domain of each, and the picture of the same thing in every domain if known."""

    images: Annotated[Tensor, Role.IMAGE, View("thing")]
    labels: Annotated[Tensor, Role.LABELS]
    truths: Annotated[Tensor | None, Role.FRAMES, View("thing")] = None  # (N, C, domains, H, W); None in training


class CartoonBatch(NamedTuple):
    """A photograph, an unrelated cartoon, and another cartoon whose edges are smoothed."""

    real_a: Annotated[Tensor, Role.IMAGE]
    real_b: Annotated[Tensor, Role.IMAGE]
    smoothed: Annotated[Tensor, Role.IMAGE]


class CaptionedBatch(NamedTuple):
    """An image and the embedding or the token ids of its caption.

    And those of a caption that is wrong for it, and its class, if they are known.
    """

    images: Annotated[Tensor, Role.IMAGE]
    captions: Annotated[Tensor, Role.CAPTION]
    wrong: Annotated[Tensor | None, Role.CAPTION] = None  # of an image of another class, or of another image
    labels: Annotated[Tensor | None, Role.LABELS] = None


class DomainBatch(NamedTuple):
    """A labelled image of the source domain and an unrelated one of the target domain."""

    source: Annotated[Tensor, Role.IMAGE]
    source_labels: Annotated[Tensor, Role.LABELS]
    target: Annotated[Tensor, Role.IMAGE]
    target_labels: Annotated[Tensor | None, Role.LABELS] = None  # None in training, which must not use them


class VoxelBatch(NamedTuple):
    """Shapes as occupancy: -1 is empty, 1 is occupied; and their labels if the data set has any."""

    voxels: Annotated[Tensor, Role.VOXELS]
    labels: Annotated[Tensor | None, Role.LABELS, Role.ATTRIBUTES] = None


class DepictedBatch(NamedTuple):
    """A picture of a thing, its shape as occupancy (-1 is empty, 1 is occupied), and its label if there is any."""

    images: Annotated[Tensor, Role.IMAGE]
    voxels: Annotated[Tensor, Role.VOXELS]
    labels: Annotated[Tensor | None, Role.LABELS, Role.ATTRIBUTES] = None


class FramesBatch(NamedTuple):
    """A frame of a person with its landmark picture, and K other frames of the same person with theirs."""

    target: Annotated[Tensor, Role.IMAGE, View("face")]
    landmarks: Annotated[Tensor, Role.IMAGE, View("face")]  # of the target
    examples: Annotated[Tensor, Role.FRAMES, View("face")]  # (N, C, K, H, W)
    example_landmarks: Annotated[Tensor, Role.FRAMES, View("face")]
    people: Annotated[Tensor, Role.LABELS]  # number of the person among those trained on, -1 for others


Batch: TypeAlias = tuple[Any, ...]
"""Any of these kinds, or a class of your own that states its roles."""

AnyBatch = TypeVar("AnyBatch", bound=Batch)
Tree = TypeVar("Tree")


@cache
def fields_of(batch_type: type[Batch]) -> Mapping[str, Field]:
    """Return the statements of a batch class about its fields, by their names, in their order.

    Raises:
        TypeError: a field has no role, or landmarks share no view with an image.
    """
    fields = {}
    for name, hint in get_type_hints(batch_type, include_extras=True).items():
        stated = getattr(hint, "__metadata__", ())
        roles = tuple(each for each in stated if isinstance(each, Role))
        if not roles:
            raise TypeError(
                f"{batch_type.__name__} does not state what its field {name} holds: annotate it with a role, such as "
                f"{name}: Annotated[Tensor, Role.IMAGE]"
            )
        fields[name] = Field(roles, next((each.name for each in stated if isinstance(each, View)), name))
    shown = {field.view for field in fields.values() if field.role.is_grid}
    for name, field in fields.items():
        if field.role is Role.LANDMARKS and field.view not in shown:
            raise TypeError(
                f"{batch_type.__name__} does not state in which image the landmarks {name} lie: annotate both with the "
                'same view, such as View("face")'
            )
    return fields


def states_roles(batch_type: Any) -> bool:
    """Return whether a type is a batch class with roles; the datamodules of other projects may use any type."""
    if not (isinstance(batch_type, type) and issubclass(batch_type, tuple) and hasattr(batch_type, "_fields")):
        return False
    try:
        return bool(fields_of(batch_type))
    except TypeError:
        return False


def has_pairs(batch_type: Any) -> bool:
    """Return whether several pictures or class maps of a batch show the same place, as a source and its target do."""
    if not states_roles(batch_type):
        return False
    views = [field.view for field in fields_of(batch_type).values() if field.role.is_grid]
    return len(set(views)) < len(views)


@runtime_checkable
class Fingerprinted(Protocol):
    """A loader whose content has a name, which changes with the images or their order.

    Evaluation keeps features of real images on disk under this name.
    """

    fingerprint: str


@runtime_checkable
class Ordered(Protocol):
    """A loader that states each batch's share of the data set: the index of its first item, and one past its last."""

    shares: Sequence[tuple[int, int]]


def item_numbers(loader: Any, batch_idx: int, count: int, before: int, rank: int, world_size: int) -> range:
    """Return the index in the whole set of each item of a batch, from 0, the same for any number of processes.

    Args:
        loader: the source of the batch. A loader that is not `Ordered` is assumed to deal out items in turn.
        batch_idx: number of the batch on this process.
        count: number of items in the batch.
        before: number of items that this process received before.
        rank: rank of this process.
        world_size: number of processes.
    """
    if isinstance(loader, Ordered):
        return range(*loader.shares[batch_idx])
    return range(before * world_size + rank, (before + count) * world_size + rank, world_size)


def batch_length(batch: Batch) -> int:
    """Return the number of items (images, pairs, ...) in a batch."""
    return len(batch[0])


def detach(tensors: Tree) -> Tree:
    """Return the same nested tensors, detached from their graph."""
    return apply_to_collection(tensors, Tensor, Tensor.detach)


def map_fields(batch: AnyBatch, function: Callable[[Field, Tensor], Tensor]) -> AnyBatch:
    """Return the batch with `function(field, values)` applied to each field that is present."""
    make: Any = type(batch)
    stated = fields_of(type(batch)).values()
    return make(*(v if v is None else function(field, v) for field, v in zip(stated, batch, strict=True)))


def map_pictures(batch: AnyBatch, function: Callable[[Tensor], Tensor]) -> AnyBatch:
    """Return the batch with `function` applied to its images, voxels and frames."""
    return map_fields(batch, lambda field, values: function(values) if field.role.is_picture else values)


def map_rows(batch: AnyBatch, function: Callable[[Tensor], Tensor]) -> AnyBatch:
    """Return the batch with `function` applied to all its tensors."""
    make: Any = type(batch)
    return make(*(None if values is None else function(values) for values in batch))


def first(batch: AnyBatch, count: int) -> AnyBatch:
    """Return the first `count` items of a batch."""
    return map_rows(batch, lambda values: values[:count])


def select(batch: AnyBatch, rows: Tensor) -> AnyBatch:
    """Return the items of a batch at `rows`, int64 (n,)."""
    return map_rows(batch, lambda values: values[rows])


def split(batch: AnyBatch, parts: int) -> list[AnyBatch]:
    """Return the batch as `parts` smaller batches of equal length, in order.

    Raises:
        ValueError: the length is not a multiple of `parts`.
    """
    if len(batch[0]) % parts:
        raise ValueError(f"a batch of {len(batch[0])} cannot be cut into {parts} equal parts: let accumulate divide it")
    if parts == 1:
        return [batch]
    fields: list[Any] = [[None] * parts if field is None else field.chunk(parts) for field in batch]
    make: Any = type(batch)
    return [make(*part) for part in zip(*fields, strict=True)]


def grids(batch: Batch) -> dict[str, Tensor]:
    """Return the pictures and class maps of a batch, by their fields' names."""
    stated = zip(fields_of(type(batch)).items(), batch, strict=True)
    return {name: values for (name, field), values in stated if field.role.is_grid and values is not None}


def class_labels(batch: Batch) -> Tensor | None:
    """Return the class labels of a batch, int64 (N,), or None if it has none, has attributes, or has several labels."""
    stated = zip(fields_of(type(batch)).values(), batch, strict=True)
    found = [values for field, values in stated if Role.LABELS in field.roles]
    return found[0] if len(found) == 1 and found[0] is not None and Role.LABELS.fits(found[0]) else None


def caption_codes(batch: Batch) -> Tensor | None:
    """Return the codes of the captions of a batch, (N, ...), or None if it has none."""
    stated = zip(fields_of(type(batch)).values(), batch, strict=True)
    return next((values for field, values in stated if Role.CAPTION in field.roles), None)


def check_fields(batch: Batch, reader: str) -> None:
    """Check a batch against the statements of its class.

    Args:
        batch: the batch as a model sees it.
        reader: name of the model, for an error.

    Raises:
        ValueError: a field has the wrong axes, numbers or range for its role, or fields differ in length.
    """
    for (name, field), values in zip(fields_of(type(batch)).items(), batch, strict=True):
        if values is None:
            continue
        if field.role.is_picture and (not values.is_floating_point() or values.abs().max() > 1):
            kind = "images" if field.role is Role.IMAGE else field.role.value
            raise ValueError(
                f"{reader} takes float {kind} in [-1, 1], but the data serve {values.dtype} in [{values.min()}, "
                f"{values.max()}]: convert them with gan_lightning.data.images.to_float"
            )
        if not any(role.fits(values) for role in field.roles):
            expected = ", or ".join(_EXPECTED[role] for role in field.roles)
            raise ValueError(
                f"{name} must be {expected}, but the data serve {reader} {values.dtype} of shape {tuple(values.shape)}"
                f": fix the output of the datamodule, or the role that {type(batch).__name__} states"
            )
        if len(values) != batch_length(batch):
            raise ValueError(
                f"the data serve {reader} a {type(batch).__name__} with {batch_length(batch)} items, of which {name} "
                f"has {len(values)}: give each item exactly one"
            )


# ---------------------------------------------------------------------- cutting and mirroring


class Place(Protocol):
    """A position in each picture of a batch, from which a smaller picture is cut."""

    def cut(self, grid: Tensor) -> Tensor:
        """Cut grids (N, ..., H, W) to (N, ..., h, w)."""
        ...

    def move(self, points: Tensor) -> Tensor:
        """Convert points, float (N, K, 2) as column and row, from coordinates of whole grids to those of the cut."""
        ...


class Middle(NamedTuple):
    """The middle of all pictures, not mirrored."""

    top: int
    left: int
    size: tuple[int, int]  # height and width

    def cut(self, grid: Tensor) -> Tensor:
        """Cut grids (N, ..., H, W) to their middles (N, ..., *size), without a copy."""
        return grid[..., self.top : self.top + self.size[0], self.left : self.left + self.size[1]]

    def move(self, points: Tensor) -> Tensor:
        """Convert points, float (N, K, 2), to coordinates from the middle's corner."""
        return points - points.new_tensor([self.left, self.top])


class Window(NamedTuple):
    """A position for each picture separately, and whether the cut is mirrored left to right."""

    top: Tensor  # int64 (N, 1)
    left: Tensor  # int64 (N, 1)
    mirrored: Tensor  # bool (N, 1)
    size: tuple[int, int]  # height and width

    def cut(self, grid: Tensor) -> Tensor:
        """Cut grids (N, ..., H, W) to their windows (N, ..., *size)."""
        if grid.dtype == torch.uint16:  # few kernels support it: use the same bits as int16
            return self.cut(grid.view(torch.int16)).view(torch.uint16)
        height, width = self.size
        count, depth = len(grid), math.prod(grid.shape[1:-2])
        along = torch.arange(width, device=grid.device)
        columns = self.left + torch.where(self.mirrored, along.flip(0), along)  # (N, w)
        # whole rows first, then columns: a look-up of each pixel at once is several times as slow
        rows = self.top + torch.arange(height, device=grid.device)  # (N, h)
        planes = torch.arange(count * depth, device=grid.device).view(count, depth, 1)
        lines = grid.flatten(0, -2).index_select(0, (planes * grid.shape[-2] + rows[:, None]).flatten())  # (N·D·h, W)
        lines = lines.view(count, depth, height, -1)
        found = lines.gather(3, columns[:, None, None, :].expand(count, depth, height, width))
        return found.view(*grid.shape[:-2], height, width)

    def move(self, points: Tensor) -> Tensor:
        """Convert points, float (N, K, 2), to coordinates from the window's corner; mirroring keeps their order."""
        column, row = points[..., 0] - self.left, points[..., 1] - self.top
        return torch.stack([torch.where(self.mirrored, self.size[1] - 1 - column, column), row], dim=-1)


def view_sizes(batch: Batch) -> dict[str, tuple[int, int]]:
    """Return height and width of each view of a batch, in the order of the fields.

    Raises:
        ValueError: fields of one view have several sizes, so that they cannot be cropped together.
    """
    sizes: dict[str, tuple[int, int]] = {}
    for name, values in grids(batch).items():
        field = fields_of(type(batch))[name]
        size = values.shape[-2], values.shape[-1]
        if sizes.setdefault(field.view, size) != size:
            raise ValueError(
                f"{name} of a {type(batch).__name__} has {size[0]}x{size[1]} pixels (height x width), but its aligned "
                f"field has {'x'.join(map(str, sizes[field.view]))}: make them equally large, or crop them in the "
                "datamodule's own on_after_batch_transfer"
            )
    return sizes


def crop(batch: AnyBatch, place: Callable[[tuple[int, int]], Place]) -> AnyBatch:
    """Return a smaller part of every picture and class map, with moved landmarks; other fields stay unchanged.

    Landmarks may lie outside of the part.

    Args:
        batch: a batch of N rows.
        place: called once for each view, in the order of the fields, with its height and width; returns the position.
    """
    places = {view: place(size) for view, size in view_sizes(batch).items()}

    def cut(field: Field, values: Tensor) -> Tensor:
        if field.role.is_grid:
            return places[field.view].cut(values)
        return places[field.view].move(values) if field.role is Role.LANDMARKS else values

    return map_fields(batch, cut)
