"""`gan-lightning sample`, `interpolate`, `arithmetic` and `directions`."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from gan_lightning.data.files import SUFFIXES, pages, pages_of, read_image, shown
from gan_lightning.data.images import fit_image, to_float, write_png
from gan_lightning.data.lettering import captioned
from gan_lightning.data.texts import read_prompts
from gan_lightning.inference import ImageName, LatentSampler, Sampler, Space
from gan_lightning.inference.devices import Device, find_device
from gan_lightning.inference.identity import fingerprint
from gan_lightning.inference.pixels import checked as checked_values
from gan_lightning.inference.pixels import checked_pixels
from gan_lightning.latent.arithmetic import add, groups, sum_sheet
from gan_lightning.latent.commands.common import Steps, check_picture, check_tensors, inverter, load, one_class
from gan_lightning.latent.directions import factorise, principal, walk_sheet
from gan_lightning.latent.ends import are_own, place, read_ends
from gan_lightning.latent.interpolation import LatentPath
from gan_lightning.latent.names import class_folder, class_numbers, image_names
from gan_lightning.latent.output import ImageStore, tiled
from gan_lightning.latent.sampling import make_images, make_outputs
from gan_lightning.latent.spaces import LatentSpace, Way
from gan_lightning.latent.video import VIDEOS, check_video, write_video
from gan_lightning.ranges import Finite, PositiveFloat, PositiveInt, checked
from gan_lightning.recording import describe

Job = tuple[ImageName, int]
"""An image to make, and the number of its class."""
GRID = 64
"""Number of images where neither seeds nor a number are given."""
OF_TEXT = 8
"""Number of images of each sentence where neither seeds nor a number are given."""


@checked
def sample(
    checkpoint: Path,
    out: Path,
    seeds: str | None = None,
    n: PositiveInt | None = None,
    classes: str | None = None,
    text: str | None = None,
    truncation: PositiveFloat | None = None,
    psi: Finite = 1.0,
    cutoff: PositiveInt | None = None,
    columns: PositiveInt | None = None,
    format: str = "png",
    images: Path | None = None,
    batch_size: PositiveInt = 64,
    device: Device = "auto",
    trusted: list[str] | str | None = None,
) -> None:
    """Make images by a model that makes them from noise: as files in a folder or an archive, or as one picture.

    Image k of a seed is the same picture in every command, whatever else is made with it. Files are named SEED-K.png,
    in a sub-folder for each class, if the model has classes; those that are there already are not made again, so that a
    stopped command goes on. A model that makes shapes writes their pictures, or the shapes themselves by --format.

    Args:
        checkpoint: The model: a checkpoint (.ckpt), a run's folder (its best checkpoint), an export, or
            hf://owner/name.
        out: Folder, archive (.zip) or picture (.png) to write.
        seeds: Images to make. 7 is image 0 of seed 7, and 7:12 its image 12. Several: 0-15 or 3,7,12 or 0:0-63. Null:
            seed 0.
        n: Number of images of each seed that is given without the number of an image. Null: 1, or without seeds 64, or
            8 of each text.
        classes: Classes, each of which every image is made of: numbers, ranges, names, or all, such as 3,7 or 0-9 or
            cat. Null: image k of a seed has class k modulo the number of classes.
        text: For models of text: sentences, each of which every image is made of: one, or several with | between them,
            or @FILE with one on each line. A picture has a row for each. Null: image k of a seed is of caption k of
            those that the model has kept, modulo their number.
        truncation: Largest magnitude of a latent's component, as if larger ones were drawn again. Null: no limit.
        psi: For models with styles w: share of the way from the mean style of the class to each style. 1: no
            truncation.
        cutoff: Number of first layers whose styles psi truncates. Null: all.
        columns: Images side by side in a picture. Null: the classes, or the images of a sentence, or else as many as
            there are rows.
        format: Kind of the files in a folder or archive. png: pictures. For models that make shapes also npz (occupancy
            of voxels), obj and ply (surfaces).
        images: Folder of pictures, or one picture, for models with an encoder: an output is made of each, under its
            name, instead of random ones.
        batch_size: Number of images that pass through the network at a time.
        device: Device of the network. Auto: the GPU if there is one.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.

    Raises:
        ValueError: the model makes no images from noise, or cannot make these, or not in this format.
        OSError: a file is missing, cannot be written, or holds something else.
    """
    is_picture = _is_picture(out)
    if is_picture and format != "png":
        raise ValueError(f"{shown(out)} is one picture, and --format {format} writes files: name a folder or a .zip")
    if images is not None:
        if any(each is not None for each in (seeds, n, classes, text, truncation)) or psi != 1:
            raise ValueError(
                "--images are made shapes of in place of seeds, n, classes, text, truncation and psi: leave these out"
            )
        _of_pictures(load(checkpoint, device, trusted), images, out, columns, format, batch_size)
        return
    some = GRID if text is None else OF_TEXT
    names = image_names("0" if seeds is None else seeds, n or (some if seeds is None else 1))
    sentences = _sentences(text, classes)
    sampler = load(checkpoint, device, trusted)
    write = write_png if format == "png" else sampler.form.writer(format)
    if sentences is not None:
        sampler, classes = sampler.with_texts(sentences), "all"
    chosen = None if classes is None else class_numbers(classes, sampler)
    jobs = [(name, number) for name in names for number in _classes(sampler, name, chosen)]
    if is_picture:
        if text is not None:
            jobs.sort(key=lambda job: job[1])
            columns = columns or len(names)
        elif columns is None and chosen is not None:
            columns = len(chosen) if len(chosen) > 1 else None
        elif columns is None and seeds is None and sampler.kind == "class":
            columns = sampler.num_classes or None
        pictures = _made(make_images, sampler, jobs, truncation, psi, batch_size, cutoff)
        if sampler.kind == "text":
            pictures = _captioned(pictures, [sampler.class_names[number] for _, number in jobs])
        write_png(tiled(pictures, len(jobs), columns or round(len(jobs) ** 0.5)), out)
        return
    texts = {"texts": list(sampler.class_names)} if sampler.kind == "text" else {}
    settings = texts | {
        "weights": fingerprint(sampler.network),
        "prior": describe(getattr(sampler, "prior", None)),
        "truncation": truncation,
        "psi": psi,
        "cutoff": cutoff,
    }
    with ImageStore(out, settings) as store:
        files = {_file(sampler, *job, format): job for job in jobs}
        missing = {file: job for file, job in files.items() if file not in store}
        make = make_images if format == "png" else make_outputs
        made = map(checked_values, _made(make, sampler, list(missing.values()), truncation, psi, batch_size, cutoff))
        store.fill(missing, made, write)
    already = f", {len(files) - len(missing):,} were there already" if len(missing) < len(files) else ""
    print(f"{_written(len(missing), format)} into {shown(out)}{already}")


@checked
def interpolate(
    checkpoint: Path,
    out: Path,
    seeds: str | None = None,
    classes: str | None = None,
    text: str | None = None,
    layout: Literal["strip", "grid"] = "strip",
    steps: Steps = 8,
    seconds: PositiveFloat = 6.0,
    fps: PositiveFloat = 25.0,
    space: Space | None = None,
    way: Way | None = None,
    truncation: PositiveFloat | None = None,
    psi: Finite = 1.0,
    cutoff: PositiveInt | None = None,
    batch_size: PositiveInt = 64,
    device: Device = "auto",
    trusted: list[str] | str | None = None,
) -> None:
    """Go from image to image through the latents: a strip, a grid over four corners, or a video in a loop.

    Ways are arcs in z, on which latents keep their length, and straight lines in w, unless `way` is given. A video goes
    through all images and back to the first, and is enlarged to 256 pixels at least. Noise of the generator's own stays
    that of the first image.

    Args:
        checkpoint: The model: a checkpoint (.ckpt), a run's folder (its best checkpoint), an export, or
            hf://owner/name.
        out: Picture (.png) or video (.mp4 or .gif) to write.
        seeds: Two images or more, named as in `sample`: 3,7 or 0-3 or 0:4,0:9. Images of your own, which are inverted
            first, are paths behind an @: 3,@me.jpg or @photos or, of a file that `invert` wrote, @me.safetensors:0-2.
            Null: seed 0 if there are several classes, else seeds 0 to 3.
        classes: Class of each image, or one for all. With one image, the way leads from class to class. With images of
            your own: one for all. Null: image k of a seed has class k modulo the number of classes, and images of your
            own the class that they are inverted best with.
        text: For models of text: two sentences or more, with | between them, or @FILE with one on each line. With one
            image, the way leads from sentence to sentence by mixtures of their embeddings. Null: the captions that the
            model has kept are its classes.
        layout: Form of a picture. strip: a row for each way from one image to the next. grid: the four images are the
            corners.
        steps: Images of each way in a picture, with both ends.
        seconds: Length of a video.
        fps: Frames a second of a video.
        space: z or w. Null: w for models with styles, else z.
        way: arc (spherical) or line (linear). Null: arcs in z, lines in w.
        truncation: Largest magnitude of a latent's component, as if larger ones were drawn again. Null: no limit.
        psi: For models with styles w: share of the way from the mean style of the class to each style. 1: no
            truncation.
        cutoff: Number of first layers whose styles psi truncates. Null: all.
        batch_size: Number of images that pass through the network at a time.
        device: Device of the network. Auto: the GPU if there is one.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.

    Raises:
        ValueError: the model makes no images from latents, or the images, classes and space do not fit.
        OSError: a file is missing or cannot be written.
        ModuleNotFoundError: an .mp4 needs a package that is not there.
    """
    is_picture = out.suffix.lower() == ".png"
    if not is_picture and out.suffix.lower() not in VIDEOS:
        raise ValueError(f"{shown(out)} cannot be written: name a picture (.png) or a video ({' or '.join(VIDEOS)})")
    if not is_picture:
        check_video(out, fps)
    ends = None if seeds is None else read_ends(seeds)
    sentences = _sentences(text, classes)
    sampler = load(checkpoint, device, trusted)
    if sentences is not None:
        sampler, classes = sampler.with_texts(sentences), "all"
    where = LatentSpace(sampler, space, psi, batch_size, cutoff, way)
    if ends is not None and are_own(ends):
        placed = place(where, ends, one_class(classes, sampler), truncation, inverter(where))
        stops, noise = LatentPath.over(where, placed), placed.noise[0]
    else:
        chosen = None if classes is None else class_numbers(classes, sampler)
        names = image_names(seeds or ("0" if chosen is not None and len(chosen) > 1 else "0-3"))
        stops, noise = LatentPath.through(where, names, chosen, truncation), names[0]
    if is_picture:
        path = stops.strip(steps) if layout == "strip" else stops.corners(steps)
        images = path.images(noise)
        if text is not None and layout == "strip" and len(stops) == sampler.num_classes > 1:
            images = _captioned(images, _shares(sampler.class_names, steps))
        write_png(tiled(images, len(path), steps), out)
        return
    write_video(stops.loop(max(1, round(seconds * fps)), noise), out, fps)


@checked
def arithmetic(
    checkpoint: Path,
    formula: str,
    out: Path,
    classes: str | None = None,
    space: Space | None = None,
    truncation: PositiveFloat | None = None,
    psi: Finite = 1.0,
    cutoff: PositiveInt | None = None,
    batch_size: PositiveInt = 64,
    device: Device = "auto",
    trusted: list[str] | str | None = None,
) -> None:
    """Add and subtract the mean latents of groups of images: a picture of the groups, their means and the result.

    In z, means and results get the mean length of the latents that they are made of.

    Args:
        checkpoint: The model: a checkpoint (.ckpt), a run's folder (its best checkpoint), an export, or
            hf://owner/name.
        formula: Groups of images, added and subtracted: "smiling: 3,17,40 - neutral: 0-2 + man: 8,9". Images are named
            as in `sample`, or, of your own, as in `interpolate`; the names of groups may be left out; signs stand
            between spaces.
        out: Picture (.png) to write.
        classes: One class for all images. Null: image k of a seed has class k modulo the number of classes, and the
            classes of z are averaged, added and subtracted too.
        space: z or w. Null: w for models with styles, else z.
        truncation: Largest magnitude of a latent's component, as if larger ones were drawn again. Null: no limit.
        psi: For models with styles w: share of the way from the mean style of the class to each style. 1: no
            truncation.
        cutoff: Number of first layers whose styles psi truncates. Null: all.
        batch_size: Number of images that pass through the network at a time.
        device: Device of the network. Auto: the GPU if there is one.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.

    Raises:
        ValueError: the formula cannot be read, or does not fit the model.
        OSError: a file is missing or cannot be written.
    """
    check_picture(out)
    terms = groups(formula)
    sampler = load(checkpoint, device, trusted)
    label = one_class(classes, sampler)
    where = LatentSpace(sampler, space, psi, batch_size, cutoff)
    write_png(sum_sheet(where, terms, add(where, terms, label, truncation, inverter(where))), out)


@checked
def directions(
    checkpoint: Path,
    out: Path,
    method: Literal["sefa", "pca"] = "sefa",
    count: PositiveInt = 20,
    space: Space | None = None,
    samples: PositiveInt = 10_000,
    seeds: str = "0-1",
    classes: str | None = None,
    show: PositiveInt = 8,
    reach: PositiveFloat = 3.0,
    steps: Steps = 7,
    truncation: PositiveFloat | None = None,
    psi: Finite = 1.0,
    cutoff: PositiveInt | None = None,
    batch_size: PositiveInt = 64,
    device: Device = "auto",
    trusted: list[str] | str | None = None,
) -> None:
    """Find the directions of the latents along which images change most, and draw images moved along them.

    Two files are written: the directions, and beside them, under the same name with .png, a strip for each of the
    strongest, numbered with its share of the variance. One step is a standard deviation of the latents along the
    direction.

    Args:
        checkpoint: The model: a checkpoint (.ckpt), a run's folder (its best checkpoint), an export, or
            hf://owner/name.
        out: File of the directions (.safetensors) to write.
        method: sefa factorises the layers that the latents enter first. pca finds the principal components of styles w,
            or, without styles, of the first layer's activations.
        count: Number of directions at most.
        space: z or w. Null: w for models with styles, else z.
        samples: Number of latents from which principal components are found.
        seeds: Images to move, named as in `sample`.
        classes: One class for all images. Null: image k of a seed has class k modulo the number of classes.
        show: Number of directions in the picture.
        reach: Steps from the middle of a strip to its ends.
        steps: Images of a strip.
        truncation: Largest magnitude of a latent's component of the images, as if larger ones were drawn again. Null:
            no limit.
        psi: For models with styles w: share of the way from the mean style of the class to each style. 1: no
            truncation.
        cutoff: Number of first layers whose styles psi truncates. Null: all.
        batch_size: Number of images that pass through the network at a time.
        device: Device of the network. Auto: the GPU if there is one.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.

    Raises:
        ValueError: the model makes no images from latents, or no layer is affine in them.
        OSError: a file is missing or cannot be written.
    """
    check_tensors(out)
    names = image_names(seeds)
    sampler = load(checkpoint, device, trusted)
    number = one_class(classes, sampler)
    labels = None if number is None else torch.full((len(names),), number, device=find_device(device))
    where = LatentSpace(sampler, space, psi, batch_size, cutoff)
    found = factorise(where, count) if method == "sefa" else principal(where, count, samples)
    numbers = range(min(show, len(found)))
    picture = walk_sheet(where, found, names, labels, numbers, reach, steps, truncation)
    found.save(out)
    write_png(picture, out.with_suffix(".png"))
    print(f"{len(found)} directions of {found.space} by {found.method}, with these shares of the variance:")
    print(", ".join(f"{i + 1}: {100 * share:.1f} %" for i, share in enumerate(found.shares.tolist())))


def _of_pictures(sampler: Sampler, images: Path, out: Path, columns: int | None, format: str, batch_size: int) -> None:
    """Write an output for each picture of a folder, under its name, or all as one picture."""
    encoder = getattr(sampler, "encoder", None)
    if not isinstance(sampler, LatentSampler) or encoder is None:
        raise ValueError(
            f"{type(sampler.network).__name__} has no encoder, and makes nothing of images: leave --images out, or "
            "invert them by `gan-lightning invert`"
        )
    write = write_png if format == "png" else sampler.form.writer(format)
    folder, found = (images.parent, pages_of(images)) if images.is_file() else (images, pages(images))

    def made() -> Iterator[Tensor]:
        for start in tqdm(range(0, len(found), batch_size), desc="images", unit="batch", disable=None):
            part = [fit_image(read_image(page), encoder.image_shape) for page in found[start : start + batch_size]]
            outputs = checked_values(sampler.images(sampler.encode(to_float(torch.stack(part)).to(sampler.device))))
            yield checked_pixels(sampler.render(outputs)) if format == "png" else outputs

    if _is_picture(out):
        write_png(tiled(made(), len(found), columns or round(len(found) ** 0.5)), out)
        return
    settings = {"weights": fingerprint(sampler.network), "encoder": fingerprint(encoder), "images": images.name}
    with ImageStore(out, settings) as store:
        store.fill([f"{page.name(folder, suffix=False)}.{format}" for page in found], made(), write)
    print(f"{_written(len(found), format)} into {shown(out)}")


def _written(count: int, format: str) -> str:
    kind = "image" if format == "png" else "shape"
    return f"{count:,} {kind}{'' if count == 1 else 's'} written"


def _is_picture(out: Path) -> bool:
    """Return whether a path names a picture, rather than a folder or an archive."""
    suffix = out.suffix.lower()
    if suffix in SUFFIXES - {".png"}:
        raise ValueError(
            f"{shown(out)} cannot be written: name a picture that ends in .png, an archive .zip or a folder"
        )
    return suffix == ".png"


def _classes(sampler: Sampler, name: ImageName, chosen: Sequence[int] | None) -> Sequence[int]:
    """Return the classes that an image is made of: 0 alone, which is not used, for a model without classes."""
    return chosen or [name.number % max(1, sampler.num_classes)]


def _sentences(text: str | None, classes: str | None) -> list[str] | None:
    """Return the sentences of a user, if any are given, and no classes beside them."""
    if text is not None and classes is not None:
        raise ValueError("both text and classes are given, which both say what the images are of: leave one out")
    return None if text is None else read_prompts(text)


def _captioned(images: Iterator[Tensor], captions: Sequence[str]) -> Iterator[Tensor]:
    """Draw captions below images that come in batches."""
    left = iter(captions)
    for batch in images:
        yield captioned(batch, [next(left) for _ in batch])


def _shares(sentences: Sequence[str], steps: int) -> list[str]:
    """Return the captions of the ways from each sentence to the next: the sentences at their ends, shares between."""
    captions = []
    for start, end in pairwise(sentences):
        between = [f"{100 * step / (steps - 1):.0f} %" for step in range(1, steps - 1)]
        captions += [start, *between, end][:steps]
    return captions


def _made(
    make: Callable[..., Iterator[Tensor]], sampler: Sampler, jobs: Sequence[Job], *settings: Any
) -> Iterator[Tensor]:
    classes = [number for _, number in jobs] if sampler.num_classes else None
    return make(sampler, [name for name, _ in jobs], classes, *settings)


def _file(sampler: Sampler, name: ImageName, number: int, suffix: str) -> str:
    """Return the path of an image in a folder or archive."""
    folder = f"{class_folder(sampler, number)}/" if sampler.num_classes else ""
    return f"{folder}{name.seed}-{name.number:06d}.{suffix}"
