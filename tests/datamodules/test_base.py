"""The base class of all datamodules, with a real Trainer, a real command line and two real processes."""

import subprocess
import sys
from itertools import chain
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningCLI

from datamodules import ImageDataModule
from datamodules.storage import ImageStorage, Pixels
from gan_lightning.data.batches import ImageBatch

BATCHES = 12


class Numbers(ImageDataModule):
    """Images of 2 x 3 pixels that hold their own number; the reference set goes on counting."""

    num_classes = 100

    def __init__(self, training: int = 18, reference: int = 7, **kwargs):
        super().__init__((2, 3), batch_size=4, eval_batch_size=4, **kwargs)
        self.counts = training, reference

    def training_storage(self) -> ImageStorage:
        return self._counted(0, self.counts[0])

    def reference_storage(self) -> ImageStorage:
        return self._counted(*self.counts)

    def _counted(self, start: int, count: int) -> ImageStorage:
        values = np.arange(start, start + count, dtype=np.uint16)
        return ImageStorage(Pixels(np.broadcast_to(values[:, None, None, None], (count, 1, 2, 3))), torch.arange(count))


class Recorder(L.LightningModule):
    """Trains nothing and keeps its batches."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.layer = torch.nn.Linear(1, 1)
        self.trained: list[list[int]] = []
        self.evaluated: list[list[int]] = []

    def numbers(self, batch: ImageBatch) -> list[int]:
        assert batch.images.dtype == torch.float32
        return batch.images[:, 0, 0, 0].add(1).mul(32767.5).round().int().tolist()

    def training_step(self, batch, batch_idx):
        self.optimizers().step()
        self.trained.append(self.numbers(batch))

    def validation_step(self, batch, batch_idx):
        self.evaluated.append(self.numbers(batch))

    def test_step(self, batch, batch_idx):
        self.evaluated.append(self.numbers(batch))

    def predict_step(self, batch, batch_idx):
        return self.numbers(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(**arguments) -> L.Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return L.Trainer(accelerator="cpu", devices=1, **quiet, **arguments)


def fit(ckpt_path: Path | None = None, **arguments) -> list[list[int]]:
    recorder = Recorder()
    arguments.setdefault("enable_checkpointing", "callbacks" in arguments)
    trainer(**arguments).fit(recorder, datamodule=Numbers(), ckpt_path=ckpt_path)
    return recorder.trained


SAVINGS = {
    "after every batch": {"every_n_train_steps": 1},
    "at an epoch's end": {"every_n_epochs": 1, "save_on_train_epoch_end": True},
    "after validation": {"every_n_epochs": 1, "save_on_train_epoch_end": False},
}


@pytest.mark.parametrize("extra", [{}, {"limit_train_batches": 3}, {"limit_val_batches": 0}, {"val_check_interval": 2}])
@pytest.mark.parametrize("length", [{"max_epochs": 3}, {"max_steps": BATCHES, "max_epochs": -1}])
@pytest.mark.parametrize("saving", SAVINGS)
def test_a_run_stopped_anywhere_and_resumed_sees_what_it_would_have_seen(tmp_path, saving, length, extra):
    if saving == "after validation" and "limit_val_batches" in extra:
        pytest.skip("there is no validation")
    checkpoints = ModelCheckpoint(tmp_path, "{step}", save_top_k=-1, auto_insert_metric_name=False, **SAVINGS[saving])
    whole = fit(callbacks=[checkpoints], **length, **extra)
    assert len(whole) >= 9
    steps = sorted(int(path.stem) for path in tmp_path.glob("*.ckpt") if path.stem.isdigit())
    assert len(steps) >= 2
    for step in steps[:5] if saving == "after every batch" else steps[:2]:
        rest = fit(tmp_path / f"{step}.ckpt", **length, **extra)
        assert rest == whole[step:], f"stopped after batch {step}"


def test_a_checkpoint_of_the_position_is_plain_data(tmp_path):
    checkpoints = ModelCheckpoint(tmp_path, "{step}", save_top_k=-1, every_n_train_steps=3)
    fit(max_epochs=1, callbacks=[checkpoints])
    saved = torch.load(tmp_path / "step=3.ckpt", weights_only=True)
    assert saved["Numbers"] == {"epoch": 0, "position": 12}


def test_a_second_fit_starts_from_the_beginning():
    data = Numbers()
    seen = []
    for _ in range(2):
        recorder = Recorder()
        trainer(max_epochs=1, enable_checkpointing=False).fit(recorder, datamodule=data)
        seen.append(recorder.trained)
    assert seen[0] == seen[1]


def test_reloading_the_loader_each_epoch_loses_no_position():
    assert fit(max_epochs=3, reload_dataloaders_every_n_epochs=1) == fit(max_epochs=3)


def test_validation_test_and_prediction_see_the_whole_reference_in_order():
    recorder, data = Recorder(), Numbers()
    expected = [[18, 19, 20, 21], [22, 23, 24]]
    one = trainer(max_epochs=1, enable_checkpointing=False)
    one.fit(recorder, datamodule=data)  # two batches of it are seen before, in the sanity check
    assert recorder.evaluated == expected * 2
    recorder.evaluated.clear()
    one.validate(recorder, datamodule=data, verbose=False)
    one.test(recorder, datamodule=data, verbose=False)
    assert recorder.evaluated == expected * 2
    assert one.predict(recorder, datamodule=data) == expected


def test_a_part_of_the_reference_is_random_and_always_the_same():
    def chosen(**arguments) -> list[int]:
        data = Numbers(reference=30, **arguments)
        data.setup("validate")
        return [number for batch in data.val_dataloader() for number in batch.images[:, 0, 0, 0].tolist()]

    ten = chosen(num_reference=10)
    assert len(set(ten)) == 10
    assert set(ten) < set(range(18, 48))
    assert ten != list(range(18, 28))
    assert chosen(num_reference=10, seed=5) == ten
    with pytest.raises(ValueError, match="num_reference=31, but the reference set has 30 items"):
        chosen(num_reference=31)


def test_training_is_augmented_and_evaluation_is_not():
    class Wide(Numbers):
        def _counted(self, start: int, count: int) -> ImageStorage:
            ramp = np.arange(12, dtype=np.uint8).reshape(1, 1, 3, 4)
            return ImageStorage(Pixels(np.broadcast_to(ramp, (count, 1, 3, 4)).copy()))

    seen: dict[str, list] = {"training": [], "evaluation": []}

    class Corners(Recorder):
        def numbers(self, batch):
            assert batch.images.shape[-2:] == (2, 3)
            corners = batch.images[:, 0, 0, 0].add(1).mul(127.5).round().int().tolist()
            seen["training" if self.training else "evaluation"] += corners
            return corners

    torch.manual_seed(0)
    run = trainer(max_epochs=8, enable_checkpointing=False)
    run.fit(Corners(), datamodule=Wide(flip=True))
    assert set(seen["training"]) == {0, 1, 2, 3, 4, 5, 6, 7}  # 0, 1, 4, 5; mirrored 2, 3, 6, 7
    assert set(seen["evaluation"]) == {0}  # (3 - 2) // 2 and (4 - 3) // 2


def test_overfitting_on_a_few_batches_is_refused():
    with pytest.raises(ValueError, match="overfit_batches would not repeat"):
        trainer(overfit_batches=1, enable_checkpointing=False).fit(Recorder(), datamodule=Numbers())


def test_a_label_out_of_range_is_reported_before_the_first_step():
    class Mislabelled(Numbers):
        num_classes = 5

    with pytest.raises(ValueError, match=r"training set of Mislabelled has 13 labels outside 0\.\.4, the first is 5"):
        Mislabelled().setup("fit")


def test_sizes_that_cannot_be_are_refused():
    class Empty(Numbers):
        def __init__(self):
            ImageDataModule.__init__(self, (0, 3))

    with pytest.raises(ValueError, match="0 pixels high and 3 wide"):
        Empty()


@pytest.fixture(autouse=True)
def no_arguments_of_pytest(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py"])


def cli(*arguments: str) -> LightningCLI:
    return LightningCLI(
        Recorder,
        ImageDataModule,
        subclass_mode_data=True,
        run=False,
        save_config_callback=None,
        args=list(arguments),
        trainer_defaults={"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "max_epochs": 1},
    )


def test_the_command_line_makes_every_datamodule(tmp_path):
    for name, required in [
        ("Digits", []),
        ("MNIST", ["root=r", "name=EMNIST", "emnist_split=letters"]),
        ("CIFAR", ["root=r", "name=CIFAR100"]),
        ("CelebA", ["root=r", "crop=148", "image_size=[64,48]"]),
        ("ImageFolder", ["train=a", "labelled=true", "fit=pad", "bits=16", "channels=1", "cache_dir=c"]),
        ("PairedFolder", ["train=a", "train_b=b", "direction=BtoA"]),
        ("UnpairedFolder", ["train_a=a", "train_b=b", "test_a=c", "test_b=d"]),
    ]:
        options = [f"--data.init_args.{option}" for option in [*required, "batch_size=8", "seed=3"]]
        made = cli(f"--data=datamodules.{name}", *options).datamodule
        assert type(made).__name__ == name
        assert (made.batch_size, made.seed, made.num_reference) == (8, 3, None)


@pytest.mark.parametrize("option", ["name=FancyMNIST", "reference=validation", "batch_sise=3", "emnist_split=all"])
def test_the_command_line_refuses_what_is_no_choice(option, capsys):
    with pytest.raises(SystemExit):
        cli("--data=datamodules.MNIST", "--data.init_args.root=r", f"--data.init_args.{option}")
    assert option.split("=")[0] in capsys.readouterr().err


def test_the_command_line_explains_every_argument(capsys):
    with pytest.raises(SystemExit):
        cli("--data.help=datamodules.PairedFolder")
    text = " ".join(capsys.readouterr().out.split())
    for words in ["makes A the source", "mirror each training image", "seed of the order of the training images"]:
        assert words in text


SCRIPT = """
import sys
import torch
sys.path.insert(0, sys.argv[1])
from test_base import Numbers, Recorder
import lightning as L
torch.set_num_threads(1)
recorder = Recorder()
trainer = L.Trainer(
    accelerator="cpu", devices=2, strategy="ddp_find_unused_parameters_true", max_epochs=2, logger=False,
    enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, num_sanity_val_steps=0,
)
trainer.fit(recorder, datamodule=Numbers(reference=5))
with open(f"{sys.argv[2]}/{trainer.global_rank}", "w") as out:
    out.write(repr((recorder.trained, recorder.evaluated)))
torch.distributed.destroy_process_group()  # its threads may abort a process that leaves them to the end of Python
"""


def test_two_processes_share_every_batch(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    subprocess.run([sys.executable, str(script), str(Path(__file__).parent), str(tmp_path)], check=True, timeout=300)
    (trained, evaluated), (trained_1, evaluated_1) = (eval((tmp_path / rank).read_text()) for rank in "01")
    alone = fit(max_epochs=2)
    assert [a + b for a, b in zip(trained, trained_1, strict=True)] == alone
    # the second batch of the reference has one image: one of the ranks has none of it
    assert sorted(chain(*evaluated, *evaluated_1)) == sorted([18, 19, 20, 21, 22] * 2)
