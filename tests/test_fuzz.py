"""Files that nobody would write: a reader gives a right value or its own error, and never hangs or runs wild."""

import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from gan_lightning.callbacks.evaluation import forget_reports
from gan_lightning.data.files import read_image
from gan_lightning.evaluation.cache import FeatureCache
from gan_lightning.evaluation.hype.answers import AnswersFile, read_answers
from gan_lightning.evaluation.hype.report import report
from gan_lightning.evaluation.hype.study import Answer, Design
from gan_lightning.evaluation.pictures.curves import read_curves
from gan_lightning.evaluation.report import Report
from gan_lightning.metrics import DigitClassifier, Features
from gan_lightning.training.checkpoint_io import CheckpointError, read_checkpoint
from gan_lightning.training.loggers import RunCSVLogger
from gan_lightning.weights import holding, read_weights
from models.test_dcgan import dcgan
from toys import trainer

pytestmark = pytest.mark.slow
many = settings(max_examples=300, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def damaged(draw: Callable[..., Any], whole: bytes) -> bytes:
    """A file with some bytes changed, cut off, put in or taken out."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        match draw(st.sampled_from(["change", "cut", "put in", "take out"])):
            case "change" if content:
                content[place] = draw(st.integers(0, 255))
            case "cut":
                del content[place:]
            case "put in":
                content[place:place] = draw(st.binary(max_size=40))
            case "take out":
                del content[place : place + draw(st.integers(1, 200))]
    return bytes(content)


def outcome(reader: Callable[[Path], Any], path: Path, kind: type[Exception]) -> tuple[str, Any]:
    """The sentence of the reader's own error, or the value."""
    try:
        return "", reader(path)
    except kind as error:
        return str(error), None


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    values = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    Image.fromarray(values).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, torch.Tensor]]:
    from gan_lightning.training.checkpoint_io import AtomicCheckpointIO

    folder = tmp_path_factory.mktemp("checkpoint")
    run = trainer(folder, plugins=[AtomicCheckpointIO()])
    model = dcgan()
    run.strategy.connect(model)
    run.save_checkpoint(folder / "a.ckpt", weights_only=True)
    return (folder / "a.ckpt").read_bytes(), dict(model.state_dict())


@many
@given(data=st.data())
def test_checkpoints(checkpoint: tuple[bytes, dict[str, torch.Tensor]], data: Any, tmp_path: Path) -> None:
    whole, weights = checkpoint
    path = tmp_path / "a.ckpt"
    path.write_bytes(data.draw(damaged(whole)))
    said, read = outcome(read_checkpoint, path, CheckpointError)
    assert read is not None or (str(path) in said and "\n" not in said)
    assert read is None or all(torch.equal(read["state_dict"][name], weight) for name, weight in weights.items())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM"])
@many
@given(data=st.data())
def test_images(kind: str, data: Any, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(data.draw(damaged(picture(kind))))
    said, image = outcome(read_image, path, ValueError)
    if image is None:
        assert str(path) in said
    else:
        assert image.dtype in (torch.uint8, torch.uint16)
        assert image.ndim == 3
        assert 1 <= image.shape[0] <= 4


@many
@given(data=st.data())
def test_cached_features(data: Any) -> None:
    extractor = DigitClassifier()
    features = [Features(torch.rand(5, extractor.num_features), torch.rand(5, 10))]
    with tempfile.TemporaryDirectory() as place:
        cache = FeatureCache(Path(place))
        cache.save("name", features)
        (file,) = Path(place).iterdir()
        file.write_bytes(data.draw(damaged(file.read_bytes())))
        found = cache.load("name", extractor)
        if found is not None:
            assert torch.equal(found.pooled, features[0].pooled)


@many
@given(content=st.binary(max_size=300))
def test_logs_of_a_run(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "metrics.csv").write_bytes(content.replace(b"\x00", b""))
        (Path(place) / "evaluations.jsonl").write_bytes(content)
        try:
            logger = RunCSVLogger(place)
            logger.log_metrics({"loss": 1.0}, step=3)
            logger.save()
            forget_reports(Path(place) / "evaluations.jsonl", 3)
        except ValueError:  # of bytes that are no text
            return
        assert "loss" in (Path(place) / "metrics.csv").read_text(errors="replace")


@many
@given(content=st.binary(max_size=300))
def test_answers_of_people(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="answers"):
        read_answers(path)


STUDY = Design("infinity", 4, 0, 7)
ANSWER = Answer("anna", 1, 1, "a/b.png", True, None, None, False, "2026-01-01T00:00:00.000+00:00")
REPORT = Report("fid2k", "Digits", "a", "none", "real", "fake", 2, 2, [0], {"fid": [3.0]}, 1.0, {"images_seen": 80})


@many
@given(data=st.data())
def test_damaged_answers_of_people(data: Any, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.unlink(missing_ok=True)
    with AnswersFile(path, STUDY) as file:
        file.add_person("anna", "")
        file.add_answer(ANSWER)
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    said, recorded = outcome(read_answers, path, ValueError)
    assert recorded is not None or str(path) in said
    if recorded is not None and recorded.answers:
        assert report(recorded.design, recorded.people, recorded.answers).table()


def leaves() -> st.SearchStrategy[Any]:
    return st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@many
@given(
    changes=st.dictionaries(
        st.sampled_from(["recipe", "settings", "values", "seeds"]),
        st.recursive(leaves(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)),
    ),
    value=leaves(),
    table=st.binary(max_size=200) | st.lists(st.lists(leaves(), min_size=3, max_size=3), max_size=4),
)
@pytest.mark.filterwarnings("ignore:.*is not a whole line of a run")
def test_curves_of_runs(changes: dict[str, Any], value: Any, table: Any, tmp_path: Path) -> None:
    whole = json.loads(REPORT.as_json())
    other = json.loads(REPORT.as_json())
    other["values"]["fid"]["each"] = [value]
    lines = [json.dumps(each) for each in (whole | changes, other, whole)]
    (tmp_path / "evaluations.jsonl").write_text("\n".join(lines) + "\n")
    if isinstance(table, list):
        rows = [["step", "images_seen", "loss"], *table]
        table = "".join(",".join(map(str, row)) + "\n" for row in rows).encode("utf-8", "replace")
    (tmp_path / "metrics.csv").write_bytes(table)
    said, curves = outcome(read_curves, tmp_path, ValueError)
    if curves is None:
        assert "metrics.csv" in said
    else:
        assert 3.0 in curves["fid2k/fid"].values or len(curves["fid2k/fid"].values) < 3


@many
@given(data=st.data())
def test_weights(data: Any, tmp_path: Path) -> None:
    suffix = data.draw(st.sampled_from([".pth", ".old.pth", ".safetensors"]))
    state = {"weight": torch.arange(6.0), "bias": torch.ones(2)}
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=suffix == ".pth")
    path.write_bytes(data.draw(damaged(path.read_bytes())))

    def read(path: Path) -> dict[str, torch.Tensor]:
        with holding("net", path):
            return read_weights(path)

    said, read_again = outcome(read, path, ValueError)
    assert read_again is not None or (str(path) in said and "\n" not in said)
    if read_again is not None and suffix == ".pth":  # which has checksums
        assert all(torch.equal(read_again[name], state[name]) for name in read_again)
