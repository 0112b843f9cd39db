"""The steps of README's section about an own GAN, done exactly, in a folder of the user's."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from gan_lightning import __main__ as tools
from gan_lightning.cli.training import main
from gan_lightning.data.images import write_png

ROOT = Path(__file__).parents[1]


class Block(NamedTuple):
    """A fenced block: its language, "" for commands, and its text."""

    language: str
    text: str


def section(title: str) -> str:
    readme = (ROOT / "README.md").read_text()
    return readme.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(text: str) -> list[Block]:
    return [
        Block(language, body) for language, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]


def write_files(text: str, folder: Path) -> list[Block]:
    """Write the blocks that begin with a comment of a file's name; return the others."""
    others = []
    for block in blocks(text):
        named = re.match(r"# (\w+\.(py|yaml))\n", block.text)
        if named:
            (folder / named[1]).write_text(block.text)
        else:
            others.append(block)
    return others


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's working directory, whose modules nothing else finds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_gan", raising=False)
    for i in range(40):
        write_png(torch.randint(0, 256, (1, 32, 32), dtype=torch.uint8), tmp_path / "REAL_FOLDER" / f"{i}.png")
    return tmp_path


def test_the_steps_of_adding_a_gan_work(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rest = write_files(section("Adding a GAN"), own_folder)
    assert sorted(path.name for path in own_folder.glob("my_gan.*")) == ["my_gan.py", "my_gan.yaml"]
    commands = [line for block in rest if not block.language for line in block.text.splitlines()]
    assert [" ".join(line.split()[:3]) for line in commands] == [
        "python train.py fit",
        "python train.py validate",
        "python train.py predict",
        "python -m gan_lightning",
    ]
    for command in commands:
        match shlex.split(command):
            case ["python", "train.py", *arguments]:
                main(arguments)
            case ["python", "-m", "gan_lightning", *arguments]:
                assert tools.main(arguments) == 0
    said = capsys.readouterr().out
    assert "val/brightness" in (own_folder / "runs/my_gan/metrics.csv").read_text()
    assert re.search(r"brightness +-?\d", said)  # of validate
    assert "fid2k@digits: 2,000 images of runs/my_gan/checkpoints/last.ckpt" in said  # of evaluate
    assert len(list((own_folder / "runs/my_gan/predictions").glob("*.png"))) == 2000

    (snippet,) = (block.text for block in rest if block.language == "python")
    known: dict[str, torch.Tensor] = {}
    exec(snippet, known)
    assert known["images"].shape == (16, 1, 32, 32)
    assert known["images"].abs().max() <= 1
    assert type(known["model"]).__module__ == "my_gan"
    assert known["model"].discriminator.net[1].out_features == 128  # of the config
    assert known["model"].loss.margin == 0.5


def test_an_own_checkpoint_is_not_loaded_unless_its_package_is_trusted(
    own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(section("Adding a GAN"), own_folder)
    quick = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--validate_before_fit=false"]
    main(["fit", "--config=my_gan.yaml", *quick, "--trainer.limit_val_batches=0"])
    capsys.readouterr()
    evaluate = ["evaluate", "REAL_FOLDER", "runs/my_gan/checkpoints/last.ckpt", "--recipe=fid40@digits"]
    assert tools.main(evaluate) == 2
    said = capsys.readouterr().err
    assert "my_gan.MyGAN" in said
    assert "--trusted" in said
    assert tools.main([*evaluate, "--trusted", "[my_gan]"]) == 0


def test_every_class_that_the_section_derives_from_exists() -> None:
    text = section("Adding a GAN")
    import gan_lightning.families
    import gan_lightning.losses
    import gan_lightning.metrics
    import gan_lightning.recording
    import gan_lightning.regularizers
    import gan_lightning.schedules

    paths = re.findall(r"`(gan_lightning(?:\.\w+)+\.[A-Z]\w+)`", text)
    assert len(paths) >= 8
    for path in paths:
        module, name = path.rsplit(".", 1)
        assert hasattr(sys.modules[module], name), path
    for name in ("NoiseToImage", "PairedTranslation", "OneWayTranslation", "UnpairedTranslation"):
        assert f"`{name}`" in text
        assert hasattr(gan_lightning.families, name)
    for name in re.findall(r"`(gan_lightning(?:/\w+)+(?:\.py)?)`", text):
        assert (ROOT / name).exists(), name


@pytest.mark.slow
def test_train_py_finds_a_file_beside_the_user_and_not_beside_itself(own_folder: Path) -> None:
    write_files(section("Adding a GAN"), own_folder)
    command = [sys.executable, str(ROOT / "train.py"), "fit", "--config", "my_gan.yaml", "--print_config"]
    done = subprocess.run(command, cwd=own_folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "my_gan.MyGenerator" in done.stdout


def test_the_install_names_pytorchs_cpu_build() -> None:
    commands = [line for block in blocks(section("Start")) for line in block.text.splitlines()]
    assert any(line.endswith("--index-url https://download.pytorch.org/whl/cpu") for line in commands)
    for started in ("python train.py fit --config configs/quickstart.yaml", "python -m pytest"):
        assert f'python3 -m venv .venv && . .venv/bin/activate && pip install -e ".[dev]" && {started}' in commands
