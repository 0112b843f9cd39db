import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from gan_lightning.evaluation.hype.answers import AnswersFile
from gan_lightning.evaluation.hype.pictures import Pictures
from gan_lightning.evaluation.hype.server import HypeServer
from gan_lightning.evaluation.hype.study import Design, Study


class Folders(NamedTuple):
    real: Path
    fake: Path


class Served(NamedTuple):
    server: HypeServer
    study: Study
    answers: Path


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Twenty JPEG photographs of 40x56 pixels with a camera's notes, and as many PNG files of 32x32."""
    place = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    for number in range(20):
        for kind, shape in (("real", (56, 40, 3)), ("fake", (32, 32, 3))):
            image = Image.fromarray(draw.integers(0, 256, shape, dtype=np.uint8))
            (place / kind / "secret").mkdir(parents=True, exist_ok=True)
            if kind == "real":
                exif = Image.Exif()
                exif[271] = "a camera"
                image.save(place / kind / f"secret/photo{number}.jpg", exif=exif, dpi=(72, 72))
            else:
                image.save(place / kind / f"secret/made{number}.png")
    return Folders(place / "real", place / "fake")


@pytest.fixture
def serve(folders: Folders, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts a server for a design, on a free port and in a thread, until the test ends."""
    with ExitStack() as stack:

        def start(design: Design, **settings: Any) -> Served:
            pictures = Pictures(*folders, design.seed)
            path = tmp_path / "answers.jsonl"
            file = stack.enter_context(AnswersFile(path, design))
            study = Study(design, pictures.real, pictures.fake, file)
            study.restore(file.recorded.people, file.recorded.answers)
            server = stack.enter_context(HypeServer("127.0.0.1", 0, study, pictures, **settings))
            pictures.check()
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return Served(server, study, path)

        yield start
