"""The page's frame: title, notice, looks, and the form of messages and pictures."""

import base64
import functools
import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from torch import Tensor

from gan_lightning.demo.studio import png
from gan_lightning.demo.visits import Visits
from gan_lightning.errors import one_line

SHOWN = 384
"""Pixels of a picture's longer side on the page at least: smaller ones are repeated pixel for pixel."""
_AGE = 3600  # seconds after which the files of a visitor are deleted who has not left

# one after another: a click into another field also ends the input into the last one
_ORDER: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "api_visibility": "private"}
ONCE: dict[str, Any] = {"show_progress": "minimal", **_ORDER}
"""Settings of an event that starts work; the page takes no further one until it is done."""
LIVE: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last", **_ORDER}
"""Settings of an event that may come often, as from a slider: while one is handled, the page remembers the last."""

LOOKS: dict[str, Any] = {
    "theme": gr.themes.Default(
        primary_hue="indigo",
        font=[gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")],
        font_mono=[gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")],
    ),
    "css_paths": [Path(__file__).with_name("page.css")],
}
"""Theme and style, of fonts that are on the visitor's machine."""


class About(NamedTuple):
    """The facts about a model that the page states.

    Args:
        address: the model, as the command line names it.
        name: name of the model.
        paper: title and source of its paper; empty if it is not known.
        license: licence of the weights. None = no card states it.
    """

    address: str
    name: str
    paper: tuple[str, ...] = ()
    license: str | None = None

    def notice(self) -> str:
        """Return the notice that pictures are synthetic, as Markdown."""
        title = re.sub(
            rf"^{re.escape(self.name)}:\s*|\.$", "", self.paper[0] if self.paper else "", flags=re.IGNORECASE
        )
        paper = f" ({title})" if title else ""
        stated = "" if self.license is None else f" Licence of the weights: {self.license}."
        return f"All pictures are **synthetic**: the model {self.name}{paper} made them.{stated}"


def page(about: About, visits: Visits, fill: Callable[[gr.Blocks, About], None]) -> gr.Blocks:
    """Return the page.

    Args:
        about: the model.
        visits: keeps the files of visitors.
        fill: adds the components for the model.
    """

    def come(request: gr.Request) -> None:
        visits.note(request.session_hash)

    def leave(request: gr.Request) -> None:
        visits.end(request.session_hash)

    with gr.Blocks(title=about.name, analytics_enabled=False, delete_cache=(_AGE // 6, _AGE)) as blocks:
        gr.Markdown(f"# {about.name}\n\n{about.notice()}", elem_id="about")
        fill(blocks, about)
        blocks.load(come, None, None, show_progress="hidden", api_visibility="private")
        blocks.unload(leave)
    visits.open()
    return blocks


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """Show the sentence of an error of this library on the page, which stays as it is. A decorator."""

    @functools.wraps(function)
    def telling(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (ValueError, OSError) as error:
            gr.Warning(escape(one_line(str(error))), duration=8, title="Not done")
            return gr.skip()

    return telling


def figure(image: Tensor, stem: str, title: str) -> str:
    """Return HTML that shows an image, uint8 or uint16 (C, H, W), with a link that saves it as STEM.png."""
    return figure_of(png(image), "image/png", image.shape[1], image.shape[2], f"{stem}.png", title)


def figure_of(content: bytes, kind: str, height: int, width: int, name: str, title: str) -> str:
    """Return HTML that shows a picture, and a link that saves it.

    Args:
        content: of the file. It travels within the page, so that none is stored.
        kind: its MIME type.
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        name: name of the file that the visitor saves.
        title: description of the picture.
    """
    data = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    factor = max(1, -(-SHOWN // max(height, width)))
    return (
        f'<figure class="made"><img src="{data}" alt="{escape(title)}" width="{width * factor}" '
        f'height="{height * factor}"><figcaption><a download="{escape(name)}" href="{data}">Download {escape(name)}'
        f"</a> ({width}x{height} pixels)</figcaption></figure>"
    )
