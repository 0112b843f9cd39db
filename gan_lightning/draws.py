"""Random numbers that belong to an image: they do not depend on the number of processes or the batch size.

torch draws for a whole batch at once, from one stream. The two contexts here change that. They intercept every random
function of torch that is called within them (also by your own networks), and replace its draw:

- `SharedDraws`, in training: all processes draw from the same stream, each for the whole batch, and keep their own
  rows. A single process needs no context to draw the same.
- `ImageDraws`, for images that are kept: each image has its own stream, which depends on a seed and its number.

A random function with an explicit generator is not changed. Nor is a draw that is not for images: a single number, or
one with a first dimension that is not a multiple of the number of images.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Fill = Callable[[Tensor, torch.Generator | None], Any]
"""Fills a tensor with random numbers from a generator; None = the global one."""


_active: list["_Draws"] = []  # the contexts that are open, in their order


class _Draws(TorchFunctionMode):
    """Pass the random functions of torch to `draw`.

    Args:
        images: number of images that are computed together on this process. A draw is for images if its first dimension
            is a multiple of this number.
    """

    def __init__(self, images: int) -> None:
        super().__init__()
        self.images = images

    def __enter__(self) -> Any:
        _active.append(self)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        _active.remove(self)
        super().__exit__(*error)

    @abstractmethod
    def draw(self, like: Tensor, fill: Fill) -> Tensor:
        """Draw random numbers with shape, dtype, layout and device of `like`, whose first dimension counts images.

        Args:
            like: a tensor whose values are not used.
            fill: fills a tensor of any first dimension with random numbers.
        """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        handle = _HANDLERS.get(func)
        if handle is None or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        drawn = handle(self, func, args, kwargs)
        return func(*args, **kwargs) if drawn is None else drawn

    def draw_for_images(self, like: Tensor, fill: Fill) -> Tensor | None:
        """Call `draw`, or return None if `like` has no row for each image."""
        is_for_images = like.dim() > 0 and len(like) > 0 and len(like) % self.images == 0
        return self.draw(like, fill) if is_for_images else None


@contextmanager
def fewer_images(images: int) -> Iterator[None]:
    """Let the contexts around this one draw for `images` images, a part of the batch that they were opened for."""
    before = [(draws, draws.images) for draws in _active]
    for draws in _active:
        draws.images = images
    try:
        yield
    finally:
        for draws, count in before:
            draws.images = count


class SharedDraws(_Draws):
    """Draw on each process for the images of all processes, and keep the rows of this process.

    The batch of all processes is cut into consecutive parts, and the first process has the first rows. All processes
    must begin with the same random state; they then stay in step.

    Args:
        images: number of images that are computed together on this process.
        rank: rank of this process, from 0.
        world_size: number of processes.
    """

    def __init__(self, images: int, rank: int, world_size: int) -> None:
        super().__init__(images)
        self.rank, self.world_size = rank, world_size

    def draw(self, like: Tensor, fill: Fill) -> Tensor:
        """Draw for all processes and return the rows of this one."""
        shape = (len(like) * self.world_size, *like.shape[1:])
        whole = torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=_layout(like))
        fill(whole, None)
        own = whole.unflatten(0, (-1, self.world_size, self.images))[:, self.rank].flatten(0, 1)
        return own.contiguous(memory_format=_layout(like))


class ImageDraws(_Draws):
    """Draw for each image from its own stream on the CPU, for images on any device.

    Args:
        seed: the seed of all images, 0 or more; or several such numbers, which together form one seed.
        numbers: the numbers of the images that are computed together, in their order. Image k of a seed always draws
            the same. Images of several seeds have a tuple of numbers each, and the seed () in common.
    """

    def __init__(self, seed: int | tuple[int, ...], numbers: Iterable[int | tuple[int, ...]]) -> None:
        seeds = seed if isinstance(seed, tuple) else (seed,)
        self._names = [(*seeds, *(number if isinstance(number, tuple) else (int(number),))) for number in numbers]
        super().__init__(max(1, len(self._names)))

    @cached_property
    def streams(self) -> list[torch.Generator]:
        """The stream of each image, made at the first draw: most generators draw no noise."""
        return [_stream(name) for name in self._names]

    def draw(self, like: Tensor, fill: Fill) -> Tensor:
        """Draw a row from each stream; with several rows for an image, from all streams in turn."""
        drawn = torch.empty(like.shape, dtype=like.dtype)
        for row, place in enumerate(drawn):
            # keep one dimension at least, since a fill may count its rows
            fill(place.unsqueeze(0), self.streams[row % self.images])
        return drawn.to(like.device, memory_format=_layout(like))


def _stream(name: tuple[int, ...]) -> torch.Generator:
    # torch's generator on the CPU uses only the lower 32 bits of a seed: these are mixed from all of the numbers
    return torch.Generator().manual_seed(int(np.random.SeedSequence(name).generate_state(1)[0]))


def _layout(like: Tensor) -> torch.memory_format:
    last = like.dim() == 4 and like.is_contiguous(memory_format=torch.channels_last) and not like.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


# ---------------------------------------------------------------------- the random functions of torch


def _drawn(draws: _Draws, kwargs: Mapping[str, Any], like: Tensor, fill: Fill) -> Tensor | None:
    drawn = draws.draw_for_images(like, fill)
    return drawn if drawn is None else drawn.requires_grad_(bool(kwargs.get("requires_grad", False)))


def _settings(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a random function that torch.empty also takes."""
    names = ("dtype", "device", "layout", "memory_format", "size")
    return {name: value for name, value in kwargs.items() if name in names}


