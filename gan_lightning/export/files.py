"""A trained model as data: its weights in a safetensors file, and a JSON file beside it that says how they are used.

The layout is that of the Hugging Face Hub: a folder with `model.safetensors` and `config.json`. What is saved is the
object that makes the images, `model.sampler` or `model.translator`, with everything that it needs: networks with
averaged weights, prior, classes, clamps, directions, the policy of batch norm and dropout. Nothing here needs
Lightning.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from gan_lightning.building import limited_building
from gan_lightning.inference import Sampler, Translator
from gan_lightning.networks.growing import Growing
from gan_lightning.recording import TRUSTED, describe, rebuild, unrecorded
from gan_lightning.weights import CONFIG, WEIGHTS, exported_weights, read_weights

CARD = "README.md"
FORMAT_VERSION = 1
LARGEST_CONFIG = 2**20  # bytes; the largest model of the library has 2 KB
SPARE = 1_000_000  # numbers that a model may allocate beside its weights: kernels that no file holds
ADVICE = "give a folder that `gan-lightning export` wrote"

Maker = Sampler | Translator
"""An object that makes images: from latents, or from images."""


class ExportError(ValueError):
    """An exported model that cannot be used; the message says why."""


class Trained(NamedTuple):
    """What a file holds of a trained model.

    Args:
        maker: makes its images.
        model: import path of the model's class; empty if it is not known.
        images_seen: number of images that the model had seen in training.
    """

    maker: Maker
    model: str = ""
    images_seen: int = 0

    @property
    def name(self) -> str:
        """The name of the model's class, or of the sampler's or translator's."""
        return self.model.rpartition(".")[2] or type(self.maker).__name__


def networks_of(maker: Maker) -> dict[str, nn.Module]:
    """Return the `parts` of a sampler ("generator", and further ones if it has any) or of a translator.

    Raises:
        TypeError: it is of another kind, and cannot be exported.
    """
    if isinstance(maker, Sampler | Translator):
        return dict(maker.parts)
    raise TypeError(
        f"a {type(maker).__name__} cannot be exported, since it is neither a Sampler nor a Translator: derive it from "
        "one of them"
    )


def is_export(path: str | Path) -> bool:
    """Return whether a path names an exported model: its folder, one of the two files, or one of the package."""
    return exported_weights(path) is not None


