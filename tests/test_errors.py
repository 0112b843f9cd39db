"""Mistakes end in a sentence, faults in a traceback."""

import errno
import re
import runpy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import nn

from gan_lightning.data.batches import ImageBatch
from gan_lightning.data.files import read_image
from gan_lightning.errors import run
from gan_lightning.schedules import LinearToZero
from toys import ToyGAN


def raises(error: BaseException) -> Callable[[], None]:
    """Return a program that another library ends with this error."""
    module = Path(torch.__file__)
    code = compile("def program(error):\n    raise error", str(module), "exec")
    names: dict[str, Any] = {}
    exec(code, names)
    return partial(names["program"], error)


def ended(program: Callable[[], Any], capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    code = run(program)
    return code, capsys.readouterr().err.splitlines()


def own(folder: Path, text: str) -> Callable[[], Any]:
    """A program that runs the user's own file."""
    (folder / "own.py").write_text(text)
    return partial(runpy.run_path, str(folder / "own.py"))


def test_our_own_raise_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = ended(partial(LinearToZero, 3, 2), capsys)
    assert (code, lines) == (2, ["error: a linear decay needs 0 <= start < end, not start=3 and end=2"])


def test_a_sentence_that_was_raised_from_something_is_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    code, lines = ended(partial(read_image, tmp_path / "a.png"), capsys)
    assert code == 2
    assert len(lines) == 1
    assert str(tmp_path / "a.png") in lines[0]


def test_a_value_error_of_another_library_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    for program in (raises(ValueError("deep inside")), partial(torch.optim.Adam, [torch.zeros(1)], lr=-1)):
        code, lines = ended(program, capsys)
        assert code == 1
        assert lines[0] == "Traceback (most recent call last):"
        assert "report it with the text above" in lines[-1]


def test_our_faults_are_faults(capsys: pytest.CaptureFixture[str]) -> None:
    """An operation that fails within this library, without a raise statement."""
    code, lines = ended(partial(LinearToZero(0, 1), "much"), capsys)
    assert code == 1
    assert lines[0] == "Traceback (most recent call last):"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a/b"), "a/b: no such file .*correct the path"),
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on device .make room"),
        (PermissionError(errno.EACCES, "Permission denied", "x.ckpt"), "x.ckpt: permission denied .change its perm"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), "memory is full .CUDA out of memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "make data.batch_size"),
        (MemoryError(), "the memory is full .MemoryError.: make data.batch_size"),
        (ModuleNotFoundError("No module named 'tensorbored'", name="tensorbored"), "the package 'tensorbored' is need"),
        (MisconfigurationException("No supported gpu backend found!"), "No supported gpu backend found!"),
    ],
)
def test_what_the_machine_lacks_is_a_sentence(error: Exception, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = ended(raises(error), capsys)
    assert code == 2
    assert len(lines) == 1
    assert re.search(said, lines[0])


def test_the_users_own_code_keeps_its_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = ended(own(tmp_path, "def forward():\n    raise ValueError('mine')\n\nforward()\n"), capsys)
    assert code == 1
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == f"error: {tmp_path / 'own.py'}, line 2: ValueError: mine"


def test_our_sentence_ends_what_the_users_own_code_began(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = own(tmp_path, "from gan_lightning.schedules import LinearToZero\nLinearToZero(3, 2)\n")
    code, lines = ended(program, capsys)
    assert code == 2
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "error: a linear decay needs 0 <= start < end, not start=3 and end=2"


class Broken(nn.Module):
    latent_dim, num_classes = 3, 0

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("mine")


def test_our_sentence_from_an_error_in_the_users_own_code_has_its_traceback_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    batch = ImageBatch(torch.zeros(2, 1, 4, 4), None)
    code, lines = ended(partial(ToyGAN(Broken()).check_batch, batch), capsys)
    assert code == 2
    assert "Traceback (most recent call last):" in lines
    assert any("test_errors.py" in line for line in lines)
    assert lines[-1].startswith("error: the networks of ToyGAN cannot take what the data serve")


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GAN_LIGHTNING_DEBUG", "1")
    code, lines = ended(partial(LinearToZero, 3, 2), capsys)
    assert code == 2
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith("error: a linear decay")


def test_a_sentence_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = ended(raises(MisconfigurationException("two\n  lines. ")), capsys)
    assert (code, lines) == (2, ["error: two lines"])


def test_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: None, capsys) == (0, [])
    assert ended(lambda: 3, capsys) == (3, [])
    assert ended(raises(SystemExit(5)), capsys) == (5, [])
    assert ended(raises(SystemExit()), capsys) == (0, [])
    assert ended(raises(SystemExit("error: so")), capsys) == (2, ["error: so"])
    assert ended(raises(KeyboardInterrupt()), capsys) == (130, [])
