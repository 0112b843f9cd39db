"""CelebA: aligned faces with attributes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torchvision import datasets

from datamodules.base import ImageDataModule, stored_size
from datamodules.cache import decode_cached
from datamodules.decode import Decoder
from datamodules.storage import ImageStorage, Pixels
from datamodules.torchvision_sets import obtain
from gan_lightning.ranges import PositiveInt


class CelebA(ImageDataModule):
    """CelebA (Liu et al., 2015), aligned: RGB faces of 178 x 218 pixels; labels are 40 attributes, float32 in {0, 1}.

    They are read from torchvision's own layout, `root`/celeba, and decoded once into a cache (see `decode_cached`).

    Args:
        root: the folder that contains the folder celeba, or where it will be made.
        crop: side in pixels of the square that is cut from the middle of each file; 178 (the whole width) and 148 are
            usual.
        image_size: height and width of the images that networks see.
        load_size: height and width of the images that are stored, from which training cuts `image_size` at random;
            null stores them at `image_size`.
        attributes: names of the attributes to serve, in this order; null serves all 40.
        reference: the split for evaluation.
        download: download the files that are missing; this needs the package gdown.
        cache_dir: where decoded images are kept; null means the environment variable GAN_LIGHTNING_CACHE or
            ~/.cache/gan_lightning.
        kwargs: batch_size, eval_batch_size, reference_split, num_reference, flip and seed of
            `ImageDataModule`.
    """

    def __init__(
        self,
        root: Path,
        *,
        crop: PositiveInt = 178,
        image_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 64,
        load_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None,
        attributes: Sequence[str] | None = None,
        reference: Literal["train", "valid", "test"] = "test",
        download: bool = True,
        cache_dir: Path | None = None,
        **kwargs: Any,
    ):
        super().__init__(image_size, **kwargs)
        self.root = Path(root)
        self.decoder = Decoder(stored_size(image_size, load_size), region=crop)
        self.attributes = attributes
        self.reference = reference
        self.download = download
        self.cache_dir = cache_dir

    def prepare_data(self) -> None:
        """Download and decode the missing files; raise FileNotFoundError, with names and place, if that fails."""
        for split in ("train", self.reference):
            self._decode(self._obtain(split, self.download))

    def training_storage(self) -> ImageStorage:
        """Load the training split."""
        return self._load("train")

    def reference_storage(self) -> ImageStorage:
        """Load the split that `reference` names."""
        return self._load(self.reference)

    def _load(self, split: str) -> ImageStorage:
        data = self._obtain(split, download=False)
        places = [data.attr_names.index(name) for name in self._names(data)]
        return ImageStorage(self._decode(data), data.attr[:, places].float())

    @property
    def attribute_names(self) -> list[str]:
        """Names of the attributes that are served."""
        return self._names(self._obtain(self.reference, download=False))

    def _names(self, data: datasets.CelebA) -> list[str]:
        known = [name for name in data.attr_names if name]  # torchvision's list ends with an empty name
        chosen = known if self.attributes is None else list(self.attributes)
        if strange := [name for name in chosen if name not in known]:
            raise ValueError(f"CelebA has no attributes {', '.join(strange)}: choose among {', '.join(known)}")
        return chosen

    def _decode(self, data: datasets.CelebA) -> Pixels:
        folder = self.root / data.base_folder / "img_align_celeba"
        return decode_cached(folder, [folder / name for name in data.filename], self.decoder, self.cache_dir)

    def _obtain(self, split: str, download: bool) -> datasets.CelebA:
        names = ", ".join(name for _, _, name in datasets.CelebA.file_list)
        create = partial(datasets.CelebA, self.root, split=split)
        return obtain(create, download, self.root / datasets.CelebA.base_folder, f"{names} (the .zip unpacked)")
