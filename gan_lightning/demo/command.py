"""`gan-lightning demo MODEL`."""

import re
from pathlib import Path
from typing import Annotated, Any

from gan_lightning.data.files import shown
from gan_lightning.demo.retouch import Retouch
from gan_lightning.demo.serving import address_of, application, check_extra, private_place, reserved, serve
from gan_lightning.demo.settings import Settings
from gan_lightning.demo.studio import Studio
from gan_lightning.demo.visits import Visits
from gan_lightning.export import load_trained
from gan_lightning.export.card import license_of, paper_of
from gan_lightning.export.hub import ADDRESS, fetch
from gan_lightning.inference import Translator
from gan_lightning.inference.devices import Device, find_device
from gan_lightning.latent.directions import Directions
from gan_lightning.ranges import PositiveFloat, PositiveInt, Range, checked


@checked
def demo(
    checkpoint: Path,
    directions: Path | None = None,
    settings: Path | None = None,
    show: Annotated[int, Range(1, 40)] = 8,
    reach: PositiveFloat = 4.0,
    sheet: Annotated[int, Range(16, 2048)] = 256,
    host: str = "127.0.0.1",
    port: Annotated[int, Range(0, 65535)] = 7860,
    batch_size: PositiveInt = 16,
    device: Device = "auto",
    trusted: list[str] | str | None = None,
) -> None:
    """Use a model on a web page that is served from here, until Ctrl-C.

    Models that make images from noise get seed, class, truncation, directions and ways between two seeds. Models that
    translate images take files, the clipboard and drawings. Visitors do not disturb each other, and their files are
    deleted when they leave. The page asks no other server for anything.

    The page has no password: serve it to people you trust.

    Args:
        checkpoint: The model: a checkpoint (.ckpt), a run's folder (its best checkpoint), an export, or
            hf://owner/name.
        directions: File that `directions` wrote. Null: the page finds directions by factorisation (SeFa) if asked to.
        settings: File of settings that the page saved: the page begins with their picture.
        show: Number of directions on the page.
        reach: Largest number of standard deviations along a direction.
        sheet: Side of the sheet to draw on, in pixels.
        host: Address to serve on; 0.0.0.0 lets in other machines and phones of the network.
        port: Port to serve on; 0 = any free port.
        batch_size: Number of images that pass through the network at a time.
        device: Device of the network. Auto: the GPU if there is one.
        trusted: Further packages whose classes the checkpoint may name: my_gan for classes in a file my_gan.py.

    Raises:
        ModuleNotFoundError: Gradio is not installed.
        ValueError: the file holds no model that makes images, or directions and settings do not fit it.
        OSError: a file is missing or cannot be read, or the port is taken.
    """
    check_extra()
    with reserved(host, port) as own, private_place() as place:
        found = None if directions is None else Directions.load(directions)
        start = None if settings is None else Settings.load(settings)
        address = re.sub("^hf:/+", "hf://", str(checkpoint))  # a Path has one slash of two
        source = fetch(address, card=True) if ADDRESS.fullmatch(address) else checkpoint
        trained = load_trained(source, find_device(device), trusted or ())
        visits = Visits(place)
        contents: Any
        if isinstance(trained.maker, Translator):
            for name, given in (("directions", directions), ("settings", settings)):
                if given is not None:
                    raise ValueError(f"--{name} is for models that make images from noise, not for {trained.name}")
            retouch = Retouch(trained.maker)
            from gan_lightning.demo.translation_page import TranslationPage  # noqa: PLC0415 (imports Gradio)

            contents = TranslationPage(retouch, visits, sheet)
        else:
            studio = Studio(trained.maker, found, show, batch_size)
            begun = studio.checked(start or studio.start())
            from gan_lightning.demo.latent_page import LatentPage  # noqa: PLC0415 (imports Gradio)

            contents = LatentPage(studio, visits, begun, reach, directions)
        from gan_lightning.demo.page import LOOKS, About, page  # noqa: PLC0415

        about = About(address, trained.name, tuple(paper_of(trained.model)), license_of(source))
        app = application(page(about, visits, contents.fill), LOOKS, host, place)
        print(f"{trained.name} of {shown(address)}: {address_of(own)}. Ctrl-C ends it.", flush=True)
        serve(app, own)
