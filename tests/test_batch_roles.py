"""New kinds of batches: each is one class here, and works with all functions of batches and with a model."""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from datamodules.augmentation import BatchDraws, augment, centre_crop
from datamodules.base import ImageDataModule
from datamodules.storage import Storage
from gan_lightning.callbacks.evaluation import Evaluation
from gan_lightning.callbacks.health import Health
from gan_lightning.callbacks.predictions import PredictionWriter
from gan_lightning.callbacks.samples import SampleGrid
from gan_lightning.data.batches import (
    CaptionedBatch,
    ImageBatch,
    PairedBatch,
    Role,
    View,
    Window,
    batch_length,
    check_fields,
    crop,
    fields_of,
    first,
    select,
    split,
)
from gan_lightning.data.images import to_uint8
from gan_lightning.families import NoiseToImage, side_by_side
from gan_lightning.losses import NonSaturating
from gan_lightning.metrics import FeatureExtractor, Features, FrechetInceptionDistance
from gan_lightning.recording import Network
from gan_lightning.training.adversarial import AdversarialModule
from toys import equal, read_png, trainer, weights

CLASSES, INSTANCES = 3, 50


class VoxelBatch(NamedTuple):
    """Shapes in three dimensions, and their classes."""

    voxels: Annotated[Tensor, Role.VOXELS]
    labels: Annotated[Tensor | None, Role.LABELS] = None


class ClipBatch(NamedTuple):
    """K frames of a face, and points in it that do not move."""

    frames: Annotated[Tensor, Role.FRAMES, View("face")]
    points: Annotated[Tensor, Role.LANDMARKS, View("face")]


class SceneBatch(NamedTuple):
    """A photograph, the class and the instance of each of its pixels, and what kind of scene it is."""

    images: Annotated[Tensor, Role.IMAGE, View("scene")]
    classes: Annotated[Tensor, Role.CLASS_MAP, View("scene")]
    instances: Annotated[Tensor, Role.CLASS_MAP, View("scene")]
    attributes: Annotated[Tensor, Role.ATTRIBUTES]


def codes(count: int, height: int, width: int) -> Tensor:
    """Return pixels that contain their place, 100 · item + 10 · row + column: uint8 (N, H, W)."""
    code = 100 * torch.arange(count).view(-1, 1, 1) + 10 * torch.arange(height).view(-1, 1) + torch.arange(width)
    return (code % 256).to(torch.uint8)


def stored(kind: str, count: int = 2, height: int = 4, width: int = 5) -> Any:
    """Return a batch in its stored form, in whose grids each pixel contains its place."""
    plane = codes(count, height, width)
    match kind:
        case "captioned":
            tokens = torch.arange(3 * count).view(count, 3)
            return CaptionedBatch(plane[:, None], tokens, tokens + 1, torch.arange(count))
        case "voxels":
            deep = torch.stack([plane, plane + 5], 1)[:, None]  # (N, 1, 2, H, W)
            return VoxelBatch(deep, torch.arange(count) % CLASSES)
        case "clip":
            deep = torch.stack([plane, plane + 5, plane + 6], 1)[:, None]  # (N, 1, 3, H, W)
            return ClipBatch(deep, torch.tensor([[1.0, 2.0], [3.0, 0.0]]).expand(count, 2, 2))
        case _:
            return SceneBatch(plane[:, None], plane % CLASSES, plane.long() % INSTANCES, torch.ones(count, 4))


KINDS = ["captioned", "voxels", "clip", "scene"]
every_kind = pytest.mark.parametrize("kind", KINDS)

# of item 0, rows 1 and 2 and columns 2 to 4; of item 1, rows 0 and 1 and columns 0 to 2, mirrored
WINDOW = Window(torch.tensor([[1], [0]]), torch.tensor([[2], [0]]), torch.tensor([[False], [True]]), (2, 3))
CUT = torch.tensor([[[12, 13, 14], [22, 23, 24]], [[102, 101, 100], [112, 111, 110]]], dtype=torch.uint8)
MIDDLE = torch.tensor([[[11, 12, 13], [21, 22, 23]], [[111, 112, 113], [121, 122, 123]]], dtype=torch.uint8)


