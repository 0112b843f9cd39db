"""Files of weights from anywhere: tensors, or one sentence that names the file and the extractor."""

import io
import os
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from gan_lightning.weights import holding, read_weights


def pickled(value: Any, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


class Filled:
    """Pickled as bytearray(n)."""

    def __reduce__(self) -> Any:
        return bytearray, (10**12,)


class Run:
    """Pickled as a call of os.system."""

    def __reduce__(self) -> Any:
        return os.system, ("echo it ran",)


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def compressed(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as after:
        for record in before.infolist():
            after.writestr(record.filename, before.read(record))
    return file.getvalue()


WEIGHTS = OrderedDict(weight=torch.arange(600.0).view(20, 30), bias=torch.ones(20))
NEW, OLD, TENSORS = pickled(WEIGHTS), pickled(WEIGHTS, zipped=False), save(dict(WEIGHTS))


def read(content: bytes, folder: Path, suffix: str = ".pth") -> dict[str, Tensor]:
    path = folder / f"file{suffix}"
    path.write_bytes(content)
    with holding("net", path):
        return read_weights(path)


@pytest.mark.parametrize(("content", "suffix"), [(NEW, ".pth"), (OLD, ".pth"), (TENSORS, ".safetensors")])
def test_whole_files_of_every_kind_are_read(content: bytes, suffix: str, tmp_path: Path) -> None:
    found = read(content, tmp_path, suffix)
    assert {name: value.tolist() for name, value in found.items()} == {k: v.tolist() for k, v in WEIGHTS.items()}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"weights: 1\n", "nor any other file of PyTorch"),
        (bytes(1000), "nor any other file of PyTorch"),
        (NEW[: len(NEW) // 2], "it is damaged"),
        (OLD[: len(OLD) // 2], "it is damaged|cannot be read"),
        (OLD[:40], "it is damaged"),
        (NEW + b"x", "it is damaged"),
        (flipped(NEW, NEW.index(torch.arange(300.0, 310).numpy().tobytes()) + 2), "it is damaged"),
        (compressed(NEW), "compressed records"),
        (pickled([1, 2]), "not a dictionary of tensors"),
        (pickled({"model": dict(WEIGHTS)}), "not a dictionary of tensors"),
        (pickled({"weight": Filled()}), "bytearray"),
        (pickled({"weight": Filled()}, zipped=False), "bytearray"),
        (pickled({"weight": Run()}), "may run code"),
        (pickled({"weight": Run()}, zipped=False), "may run code"),
        (pickled(nn.Linear(2, 2)), "may run code"),
        (pickled(nn.Linear(2, 2), zipped=False), "may run code"),
    ],
)
def test_other_files_are_refused_in_a_sentence(
    content: bytes, reason: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=rf"file\.pth does not hold the weights of the extractor 'net' .*{reason}"):
        read(content, tmp_path)
    assert "it ran" not in capfd.readouterr().out


@pytest.mark.parametrize("content", [b"", b"weights", TENSORS[:100], bytes(8), b"\xff" * 100, TENSORS[:-1], NEW])
def test_other_files_of_safetensors_too(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"file\.safetensors does not hold the weights of the extractor 'net'"):
        read(content, tmp_path, ".safetensors")


def test_weights_of_another_network_are_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "other.pth").write_bytes(NEW)
    with pytest.raises(ValueError, match=r"does not hold the weights .*size mismatch"), holding("net", tmp_path / "x"):
        nn.Linear(3, 20).load_state_dict(read_weights(tmp_path / "other.pth"))
