"""Objects that remember their constructor's arguments, so that a checkpoint can describe them in plain data.

A network or model made in Python is recorded as in a YAML file (`class_path` and `init_args`), never as the object
itself: the checkpoint stays small, loads with `weights_only=True`, and rebuilds the object on any machine.
"""

import functools
import importlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from torch import nn
from torch.optim import Optimizer

from gan_lightning.ranges import Checked, given_to

UNRECORDED = "unrecorded"
PARTIAL = "partial"
NETWORKED = frozenset({"download"})  # arguments that allow a class to download files
TRUSTED = ("gan_lightning", "torch.nn", "torch.optim", "torchvision.models", "torchvision.ops")
"""The packages whose classes any file may name."""


class Recorded(Checked):
    """Mixin: an instance keeps the arguments of its constructor, by name, in `init_args`; it is `Checked` too."""

    init_args: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: D102 (__init__ documents the arguments)
        self = super().__new__(cls, *args, **kwargs)
        object.__setattr__(self, "init_args", given_to(cls, args, kwargs))
        return self


class Network(Recorded, nn.Module):
    """Base of all networks of this library: an `nn.Module` that a checkpoint can record and rebuild."""

    architecture: ClassVar[str | None] = None
    """Name under which `gan_lightning.training.layouts` has measurements of this architecture; None = none."""


def path_of(thing: Any) -> str:
    """Return the import path of a class or function."""
    return f"{thing.__module__}.{thing.__qualname__}"


def describe(value: Any) -> Any:  # noqa: PLR0911 (one for each kind of value)
    """Return `value` as plain data: numbers, strings, lists and dictionaries.

    An object becomes `{"class_path": ..., "init_args": ...}`. A class, or a partial of one, has `"partial": True` as
    well, since it is not built yet. An object that does not record its arguments becomes `{"class_path": ...,
    "unrecorded": True}`.
    """
    if isinstance(value, np.generic):  # float64 is a float, but weights_only loading refuses it
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping | nn.ModuleDict):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [describe(item) for item in value]
    if isinstance(value, functools.partial):
        # our partials have the class first; those from YAML have jsonargparse's instantiator before it
        target = next((item for item in reversed(value.args) if inspect.isclass(item)), value.func)
        return {"class_path": path_of(target), "init_args": describe(value.keywords), PARTIAL: True}
    if isinstance(value, Recorded):
        return {"class_path": path_of(type(value)), "init_args": describe(value.init_args)}
    if inspect.isclass(value):
        return {"class_path": path_of(value), "init_args": {}, PARTIAL: True}
    return {"class_path": path_of(type(value)), UNRECORDED: True}


def unrecorded(description: Any) -> Iterator[str]:
    """Yield the class paths, in a result of `describe`, of objects that do not record their arguments."""
    if isinstance(description, Mapping):
        if description.get(UNRECORDED):
            yield description["class_path"]
        description = list(description.values())
    if isinstance(description, list):
        for item in description:
            yield from unrecorded(item)


def rebuild(value: Any, trusted: Sequence[str]) -> Any:
    """Rebuild objects from the plain data of `describe`. A partial, or a class, becomes a partial.

    Arguments in `NETWORKED` are always off, so that a file cannot cause a download. To allow a download, pass the
    object itself.

    Args:
        value: the result of `describe`, or the content of a checkpoint.
        trusted: packages whose classes may be imported and constructed.

    Raises:
        PermissionError: the description names a class outside the trusted packages.
        ValueError: it names an object that was not recorded, or a class that does not exist.
    """
    if isinstance(value, Mapping) and "class_path" in value:
        path = value["class_path"]
        if value.get(UNRECORDED):
            raise ValueError(
                f"the file does not record how its {path} was built, since that class does not record its "
                "arguments: pass the object itself under its argument's name when loading, "
                "or derive the class from gan_lightning.recording.Network before training"
            )
        target = import_class(path, trusted)
        given = value.get("init_args", {})
        if not isinstance(path, str) or not isinstance(given, Mapping):
            raise ValueError("the file does not name a class by an import path and its arguments")
        arguments = {str(name): rebuild(item, trusted) for name, item in given.items()}
        for name in NETWORKED & arguments.keys():
            arguments[name] = False
        return functools.partial(target, **arguments) if value.get(PARTIAL) else target(**arguments)
    if isinstance(value, Mapping):
        return {key: rebuild(item, trusted) for key, item in value.items()}
    if isinstance(value, list):
        return [rebuild(item, trusted) for item in value]
    return value


def import_class(path: str, trusted: Sequence[str]) -> type:
    """Import a class by its path, if its top-level package is trusted.

    Raises:
        PermissionError: the package is not trusted, or the class is not a part of a model.
        ValueError: there is no such class.
    """
    package, _, name = path.rpartition(".")
    if not any(f"{package}.".startswith(f"{each}.") for each in trusted):
        raise PermissionError(
            f"the file asks for the class {path!r}, outside the trusted packages {', '.join(trusted)}: "
            "it was not imported. If you trust the file and know the class, name its package in `trusted` "
            "(--trusted on a command line)"
        )
    try:
        found = getattr(importlib.import_module(package), name, None)
    except Exception:  # no such module, or one of its dependencies is missing
        found = None
    if not inspect.isclass(found):
        raise ValueError(f"the file asks for {path!r}, which is not a class of the installed version of {package}")
    # torch has classes that start a program when constructed: only parts of a model are allowed
    if not issubclass(found, nn.Module | Optimizer | Recorded):
        raise PermissionError(
            f"the file asks for {path!r}, which is neither a network nor an optimizer, nor anything else that "
            "gan_lightning records: it was not constructed, because it may do more than compute"
        )
    return found
