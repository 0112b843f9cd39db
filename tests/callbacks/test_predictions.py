"""Predictions as files, in the order of the data."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gan_lightning.callbacks import PredictionWriter
from gan_lightning.data.batches import ImageBatch
from gan_lightning.data.files import read_image
from gan_lightning.data.images import to_uint8
from toys import ToyData, ToyGAN, read_png, trainer


class Echo(ToyGAN):
    """Makes the batch's own images, so that their order can be seen."""

    channels = 1

    def generate(self, batch: ImageBatch) -> torch.Tensor:
        return batch.images.expand(-1, self.channels, -1, -1)


class Predicted(ToyData):
    """Its last batch is shorter. It is its own loader, for Lightning takes a list for several loaders."""

    def predict_dataloader(self) -> "Predicted":
        return self

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[ImageBatch]:
        return map(ImageBatch, (self.images[0], self.images[1], self.images[2][:3]))


def predict(folder: Path, channels: int = 1, writer: PredictionWriter | None = None, **settings: Any) -> torch.Tensor:
    """Return the images of the data, in order."""
    model = Echo()
    model.check_batch = lambda batch: None  # type: ignore[method-assign]  # these images are no toy's
    model.channels = channels
    data = Predicted()
    run = trainer(folder, callbacks=[writer or PredictionWriter()], **settings)
    run.predict(model, data, return_predictions=False)
    return torch.cat([batch.images for batch in data])


@pytest.mark.parametrize(("channels", "written"), [(1, 1), (2, 2), (3, 3), (4, 4)])
def test_each_image_is_a_file_named_by_its_number(tmp_path: Path, channels: int, written: int) -> None:
    expected = predict(tmp_path, channels)
    files = sorted((tmp_path / "predictions").iterdir())
    assert [file.name for file in files] == [f"{i:06d}.png" for i in range(19)]
    for file, image in zip(files, expected, strict=True):
        picture = read_png(file)
        made = to_uint8(image[None].expand(-1, channels, -1, -1))
        assert picture.shape[0] == written
        assert torch.equal(picture, made[0])


def test_a_folder_can_be_named(tmp_path: Path) -> None:
    writer = PredictionWriter(tmp_path / "deep" / "place")
    predict(tmp_path, writer=writer)
    assert len(list((tmp_path / "deep" / "place").iterdir())) == 19
    assert not (tmp_path / "predictions").exists()


def test_a_second_prediction_begins_at_nought_again(tmp_path: Path) -> None:
    writer = PredictionWriter()
    predict(tmp_path, writer=writer)
    predict(tmp_path, writer=writer)
    assert len(list((tmp_path / "predictions").iterdir())) == 19


def test_ranks_write_images_of_their_own(tmp_path: Path) -> None:
    class Rank:
        def __init__(self, rank: int) -> None:
            self.global_rank, self.world_size, self.default_root_dir = rank, 3, str(tmp_path)
            self.predict_dataloaders: list[Any] = []

    for rank in range(3):
        writer = PredictionWriter()
        run: Any = Rank(rank)
        writer.on_predict_start(run, ToyGAN())
        for step in range(2):
            images = torch.full((1, 1, 2, 2), (rank + 3 * step) / 127.5 - 1)
            writer.write_on_batch_end(run, ToyGAN(), images, None, None, step, 0)
    for i, file in enumerate(sorted((tmp_path / "predictions").iterdir())):
        assert file.name == f"{i:06d}.png"
        assert (read_png(file) == i).all()


def test_images_of_a_model_are_what_it_generates(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = ToyGAN(ema_half_life=10)
    run = trainer(tmp_path, callbacks=[PredictionWriter()])
    torch.manual_seed(5)
    made = run.predict(model, Predicted())
    files = sorted((tmp_path / "predictions").iterdir())
    for file, image in zip(files, torch.cat(made), strict=True):
        assert torch.equal(read_png(file), to_uint8(image))


def test_images_of_16_bit_data_have_16_bits(tmp_path: Path) -> None:
    place: dict[str, Any] = {"default_root_dir": str(tmp_path), "predict_dataloaders": []}
    run: Any = SimpleNamespace(global_rank=0, world_size=1, datamodule=SimpleNamespace(bits=16), **place)
    levels = torch.tensor([0, 1, 777, 65535]).view(1, 1, 2, 2)
    PredictionWriter().write_on_batch_end(run, ToyGAN(), levels / 32767.5 - 1, None, None, 0, 0)
    assert torch.equal(read_image(tmp_path / "predictions" / "000000.png").int(), levels[0].int())
