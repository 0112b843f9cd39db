"""`gan-lightning translate CHECKPOINT INPUT`."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar

from gan_lightning.data.files import shown
from gan_lightning.export import folder_of, load_trained
from gan_lightning.inference import Translator
from gan_lightning.inference.stored import TILE
from gan_lightning.prediction.choices import named_choices
from gan_lightning.prediction.folder import FolderTranslation, no_translator
from gan_lightning.ranges import NonNegativeInt, PositiveInt, checked


@checked
def translate(
    checkpoint: Path,
    input: Path,
    output: Path | None = None,
    direction: str | None = None,
    to: str | None = None,
    style_seed: str | None = None,
    example: Path | None = None,
    tile: PositiveInt = TILE,
    overlap: NonNegativeInt | None = None,
    trusted: list[str] | str | None = None,
    accelerator: str = "auto",
    devices: PositiveInt = 1,
) -> int:
    """Translate all images of a folder and its sub-folders, of any sizes, by a model that translates images.

    Names and sub-folders are kept. Existing images are not made again, so that a stopped translation can continue. A
    file that cannot be read is skipped, and named at the end (exit code 1).

    Args:
        checkpoint: The model: a checkpoint (.ckpt), a run's folder (its best checkpoint), or an export.
        input: Folder of images, or one image file.
        output: Folder of the translations. Null: predictions/<name of the input> in the folder of the checkpoint's run,
            or beside the export.
        direction: a_to_b or b_to_a, for models with both directions. Null: a_to_b.
        to: For models of several domains or of attributes: the target, by the name that the training data gave it.
            Attributes are joined by + and switched off by no_, as in hat+no_beard; those that are not named stay as
            they are. Several targets, separated by commas (or all), give a sub-folder each. Null: the first target.
        style_seed: For models with styles: seed of the style of all images. Several, such as 0-3 or 0,7, give a
            sub-folder each. Null: a style for each image, which its name decides.
        example: For models that take styles from examples: an image. A folder of images gives a sub-folder for each.
        tile: Images with a longer side are translated in tiles of this side, in pixels.
        overlap: Fewest pixels that neighbouring tiles share. Null: a quarter of a tile.
        trusted: Further packages whose classes the checkpoint may name: my_gan for those of a file my_gan.py.
        accelerator: Device of the networks: auto, cpu, gpu, ...
        devices: Number of devices; each translates its share of the images.

    Returns:
        The exit code: 1 if files were skipped.

    Raises:
        ValueError: the checkpoint, the model, the direction, the choice or the sizes do not fit.
        OSError: a file or folder is missing, cannot be written, or contains something else.
    """
    trained = load_trained(checkpoint, trusted=trusted or ())
    if not isinstance(trained.maker, Translator):
        raise no_translator(trained.name)
    choices = named_choices(trained.maker, direction, to, style_seed, example)
    trainer = L.Trainer(
        accelerator=accelerator,
        devices=devices,
        callbacks=[TQDMProgressBar(refresh_rate=1)] if sys.stdout.isatty() else [],
        enable_progress_bar=sys.stdout.isatty(),  # each refresh would be a line of a log file
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    output = output or default_output(folder_of(checkpoint), input, direction, choices)
    translation = FolderTranslation(
        trained.maker, input, output, direction, tile, overlap, trained.model or None, choices
    )
    return run(translation, trainer)


def default_output(folder: Path, input: Path, direction: str | None, choices: Iterable[str] = ()) -> Path:
    """Return the default folder of translations: in a run's folder, named after input, direction and one choice."""
    source = Path(os.path.realpath(input))  # resolve() would raise an error for links in a circle
    name = source.stem if source.is_file() else source.name
    chosen = [*choices]
    labels = [name, direction, chosen[0].replace("/", "-") if len(chosen) == 1 else None]
    return folder / "predictions" / "-".join(label for label in labels if label)


def run(translation: FolderTranslation, trainer: L.Trainer) -> int:
    """Translate a folder, and print the number of translated images and the files that were skipped.

    Returns:
        The exit code: 1 if files were skipped.
    """
    made, kept, failures = translation.run(trainer)
    if trainer.is_global_zero:
        already = f", {kept:,} existed already" if kept else ""
        print(f"{made:,} images translated into {shown(translation.output)}{already}")
        for failure in failures:
            print(f"skipped: {failure}", file=sys.stderr)
    return 1 if failures else 0
