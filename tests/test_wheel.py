"""The wheel, installed into an environment of its own and used outside the clone."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALONE = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def run(*command: str | Path, folder: Path, code: int = 0) -> str:
    done = subprocess.run(command, cwd=folder, env=ALONE, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Path]:
    """A virtual environment, which takes gigabytes and is therefore not kept."""
    run(sys.executable, "-m", "venv", tmp_path / "venv", folder=tmp_path)
    yield tmp_path / "venv"
    shutil.rmtree(tmp_path / "venv")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_installed_wheel_trains_and_finds_its_configs_and_the_users_own_classes(
    tmp_path: Path, environment: Path
) -> None:
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT, folder=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    programs = environment / "bin"
    run(programs / "python", "-m", "pip", "install", "-q", wheel, folder=tmp_path)

    work = tmp_path / "work"
    work.mkdir()
    place = run(programs / "python", "-c", "import gan_lightning; print(gan_lightning.__file__)", folder=work)
    assert Path(place.strip()).is_relative_to(environment)
    ours = programs / "gan-lightning"
    assert "CycleGAN" in run(ours, "models", folder=work)
    run(ours, "sample", "digits", "grid.png", folder=work)
    run(ours, "sample", "faces", "images", "--n", "2", folder=work)
    assert (work / "grid.png").is_file()

    brief = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=3", "--trainer.accelerator=cpu"]
    run(ours, "fit", "--config", "quickstart", *brief, folder=work)
    assert (work / "runs" / "quickstart" / "checkpoints" / "last.ckpt").is_file()
    assert "horse2zebra" in run(ours, "fit", "--config", "cyclegan/horse2zebra", "--print_config", folder=work)

    (work / "my_gan.py").write_text("from gan_lightning.models import DCGAN\n\n\nclass MyGAN(DCGAN):\n    'Mine.'\n")
    own = ["--model", "my_gan.MyGAN", "--trainer.default_root_dir", "runs/mine"]
    run(ours, "fit", "--config", "quickstart", *own, *brief, folder=work)
    assert "class_path: my_gan.MyGAN" in (work / "runs" / "mine" / "config.yaml").read_text()
    assert "did you mean quickstart?" in run(ours, "fit", "--config", "quickstrat", folder=work, code=2)
