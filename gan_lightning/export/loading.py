"""Loading of trained models: from a checkpoint, a run's folder, an exported folder, or the Hugging Face Hub."""

from collections.abc import Sequence
from pathlib import Path

import torch

from gan_lightning import shipped
from gan_lightning.export.files import Maker, Trained, is_export, read
from gan_lightning.export.hub import ADDRESS, fetch


def load_trained(path: str | Path, device: torch.device | str = "cpu", trusted: str | Sequence[str] = ()) -> Trained:
    """Load what makes the images of a trained model. No code from the file is run.

    Args:
        path: a folder that `gan_lightning.export.save` wrote, the address of one on the Hugging Face Hub
            ("hf://owner/name"), a checkpoint (.ckpt), the folder of a run: its best checkpoint, or the last one if
            there is no best; or, where there is no such file, the name of a model that comes with the package:
            "digits". Only checkpoints need Lightning.
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
    path = _checkpoint_of_run(Path(path)) or path
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no checkpoint {path}: name another, or a model ({shipped.hint(path)})")
    if Path(path).is_dir():
        raise ValueError(
            f"{path} is neither a run's folder with a checkpoint nor an export: name a checkpoint (.ckpt), the folder "
            f"of a run, or one that `gan-lightning export` wrote ({shipped.hint(path)})"
        )
    from gan_lightning.recording import path_of  # noqa: PLC0415
    from gan_lightning.training.generative import GenerativeModule  # noqa: PLC0415 (imports Lightning)

    model = GenerativeModule.load_from_checkpoint(path, device, trusted)
    maker = model.sampler or model.translator
    if maker is None:
        raise ValueError(f"{path} holds a {type(model).__name__}, which makes no images: give a model that does")
    return Trained(maker, path_of(type(model)), model.images_seen)


def folder_of(path: Path) -> Path:
    """Return the folder of a checkpoint's run, or the folder in which an export lies.

    For hf:// and for a model that comes with the package, it is the current one.
    """
    if ADDRESS.fullmatch(str(path)) or shipped.find(path) is not None:
        return Path()
    if _checkpoint_of_run(path) is not None:
        return path
    return path.parent.parent if path.parent.name == "checkpoints" else path.parent


def is_trained(path: Path) -> bool:
    """Return whether a path names a trained model, as `load_trained` takes it, and not a folder of images."""
    holds_one = path.is_file() or is_export(path) or _checkpoint_of_run(path) is not None
    return holds_one or ADDRESS.fullmatch(str(path)) is not None


def _checkpoint_of_run(folder: Path) -> Path | None:
    """Return the best checkpoint in a run's folder, else the last one. None = there is none."""
    files = [folder / "checkpoints" / f"{name}.ckpt" for name in ("best", "last")]
    return next((file for file in files if file.is_file()), None)


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
