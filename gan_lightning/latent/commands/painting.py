"""`gan-lightning paint`."""

from pathlib import Path

from torch import Tensor

from gan_lightning.data.files import read_image, shown
from gan_lightning.data.images import to_uint8, write_png
from gan_lightning.inference import Space
from gan_lightning.inference.devices import Device
from gan_lightning.inference.identity import fingerprint
from gan_lightning.latent import painting
from gan_lightning.latent.commands.common import Steps, check_picture, inverter, load, one_class
from gan_lightning.latent.ends import OwnImages, place, read_ends
from gan_lightning.latent.painting import Painting, Warp
from gan_lightning.latent.points import SavedPoints
from gan_lightning.latent.sheets import sheet
from gan_lightning.latent.spaces import LatentSpace
from gan_lightning.latent.transfer import check_transfer, transfer
from gan_lightning.ranges import NonNegativeFloat, PositiveInt, checked

ANY = "any"
"""Name of no image: candidates start at random images."""
_FRAMES = 16  # of the way over which an edit is carried over to a photograph, as in the authors' code


@checked
def paint(
    checkpoint: Path,
    out: Path,
    seed: str | None = None,
    strokes: Path | None = None,
    edges: Path | None = None,
    warps: str | None = None,
    image: Path | None = None,
    classes: str | None = None,
    space: Space | None = None,
    steps: PositiveInt = 25,
    candidates: PositiveInt = 32,
    keep: PositiveInt = 8,
    hold: NonNegativeFloat = 1.0,
    frames: Steps = 8,
    batch_size: PositiveInt = 64,
    device: Device = "auto",
    trusted: list[str] | str | None = None,
) -> None:
    """Move an image through the latents until it follows colour strokes, lines and moved regions (iGAN).

    These files are written: OUT.png, a row for each of the best candidates, from the image before to its result;
    OUT-best.png, the best image; OUT.safetensors, the latents of the results, to go on from with --seed
    @OUT.safetensors:0; and with --image OUT-photo.png, your photograph with the edit, at its own size.

    Args:
        checkpoint: The model: a checkpoint (.ckpt), a run's folder (its best checkpoint), an export, or
            hf://owner/name.
        out: Picture (.png) to write.
        seed: Image before: one image, named as in `sample`, or of your own, as in `interpolate`. any: none, and
            candidates start at random images. Null: --image, or else 0.
        strokes: Image with transparency, of any size: the image gets the colours where it is painted.
        edges: Image with transparency: the image gets edges where it has lines, whatever their colour.
        warps: Square regions to move: X,Y,TO_X,TO_Y,SIDE, several separated by semicolons, in shares of the image's
            sides, from its left upper corner, such as 0.5,0.7,0.5,0.8,0.3.
        image: Photograph, to which the edit is carried over by optical flow and colours. Unless --seed is given, it is
            inverted, and is the image before.
        classes: One class for all images. Null: that of the image before.
        space: z or w. Null: w for models with styles, else z.
        steps: Number of steps.
        candidates: Number of starts: at the image before, and around it.
        keep: Number of results.
        hold: Weight of the pull to the image before.
        frames: Images of a row.
        batch_size: Number of candidates that pass through the network at a time.
        device: Device of the network. Auto: the GPU if there is one.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.

    Raises:
        ValueError: nothing is painted, a canvas has no transparency, or the images do not fit the model.
        OSError: a file is missing or cannot be written.
        ModuleNotFoundError: --image needs a package that is not there.
    """
    check_picture(out)
    moved = _warps(warps)
    if strokes is None and edges is None and not moved:
        raise ValueError("nothing is painted: give --strokes, --edges or --warps")
    colours, lines = (None if file is None else _canvas(file) for file in (strokes, edges))
    if image is not None:
        check_transfer()
    photograph = None if image is None else read_image(image)
    ends = [OwnImages(image)] if seed is None and image is not None else read_ends(seed or "0") if seed != ANY else []
    if len(ends) > 1:
        raise ValueError(f"--seed {seed} names {len(ends)} images, and one is painted on: name one")
    sampler = load(checkpoint, device, trusted)
    label = one_class(classes, sampler)
    where = LatentSpace(sampler, space, batch_size=batch_size)
    start, noise = None, None
    if ends:
        before = place(where, ends, label, None, inverter(where))
        if len(before.points) > 1:
            raise ValueError(f"--seed {seed} names {len(before.points)} images, and one is painted on: name one")
        start, noise = before.points, before.noise[0]
        label = None if before.labels is None else int(before.labels[0])
    found = painting.paint(where, start, colours, lines, moved, label, noise, steps, candidates, keep, hold)
    edited = None if photograph is None else transfer(photograph, found.morph(0, _FRAMES))
    picture = _picture(found, frames)
    names = [f"{shown(out.name)} {number}" for number in range(len(found))]
    labels = None if found.label is None else painting.labels_of(where, found.label, len(found))
    scores = {"cost": found.costs}
    model = fingerprint(sampler.network)
    saved = SavedPoints(found.points, labels, [found.noise] * len(found), names, scores, where.name, model, {})
    saved.save(out.with_suffix(".safetensors"))
    write_png(found.images[0].cpu(), out.with_stem(f"{out.stem}-best"))
    if edited is not None:
        write_png(edited, out.with_stem(f"{out.stem}-photo"))
    write_png(picture, out)
    print(f"{len(found)} images painted; distances from the strokes and the image before: ", end="")
    print(", ".join(f"{cost:.4f}" for cost in found.costs.tolist()))


def _picture(found: Painting, frames: int) -> Tensor:
    """Draw the way to each result in a row, uint8 (3, H, W)."""
    cells = [[*to_uint8(found.morph(number, frames)).cpu()] for number in range(len(found))]
    rows = [f"{number + 1}   {cost:.3f}" for number, cost in enumerate(found.costs.tolist())]
    return sheet(cells, ["before", *[""] * (frames - 2), "result"][-frames:], rows)


def _canvas(file: Path) -> Tensor:
    """Read an image with transparency, of which something is painted."""
    canvas = read_image(file)
    if canvas.shape[0] not in (2, 4):
        raise ValueError(
            f"{shown(file)} has no transparency, so that nothing tells where it is painted: save it with an alpha "
            "channel, transparent where nothing is painted"
        )
    if not canvas[-1].int().any():
        raise ValueError(f"{shown(file)} is transparent everywhere: paint on it, or leave it out")
    return canvas


def _warps(text: str | None) -> list[Warp]:
    """Read regions that move, such as `0.5,0.7,0.5,0.8,0.3; 0.2,0.2,0.3,0.2,0.1`."""
    warps = []
    for word in [] if text is None else text.strip().strip("[]").split(";"):
        try:
            numbers = [float(number) for number in word.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != len(Warp._fields) or not all(0 <= number <= 1 for number in numbers):
            raise ValueError(
                f"{word.strip()!r} is no region that moves: give X,Y,TO_X,TO_Y,SIDE in shares of the sides, each "
                "from 0 to 1"
            )
        warps.append(Warp(*numbers))
    return warps
