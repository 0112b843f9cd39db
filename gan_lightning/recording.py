"""Objects that remember how they were built, so that a checkpoint can say it in plain data.

A network or model made in Python is recorded as what a YAML file would say (`class_path` and `init_args`), never as the
object itself: the checkpoint stays small, loads with `weights_only=True`, and rebuilds the object wherever it is
loaded.
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
NETWORKED = frozenset({"download"})  # arguments that let a class fetch what is missing


class Recorded(Checked):
    """Mixin: an instance keeps the arguments it was constructed with, by name, in `init_args`; it is `Checked` too."""

    init_args: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: D102 (what it takes, __init__ says)
        self = super().__new__(cls, *args, **kwargs)
        object.__setattr__(self, "init_args", given_to(cls, args, kwargs))
        return self


class Network(Recorded, nn.Module):
    """Base of all networks here: an `nn.Module` that a checkpoint can record and rebuild."""

    architecture: ClassVar[str | None] = None
    """The name of networks built alike in `gan_lightning.training.layouts`; None = none of them was measured."""


def path_of(thing: Any) -> str:
    """The import path of a class or function."""
    return f"{thing.__module__}.{thing.__qualname__}"


def describe(value: Any) -> Any:  # noqa: PLR0911 (one for each kind of value)
    """`value` as plain data: numbers, strings, lists and dictionaries; objects as `{"class_path": ..., "init_args":
    ...}`.

    A class, or a partial of one, has `"partial": True` beside them: it is not built yet. An object that does not say
    how it was built becomes `{"class_path": ..., "unrecorded": True}`.
    """
    if isinstance(value, np.generic):  # float64 passes for a float, until weights_only loading meets it
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [describe(item) for item in value]
    if isinstance(value, functools.partial):
        # the class stands first in a partial of ours, behind jsonargparse's own instantiator in one that came from YAML
        target = next((item for item in reversed(value.args) if inspect.isclass(item)), value.func)
        return {"class_path": path_of(target), "init_args": describe(value.keywords), PARTIAL: True}
    if isinstance(value, Recorded):
        return {"class_path": path_of(type(value)), "init_args": describe(value.init_args)}
    if inspect.isclass(value):
        return {"class_path": path_of(value), "init_args": {}, PARTIAL: True}
    return {"class_path": path_of(type(value)), UNRECORDED: True}


def unrecorded(description: Any) -> Iterator[str]:
    """The class paths in what `describe` returned of objects that do not say how they were built."""
    if isinstance(description, Mapping):
        if description.get(UNRECORDED):
            yield description["class_path"]
        description = list(description.values())
    if isinstance(description, list):
        for item in description:
            yield from unrecorded(item)


def rebuild(value: Any, trusted: Sequence[str]) -> Any:
    """The opposite of `describe`: objects from their plain description; a partial, or a class, becomes a partial.

    An argument of `NETWORKED` is off, whatever the description says: a file does not decide that this machine goes to
    the network. Whoever wants it passes the object itself.

    Args:
        value: what `describe` returned, or what a checkpoint holds.
        trusted: packages whose classes may be imported and constructed.

    Raises:
        PermissionError: the description names a class outside the trusted packages.
        ValueError: it names an object that was not recorded, or a class that does not exist.
    """
    if isinstance(value, Mapping) and "class_path" in value:
        path = value["class_path"]
        if value.get(UNRECORDED):
            raise ValueError(
                f"this checkpoint does not say how its {path} was built, since that class does not record its "
                "arguments: pass the object itself under its argument's name when loading, "
                "or derive the class from gan_lightning.recording.Network before training"
            )
        target = import_class(path, trusted)
        given = value.get("init_args", {})
        if not isinstance(path, str) or not isinstance(given, Mapping):
            raise ValueError("the checkpoint names a class by something else than its name and its arguments")
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
    """The class at an import path, if its top-level package is among the trusted ones.

    Raises:
        PermissionError: it is not, or the class is no part of a model.
        ValueError: there is no such class.
    """
    package, _, name = path.rpartition(".")
    if not any(f"{package}.".startswith(f"{each}.") for each in trusted):
        raise PermissionError(
            f"the checkpoint asks for the class {path!r}, outside the trusted packages {', '.join(trusted)}: "
            "it was not imported. If you trust the file and know the class, name its package in `trusted` "
            "(--trusted on a command line)"
        )
    try:
        found = getattr(importlib.import_module(package), name, None)
    except Exception:  # no such module, or one that needs what is not installed here
        found = None
    if not inspect.isclass(found):
        raise ValueError(
            f"the checkpoint asks for {path!r}, which is not a class of the installed version of {package}"
        )
    # torch has classes that start a program when they are constructed: only parts of a model may be
    if not issubclass(found, nn.Module | Optimizer | Recorded):
        raise PermissionError(
            f"the checkpoint asks for {path!r}, which is neither a network nor an optimizer, nor anything else that "
            "gan_lightning records: it was not constructed, for it may do more than compute"
        )
    return found
