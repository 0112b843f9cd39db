"""Loading of whatever holds a trained model: a checkpoint, an exported folder, a repository of the Hugging Face Hub."""

from collections.abc import Sequence
from pathlib import Path

import torch

from gan_lightning.export.files import WEIGHTS, Maker, Trained, is_export, read
from gan_lightning.export.hub import ADDRESS, fetch


def load_trained(path: str | Path, device: torch.device | str = "cpu", trusted: str | Sequence[str] = ()) -> Trained:
    """Load what makes the images of a trained model. No code from the file is run.

    Args:
        path: a folder that `gan_lightning.export.save` wrote, the address of one on the Hugging Face Hub
            ("hf://owner/name"), or a checkpoint (.ckpt). Only a checkpoint needs Lightning.
        device: the device to load to.
        trusted: further packages whose classes the file may name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no such model, or is damaged.
        PermissionError: it names a class outside the trusted packages.
        ConnectionError: it cannot be downloaded.
    """
    if ADDRESS.fullmatch(str(path)):
        path = fetch(str(path))
    if is_export(path):
        return read(path, device, trusted)
    if Path(path).is_dir():
        raise ValueError(
            f"{path} is a folder without {WEIGHTS}: name a checkpoint (.ckpt), or a folder that `gan-lightning export` "
            "wrote"
        )
    from gan_lightning.recording import path_of  # noqa: PLC0415
    from gan_lightning.training.generative import GenerativeModule  # noqa: PLC0415 (imports Lightning)

    model = GenerativeModule.load_from_checkpoint(path, device, trusted)
    maker = model.sampler or model.translator
    if maker is None:
        raise ValueError(f"{path} holds a {type(model).__name__}, which makes no images: give a model that does")
    return Trained(maker, path_of(type(model)), model.images_seen)


def folder_of(path: Path) -> Path:
    """Return the folder of the run that a checkpoint is of, or in which an export lies; for hf:// this one."""
    if ADDRESS.fullmatch(str(path)):
        return Path()
    return path.parent.parent if path.parent.name == "checkpoints" else path.parent


def is_trained(path: Path) -> bool:
    """Return whether a path names a trained model, and not a folder of images: a file, an export, an hf:// address."""
    return path.is_file() or is_export(path) or ADDRESS.fullmatch(str(path)) is not None


def load(path: str | Path, device: torch.device | str = "cpu", trusted: str | Sequence[str] = ()) -> Maker:
    """Load a trained model to use: a `LatentSampler` with `sample`, or a `Translator` with `translate`.

    Args:
        path: see `load_trained`.
        device: the device to load to.
        trusted: further packages whose classes the file may name: "my_gan" for classes in a file my_gan.py.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no such model, or is damaged.
        PermissionError: it names a class outside the trusted packages.
    """
    return load_trained(path, device, trusted).maker
