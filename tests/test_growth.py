"""Sizes, fades and batch sizes as functions of the images seen, through a run, its stops, evaluations and ranks."""

import itertools
import math
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from test_stops import Stored, differences, run
from torch.nn import functional

from datamodules.loader import TrainingLoader
from datamodules.storage import ImageStorage, Pixels
from gan_lightning.data.growth import Growth
from gan_lightning.layers.fading import at_size
from gan_lightning.recording import describe, rebuild
from gan_lightning.schedules import LinearToZero
from growing import GrowingGAN
from toys import trainer

GROWTH: dict[str, Any] = {
    "start_size": 4,
    "final_size": 16,
    "batch_sizes": {4: 6, 8: 4, 16: 2},
    "fade_images": 10,
    "stable_images": 6,
}


def gan(**base: Any) -> GrowingGAN:
    return GrowingGAN(Growth(**GROWTH), **base)


def test_a_growth_is_what_the_paper_says() -> None:
    growth = Growth(4, 1024, {4: 512, 8: 256, 16: 128, 32: 64, 64: 32}, 600_000, 600_000)
    assert growth.levels == 8
    assert growth.ends == 9_600_000  # and 12 million images in all
    seen = [0, 599_999, 600_000, 900_000, 1_200_000, 1_800_000, 2_100_000, 9_000_000, 9_599_999, 9_600_000, 10**9]
    assert [growth.size(n) for n in seen] == [4, 4, 8, 8, 8, 16, 16, 1024, 1024, 1024, 1024]
    assert [growth.alpha(n) for n in seen] == pytest.approx([1, 1, 0, 0.5, 1, 0, 0.5, 0, 1, 1, 1], abs=1e-5)
    assert [growth.batch_size(n) for n in seen] == [512, 512, 256, 256, 256, 128, 128, 32, 32, 32, 32]
    assert rebuild(describe(growth), ("gan_lightning",)).batch_sizes == growth.batch_sizes
    assert Growth(8, 8, {8: 4}).ends == 0
    assert Growth(4, 8, {4: 4}, fade_images=0, stable_images=10).alpha(10) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"final_size": 24}, "final_size=24 is not start_size=4 doubled some times: make it 16 or 32"),
        ({"final_size": 2}, "final_size=2 is not start_size=4 doubled some times: make it 4 or 8"),
        ({"batch_sizes": {8: 4}}, "batch_sizes names the sizes 8: name 4, with which the growth starts"),
        ({"batch_sizes": {4: 4, 12: 2}}, "batch_sizes names the sizes 4, 12: .* any others of 4, 8, 16"),
        ({"batch_sizes": {4: 0}}, "out of range: make it 1 or more"),
        ({"stable_images": 0}, "stable_images=0 is out of range: make it 1 or more"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Growth(**GROWTH | wrong)


def test_real_images_fade_between_half_their_size_enlarged_and_their_size() -> None:
    images = torch.rand(2, 1, 16, 16)
    whole = functional.avg_pool2d(images, 2)
    half = functional.avg_pool2d(images, 4).repeat_interleave(2, 2).repeat_interleave(2, 3)
    for alpha in 0, 0.25, 1:
        torch.testing.assert_close(at_size(images, 8, alpha), alpha * whole + (1 - alpha) * half)


# ---------------------------------------------------------------------- the loader


def loader(count: int = 25, growth: Growth | None = None, **share: int) -> TrainingLoader:
    """Images of one pixel that hold their own number."""
    pixels = Pixels(np.arange(count, dtype=np.uint16).reshape(count, 1, 1, 1))
    return TrainingLoader(ImageStorage(pixels), 99, growth=growth or Growth(**GROWTH), **share)


def numbers(batches: Any) -> list[list[int]]:
    return [batch.images.flatten().tolist() for batch in batches]


def test_batches_are_as_large_as_the_images_handed_out_say_and_epochs_as_long() -> None:
    growing, growth, seen = loader(), Growth(**GROWTH), 0
    for _ in range(4):
        length, epoch = len(growing), numbers(growing)
        assert length == len(epoch)
        assert len({*itertools.chain(*epoch)}) == sum(map(len, epoch))  # none twice
        for batch in epoch:
            assert len(batch) == growth.batch_size(seen)
            seen += len(batch)
    assert [growing.extent(epochs, math.inf)[1:] for epochs in (1, 2)] == [(6, 24), (18, 48)]
    assert growing.extent(4, math.inf) == (4, 42, seen)
    assert growing.extent(math.inf, 12) == (1.5, 12, 36)
    assert growing.extent(3, math.inf, limit=4) == (3, 12, 36)


@pytest.mark.parametrize("stop", range(1, 20))
def test_a_growing_stream_goes_on_from_any_state_on_any_number_of_ranks(stop: int) -> None:
    whole, stopped = loader(), loader()
    batches = [batch for _ in range(4) for batch in numbers(whole)]
    handed = 0
    while handed < stop:
        handed += len(numbers(itertools.islice(stopped, stop - handed)))
    ranks = [loader(rank=rank, world_size=2) for rank in range(2)]
    for each in ranks:
        each.load_state_dict(stopped.state_dict())
        assert len(each) == len(stopped)
    shares = [[batch for _ in range(4) for batch in numbers(each)] for each in ranks]
    assert [a + b for a, b in zip(*shares, strict=True)][: 42 - stop] == batches[stop:]


def test_what_a_growing_stream_cannot_do_is_said() -> None:
    with pytest.raises(ValueError, match=r"growth.batch_sizes\[4\]=6 counts .* 4 ranks cannot share"):
        loader(world_size=4)
    with pytest.raises(ValueError, match=r"less than one batch of 6: make growth.batch_sizes\[4\] 5 or less"):
        loader(5)
    with pytest.raises(ValueError, match=r"does not say where its data stood .* for a model that grows"):
        loader().load_state_dict({"epoch": 0, "position": 4})


# ---------------------------------------------------------------------- a run


class Watch(L.Callback):
    """Notes the epochs' lengths, as the progress bar has them, and the learning rate of each batch."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.rates: list[float] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.lengths.append(int(trainer.num_training_batches))

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.rates.append(trainer.optimizers[1].param_groups[0]["lr"] / 2e-4)


def test_a_run_has_the_sizes_fades_and_batches_of_its_growth(tmp_path: Path) -> None:
    growth, watch = Growth(**GROWTH), Watch()
    model = gan(accumulate=2, generator_schedule=LinearToZero(0, unit="image"))
    trainer(tmp_path, max_epochs=4, limit_val_batches=0, callbacks=[watch]).fit(model, datamodule=Stored(model))
    seen = 0
    for images_seen, size, alpha, count in model.played:
        assert images_seen == seen
        assert (size, alpha, count) == (growth.size(seen), growth.alpha(seen), growth.batch_size(seen))
        seen += count
    assert model.images_seen == seen == 46
    assert {size for _, size, _, _ in model.played} == {4, 8, 16}
    assert {alpha for _, _, alpha, _ in model.played} >= {0.0, 0.4, 0.8, 1.0}
    assert watch.lengths == [2, 3, 6, 6]
    assert watch.rates == pytest.approx([1 - each[0] / 46 for each in model.played])


WAYS: dict[str, list[tuple[int, bool]]] = {
    "within a fade": [(3, False), (8, False)],
    "at the end of an epoch, and in its evaluation": [(2, False), (5, True)],
    "at once, and twice in a row": [(1, False), (9, False), (10, False)],
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_stopped_within_a_fade_ends_as_one_never_stopped(way: str, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    whole = run(averaged, tmp_path / "whole", [], max_epochs=4)
    assert whole["gan_lightning"]["images_seen"] == 46
    assert whole["evaluated"] == [2, 5, 11, 17]
    assert "growth/alpha" in whole["metrics"]
    assert differences(whole, run(averaged, tmp_path / "stopped", WAYS[way], max_epochs=4)) == []


def averaged() -> GrowingGAN:
    return gan(ema_half_life=20)


def by_images() -> GrowingGAN:
    model = averaged()
    model.evaluate_every_images = 7
    return model


@pytest.mark.parametrize("limit", [{"max_epochs": 4}, {"max_steps": 15, "max_epochs": -1}])
@pytest.mark.parametrize("stops", [[(5, False), (8, True)], [(2, True), (3, False), (12, True)]])
def test_it_is_evaluated_by_images(stops: list[tuple[int, bool]], limit: dict[str, int], tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    whole = run(by_images, tmp_path / "whole", [], **limit)
    images = [0, 6, *range(10, 22, 4), *range(22, 47, 2)]  # after each batch
    crossed = [batch for batch in range(1, len(images)) if images[batch] // 7 > images[batch - 1] // 7]
    assert whole["evaluated"] == [batch for batch in crossed if batch <= limit.get("max_steps", 17)]
    assert differences(whole, run(by_images, tmp_path / "stopped", stops, **limit)) == []