def assert_cut(kind: str, batch: Any, plane: Tensor, points: list[Any]) -> None:
    """Check that all grids are cut like `plane`, and that all other fields except the points are unchanged."""
    whole = stored(kind)
    match kind:
        case "captioned":
            expected = whole._replace(images=plane[:, None])
        case "voxels":
            expected = VoxelBatch(torch.stack([plane, plane + 5], 1)[:, None], whole.labels)
        case "clip":
            expected = ClipBatch(torch.stack([plane, plane + 5, plane + 6], 1)[:, None], torch.tensor(points))
        case _:
            expected = SceneBatch(plane[:, None], plane % CLASSES, plane.long() % INSTANCES, whole.attributes)
    assert type(batch) is type(expected)
    for name, found, wanted in zip(batch._fields, batch, expected, strict=True):
        assert found.dtype == wanted.dtype, name
        assert torch.equal(found, wanted), name


@every_kind
def test_a_window_cuts_and_mirrors_what_is_aligned_and_moves_points_along(kind: str) -> None:
    cut = crop(stored(kind), lambda whole: {(4, 5): WINDOW}[whole])
    assert_cut(kind, cut, CUT, [[[-1.0, 1.0], [1.0, -1.0]], [[1.0, 2.0], [-1.0, 0.0]]])


@every_kind
def test_the_middle_is_cut_of_every_kind(kind: str) -> None:
    assert_cut(kind, centre_crop(stored(kind), (2, 3)), MIDDLE, [[[0.0, 1.0], [2.0, -1.0]]] * 2)


@every_kind
def test_random_cuts_are_of_aligned_fields_alike_whatever_the_kind(kind: str) -> None:
    """The random numbers are equal to those for plain images."""
    count = 40
    whole = stored(kind, count)
    plane = augment(ImageBatch(codes(count, 4, 5)[:, None]), (2, 3), True, BatchDraws((0, 1), count)).images[:, 0]
    assert len({tuple(item.flatten().tolist()) for item in plane - codes(count, 1, 1)}) > 10
    cut: Any = augment(whole, (2, 3), True, BatchDraws((0, 1), count))
    grid = cut[0].flatten(1, -3)[:, 0] if cut[0].dim() > 3 else cut[0]
    assert torch.equal(grid, plane)
    if kind == "scene":
        assert torch.equal(cut.classes, plane % CLASSES)
        assert torch.equal(cut.instances, plane.long() % INSTANCES)
    if kind == "clip":
        for item, (points, before) in enumerate(zip(cut.points.long(), whole.points.long(), strict=True)):
            for (x, y), (column, row) in zip(points.tolist(), before.tolist(), strict=True):
                if 0 <= x < 3 and 0 <= y < 2:
                    assert plane[item, y, x] == codes(count, 4, 5)[item, row, column]


