"""Exports of small models that were not trained, and the program that serves them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from gan_lightning.export import save
from gan_lightning.inference import LatentSampler, Translator
from gan_lightning.networks import DCGANGenerator, ResNetGenerator

ROOT = Path(__file__).parents[2]


class Served(NamedTuple):
    """A page, and the folder in which its files lie."""

    url: str
    folder: Path

    def files(self) -> list[Path]:
        return [file for file in self.folder.rglob("*") if file.is_file()]


@pytest.fixture(scope="session")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator with three classes."""
    torch.manual_seed(0)
    network = DCGANGenerator(latent_dim=8, image_size=32, channels=1, width=4, num_classes=3)
    for weights in network.parameters():
        weights.data *= 6 if weights.ndim > 1 else 1  # else all images are grey
    folder = tmp_path_factory.mktemp("exports") / "generator"
    save(LatentSampler(network, class_names=("cat", "dog", "<b>")), folder, license="cc-by-4.0")
    return folder


@pytest.fixture(scope="session")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A translator in two directions."""
    torch.manual_seed(0)
    networks = {name: ResNetGenerator(width=4, blocks=1) for name in ("a_to_b", "b_to_a")}
    folder = tmp_path_factory.mktemp("exports") / "translator"
    save(Translator(networks), folder)
    return folder


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Served]]:
    """Starts the program until the module's tests end; Ctrl-C then ends it without a word and with no file left."""
    pytest.importorskip("gradio", reason="the demo needs gradio, which is not installed")
    running: list[tuple[Any, Path]] = []

    def start(*arguments: Any) -> Served:
        folder = tmp_path_factory.mktemp("served")
        process = subprocess.Popen(
            [sys.executable, "-m", "gan_lightning", "demo", *map(str, arguments), "--port=0", "--device=cpu"],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append((process, folder))
        said = process.stdout.readline() if process.stdout else ""
        found = re.search(r"http://127\.0\.0\.1:\d+", said)
        if found is None:
            process.kill()
            pytest.fail(said + process.communicate()[1])
        return Served(found[0], folder)

    yield start
    for process, folder in running:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (0, "", "")
        assert not list(folder.iterdir())
