"""Make label maps of pictures that are drawn in few flat colours, such as emoji.

    python scripts/make_label_maps.py emoji_styles/twemoji data/emoji_labels --colours 12

The most common colours of all pictures become the classes: each pixel gets the nearest, then the most frequent one of
the 3x3 pixels around it, so that no blend at an edge is a class of its own. OUT/labels has the label maps as pictures
in these colours, OUT/instances a number for each connected region, and OUT/palette.txt the colours, as
`datamodules.LabelFolder` reads them.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from scipy.cluster.vq import kmeans2
from scipy.ndimage import label

SAMPLED = 200  # pixels of each picture that the colours are found from


def flat(path: Path) -> np.ndarray:
    """Read a picture, laid over white, as uint8 (H, W, 3)."""
    with Image.open(path) as opened:
        picture = opened.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(white, picture).convert("RGB"))


def common_colours(pictures: list[np.ndarray], count: int) -> np.ndarray:
    """Return the colours, uint8 (count, 3): white, and the centres of the pixels that are not white."""
    random = np.random.default_rng(0)
    pixels = np.concatenate([p.reshape(-1, 3)[random.integers(0, p.shape[0] * p.shape[1], SAMPLED)] for p in pictures])
    coloured = pixels[(pixels < 250).any(axis=1)].astype(np.float64)
    centres, _ = kmeans2(coloured, count - 1, iter=30, minit="++", seed=0)
    return np.unique(np.concatenate([[[255, 255, 255]], centres.round()]).astype(np.uint8), axis=0)


def classes_of(picture: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Return the class of each pixel, uint8 (H, W)."""
    distances = np.square(picture[:, :, None].astype(np.int64) - colours.astype(np.int64)).sum(axis=3)
    nearest = Image.fromarray(distances.argmin(axis=2).astype(np.uint8))
    return np.asarray(nearest.filter(ImageFilter.ModeFilter(3)))


def instances_of(classes: np.ndarray) -> np.ndarray:
    """Return the number of the connected region of each pixel, from 1, uint16 (H, W)."""
    numbers, total = np.zeros(classes.shape, np.uint16), 0
    for each in np.unique(classes):
        regions, count = label(classes == each)
        numbers[classes == each] = regions[classes == each] + total
        total += count
    return numbers


def main() -> None:
    """Make the label maps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="a folder of PNG files")
    parser.add_argument("out", type=Path, help="the folder to make")
    parser.add_argument("--colours", type=int, default=12, help="number of classes, with white")
    given = parser.parse_args()
    files = sorted(given.pictures.glob("*.png"))
    if not files:
        parser.error(f"{given.pictures} holds no PNG files")
    pictures = [flat(file) for file in files]
    colours = common_colours(pictures, given.colours)
    for kind in ("labels", "instances"):
        (given.out / kind).mkdir(parents=True, exist_ok=True)
    for file, picture in zip(files, pictures, strict=True):
        classes = classes_of(picture, colours)
        Image.fromarray(colours[classes]).save(given.out / "labels" / file.name)
        Image.fromarray(instances_of(classes)).save(given.out / "instances" / file.name)
    (given.out / "palette.txt").write_text("".join("#{:02x}{:02x}{:02x}\n".format(*colour) for colour in colours))
    print(f"{len(files)} label maps of {len(colours)} classes are in {given.out}")


if __name__ == "__main__":
    main()
