"""Saving a sampler or translator with its model card."""

import shutil
from pathlib import Path

from gan_lightning.export.card import PICTURE, write_card
from gan_lightning.export.files import CARD, Maker, Trained, is_export, write


def save(
    maker: Maker,
    path: str | Path,
    model: str = "",
    images_seen: int = 0,
    license: str = "unknown",
    source: str | Path | None = None,
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
        if origin is not None and is_export(origin):
            for name in (CARD, PICTURE):
                if (origin / name).is_file():
                    shutil.copyfile(origin / name, folder / name)
        else:
            write_card(folder, trained, license, origin)

    write(trained, Path(path), beside)
    return Path(path)
