"""Runs of `train.py fit` that signals end, and that `--ckpt_path last` takes to the end of a run never stopped."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
EPOCH, EPOCHS = 3, 3  # batches an epoch
NETWORKS, MODELS = "gan_lightning.networks.", "gan_lightning.models."
SHAPE = {"image_size": 32, "channels": 1, "width": 4}
TRANSLATOR = {"class_path": f"{NETWORKS}ResNetGenerator", "init_args": {"width": 4, "blocks": 1}}
PATCHES = {"class_path": f"{NETWORKS}PatchGAN", "init_args": {"width": 4, "receptive_field": 16, "norm": "instance"}}
for network in (TRANSLATOR, PATCHES):
    network["init_args"] |= {"in_channels": 1}  # type: ignore[operator]
TRANSLATOR["init_args"] |= {"out_channels": 1}  # type: ignore[operator]
LINEAR = {"class_path": "gan_lightning.schedules.LinearToZero", "init_args": {"start": 1, "end": None}}
SCHEDULES = {"generator_schedule": LINEAR, "discriminator_schedule": LINEAR}
ADA = {
    "class_path": "gan_lightning.augmentation.AdaptiveAugmentation",
    "init_args": {"p": 0.3, "interval": 2, "adjustment": 100},
}


def made(name: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": name, "init_args": arguments}


def dcgans(**classes: int) -> dict[str, Any]:
    return {
        "generator": made(f"{NETWORKS}DCGANGenerator", latent_dim=8, **SHAPE, **classes),
        "discriminator": made(f"{NETWORKS}DCGANDiscriminator", **SHAPE, **classes),
    }


def datasets(place: Path) -> dict[str, dict[str, Any]]:
    """Datamodules of images larger than what networks see: cut at random, mirrored."""
    common = {"image_size": 32, "load_size": 36, "batch_size": 4, "eval_batch_size": 2, "flip": True}
    common |= {"cache_dir": str(place / "cache")}
    a, b, ta, tb = (str(place / name) for name in ("a", "b", "ta", "tb"))
    grey, pair = {"channels_a": 1, "channels_b": 1}, {"channels_source": 1, "channels_target": 1}
    folder = {"train": a, "test": ta, "channels": 1, **common}
    return {
        "images": made("datamodules.ImageFolder", **folder),
        "classes": made("datamodules.ImageFolder", labelled=True, **folder),
        "unpaired": made("datamodules.UnpairedFolder", train_a=a, train_b=b, test_a=ta, test_b=tb, **grey, **common),
        "pairs": made("datamodules.PairedFolder", train=a, train_b=b, test=ta, test_b=tb, **pair, **common),
    }


RUNS: dict[str, tuple[str, dict[str, Any]]] = {  # by name: the data, and the model
    "dcgan": ("images", made(f"{MODELS}DCGAN", **dcgans(), **SCHEDULES, n_critic=2, ema_half_life=20)),
    "cyclegan": (
        "unpaired",
        made(
            f"{MODELS}CycleGAN",
            generator_a_to_b=TRANSLATOR,
            generator_b_to_a=TRANSLATOR,
            discriminator_a=PATCHES,
            discriminator_b=PATCHES,
            pool_size=6,
            **SCHEDULES,
        ),
    ),
    "pix2pix": (
        "pairs",
        made(
            f"{MODELS}Pix2Pix",
            generator=made(f"{NETWORKS}UNetGenerator", in_channels=1, out_channels=1, image_size=32, width=4),
            discriminator=made(f"{NETWORKS}PatchGAN", in_channels=2, width=4, receptive_field=16, norm="batch"),
            n_critic=3,
        ),
    ),
    "cgan, ADA, accumulated": (
        "classes",
        made(f"{MODELS}CGAN", **dcgans(num_classes=2), accumulate=2, augmentation=ADA, ema_half_life=20),
    ),
}
CALLBACKS = [
    made("gan_lightning.callbacks.Evaluation", recipe="suitefull_test@digits"),
    made("gan_lightning.callbacks.Health"),
    made("gan_lightning.callbacks.SampleGrid", count=2),
    made("gan_lightning.callbacks.ModelCheckpoint", monitor="val/fid", filename="best", enable_version_counter=False),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of random images, twelve to train on and four to evaluate with, each of two classes."""
    folder = tmp_path_factory.mktemp("place")
    draw = np.random.default_rng(0)
    for name, count in {"a": 12, "b": 12, "ta": 4, "tb": 4}.items():
        for number in range(count):
            path = folder / name / "xy"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw.integers(0, 256, (36, 36), dtype=np.uint8)).save(path)
    return folder


