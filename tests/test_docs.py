"""Every command of README and docs, run from the text itself, page by page, in a folder with a few small images."""

import importlib
import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import wandb
import yaml

from export import published_networks
from gan_lightning.cli import configs
from gan_lightning.cli.children import Children
from gan_lightning.data.images import write_png
from test_configs import narrow, small

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")] + sorted((ROOT / "docs").glob("*.md"))
OURS = ("gan-lightning", "python train.py", "python -m gan_lightning")
ELSEWHERE = {
    "python3 -m venv": "installs: .ci/run and the first hour of a newcomer do",
    "python -m pytest": "CI itself",
    "ruff check": "CI itself",
    "python -m benchmarks.": "takes hours: tests/benchmarks shortens it",
    "gan-lightning export --push": "uploads to the Hugging Face Hub: tests/export/test_hub.py",
    "gan-lightning demo": "serves a page until it is stopped: tests/demo",
    "gan-lightning hype": "serves a page until it is stopped: tests/evaluation/hype",
    "torchrun": "starts one process a GPU on several machines: tests/training runs two processes",
}
"""Commands that are not run here, by their beginnings, and the reason."""

QUICK = [
    "--trainer.limit_train_batches=2",
    "--trainer.check_val_every_n_epoch=1",
    "--trainer.val_check_interval=1.0",
    "--trainer.accelerator=cpu",
]

SHORTER = {
    "digits": ["--n=200"],
    "train-classifier": ["--epochs=1"],
    "correlate": ["--n=8", "--samples=32"],
    "train-encoder": ["--steps=20"],
    "invert": ["--steps=20", "--starts=1"],
    "paint": ["--steps=5", "--candidates=4"],
    "disentangle": ["--n=200", "--paths=20"],
    "augment": ["--p_real=[0,1]", "--seeds=1", "--steps=4", "--generated=100"],
}
"""Arguments that shorten other commands."""


