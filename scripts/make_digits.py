"""Make `datamodules/assets/digits.npz`: 10,000 of MNIST's 60,000 training images, for work without a download.

800 images of each class go into the training part and 200 others into the reference part, for evaluation.
MNIST's test images are not used. The same root and seed give the same file, byte for byte.

    python scripts/make_digits.py --root FOLDER     # FOLDER/MNIST/raw is torchvision's own layout
"""

import argparse
from pathlib import Path

import numpy as np
from torchvision.datasets import MNIST

TRAIN_PER_CLASS = 800
REFERENCE_PER_CLASS = 200
SEED = 0


def choose(labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Choose indices of the training part and of the reference part: equally many of each class, in shuffled order."""
    train, reference = [], []
    for digit in range(10):
        members = rng.permutation(np.flatnonzero(labels == digit))
        train.append(members[:TRAIN_PER_CLASS])
        reference.append(members[TRAIN_PER_CLASS : TRAIN_PER_CLASS + REFERENCE_PER_CLASS])
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(reference))


def main() -> None:
    """Write the file and print its size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder that contains MNIST/raw")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "datamodules/assets/digits.npz")
    arguments = parser.parse_args()

    mnist = MNIST(arguments.root, train=True, download=False)
    images, labels = mnist.data.numpy(), mnist.targets.numpy().astype(np.uint8)
    train, reference = choose(labels, np.random.default_rng(SEED))
    np.savez_compressed(
        arguments.out,
        train_images=images[train],
        train_labels=labels[train],
        reference_images=images[reference],
        reference_labels=labels[reference],
    )
    print(f"{arguments.out}: {len(train)} + {len(reference)} digits, {arguments.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