class Program:
    """train.py, in forks of one process."""

    def __init__(self) -> None:
        command = [sys.executable, str(HERE / "forks.py")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def fit(self, config: Path, folder: Path, *flags: str) -> dict[str, Any]:
        """How it ended: exit code and output."""
        arguments = ["fit", f"--config={config}", f"--trainer.default_root_dir={folder}", *flags]
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps({"program": "train.py", "arguments": arguments}), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    started = Program()
    yield started
    assert started.process.stdin is not None
    started.process.stdin.close()
    started.process.wait(timeout=60)


def end_of(folder: Path) -> dict[str, Any]:
    """All that a run leaves behind and that a stop is not to change."""
    last, best = (torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True) for name in ("last", "best"))
    lines = (folder / "evaluations.jsonl").read_text().splitlines()
    pictures = sorted((folder / "samples").iterdir())
    return {
        "last": {name: value for name, value in last.items() if name not in ("loops", "content")},
        "best": best["state_dict"],
        "metrics": (folder / "metrics.csv").read_text(),
        "evaluations": [
            {name: value for name, value in json.loads(line).items() if name != "seconds"} for line in lines
        ],
        "pictures": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in pictures},
    }


def differences(first: Any, second: Any, where: str = "") -> list[str]:
    """The places in which two nests differ. The second may have pictures of its own: of each stop."""
    if isinstance(first, dict) and isinstance(second, dict):
        keys = first.keys() if where == "/pictures" else first.keys() | second.keys()
        return [
            place
            for key in keys
            for place in (
                differences(first[key], second[key], f"{where}/{key}")
                if key in first and key in second
                else [f"{where}/{key}: missing"]
            )
        ]
    if isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        return [
            place
            for i, (a, b) in enumerate(zip(first, second, strict=True))
            for place in differences(a, b, f"{where}/{i}")
        ]
    both = isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor)
    return [] if (torch.equal(first, second) if both else first == second) else [where]


def at(number: int, batch: int, hook: str, **how: Any) -> str:
    """The flag that has a run sent a signal."""
    return "--trainer.callbacks+=" + json.dumps(
        made("signalling.SignalAt", number=int(number), batch=batch, hook=hook, **how)
    )


MID, END, VALIDATION = "on_before_optimizer_step", "on_train_batch_end", "on_validation_batch_end"
OFTEN = "--save_every_minutes=0.00001"  # after each batch
Stop = tuple[int, list[str]]  # the exit code, and the flags that bring it about
TERM, INT, KILL = 128 + SIGTERM, 128 + SIGINT, -SIGKILL
WAYS: dict[str, list[Stop]] = {
    "SIGTERM in a batch": [(TERM, [at(SIGTERM, 1, MID)])],
    "Ctrl-C in a batch": [(INT, [at(SIGINT, 4, MID)])],
    "Ctrl-C twice": [(TERM, [at(SIGTERM, 4, END)]), (-SIGINT, [at(SIGINT, 5, MID, times=2)])],
    "kill -9 in a batch": [(KILL, [at(SIGKILL, 4, MID), OFTEN])],
    "kill -9 in the first epoch": [(KILL, [at(SIGKILL, 1, MID), OFTEN])],
    "kill -9 before any checkpoint": [(KILL, [at(SIGKILL, 1, MID)])],
    "at an epoch's last batch, twice": [(TERM, [at(SIGTERM, 3, END)]), (INT, [at(SIGINT, 6, END)])],
    "at the run's last batch": [(TERM, [at(SIGTERM, 9, END)])],
    "in an evaluation": [(TERM, [at(SIGTERM, 3, VALIDATION)]), (INT, [at(SIGINT, 6, VALIDATION)])],
    "kill -9 in an evaluation": [(KILL, [at(SIGKILL, 3, VALIDATION), OFTEN])],
    "kill -9 after an evaluation": [(KILL, [at(SIGKILL, 6, "on_validation_end"), OFTEN])],
    "in the evaluation before the run": [(TERM, [at(SIGTERM, 0, VALIDATION)]), (KILL, [at(SIGKILL, 0, VALIDATION)])],
    "before the first batch": [(TERM, [at(SIGTERM, 0, "on_fit_start")]), (INT, [at(SIGINT, 0, "on_train_start")])],
    "twice in a row": [(TERM, [at(SIGTERM, 4, MID)]), (TERM, [at(SIGTERM, 5, MID)])],
    "again at once": [(TERM, [at(SIGTERM, 4, END)]), (TERM, [at(SIGTERM, 4, "on_train_start")])],
    "killed twice from one checkpoint": [(KILL, [at(SIGKILL, 2, MID), OFTEN])] * 2,
}