def write(trained: Trained, place: Path, beside: Callable[[Path], object]) -> None:
    """Write a trained model into a new folder, which appears whole or not at all.

    Args:
        trained: the model. Its networks record their arguments, as those of this library do.
        place: the folder.
        beside: writes further files into the folder that it is given, before the folder appears.

    Raises:
        FileExistsError: there is something at `path` already.
        ValueError: a part does not record how it was built.
        TypeError: a part is of a kind that cannot be exported.
        OSError: the folder cannot be written.
    """
    networks = networks_of(trained.maker)
    described = describe(trained.maker)
    if nameless := sorted({*unrecorded(described)}):
        raise ValueError(
            f"{', '.join(nameless)} does not record how it was built, so that no file can describe it: derive your own "
            "networks from gan_lightning.recording.Network, and train anew"
        )
    refuse_existing(place)
    weights = {
        f"{name}.{key}": value.detach().cpu().contiguous().clone()  # safetensors refuses shared memory
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    part = place.with_name(f".{place.name[:200]}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        save_file(weights, part / WEIGHTS, metadata={"format": "pt"})
        config = {
            "format": FORMAT_VERSION,
            "library_name": "gan_lightning",
            "gan_lightning": library_version(),
            "model": trained.model,
            "images_seen": trained.images_seen,
            "made_by": described,
            "growing": _growing(networks),
            "sha256": _hash(part / WEIGHTS),
        }
        (part / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        beside(part)
        part.replace(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def read(path: str | Path, device: torch.device | str = "cpu", trusted: str | Sequence[str] = ()) -> Trained:
    """Read what `write` has written. No code from the files is run.

    Sizes are checked before memory is allocated, and classes come only from trusted packages.

    Args:
        path: the folder, one of its two files, or the name of a model that comes with the package.
        device: the device to load to.
        trusted: further packages whose classes the file may name: "my_gan" for classes in a file my_gan.py. Always
            trusted are this project's own package, torch.nn, torch.optim, torchvision.models and .ops.

    Raises:
        FileNotFoundError: there is no such folder, or a file is missing in it.
        ExportError: it is not an exported model, is damaged, or of a newer version.
        PermissionError: it names a class outside the trusted packages.
    """
    place, found = Path(path), exported_weights(path)
    folder = found.parent if found is not None else place if place.is_dir() else place.parent
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"there is no {folder / name}, a part of an exported model: {ADVICE}")
    config = _read_config(folder / CONFIG)
    if _hash(folder / WEIGHTS) != config["sha256"]:
        raise ExportError(
            f"{folder / WEIGHTS} is damaged, or not the file that {CONFIG} beside it describes (their SHA-256 differ): "
            "make the export again, or copy both files anew"
        )
    try:
        weights = read_weights(folder / WEIGHTS)
    except ValueError as error:
        raise ExportError(f"{folder / WEIGHTS} does not hold weights, since {error}: {ADVICE}") from error
    packages = [*TRUSTED, *([trusted] if isinstance(trusted, str) else trusted)]
    try:
        with limited_building(folder / CONFIG, weights, ADVICE, ExportError, SPARE):
            maker = rebuild(config["made_by"], packages)
    except PermissionError as error:
        raise PermissionError(f"{folder / CONFIG}: {error}") from error
    except ExportError:
        raise
    except ValueError as error:
        raise ExportError(f"{folder / CONFIG}: {error}") from error
    if not isinstance(maker, Sampler | Translator):
        raise ExportError(f"{folder / CONFIG} describes a {type(maker).__name__}, which makes no images: {ADVICE}")
    _fill(networks_of(maker), weights, config["growing"], folder, device)
    return Trained(maker, config["model"], config["images_seen"])


def refuse_existing(place: Path) -> None:
    """Raise FileExistsError if there is something at a path, since an export never replaces anything."""
    if place.exists() or place.is_symlink():
        raise FileExistsError(f"there is already {place}, and an export replaces nothing: name another, or remove it")


def library_version() -> str:
    """Return the version of this library."""
    try:
        return version("gan_lightning")
    except PackageNotFoundError:  # a copy of the sources on the path
        return "unknown"


def _read_config(path: Path) -> dict[str, Any]:
    if path.stat().st_size > LARGEST_CONFIG:
        raise ExportError(f"{path} is larger than the description of any model: {ADVICE}")
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ExportError(f"{path} is not JSON: {ADVICE}") from error
    if not isinstance(config, dict) or not isinstance(config.get("format"), int) or "made_by" not in config:
        raise ExportError(f"{path} does not describe an exported model: {ADVICE}")
    if config["format"] > FORMAT_VERSION:
        raise ExportError(
            f"{path} is of format {config['format']}, and this version of gan_lightning reads formats up to "
            f"{FORMAT_VERSION}: install a newer one"
        )
    kinds: dict[str, type] = {"model": str, "images_seen": int, "made_by": dict, "growing": dict, "sha256": str}
    for name, kind in kinds.items():
        if not isinstance(config.get(name), kind):
            raise ExportError(f"{path} does not describe an exported model (key {name!r}): {ADVICE}")
    return config


def _growing(networks: Mapping[str, nn.Module]) -> dict[str, list[float]]:
    """Return the level and alpha of each growing network, by its name; checkpoints do not need them, see `Growing`."""
    return {
        f"{name}.{inner}": [part.level, part.alpha]
        for name, network in networks.items()
        for inner, part in network.named_modules()
        if isinstance(part, Growing)
    }


def _fill(
    networks: dict[str, nn.Module],
    weights: dict[str, Tensor],
    growing: Mapping[str, Any],
    folder: Path,
    device: torch.device | str,
) -> None:
    """Load weights, level and alpha into the networks, and move these to the device, ready to be used.

    Raises:
        ExportError: they are of other networks.
    """
    if _kinds(weights) != _kinds({f"{n}.{k}": v for n, net in networks.items() for k, v in net.state_dict().items()}):
        raise ExportError(
            f"{folder / WEIGHTS} holds weights of other networks than those that {CONFIG} describes: {ADVICE}"
        )
    for name, network in networks.items():
        own = {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}
        network.load_state_dict(own)
        for inner, part in network.named_modules():
            if isinstance(part, Growing):
                stated = growing.get(f"{name}.{inner}")
                if not (
                    isinstance(stated, list)
                    and len(stated) == 2
                    and stated[0] in range(part.level + 1)
                    and isinstance(stated[1], int | float)
                    and 0 <= stated[1] <= 1
                ):
                    raise ExportError(f"{folder / CONFIG} does not state how far its networks have grown: {ADVICE}")
                part.level, part.alpha = stated
        network.to(device).eval().requires_grad_(False)


def _kinds(weights: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (value.shape, value.dtype) for name, value in weights.items()}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
