"""Growing: images and networks become larger during a run, and batches become smaller.

Karras et al. 2017, "Progressive Growing of GANs" (arXiv 1710.10196): training begins with small images. Each time
their size doubles, the new layers fade in, and then the networks settle.

A `Growth` is stated once, as an argument of the model. The model takes size and alpha from it, and the training loader
its batch sizes. All are pure functions of the images seen, so that a resume needs only that number.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from gan_lightning.ranges import NonNegativeInt, PositiveFloat, PositiveInt
from gan_lightning.recording import Recorded

Number = TypeVar("Number", int, float)
Size = tuple[int, int]
"""Height and width, in pixels."""


class Growth(Recorded):
    """Sizes that double: `stable_images` at the first size; then `fade_images` and `stable_images` at each larger one.

    The last phase lasts until the run ends.

    Args:
        start_size: height and width of the first images, in pixels: one number for both, or a pair.
        final_size: height and width of the last images: the start size times a power of 2.
        batch_sizes: training images a step, over all ranks together, by the height of the images: {4: 16, 32: 8} means
            16 up to 16x16 and 8 from 32x32 on. It must contain the start height.
        fade_images: number of images that a fade lasts. 0 = sizes change at once.
        stable_images: number of images between two fades. Both are 800,000 in the paper, and 600,000 in its code.
        rates: factors on all learning rates, by the height of the images: {128: 1.5} means 1.5 from 128x128 on, and 1
            below. None = 1 throughout.
        reset_moments: let the optimizers forget their moments whenever a fade begins or ends, as in the paper's code.

    Raises:
        ValueError: the sizes do not fit each other.
    """

    def __init__(
        self,
        start_size: PositiveInt | tuple[PositiveInt, PositiveInt],
        final_size: PositiveInt | tuple[PositiveInt, PositiveInt],
        batch_sizes: Mapping[int, PositiveInt],
        fade_images: NonNegativeInt = 800_000,
        stable_images: PositiveInt = 800_000,
        rates: Mapping[int, PositiveFloat] | None = None,
        reset_moments: bool = True,
    ) -> None:
        start, final = _pair("start_size", start_size), _pair("final_size", final_size)
        self.levels = max(0, (final[0] // start[0]).bit_length() - 1)
        """The number of times that the size doubles."""
        self.sizes: list[Size] = [(start[0] << level, start[1] << level) for level in range(self.levels + 1)]
        """All heights and widths, in ascending order."""
        if self.sizes[-1] != final:
            (height, width), once = self.sizes[-1], 2 * self.sizes[-1][0]
            both = isinstance(start_size, int)
            fix = f"{height} or {once}" if both else f"({height}, {width}) or ({once}, {2 * width})"
            raise ValueError(
                f"Growth: final_size={final_size} is not start_size={start_size} doubled some times: make it {fix}"
            )
        self.start_size, self.final_size = start, final
        self.fade_images, self.stable_images, self.reset_moments = fade_images, stable_images, reset_moments
        named = _by_height("batch_sizes", batch_sizes, self.sizes)
        if start[0] not in named:
            raise ValueError(
                f"Growth: batch_sizes names the heights {_listed(named)}: name {start[0]} too, with which the growth "
                "starts"
            )
        self.batch_sizes: dict[int, int] = {}
        """Images a step for each height, over all ranks together."""
        self.rates: dict[int, float] = {}
        """Factor on the learning rates for each height."""
        factors, rate = _by_height("rates", rates or {}, self.sizes), 1.0
        for height, _ in self.sizes:
            self.batch_sizes[height] = named.get(height) or self.batch_sizes[height // 2]
            self.rates[height] = rate = factors.get(height, rate)
        self._begins = [0, *(stable_images + level * (fade_images + stable_images) for level in range(self.levels))]

    @property
    def ends(self) -> int:
        """The number of images seen after which nothing changes: the final size has faded in."""
        return self.levels * (self.fade_images + self.stable_images)

    def level(self, images_seen: int) -> int:
        """Return how many times the size has doubled; a level begins with its fade."""
        return bisect_right(self._begins, images_seen) - 1

    def behind(self, images_seen: int) -> int:
        """Return how many times the size has still to double."""
        return self.levels - self.level(images_seen)

    def size(self, images_seen: int) -> Size:
        """Return height and width of the images."""
        return self.sizes[self.level(images_seen)]

    def alpha(self, images_seen: int) -> float:
        """Return the share of the newest level, from 0 when its fade starts to 1; the rest is the level before."""
        level = self.level(images_seen)
        into = images_seen - self._begins[level]
        return 1.0 if level == 0 or into >= self.fade_images else into / self.fade_images

    def phase(self, images_seen: int) -> int:
        """Return the number of fades that have begun or ended."""
        return 2 * self.level(images_seen) - (self.alpha(images_seen) < 1)

    def batch_size(self, images_seen: int) -> int:
        """Return the number of images of the next step, over all ranks together."""
        return self.batch_sizes[self.size(images_seen)[0]]

    def rate(self, images_seen: int) -> float:
        """Return the factor on the learning rates."""
        return self.rates[self.size(images_seen)[0]]

    def batches(self, images_seen: int) -> Iterator[tuple[int, float]]:
        """Yield the batches from here on as pairs: images a batch, and the number of such batches, at last infinite."""
        while (level := self.level(images_seen)) < self.levels:
            size = self.batch_sizes[self.sizes[level][0]]
            count = -(-(self._begins[level + 1] - images_seen) // size)
            yield size, count
            images_seen += size * count
        yield self.batch_sizes[self.final_size[0]], float("inf")


def _pair(name: str, size: int | Sequence[int]) -> Size:
    both = (size, size) if isinstance(size, int) else tuple(size)
    if len(both) != 2:
        raise ValueError(f"Growth: {name} must be one number of pixels, or height and width, not {size!r}")
    return both[0], both[1]


def _by_height(argument: str, given: Mapping[int, Number], sizes: Sequence[Size]) -> dict[int, Number]:
    named = {int(height): value for height, value in given.items()}  # a checkpoint's keys are strings
    heights: list[int] = [size[0] for size in sizes]
    if not named.keys() <= {*heights}:
        raise ValueError(
            f"Growth: {argument} names the heights {_listed(named)}, and the images have {_listed(heights)}: name only "
            "these"
        )
    return named


def _listed(numbers: Mapping[int, float] | Sequence[int]) -> str:
    return ", ".join(map(str, sorted(numbers))) or "(none)"
