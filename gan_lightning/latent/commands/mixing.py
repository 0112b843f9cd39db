"""`gan-lightning mix`."""

from pathlib import Path

from gan_lightning.data.images import write_png
from gan_lightning.inference.devices import Device
from gan_lightning.latent.commands.common import check_picture, load, one_class
from gan_lightning.latent.mixing import check_layers, mixing_sheet
from gan_lightning.latent.names import image_names, whole_numbers
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.ranges import Finite, PositiveFloat, PositiveInt, checked


@checked
def mix(
    checkpoint: Path,
    out: Path,
    rows: str = "0-3",
    columns: str = "4-9",
    layers: str | None = None,
    classes: str | None = None,
    truncation: PositiveFloat | None = None,
    psi: Finite = 1.0,
    cutoff: PositiveInt | None = None,
    batch_size: PositiveInt = 64,
    device: Device = "auto",
    trusted: list[str] | str | None = None,
) -> None:
    """Mix the styles of images: rows give the coarse ones, columns the fine ones; one picture of all mixtures.

    The images that are mixed stand at the left and above. Each mixture has the noise of its row.

    Args:
        checkpoint: The model, one with styles: a checkpoint (.ckpt), a run's folder (its best checkpoint), an export,
            or hf://owner/name.
        out: Picture (.png) to write.
        rows: Images that give the styles of all other layers, named as in `sample`.
        columns: Images that give the styles of `layers`.
        layers: Layers with the styles of the columns, from 0: 4-11 or 0,1,5. Null: the finer half.
        classes: One class for all images. Null: image k of a seed has class k modulo the number of classes.
        truncation: Largest magnitude of a latent's component, as if larger ones were drawn again. Null: no limit.
        psi: Share of the way from the mean style of the class to each style. 1: no truncation.
        cutoff: Number of first layers whose styles psi truncates. Null: all.
        batch_size: Number of images that pass through the network at a time.
        device: Device of the network. Auto: the GPU if there is one.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.

    Raises:
        ValueError: the model has no styles for each layer, or not these layers.
        OSError: a file is missing or cannot be written.
    """
    check_picture(out)
    of_rows, of_columns = image_names(rows), image_names(columns)
    numbers = None if layers is None else whole_numbers(layers)
    sampler = load(checkpoint, device, trusted)
    where = LatentSpace(sampler, None, psi, batch_size, cutoff)
    check_layers(where, numbers)
    label = one_class(classes, sampler)
    write_png(mixing_sheet(where, of_rows, of_columns, numbers, label, truncation), out)