def _new(fill: Fill, draws: _Draws, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Tensor | None:
    """Handle torch.rand and torch.randn."""
    return _drawn(draws, kwargs, torch.empty(*args, **_settings(kwargs)), fill)


def _new_like(fill: Fill, draws: _Draws, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Tensor | None:
    """Handle torch.rand_like and torch.randn_like."""
    other = args[0] if args else kwargs["input"]
    return _drawn(draws, kwargs, torch.empty_like(other, **_settings(kwargs)), fill)


def _integers(draws: _Draws, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Tensor | None:
    """Handle torch.randint(high, size), torch.randint(low, high, size), and torch.randint_like."""
    numbers = [value for value in args if isinstance(value, int)]
    numbers += [kwargs[name] for name in ("low", "high") if name in kwargs]
    low, high = (0, *numbers)[-2:]
    shapes = [value for value in args if not isinstance(value, int)]
    settings = _settings(kwargs)
    if func is torch.randint_like:
        like = torch.empty_like(shapes[0] if shapes else kwargs["input"], **settings)
    else:
        like = torch.empty(*shapes, **{"dtype": torch.int64} | settings)
    return _drawn(draws, kwargs, like, lambda tensor, random: tensor.random_(low, high, generator=random))


def _filled(method: Any, draws: _Draws, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Tensor | None:
    """Handle Tensor.normal_ and other methods that fill a tensor."""
    into, *settings = args
    given = {name: value for name, value in kwargs.items() if name != "generator"}
    if any(isinstance(value, Tensor) for value in (*settings, *given.values())):
        return None
    drawn = draws.draw_for_images(into, lambda tensor, random: method(tensor, *settings, **given, generator=random))
    return drawn if drawn is None else into.copy_(drawn)


def _bernoulli(draws: _Draws, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Tensor | None:
    """Handle torch.bernoulli with a tensor of probabilities."""
    probabilities = args[0] if args else kwargs["input"]
    if len(args) > 1 or not probabilities.is_floating_point() or kwargs.get("p") is not None:
        return None
    uniform = draws.draw_for_images(probabilities, _fill_uniform)
    return None if uniform is None else (uniform < probabilities).to(probabilities.dtype)


def _multinomial(draws: _Draws, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Tensor | None:
    """Handle torch.multinomial with one sample a row: the largest of weights over exponentials, as in torch."""
    weights = args[0] if args else kwargs["input"]
    if kwargs.get("num_samples", args[1] if len(args) > 1 else 1) != 1:
        return None
    drawn = draws.draw_for_images(weights, lambda tensor, random: tensor.exponential_(generator=random))
    return None if drawn is None else (weights / drawn).argmax(dim=-1, keepdim=True)


def _normal(draws: _Draws, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Tensor | None:
    """Handle torch.normal with means and deviations, or with a size."""
    mean = kwargs.get("mean", args[0] if args else 0.0)
    std = kwargs.get("std", args[1] if len(args) > 1 else 1.0)
    size = kwargs.get("size", args[2] if len(args) > 2 else None)
    if size is not None:
        like = torch.empty(size, dtype=kwargs.get("dtype"), device=kwargs.get("device"))
    else:
        like = sum(value for value in (mean, std) if isinstance(value, Tensor))  # type: ignore[assignment]
    drawn = draws.draw_for_images(like, _fill_normal)
    return None if drawn is None else drawn * std + mean


def _dropout(draws: _Draws, func: Any, args: Any, kwargs: Mapping[str, Any], planes: bool = False) -> Tensor | None:
    """Handle dropout of single activations, or of whole planes."""
    images = args[0] if args else kwargs["input"]
    p = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
    training = kwargs.get("training", args[2] if len(args) > 2 else True)
    inplace = kwargs.get("inplace", args[3] if len(args) > 3 else False)
    if not training or not 0 < p < 1:
        return None
    like = images.detach()
    like = like[(slice(None), slice(None), *[slice(1)] * (like.dim() - 2))] if planes else like
    kept = draws.draw_for_images(like, lambda tensor, random: tensor.bernoulli_(1 - p, generator=random))
    if kept is None:
        return None
    return images.mul_(kept.div_(1 - p)) if inplace else images * kept.div_(1 - p)


def _fill_uniform(tensor: Tensor, random: torch.Generator | None) -> None:
    tensor.uniform_(generator=random)


def _fill_normal(tensor: Tensor, random: torch.Generator | None) -> None:
    tensor.normal_(generator=random)


_FILLING = ("normal_", "uniform_", "bernoulli_", "random_", "exponential_", "log_normal_", "cauchy_", "geometric_")
_HANDLERS: dict[Any, Callable[..., Tensor | None]] = {
    torch.rand: partial(_new, _fill_uniform),
    torch.rand_like: partial(_new_like, _fill_uniform),
    torch.randn: partial(_new, _fill_normal),
    torch.randn_like: partial(_new_like, _fill_normal),
    torch.randint: _integers,
    torch.randint_like: _integers,
    torch.bernoulli: _bernoulli,
    Tensor.bernoulli: _bernoulli,
    torch.multinomial: _multinomial,
    torch.normal: _normal,
    functional.dropout: _dropout,
    functional.dropout1d: partial(_dropout, planes=True),
    functional.dropout2d: partial(_dropout, planes=True),
    functional.dropout3d: partial(_dropout, planes=True),
    **{getattr(Tensor, name): partial(_filled, getattr(Tensor, name)) for name in _FILLING},
}
