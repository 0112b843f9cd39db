"""Saving a sampler or translator with its model card."""

import shutil
from pathlib import Path

from gan_lightning.export.card import PICTURE, write_card
from gan_lightning.export.files import CARD, Maker, Trained, write
from gan_lightning.weights import exported_weights


def save(
    maker: Maker,
    path: str | Path,
    model: str = "",
    images_seen: int = 0,
    license: str = "unknown",
    source: str | Path | None = None,
    note: str = "",
) -> Path:
    """Write a sampler or translator, with its model card, into a new folder that appears whole or not at all.

    Args:
        maker: what a model's `sampler` or `translator` is. Its networks record their arguments, as those of this
            library do.
        path: the folder.
        model: import path of the model's class, for readers of the file.
        images_seen: number of images that the model has seen in training.
        license: name of the licence of the weights, as the Hugging Face Hub knows it: mit, cc-by-4.0, ...
        source: where the model comes from: the folder of the run that trained it, whose data and scores come on the
            card, or an exported folder, whose card is kept. None = neither is known.
        note: sentences for a new card on the origin of the weights.

    Returns:
        The folder.

    Raises:
        FileExistsError: there is something at `path` already.
        ValueError: a part does not record how it was built.
        TypeError: a part is of a kind that cannot be exported.
        OSError: the folder cannot be written.
    """
    trained = Trained(maker, model, images_seen)
    origin = None if source is None else Path(source)

    def beside(folder: Path) -> None:
        exported = None if origin is None else exported_weights(origin)
        if exported is not None:
            for name in (CARD, PICTURE):
                if exported.with_name(name).is_file():
                    shutil.copyfile(exported.with_name(name), folder / name)
        else:
            write_card(folder, trained, license, origin, note)

    write(trained, Path(path), beside)
    return Path(path)
