"""Tensors of latent tools in safetensors files, with facts about them as text. No code in a file is run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from gan_lightning.data.files import shown, write_whole

VERSION = "1"
LARGEST = 100_000_000
"""Bytes of a file at most."""


def write_tensors(path: Path, kind: str, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    """Write tensors, whole or not at all.

    Args:
        path: the file; its name ends in .safetensors.
        kind: of content, such as "directions".
        tensors: by name.
        facts: by name.
    """
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    stated = {**facts, "kind": f"gan_lightning {kind}", "version": VERSION}
    write_whole(path, lambda part: part.write_bytes(save(content, stated)))


def read_tensors(path: Path, kind: str, command: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors and the facts of a file that `write_tensors` wrote.

    Args:
        path: the file.
        kind: of content.
        command: that writes such files, for the message.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds anything else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no {shown(path)}, a file of {kind} that `gan-lightning {command}` writes")
    with readable(path, kind, command):
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} bytes")
        with safe_open(path, "pt") as file:
            facts = file.metadata() or {}
            if facts.get("kind") != f"gan_lightning {kind}" or facts.get("version") != VERSION:
                raise ValueError("its metadata do not say so")
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118 (it is no dictionary)


@contextmanager
def readable(path: Path, kind: str, command: str) -> Iterator[None]:
    """Turn errors within, while a file's content is taken apart, into one sentence.

    Raises:
        ValueError: the file holds anything else.
    """
    try:
        yield
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, RecursionError) as error:
        raise ValueError(
            f"{shown(path)} holds no {kind} ({str(error).splitlines()[0] if str(error) else type(error).__name__}): "
            f"give a file that `gan-lightning {command}` wrote"
        ) from error


def sound(*tensors: Tensor) -> bool:
    """Return whether all these are float32, and finite."""
    return all(tensor.dtype == torch.float32 and bool(tensor.isfinite().all()) for tensor in tensors)
