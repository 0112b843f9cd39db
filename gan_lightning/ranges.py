"""Ranges of arguments, stated in their types and checked whenever an object is built, from YAML and Python alike.

    def __init__(self, width: PositiveInt = 64, dropout: Share = 0.5, clip: PositiveFloat | None = None) -> None: ...

A class that derives from `Checked` (all networks, models, losses, callbacks and datamodules do) refuses values outside
of the ranges, and so does a function under `@checked`. A type checker sees the plain `int` or `float`; `--help` shows
the range.
"""

import collections.abc
import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any, ParamSpec, Self, TypeVar

LARGEST = 2**63 - 1  # the largest int64

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, repr=False)
class Range:
    """The numbers from `low` to `high`, without a limit that is `open`; NaN and infinity are always outside."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: Any) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below and value not in (-math.inf, math.inf)  # comparisons with NaN are false

    def __repr__(self) -> str:
        low = f"above {self.low:g}" if self.open_low else f"{self.low:g}"
        high = f"below {self.high:g}" if self.open_high else f"{self.high:g}"
        if self.low == -math.inf:
            return "a finite number" if self.high == math.inf else f"{'' if self.open_high else 'up to '}{high}"
        if self.high == math.inf:
            return low if self.open_low else f"{low} or more"
        return f"{low} {'and' if self.open_low else 'to'} {high}"


PositiveInt = Annotated[int, Range(1)]
"""1, 2, 3, ..."""
NonNegativeInt = Annotated[int, Range(0)]
"""0, 1, 2, ..."""
Finite = Annotated[float, Range()]
"""Any number but NaN and infinity."""
PositiveFloat = Annotated[float, Range(0, open_low=True)]
"""Above 0."""
NonNegativeFloat = Annotated[float, Range(0)]
"""0 or more."""
Share = Annotated[float, Range(0, 1)]
"""0 to 1, both included."""
ShareBelowOne = Annotated[float, Range(0, 1, open_high=True)]
"""0 to 1, without 1."""


class Checked:
    """Mixin: a constructor refuses arguments outside of the ranges of their types.

    Raises:
        ValueError: an argument lies outside.
        TypeError: an argument is not a number, or not an integer where its range needs one.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: D102 (__init__ documents the arguments)
        if cls.__init__ is object.__init__ and (args or kwargs):  # object checks this only without a __new__ like this
            raise TypeError(f"{cls.__name__}() takes no arguments")
        check_arguments(cls, given_to(cls, args, kwargs))
        return super().__new__(cls)


def given_to(cls: type, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given arguments of a constructor by name, with those in `**base`, and without defaults."""
    signature = inspect.signature(cls.__init__)  # type: ignore[misc]
    # partial: copy.deepcopy makes an empty instance without arguments, and then fills its __dict__
    given = dict(signature.bind_partial(None, *args, **kwargs).arguments)
    given.pop(next(iter(signature.parameters)))
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            given.update(given.pop(name, {}))
    return given


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Refuse arguments outside of the ranges of their types, as `Checked` does. A decorator for functions."""

    @functools.wraps(function)
    def within_ranges(*args: P.args, **kwargs: P.kwargs) -> T:
        given = inspect.signature(function).bind_partial(*args, **kwargs).arguments  # the call reports missing ones
        for name, value in given.items():
            check_value(function.__name__, name, value, _types_of(function).get(name))
        return function(*args, **kwargs)

    return within_ranges


def check_arguments(cls: type, given: Mapping[str, Any]) -> None:
    """Check arguments of a constructor, by name, against the ranges that it or its bases state."""
    ranges = _ranges_of(cls)
    for name, value in given.items():
        if name in ranges:
            check_value(cls.__name__, name, value, ranges[name])


@functools.cache
def _ranges_of(cls: type) -> dict[str, Any]:
    """Return the types of all arguments of a constructor: its own have precedence over those of its bases."""
    found: dict[str, Any] = {}
    for base in inspect.getmro(cls):
        if base.__module__.partition(".")[0] in ("torch", "lightning", "builtins", "abc"):
            continue
        if "__init__" in vars(base):
            found = _types_of(vars(base)["__init__"]) | found
    return found


def _types_of(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError:  # a class that is only imported for type checkers
        return {name: kind for name, kind in function.__annotations__.items() if not isinstance(kind, str)}


def check_value(owner: str, name: str, value: Any, kind: Any) -> None:
    """Raise an error unless the value, or each of its items, lies in the range that its type states, if any."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        for limits in kind.__metadata__:
            if isinstance(limits, Range):
                _check_number(owner, name, value, parts[0], limits)
    elif origin in (typing.Union, types.UnionType):
        for part in _parts_for(value, parts)[:1]:
            check_value(owner, name, value, part)
    elif origin is collections.abc.Mapping and isinstance(value, Mapping):
        for key, item in value.items():
            check_value(owner, f"{name}[{key!r}]", item, parts[1])
    elif origin in (list, tuple, Sequence) and isinstance(value, list | tuple):
        for i, item in enumerate(value):
            same = origin is not tuple or (len(parts) == 2 and parts[1] is Ellipsis)
            if same or i < len(parts):
                check_value(owner, f"{name}[{i}]", item, parts[0 if same else i])


def _parts_for(value: Any, parts: Sequence[Any]) -> list[Any]:
    """Return those parts of a union that state ranges for a value of this kind."""
    if isinstance(value, Real):
        kinds: tuple[Any, ...] = () if any(part in (int, float) for part in parts) else (Annotated,)
    elif isinstance(value, Mapping):
        kinds = (collections.abc.Mapping,)
    else:
        kinds = (list, tuple, Sequence) if isinstance(value, list | tuple) else ()
    return [part for part in parts if typing.get_origin(part) in kinds]


def _check_number(owner: str, name: str, value: Any, kind: type, limits: Range) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral if kind is int else Real):
        raise TypeError(
            f"{owner}: {name}={value!r} is not {'a whole' if kind is int else 'a'} number: make it {limits!r}"
        )
    too_large = isinstance(value, Integral) and abs(int(value)) > LARGEST
    if value not in limits or too_large:
        expected = f"{limits!r}, and below 2**63" if too_large else repr(limits)
        raise ValueError(f"{owner}: {name}={value!r} is out of range: make it {expected}")
