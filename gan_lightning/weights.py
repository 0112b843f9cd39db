"""Finding and reading files of weights: of exported models, and of feature extractors.

For extractors, nothing is downloaded unless requested: cluster nodes are often offline. The argument `weights` names
the file; else an environment variable, named after the extractor (`GAN_LIGHTNING_INCEPTION` for "inception",
`GAN_LIGHTNING_TORCHVISION_RESNET50` for "torchvision/resnet50"); else the file is in the download folder that other
packages use too. A named file is never replaced by a download.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from gan_lightning import archives, shipped
from gan_lightning.errors import one_line

WEIGHTS, CONFIG = "model.safetensors", "config.json"
"""The two files of an exported model, in its folder; see `gan_lightning.export.files`."""


def exported_weights(path: str | Path) -> Path | None:
    """Return the file of weights of an exported model, if a path names its folder or one of its two files.

    A path that does not exist may be the name of a model that comes with the package.
    """
    place = shipped.find(path) or Path(path)
    file = (place.parent if place.name in (WEIGHTS, CONFIG) else place) / WEIGHTS
    return file if file.is_file() else None


def find_weights(name: str, url: str, weights: Path | None, download: bool) -> Path:
    """Return the path of the weights of the extractor `name`, published at `url`, by default in torch hub's folder.

    Args:
        name: name of the extractor, as in `make_extractor`.
        url: address of the file; its last part is the file's name.
        weights: the file, if it is elsewhere.
        download: download the file into torch hub's folder if it is missing, and neither argument nor environment names
            one.

    Raises:
        FileNotFoundError: there is no such file.
        ConnectionError: it cannot be downloaded.
    """
    path = named_weights(name, weights)
    if path is None:
        path = Path(torch.hub.get_dir(), "checkpoints", url.rsplit("/", 1)[1])
        if download and not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            digest = re.search(r"-([0-9a-f]{8,})$", path.stem)  # the first digits of its SHA-256, if its name has them
            try:
                torch.hub.download_url_to_file(url, str(path), hash_prefix=digest[1] if digest else None)
            except (OSError, RuntimeError) as error:  # no network, or other content
                raise ConnectionError(
                    f"the weights of the extractor {name!r} could not be fetched from {url} "
                    f"({getattr(error, 'reason', error)}): put the file at {path}, name it by the environment variable "
                    f"{variable(name)}, or name an extractor whose weights are there"
                ) from error
        if not path.is_file():
            raise absent(name, f"at {path}", f"put {url} there")
    return path


def named_weights(name: str, weights: Path | None) -> Path | None:
    """Return the file that the argument or the environment names, or None if neither names one.

    Raises:
        FileNotFoundError: there is no such file.
    """
    named = weights or os.environ.get(variable(name))
    if not named:
        return None
    path = Path(named)
    if not path.is_file():
        raise absent(name, f"at {path}", "put the file there")
    return path


def variable(name: str) -> str:
    """Return the environment variable that names the file of an extractor's weights."""
    return "GAN_LIGHTNING_" + re.sub(r"\W", "_", name).upper()


def absent(name: str, where: str, advice: str) -> FileNotFoundError:
    """Return the error for missing weights, with all ways to provide them."""
    return FileNotFoundError(
        f"no weights for the extractor {name!r} {where}: {advice}, or name the file by the argument `weights` or the "
        f"environment variable {variable(name)}, or set `download: true` where there is a network"
    )


def read_weights(path: Path, inside: Sequence[str] = ()) -> dict[str, Tensor]:
    """Read the tensors in a file of PyTorch's or of safetensors. No code in it is run.

    A file of PyTorch's is checked first: its checksums are compared, and content that would fill the memory is refused.

    Args:
        path: the file.
        inside: names under which the file may hold the dictionary of tensors, beside other content; the first that it
            has counts.

    Raises:
        ValueError: the file holds anything else, or is damaged.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with path.open("rb") as file:
            archives.verify(file)
            file.seek(0)
            state = torch.load(file, "cpu", weights_only=True)
    except archives.ArchiveError as error:
        raise ValueError(f"it {error}") from error
    except OSError:
        raise
    except Exception as error:  # torch and safetensors raise many kinds of errors for forged files
        raise ValueError(f"it cannot be read, {type(error).__name__}") from error
    if isinstance(state, dict):
        state = next((state[name] for name in inside if isinstance(state.get(name), dict)), state)
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise ValueError("it is not a dictionary of tensors")
    for name, value in state.items():
        if value.layout is not torch.strided or value.is_meta or value.is_quantized or _larger_than_its_data(value):
            raise ValueError(f"it holds a tensor {name!r} of shape {tuple(value.shape)} without the numbers for it")
    return state


def _larger_than_its_data(value: Tensor) -> bool:
    return value.numel() * value.element_size() > value.untyped_storage().nbytes()


@contextmanager
def holding(name: str, path: Path) -> Iterator[None]:
    """Turn errors within, while reading the file or filling the network, into one sentence.

    Raises:
        ValueError: the file does not hold the extractor's weights.
    """
    try:
        yield
    except (ValueError, LookupError, RuntimeError, TypeError, AttributeError, AssertionError) as error:
        raise ValueError(
            f"{path} does not hold the weights of the extractor {name!r} ({one_line(str(error))[:300]}): fetch it "
            "again, or name another file"
        ) from error