@every_kind
def test_parts_and_rows_of_every_kind(kind: str) -> None:
    whole = stored(kind, 6)
    for parts in (1, 2, 3):
        cut = split(whole, parts)
        assert [batch_length(part) for part in cut] == [6 // parts] * parts
        assert all(torch.equal(torch.cat(rows), field) for *rows, field in zip(*cut, whole, strict=True))
    assert all(torch.equal(few, field[:4]) for few, field in zip(first(whole, 4), whole, strict=True))
    rows = torch.tensor([5, 0])
    assert all(torch.equal(few, field[rows]) for few, field in zip(select(whole, rows), whole, strict=True))


IMAGES = torch.zeros(2, 1, 4, 4)
MAPS = torch.zeros(2, 4, 4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("batch", "match"),
    [
        (VoxelBatch(torch.zeros(2, 1, 4, 4, 4) + 2), r"M takes float voxels in \[-1, 1\], but .* in \[2.0, 2.0\]"),
        (VoxelBatch(IMAGES), r"voxels must be voxels, float \(N, C, D, H, W\), but .* shape \(2, 1, 4, 4\): fix"),
        (ClipBatch(torch.zeros(2, 1, 3, 4, 4), torch.zeros(2, 8)), r"points must be points, float \(N, K, 2\)"),
        (SceneBatch(IMAGES, MAPS.float(), MAPS, torch.zeros(2, 4)), r"classes must be a class of each pixel, int64"),
        (SceneBatch(IMAGES, MAPS, MAPS[:1], torch.zeros(2, 4)), "with 2 items, of which instances has 1"),
        (CaptionedBatch(IMAGES, torch.zeros(2)), r"captions must be embeddings, .* or token ids, int64 \(N, T\)"),
        (ImageBatch(IMAGES, MAPS), r"labels must be class indices, int64 \(N,\), or attributes, float \(N, A\)"),
    ],
)
def test_fields_are_held_against_their_roles(batch: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        check_fields(batch, "M")


class Roleless(NamedTuple):
    images: Annotated[Tensor, Role.IMAGE]
    depth: Tensor


class Adrift(NamedTuple):
    images: Annotated[Tensor, Role.IMAGE]
    points: Annotated[Tensor, Role.LANDMARKS]


def test_a_class_that_does_not_say_enough_and_pictures_that_cannot_be_cut_are_refused() -> None:
    with pytest.raises(TypeError, match="Roleless does not state what its field depth holds: annotate it"):
        fields_of(Roleless)
    with pytest.raises(TypeError, match="Adrift does not state in which image the landmarks points lie"):
        fields_of(Adrift)
    uneven = PairedBatch(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 8, 8))
    with pytest.raises(
        ValueError, match=r"target of a PairedBatch has 8x8 .* aligned field has 4x4: make them equally"
    ):
        centre_crop(uneven, (2, 2))
    for cut in (lambda: centre_crop(ImageBatch(IMAGES), (4, 6)), lambda: augment(stored("scene"), (5, 5), True, None)):
        with pytest.raises(ValueError, match="cannot be cut from images of 4x"):
            cut()


# ---------------------------------------------------------------------- a toy model of each


class Rows(Storage):
    """The rows of one large batch."""

    fingerprint = "rows"

    def __init__(self, whole: Any) -> None:
        self.whole = whole

    def __len__(self) -> int:
        return batch_length(self.whole)

    def batch(self, rows: Tensor) -> Any:
        return select(self.whole, rows)

    def subset(self, rows: np.ndarray) -> "Rows":
        return Rows(select(self.whole, torch.from_numpy(rows)))


class Data(ImageDataModule):
    """Twelve items of a kind, 4x5 pixels each, which training cuts and mirrors to 4x4."""

    def __init__(self, kind: str) -> None:
        super().__init__(4, batch_size=4, eval_batch_size=4, flip=True)
        self.kind = kind

    def training_storage(self) -> Rows:
        return Rows(stored(self.kind, 12))

    reference_storage = training_storage


class Maker(Network):
    """A linear map from vectors to anything of one shape."""

    num_classes = 0

    def __init__(self, inputs: int, shape: list[int]) -> None:
        super().__init__()
        self.latent_dim, self.shape = inputs, shape
        self.net = nn.Linear(inputs, int(np.prod(shape)))

    def forward(self, given: Tensor) -> Tensor:
        return self.net(given.flatten(1)).tanh().view(-1, *self.shape)


class Judge(Network):
    """A linear map to a logit."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.net = nn.Linear(inputs, 1)

    def forward(self, made: Tensor) -> Tensor:
        return self.net(made.flatten(1)).flatten()


class Toy(NoiseToImage):
    """A game over the first field of its batch."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, **base: Any) -> None:
        super().__init__(generator, discriminator, **base)
        self.loss = NonSaturating()

    def reference(self, batch: Any) -> Tensor:
        return batch[0]


class CaptionGAN(Toy):
    batch_type = CaptionedBatch

    def draw_fakes(self, batch: Any) -> Tensor:
        return self.generator(self.latents(batch_length(batch)) + batch.captions)

    @torch.no_grad()
    def generate(self, batch: Any) -> Tensor:
        return self.sampler.images(self.latents(batch_length(batch)) + batch.captions)


class VoxelGAN(Toy):
    batch_type = VoxelBatch

    def render(self, outputs: Tensor) -> Tensor:
        return outputs.amax(2)  # seen from the front


class ClipGAN(Toy):
    batch_type = ClipBatch

    def render(self, outputs: Tensor) -> Tensor:
        return outputs.movedim(2, 3).flatten(3)  # frames side by side


class SceneGAN(AdversarialModule):
    """From class maps and the borders of instances to images."""

    batch_type = SceneBatch

    def __init__(self, generator: nn.Module, discriminator: nn.Module, **base: Any) -> None:
        super().__init__(generator, discriminator, **base)
        self.loss = NonSaturating()

    def _seen(self, batch: Any) -> Tensor:
        border = batch.instances.diff(dim=-1, prepend=batch.instances[..., :1]).ne(0)
        return torch.cat([one_hot(batch.classes.long(), CLASSES), border[..., None]], dim=-1).float()

    def draw_fakes(self, batch: Any) -> Tensor:
        return self.generator(self._seen(batch))

    @torch.no_grad()
    def generate(self, batch: Any) -> Tensor:
        return self.averaged_generator(self._seen(batch))

    def reference(self, batch: Any) -> Tensor:
        return batch.images

    def preview(self, batch: Any, count: int) -> tuple[Tensor, int]:
        shown = first(batch, count)
        maps = 2 * shown.classes[:, None].float() / (CLASSES - 1) - 1
        return side_by_side(maps, self.render(self.generate(shown)), self.render(shown.images)), 3


def toy(kind: str) -> Any:
    match kind:
        case "captioned":
            return CaptionGAN(Maker(3, [1, 4, 4]), Judge(16))
        case "voxels":
            return VoxelGAN(Maker(3, [1, 2, 4, 4]), Judge(32))
        case "clip":
            return ClipGAN(Maker(3, [1, 3, 4, 4]), Judge(48))
        case _:
            return SceneGAN(Maker(16 * (CLASSES + 1), [1, 4, 4]), Judge(16))


class Means(FeatureExtractor):
    """Features: the mean of each quarter of the pictures, whose sizes it notes."""

    num_features, channels, preprocessing = 4, 1, "means"

    def __init__(self) -> None:
        super().__init__()
        self.sizes: set[tuple[int, ...]] = set()

    def extract(self, images: Tensor) -> Features:
        self.sizes.add(tuple(images.shape[1:]))
        pooled = nn.functional.adaptive_avg_pool2d(images.float(), 2).flatten(1) / 255
        return Features(pooled, pooled)


@pytest.mark.parametrize(("kind", "width", "columns"), [*zip(KINDS, [4, 4, 12, 4], [2, 2, 2, 3], strict=True)])
def test_a_toy_model_of_each_kind_is_trained_measured_and_shown(
    kind: str, width: int, columns: int, tmp_path: Path
) -> None:
    model, data, extractor = toy(kind), Data(kind), Means()
    before = weights(model)
    evaluation = Evaluation(extractor=extractor, metrics=[FrechetInceptionDistance], cache_dir=tmp_path / "cache")
    watched = [evaluation, SampleGrid(4), Health(extractor, count=4), PredictionWriter()]
    running = trainer(tmp_path, max_epochs=2, log_every_n_steps=1, callbacks=watched)
    running.fit(model, datamodule=data)
    assert model.images_seen == 24
    assert not equal(before, weights(model))
    assert {"val/fid", "health/diversity"} <= running.callback_metrics.keys()
    assert extractor.sizes == {(1, 4, width)}  # the pictures, of real ones and of fakes
    rows = 4 if kind == "scene" else 2
    grid = read_png(max((tmp_path / "samples").iterdir()))
    assert grid.shape == (3, rows * (4 + 2) + 2, columns * (width + 2) + 2)
    made = torch.cat(running.predict(model, datamodule=data))
    files = sorted((tmp_path / "predictions").iterdir())
    assert len(files) == len(made) == 12
    assert torch.equal(torch.stack([read_png(file) for file in files]), to_uint8(model.render(made)))


class Unshown(VoxelGAN):
    def render(self, outputs: Tensor) -> Tensor:
        return outputs


def test_batches_that_cannot_be_shown_or_have_another_size_are_refused_before_the_first_step() -> None:
    deeper = VoxelGAN(Maker(3, [1, 3, 4, 4]), Judge(48))
    with pytest.raises(ValueError, match=r"generator of VoxelGAN makes the shape 1x3x4x4, .* serve 1x2x4x4"):
        trainer(max_epochs=1).fit(deeper, datamodule=Data("voxels"))
    unshown = Unshown(Maker(3, [1, 2, 4, 4]), Judge(32))
    with pytest.raises(TypeError, match=r"render of Unshown returns torch.float32 of shape \(2, 1, 2, 4, 4\): let it"):
        trainer(max_epochs=1).fit(unshown, datamodule=Data("voxels"))
    with pytest.raises(TypeError, match=r"VoxelGAN learns from .*VoxelBatch \(voxels, labels\), .*CaptionedBatch"):
        trainer(max_epochs=1).fit(toy("voxels"), datamodule=Data("captioned"))
    assert unshown.batches_seen == deeper.batches_seen == 0