def write_config(folder: Path, data: str, model: dict[str, Any], place: Path, *callbacks: dict[str, Any]) -> Path:
    """The file."""
    settings = {"accelerator": "cpu", "precision": "32-true", "max_epochs": EPOCHS, "log_every_n_steps": 2}
    settings |= {"callbacks": [*CALLBACKS, *callbacks], "enable_progress_bar": False, "enable_model_summary": False}
    content = {"seed_everything": 0, "trainer": settings, "model": model, "data": datasets(place)[data]}
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    return folder / "config.yaml"


def wrongs(run: str, ways: dict[str, list[Stop]], program: Program, place: Path, folder: Path) -> dict[str, list[str]]:
    """The ways of stopping after which a run ends otherwise than one never stopped, with the first differences."""
    folder.mkdir()
    config = write_config(folder, *RUNS[run], place)
    whole = program.fit(config, folder / "whole")
    assert whole["code"] == 0, whole["err"]
    found = {}
    for number, (way, stops) in enumerate(ways.items()):
        stopped = folder / str(number)
        wrong = []
        for code, flags in stops:
            resumed = ["--ckpt_path=last"] if stopped.exists() else []
            ended = program.fit(config, stopped, *flags, *resumed)
            if ended["code"] != code:
                wrong.append(f"exit code {ended['code']} for {code}: {ended['err'][-500:]}")
        ended = program.fit(config, stopped, "--ckpt_path=last")
        wrong += differences(end_of(folder / "whole"), end_of(stopped)) if ended["code"] == 0 else [ended["err"][-500:]]
        if wrong:
            found[way] = wrong[:5]
        shutil.rmtree(stopped)
    return found


def test_a_run_that_signals_have_ended_goes_on_exactly(program: Program, place: Path, tmp_path: Path) -> None:
    chain = [(INT, [at(SIGINT, 3, VALIDATION)]), *WAYS["kill -9 in a batch"], (TERM, [at(SIGTERM, 7, MID)])]
    assert wrongs("pix2pix", {"one after another": chain}, program, place, tmp_path / "runs") == {}


def test_a_signal_after_the_training_ends_the_evaluation_after_it(
    program: Program, place: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, *RUNS["dcgan"], place)
    late = ["--trainer.max_epochs=1", "--trainer.check_val_every_n_epoch=2", at(SIGTERM, EPOCH, "on_train_end")]
    ended = program.fit(config, tmp_path / "run", *late)
    assert ended["code"] == TERM, ended["err"]
    assert len((tmp_path / "run" / "evaluations.jsonl").read_text().splitlines()) == 1  # that before the training


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS)
def test_every_way_of_ending_a_run(run: str, program: Program, place: Path, tmp_path: Path) -> None:
    assert wrongs(run, WAYS, program, place, tmp_path / "runs") == {}


@pytest.mark.slow
def test_two_processes_stop_together_and_one_goes_on(program: Program, place: Path, tmp_path: Path) -> None:
    """Whether one of them has the signal, or both; none is left behind."""
    networks = {
        "generator": made(f"{NETWORKS}MLPGenerator", latent_dim=8, image_size=32, hidden=[16]),
        "discriminator": made(f"{NETWORKS}MLPDiscriminator", image_size=32, hidden=[16]),
    }
    often = made("gan_lightning.callbacks.LastCheckpoint", check_every=2)
    config = write_config(tmp_path, "images", made(f"{MODELS}GAN", **networks), place, often)
    assert program.fit(config, tmp_path / "whole")["code"] == 0
    whole = end_of(tmp_path / "whole")
    ways: dict[str, Stop] = {
        "one, in training": (TERM, [at(SIGTERM, 4, MID, rank=1)]),
        "both, in training": (INT, [at(SIGINT, 4, MID, group=True)]),
        "the first, in an evaluation": (TERM, [at(SIGTERM, 3, VALIDATION)]),
    }
    for way, (code, flags) in ways.items():
        folder = tmp_path / way
        command = [sys.executable, "train.py", "fit", f"--config={config}", f"--trainer.default_root_dir={folder}"]
        command += ["--trainer.devices=2", "--trainer.strategy=adversarial_ddp", *flags]
        path = f"{ROOT}{os.pathsep}{HERE}"
        running = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": path},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        _, said = running.communicate(timeout=200)  # as long as any process has standard error open
        assert running.returncode == code, said
        assert program.fit(config, folder, "--ckpt_path=last")["code"] == 0
        ended = end_of(folder)
        assert ended["last"]["gan_lightning"]["batches_seen"] == EPOCHS * EPOCH
        assert len(ended["evaluations"]) == len(whole["evaluations"])
        for name, weight in whole["last"]["state_dict"].items():
            torch.testing.assert_close(ended["last"]["state_dict"][name], weight, rtol=1e-3, atol=1e-5)
