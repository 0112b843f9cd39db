"""Growing: images and networks become larger during a run, and batches become smaller.

Karras et al. 2017, "Progressive Growing of GANs" (arXiv 1710.10196): training begins with small images. Each time
their size doubles, the new layers fade in, and then the networks settle.

A `Growth` is stated once, as an argument of the model. The model takes size and alpha from it, and the training loader
its batch sizes. All are pure functions of the images seen, so that a resume needs only that number.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping

from gan_lightning.ranges import NonNegativeInt, PositiveInt
from gan_lightning.recording import Recorded


class Growth(Recorded):
    """Sizes that double: `stable_images` at the first size; then `fade_images` and `stable_images` at each larger one.

    The last phase lasts until the run ends.

    Args:
        start_size: height and width of the first images, in pixels.
        final_size: height and width of the last images: the start size times a power of 2.
        batch_sizes: training images a step, over all ranks together, by size: {4: 16, 32: 8} means 16 up to 16x16 and 8
            from 32x32 on. It must contain the start size.
        fade_images: number of images that a fade lasts. 0 = sizes change at once.
        stable_images: number of images between two fades. Both are 800,000 in the paper, and 600,000 in its code.

    Raises:
        ValueError: the sizes do not fit each other.
    """

    def __init__(
        self,
        start_size: PositiveInt,
        final_size: PositiveInt,
        batch_sizes: Mapping[int, PositiveInt],
        fade_images: NonNegativeInt = 800_000,
        stable_images: PositiveInt = 800_000,
    ) -> None:
        self.levels = max(0, (final_size // start_size).bit_length() - 1)
        """The number of times that the size doubles."""
        self.sizes = [start_size << level for level in range(self.levels + 1)]
        """All sizes, in ascending order."""
        if self.sizes[-1] != final_size:
            raise ValueError(
                f"Growth: final_size={final_size} is not start_size={start_size} doubled some times: make it "
                f"{self.sizes[-1]} or {2 * self.sizes[-1]}"
            )
        named = {int(size): count for size, count in batch_sizes.items()}  # a checkpoint's keys are strings
        if start_size not in named or not named.keys() <= {*self.sizes}:
            raise ValueError(
                f"Growth: batch_sizes names the sizes {', '.join(map(str, sorted(named))) or '(none)'}: name "
                f"{start_size}, with which the growth starts, and any others of {', '.join(map(str, self.sizes))}"
            )
        self.start_size, self.final_size = start_size, final_size
        self.fade_images, self.stable_images = fade_images, stable_images
        self.batch_sizes: dict[int, int] = {}
        """Images a step for each size, over all ranks together."""
        for size in self.sizes:
            self.batch_sizes[size] = named.get(size) or self.batch_sizes[size // 2]
        self._begins = [0, *(stable_images + level * (fade_images + stable_images) for level in range(self.levels))]

    @property
    def ends(self) -> int:
        """The number of images seen after which nothing changes: the final size has faded in."""
        return self.levels * (self.fade_images + self.stable_images)

    def level(self, images_seen: int) -> int:
        """Return how many times the size has doubled; a level begins with its fade."""
        return bisect_right(self._begins, images_seen) - 1

    def size(self, images_seen: int) -> int:
        """Return height and width of the images."""
        return self.sizes[self.level(images_seen)]

    def alpha(self, images_seen: int) -> float:
        """Return the share of the newest level, from 0 when its fade starts to 1; the rest is the level before."""
        level = self.level(images_seen)
        into = images_seen - self._begins[level]
        return 1.0 if level == 0 or into >= self.fade_images else into / self.fade_images

    def batch_size(self, images_seen: int) -> int:
        """Return the number of images of the next step, over all ranks together."""
        return self.batch_sizes[self.size(images_seen)]

    def batches(self, images_seen: int) -> Iterator[tuple[int, float]]:
        """Yield the batches from here on as pairs: images a batch, and the number of such batches, at last infinite."""
        while (level := self.level(images_seen)) < self.levels:
            size = self.batch_sizes[self.sizes[level]]
            count = -(-(self._begins[level + 1] - images_seen) // size)
            yield size, count
            images_seen += size * count
        yield self.batch_sizes[self.final_size], float("inf")