class Block(NamedTuple):
    """A fenced block: its language, "" for commands, and its text."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [Block(language, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)) for indent, language, text in found]


def commands(block: Block) -> list[str]:
    """The commands of a block, each in one line, without comments."""
    lines = [shlex.join(shlex.split(line, comments=True)) for line in block.text.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line]


def shortened(command: str) -> list[str]:
    """The arguments of a command of ours; a training of narrow networks that ends after an epoch of two batches."""
    beginning = next(known for known in OURS if command.startswith(known))
    arguments = shlex.split(command.removeprefix(beginning))
    if arguments[0] not in ("fit", "sweep"):
        return [*arguments, *SHORTER.get(arguments[0], [])]
    for flag, number in {"--trials": "1", "--seeds": "2"}.items():
        if flag in arguments:
            arguments[arguments.index(flag) + 1] = number
    if "--trainer.max_epochs" in arguments:
        del arguments[(place := arguments.index("--trainer.max_epochs")) : place + 2]
    stacked = [arguments[place + 1] for place, flag in enumerate(arguments) if flag == "--config"] or ["quickstart"]
    file = configs.find(stacked[0])
    settings: dict[str, Any] = {} if file is None else yaml.safe_load(file.read_text())
    model = settings.get("model", {})
    for further in stacked[1:] if model else ():  # of the library, or a file of the page
        given = yaml.safe_load((configs.find(further) or Path(further)).read_text()).get("model", {})
        model = model | given | {"init_args": model["init_args"] | given.get("init_args", {})}
    longer = "--ckpt_path" in arguments
    smaller = [*narrow(model), *small(settings), "--data.batch_size=4"] if model else []
    return [*arguments, *QUICK, f"--trainer.max_epochs={2 if longer else 1}", *smaller]


def images(folder: Path, count: int, *shape: int) -> None:
    generator = torch.Generator().manual_seed(count)
    for i in range(count):
        write_png(torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator), folder / f"{i}.png")


def run(program: Callable[..., int], command: str) -> None:
    assert program(shortened(command)) == 0, command


def run_here(children: Children, arguments: list[str], environment: Any = None, enough: Any = None) -> int:
    """Run a child's command in this process, which has imported everything."""
    from gan_lightning.cli.commands import main

    with pytest.MonkeyPatch.context() as patch:
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        code = main(arguments)
    wandb.finish()
    return code


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the quickstart."""
    from gan_lightning.cli.commands import main

    folder = tmp_path_factory.mktemp("quickstart") / "run"
    run(main, f"gan-lightning fit --config quickstart --trainer.default_root_dir {folder}")
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's working folder with the folders that the pages name, whose modules nothing else finds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_gan", raising=False)
    monkeypatch.setattr(Children, "run", run_here)
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("photos", "paintings", "sources", "targets"):
        images(tmp_path / name, 12, 3, 64, 48)
    for name in ("noto", "fluent"):
        images(tmp_path / "styles" / name, 12, 3, 64, 48)
    images(tmp_path / "small", 12, 3, 32, 32)
    shapes = np.random.default_rng(0).random((20, 32, 32, 32)) < 0.1
    (tmp_path / "shapes").mkdir()
    np.savez(tmp_path / "shapes" / "all.npz", voxels=shapes, icons=np.zeros((20, 16, 16, 3), np.uint8))
    kinds = (("chair", "seats"), ("stool", "seats"), ("lamp", "lights"))
    records = [dict(zip(("name", "category"), kinds[number % 3], strict=True)) for number in range(20)]
    (tmp_path / "shapes" / "meta.json").write_text(json.dumps(records))
    shutil.copytree(tmp_path / "shapes", tmp_path / "data" / "furniture-voxels")
    images(tmp_path / "large", 12, 3, 128, 128)
    images(tmp_path, 1, 4, 64, 64)
    (tmp_path / "0.png").rename(tmp_path / "strokes.png")
    for person in ("anna", "ben", "carl"):
        images(tmp_path / "people" / person, 6, 3, 64, 64)
        for frame in (tmp_path / "people" / person).iterdir():
            frame.with_suffix(".csv").write_text("part,x,y\nleft_eye,20,24\nleft_eye,28,24\nouter_lips,32,40\n")
    for name in ("REAL", "FAKE"):
        images(tmp_path / name, 40, 1, 32, 32)
    captions = [f"a {colour} {thing}" for thing in ("flower", "bird") for colour in ("red", "blue", "green")] * 2
    records = [json.dumps({"image": f"{i}.png", "caption": caption}) for i, caption in enumerate(captions)]
    (tmp_path / "captions.jsonl").write_text("\n".join(records))
    (tmp_path / "prompts.txt").write_text("a green flower\na red bird\n")
    torch.save(published_networks.ResNet().state_dict(), tmp_path / "latest_net_G.pth")
    torch.save(published_networks.DCGAN().state_dict(), tmp_path / "netG.pth")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_runs(page: Path, place: Path, small_run: Path) -> None:
    """In the order of the page, in one folder, as a reader would; its files are written where the page has them."""
    from gan_lightning.cli.commands import main

    trains_it = any("fit --config quickstart" in block.text for block in blocks(page))
    for name in ("other",) if trains_it else ("quickstart", "other"):
        shutil.copytree(small_run, place / "runs" / name)
    for block in blocks(page):
        named = re.match(r"# (\w+\.(?:py|yaml))\n", block.text)
        if named:
            (place / named[1]).write_text(block.text)
        elif block.language == "bash":  # a script for a cluster: its commands are understood
            for command in commands(block):
                for beginning in OURS:
                    if beginning in command:
                        assert main([*shlex.split(command.split(f"{beginning} ")[1]), "--print_config"]) == 0
        elif block.language == "python" and "self" not in block.text:
            exec(compile(block.text, page.name, "exec"), {})
        elif not block.language and not re.match(r"\S+/ ", block.text):
            for command in commands(block):
                if not any(command.startswith(known) for known in ELSEWHERE):
                    assert command.startswith(OURS), f"{page.name}: {command}"
                    run(main, command)


def test_an_own_checkpoint_is_not_loaded_unless_its_package_is_trusted(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from gan_lightning.cli.commands import main

    for block in blocks(ROOT / "docs" / "own_gan.md"):
        if named := re.match(r"# (my_gan\.(?:py|yaml))\n", block.text):
            (place / named[1]).write_text(block.text)
    run(main, "gan-lightning fit --config my_gan.yaml --trainer.limit_val_batches 0 --validate_before_fit false")
    capsys.readouterr()
    evaluate = ["evaluate", "REAL", "runs/my_gan/checkpoints/last.ckpt", "--recipe=fid40@digits"]
    assert main(evaluate) == 2
    said = capsys.readouterr().err
    assert "my_gan.MyGAN" in said
    assert "--trusted" in said
    assert main([*evaluate, "--trusted", "[my_gan]"]) == 0


def test_the_own_gan_of_the_page_is_what_was_trained(place: Path, small_run: Path) -> None:
    """Its term is logged, its metric measured, its settings recorded."""
    from gan_lightning.cli.commands import main
    from gan_lightning.training.adversarial import AdversarialModule

    for block in blocks(ROOT / "docs" / "own_gan.md"):
        if named := re.match(r"# (my_gan\.(?:py|yaml))\n", block.text):
            (place / named[1]).write_text(block.text)
    run(main, "gan-lightning fit --config my_gan.yaml --trainer.log_every_n_steps 1")
    columns = (place / "runs/my_gan/metrics.csv").read_text().splitlines()[0]
    assert "val/brightness" in columns
    assert "loss/generator/mean" in columns
    model: Any = AdversarialModule.load_from_checkpoint("runs/my_gan/checkpoints/last.ckpt", trusted="my_gan")
    assert type(model).__module__ == "my_gan"
    assert model.discriminator.net[1].out_features == 128
    assert model.loss.margin == 0.5
    images = model.sample(16, seed=1)
    assert images.shape == (16, 1, 32, 32)
    assert images.abs().max() <= 1


def test_every_class_that_the_pages_name_exists() -> None:
    text = "".join(page.read_text() for page in PAGES)
    paths = set(re.findall(r"`((?:gan_lightning|datamodules)(?:\.\w+)*\.[A-Z]\w+)`", text))
    assert len(paths) >= 20
    for path in sorted(paths):
        module, name = path.rsplit(".", 1)
        assert hasattr(importlib.import_module(module), name), path
    for name in re.findall(r"`(gan_lightning(?:/\w+)+(?:\.py)?)`", text):
        assert (ROOT / name).exists() or "my_gan" in name, name


def test_the_install_names_pytorchs_cpu_build() -> None:
    lines = [line for block in blocks(ROOT / "README.md") for line in block.text.splitlines()]
    assert any(line.endswith("--index-url https://download.pytorch.org/whl/cpu") for line in lines)
    for started in (
        "pip install -e . && gan-lightning fit --config quickstart",
        'pip install -e ".[dev]" && python -m pytest',
    ):
        assert f"python3 -m venv .venv && . .venv/bin/activate && {started}" in lines
