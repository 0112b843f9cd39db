"""Translation through the command line: the best checkpoint by a metric of pairs, and the baselines."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from gan_lightning.cli import commands
from gan_lightning.cli.training import main
from gan_lightning.models import Pix2Pix

SIZE = 32
FACADES = Path(__file__).parents[2] / "configs/pix2pix/facades.yaml"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Smooth colours, and the same darkened, as targets, side by side: six to train on and six others."""
    random = np.random.default_rng(0)
    for split in "train", "test":
        (tmp_path / split).mkdir()
        for number in range(6):
            source = Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8)).resize((SIZE, SIZE))
            both = Image.new("RGB", (2 * SIZE, SIZE))
            both.paste(source.point(lambda level: level // 2))
            both.paste(source, (SIZE, 0))
            both.save(tmp_path / split / f"{number}.png")
    return tmp_path


@pytest.fixture
def config(pairs: Path) -> list[str]:
    """pix2pix's own config, small, keeping the best by SSIM."""
    settings: dict[str, Any] = yaml.safe_load(FACADES.read_text())
    settings |= {"evaluation": {"recipe": "pairedfull_test"}, "best": {"monitor": "val/ssim", "mode": "max"}}
    settings |= {"samples": {"count": 0}}
    settings["trainer"] |= {
        "check_val_every_n_epoch": 1,
        "max_epochs": 3,
        "accelerator": "cpu",
        "default_root_dir": str(pairs / "run"),
        "enable_progress_bar": False,
    }
    model = settings["model"]["init_args"]
    model["generator"]["init_args"] |= {"image_size": SIZE, "width": 8, "dropout": 0.0}
    model["discriminator"]["init_args"] |= {"width": 8, "receptive_field": 16}
    settings["data"]["init_args"] |= {
        "train": str(pairs / "train"),
        "test": str(pairs / "test"),
        "image_size": SIZE,
        "load_size": None,
        "cache_dir": str(pairs / "cache"),
    }
    (pairs / "config.yaml").write_text(yaml.safe_dump(settings))
    return [f"--config={pairs / 'config.yaml'}"]


def test_the_best_checkpoint_is_the_one_of_the_highest_ssim(
    pairs: Path, config: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pairs)
    trained = main(["fit", *config])
    assert trained is not None
    (command,) = re.findall(r"^  gan-lightning (translate .* FOLDER)$", capsys.readouterr().out, re.MULTILINE)
    assert command == f"translate {pairs}/run/checkpoints/best.ckpt FOLDER"
    assert commands.main(command.replace("FOLDER", "test").split()) == 0
    assert len(list((pairs / "run/predictions/test").glob("*.png"))) == 6
    lines = [yaml.safe_load(line) for line in (pairs / "run/evaluations.jsonl").read_text().splitlines()]
    scores = [line["values"]["ssim"]["mean"] for line in lines]
    assert len(set(scores)) == 4  # before, and after each epoch
    checkpoint = trained.trainer.checkpoint_callback
    assert float(checkpoint.best_model_score) == pytest.approx(max(scores[1:]), rel=1e-6)
    again = main(["validate", *config, f"--ckpt_path={pairs / 'run/checkpoints/best.ckpt'}"])
    assert float(again.trainer.callback_metrics["val/ssim"]) == pytest.approx(max(scores[1:]), rel=1e-6)
    assert {"val/psnr", "val/l1"} <= again.trainer.callback_metrics.keys()


def test_copying_the_source_is_a_generator_that_does_nothing(pairs: Path, config: list[str]) -> None:
    copied = main(["validate", *config, "--model.generator=torch.nn.Identity", "--ckpt_path=none"])
    assert isinstance(copied.model, Pix2Pix)
    gaps = []
    for file in (pairs / "test").iterdir():
        both = torch.from_numpy(np.array(Image.open(file))).double()
        gaps.append((both[:, SIZE:] - both[:, :SIZE]).abs().mean().item() / 255)
    assert float(copied.trainer.callback_metrics["val/l1"]) == pytest.approx(np.mean(gaps), rel=1e-6)
