"""Sets of images for pictures: opening them, and computing their features."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.evaluation.sources import FolderImages, GeneratedImages, Images, load_sampler
from gan_lightning.export import is_trained
from gan_lightning.metrics import FeatureExtractor, Features


def open_images(path: Path, most: int, seed: int, device: torch.device, trusted: str | Sequence[str] | None) -> Images:
    """Open at most `most` images of a folder, a random subset of more; or `most` images of a checkpoint's generator.

    Raises:
        FileNotFoundError: there is neither, or the folder has no image in it.
        ValueError: the file is not a checkpoint of a model that makes images from noise.
    """
    if is_trained(path):
        return GeneratedImages(load_sampler(path, device, trusted or ()).sampler, most, seed)
    folder = FolderImages(path)
    return folder.draw(min(most, len(folder)), seed)


def with_features(
    images: Images, extractor: FeatureExtractor, device: torch.device, name: str
) -> Iterator[tuple[Tensor, Features]]:
    """Yield batches of images, uint8 (N, C, H, W), with their features, under a progress bar of that name."""
    with tqdm(total=len(images), desc=name, unit="image", disable=None) as bar:
        for batch in images:
            pixels = batch.images.to(device)
            yield pixels, extractor(pixels)
            bar.update(len(pixels))


def pooled_features(images: Images, extractor: FeatureExtractor, device: torch.device, name: str) -> Tensor:
    """Return the features of all images, float32 (N, d), on the CPU."""
    return torch.cat([features.pooled.cpu() for _, features in with_features(images, extractor, device, name)])
