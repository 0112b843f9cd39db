"""A checkpoint that cannot be written leaves the one before as it was."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from gan_lightning.checkpoint_io import AtomicCheckpointIO


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    writer = AtomicCheckpointIO()
    writer.save_checkpoint({"step": 1}, path)

    def full(checkpoint: Any, file: Any) -> None:
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(OSError, match="make room there"):
            writer.save_checkpoint({"step": 2}, path)
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]
    assert torch.load(path, weights_only=True) == {"step": 1}

    writer.save_checkpoint({"step": 3}, path)
    assert torch.load(path, weights_only=True) == {"step": 3}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_what_torch_says_of_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    monkeypatch.setattr(Path, "with_name", lambda self, name: Path("/dev/full"))
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok: None)
    with pytest.raises(OSError, match="no checkpoint could be written"):
        AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(1_000_000)}, path)
