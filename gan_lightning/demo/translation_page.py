"""The page of a model that translates images."""

import re
import secrets
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np
from torch import Tensor

from gan_lightning.data.images import to_channels, write_png
from gan_lightning.demo.history import History
from gan_lightning.demo.page import ONCE, About, told
from gan_lightning.demo.retouch import Retouch, read_upload
from gan_lightning.demo.visits import Visits, files_of

_EARLIER = 20  # results that a visitor can go back to


class Result(NamedTuple):
    """A translation, as files of the visitor."""

    before: str
    after: str
    said: str


class TranslationPage:
    """The components, and the functions behind them.

    Args:
        retouch: makes the translations.
        visits: keeps the files of visitors.
        sheet: side of the sheet to draw on, in pixels.
    """

    def __init__(self, retouch: Retouch, visits: Visits, sheet: int = 256) -> None:
        self.retouch = retouch
        self.visits = visits
        self.sheet = sheet

    def fill(self, blocks: gr.Blocks, about: About) -> None:
        """Add the components to a page."""
        history: Any = gr.State(History())
        white = np.full((self.sheet, self.sheet, 3), 255, np.uint8)
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                with gr.Tab("Upload or paste"):
                    upload = gr.Image(
                        type="filepath",
                        image_mode=None,
                        sources=["upload", "clipboard"],
                        label="Image",
                        height=360,
                        elem_id="upload",
                    )
                    send = gr.Button("Translate", variant="primary", elem_id="translate-upload")
                with gr.Tab("Draw"):
                    editor = gr.ImageEditor(
                        {
                            "background": white,
                            "layers": [],
                            "composite": white,
                        },  # with a background, the brush is taken
                        type="numpy",
                        image_mode="RGB",
                        canvas_size=(self.sheet, self.sheet),
                        layers=False,
                        sources=["upload", "clipboard"],
                        label="Drawing",
                        height=420,
                        elem_id="editor",
                        brush=gr.Brush(default_size=max(2, self.sheet // 64), default_color="#000000"),
                    )
                    drawn = gr.Button("Translate the drawing", variant="primary", elem_id="translate-drawing")
                ways = self.retouch.directions
                way = gr.Radio(list(ways), value=ways[0], label="Direction", visible=len(ways) > 1, elem_id="way")
                options = self.retouch.options
                to = gr.Dropdown(
                    [*options],
                    value=next(iter(options), None),
                    label="Target",
                    visible=len(options) > 1,
                    elem_id="target",
                )
                noise = gr.Number(0, label="Seed of the noise", precision=0, minimum=0, visible=self.retouch.has_noise)
            with gr.Column(scale=1, min_width=300):
                pair = gr.ImageSlider(
                    type="filepath",
                    label="Before | after",
                    interactive=False,
                    elem_id="before-after",
                    buttons=["fullscreen"],
                )
                said = gr.Markdown("Move the line in the picture to compare.", elem_id="said")
                with gr.Row():
                    save = gr.DownloadButton("Download PNG", interactive=False, min_width=140, elem_id="save")
                    undo = gr.Button("Undo", min_width=80, elem_id="undo")
        shown = [history, pair, said, save]
        # without Gradio's own reading of the file, which has no limits and prints tracebacks
        gr.on(
            [send.click, upload.input],
            told(self.of_upload),
            [history, upload, way, to, noise],
            shown,
            preprocess=False,
            **ONCE,
        )
        drawn.click(told(self.of_drawing), [history, editor, way, to, noise], shown, preprocess=False, **ONCE)
        undo.click(told(self.undo), history, shown, **ONCE)

    def of_upload(
        self, history: History[Result], upload: Any, way: str, to: str | None, noise: Any, request: gr.Request
    ) -> tuple[Any, ...]:
        """Translate a file that a visitor has sent."""
        if upload is None:
            return (gr.skip(),) * 4
        image = self._read(upload, request)
        return self._made(history, image, way, to, noise, Path(upload.get("orig_name") or "image").stem, request)

    def of_drawing(
        self, history: History[Result], drawn: Any, way: str, to: str | None, noise: Any, request: gr.Request
    ) -> tuple[Any, ...]:
        """Translate a drawing."""
        if not drawn or not drawn.get("composite"):
            raise ValueError("there is no drawing yet: draw on the sheet")
        image = to_channels(self._read(drawn["composite"], request)[None], 3)[0]
        self.visits.note(request.session_hash, *files_of(drawn))
        return self._made(history, image, way, to, noise, "drawing", request)

    def _read(self, upload: Any, request: gr.Request) -> Tensor:
        file = Path(upload["path"])  # Gradio has checked that it was uploaded
        self.visits.note(request.session_hash, file)
        return read_upload(file)

    def _made(
        self,
        history: History[Result],
        image: Tensor,
        way: str,
        to: str | None,
        noise: Any,
        stem: str,
        request: gr.Request,
    ) -> tuple[Any, ...]:
        seed = int(noise or 0)
        if not 0 <= seed < 2**32:
            raise ValueError(f"the seed {seed} is out of range: make it 0 to {2**32 - 1}")
        made = self.retouch.translate(image, way, seed, to or None)
        folder = self.visits.folder(request.session_hash) / secrets.token_hex(8)
        name = re.sub(r"[^\w-]+", "-", stem)[:60] or "image"
        way = f"{way}, {to}" if to else way
        files = folder / f"{name}.png", folder / f"{name}-{re.sub('[^a-zA-Z0-9_+]+', '-', way)}.png"
        for pixels, file in zip(made, files, strict=True):
            write_png(pixels, file)
        (before, after), (height, width) = map(str, files), made.after.shape[1:]
        result = Result(before, after, f"{way}, {width}x{height} pixels. Move the line in the picture to compare.")
        later = history.record(result)
        for old in history.entries[: len(later.entries) - _EARLIER]:
            shutil.rmtree(Path(old.before).parent, ignore_errors=True)
        return self._shown(History(later.entries[-_EARLIER:]))

    def undo(self, history: History[Result]) -> tuple[Any, ...]:
        """Go back to the translation before."""
        if len(history.entries) < 2:
            raise ValueError("there is no earlier translation")
        return self._shown(history.undo(history.newest))

    def _shown(self, history: History[Result]) -> tuple[Any, ...]:
        newest = history.newest
        assert newest is not None
        save = gr.update(value=newest.after, interactive=True)
        return history, (newest.before, newest.after), newest.said, save
