"""The tab on which visitors paint on a picture, and the model follows."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from torch import Tensor

from gan_lightning.data.images import write_png
from gan_lightning.demo.history import History
from gan_lightning.demo.page import ONCE, figure, told
from gan_lightning.demo.retouch import read_upload
from gan_lightning.demo.studio import PAINTED, Canvas, Studio
from gan_lightning.demo.visits import Visits, files_of

SMALLEST = 256
"""Pixels of the canvas's shorter side at least: smaller pictures are repeated pixel for pixel."""
_EARLIER = 20  # pictures that a visitor can go back to
_COLOURS = ("#000000", "#ffffff", "#c0392b", "#e67e22", "#f1c40f", "#27ae60", "#2980b9", "#8e44ad")


@dataclass(frozen=True, eq=False)
class Work:
    """The results among which a visitor chooses, and the one that is chosen."""

    results: tuple[Canvas, ...]
    chosen: int = 0

    @property
    def canvas(self) -> Canvas:
        """The picture that is chosen."""
        return self.results[self.chosen]


class PaintingTab:
    """The components, and the functions behind them.

    Args:
        studio: makes the pictures.
        visits: keeps the files of visitors.
        name: name of the model.
    """

    def __init__(self, studio: Studio, visits: Visits, name: str) -> None:
        self.studio = studio
        self.visits = visits
        self.name = name

    def fill(self, picture: Any) -> None:
        """Add the components to a tab.

        Args:
            picture: function and inputs that give the settings of the picture to begin with.
        """
        settings_of, values = picture
        history: Any = gr.State(History())
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                editor = gr.ImageEditor(
                    type="numpy",
                    image_mode="RGBA",
                    canvas_size=(SMALLEST, SMALLEST),
                    layers=False,
                    sources=[],
                    transforms=[],
                    label="Paint colours where the picture is to change",
                    height=440,
                    elem_id="canvas",
                    brush=gr.Brush(default_size=12, colors=[*_COLOURS], default_color=_COLOURS[1]),
                )
                with gr.Row():
                    begin = gr.Button("Take the picture", min_width=120, elem_id="begin")
                    follow = gr.Button("Follow the strokes", variant="primary", min_width=120, elem_id="follow")
                    undo = gr.Button("Undo", min_width=80, elem_id="undo-painting")
            with gr.Column(scale=1, min_width=300):
                result = gr.HTML(elem_id="painted")
                choice = gr.Radio(
                    [(f"Result {number}", number - 1) for number in range(1, PAINTED + 1)],
                    value=0,
                    label="The model's answers, the nearest first",
                    visible=False,
                    elem_id="answers",
                )
        shown = [history, editor, result, choice]

        def taken(request: gr.Request, *given: Any) -> tuple[Any, ...]:
            return self.begin(self.studio.canvas(settings_of(*given)), request)

        begin.click(told(taken), values, shown, **ONCE)
        follow.click(told(self.follow), [history, editor], shown, preprocess=False, **ONCE)
        undo.click(told(self.undo), history, shown, **ONCE)
        choice.input(told(self.choose), [history, choice], shown, **ONCE)

    def begin(self, canvas: Canvas, request: gr.Request) -> tuple[Any, ...]:
        """Begin with a picture."""
        return self._shown(History((Work((canvas,)),)), request)

    def follow(self, history: History[Work], drawn: Any, request: gr.Request) -> tuple[Any, ...]:
        """Have the model follow the strokes on the picture that is chosen."""
        work = self._newest(history)
        layers = [layer for layer in (drawn or {}).get("layers") or [] if layer]
        if not layers:
            raise ValueError("there are no strokes: paint on the picture first")
        self.visits.note(request.session_hash, *files_of(drawn))
        strokes = read_upload(Path(layers[0]["path"]))
        made = Work(tuple(self.studio.paint(work.canvas, strokes)))
        return self._shown(History(history.record(made).entries[-_EARLIER:]), request)

    def choose(self, history: History[Work], number: int, request: gr.Request) -> tuple[Any, ...]:
        """Go on with another of the results."""
        work = self._newest(history)
        if not 0 <= number < len(work.results):
            raise ValueError(f"there are {len(work.results)} results: choose one of them")
        return self._shown(history.record(Work(work.results, number)), request)

    def undo(self, history: History[Work], request: gr.Request) -> tuple[Any, ...]:
        """Go back to the picture before."""
        work = self._newest(history)
        return self._shown(history.undo(work), request)

    def _newest(self, history: History[Work]) -> Work:
        if history.newest is None:
            raise ValueError("there is no picture yet: take that of the tab “Picture”")
        return history.newest

    def _shown(self, history: History[Work], request: gr.Request) -> tuple[Any, ...]:
        work = self._newest(history)
        picture = work.canvas.picture
        file = self.visits.folder(request.session_hash) / f"{secrets.token_hex(8)}.png"
        write_png(enlarged(picture), file)
        shown = figure(picture, f"{work.canvas.settings.file_stem}-painted", f"Synthetic picture of {self.name}")
        several = len(work.results) > 1
        return history, str(file), shown, gr.update(value=work.chosen, visible=several)


def enlarged(picture: Tensor) -> Tensor:
    """Return a picture (C, H, W), its pixels repeated so that it is large enough to paint on."""
    factor = max(1, -(-SMALLEST // min(picture.shape[1:])))
    return torch.repeat_interleave(torch.repeat_interleave(picture, factor, 1), factor, 2)
