"""The page of a model that makes images from noise."""

import base64
import secrets
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from gan_lightning.demo.history import History
from gan_lightning.demo.page import LIVE, ONCE, About, figure, figure_of, told
from gan_lightning.demo.painting_tab import PaintingTab
from gan_lightning.demo.settings import Settings, one_image
from gan_lightning.demo.studio import LARGEST_TRUNCATION, Studio
from gan_lightning.demo.visits import Visits

MOST_SEEDS = 1_000_000  # that the button draws from
MOST_STEPS = 16  # pictures of a strip
FRAMES = 48  # of a video
_FEW = 12  # classes that are buttons


class LatentPage:
    """The components, and the functions behind them.

    Args:
        studio: makes the pictures.
        visits: keeps the files of visitors.
        start: the picture that the page begins with.
        reach: largest number of steps along a direction, to both sides.
        source: file of the directions. None = the page finds them.
    """

    def __init__(
        self, studio: Studio, visits: Visits, start: Settings, reach: float = 4.0, source: Path | None = None
    ) -> None:
        self.studio = studio
        self.visits = visits
        self.beginning = studio.checked(start)
        self.reach = reach
        self.source = source

    def fill(self, blocks: gr.Blocks, about: About) -> None:
        """Add the components to a page."""
        self.about = about
        history = gr.State(History((self.beginning,)))
        with gr.Tab("Picture"), gr.Row():
            with gr.Column(scale=1, min_width=300, elem_classes="stays"):
                picture = gr.HTML(elem_id="picture")
                with gr.Row():
                    chance = gr.Button("Random seed", variant="primary", min_width=120, elem_id="random")
                    undo = gr.Button("Undo", min_width=80, elem_id="undo")
                with gr.Accordion("Make this picture again", open=False):
                    recipe = gr.HTML(elem_id="recipe")
            with gr.Column(scale=1, min_width=300):
                controls = self._controls()
                sliders = self._sliders()
        shown = [picture, recipe]
        values = [*controls, *sliders]
        picture.value, recipe.value = self.draw(*self.values_of(self.beginning))
        for slider in (controls[3], controls[4], *sliders):
            slider.input(told(self.draw), values, shown, **LIVE)
            slider.release(told(self.record), [history, *values], [history, *shown], **LIVE)
        settled = [controls[0].submit, controls[0].blur, controls[1].input, controls[2].input]
        gr.on(settled, told(self.record), [history, *values], [history, *shown], **LIVE)
        chance.click(told(self.random), [history, *values], [history, controls[0], *shown], **ONCE)
        undo.click(told(self.undo), [history, *values], [history, *values, *shown], **ONCE)
        self.find.click(told(self.reveal), None, [self.find, *sliders], **ONCE)
        blocks.load(self.reveal_known, None, [self.find, *sliders], **ONCE)
        with gr.Tab("Between two pictures"):
            self._between(controls)
        with gr.Tab("Paint"):
            PaintingTab(self.studio, self.visits, about.name).fill((self.settings_of, values))

    # ------------------------------------------------------------------ components

    def _controls(self) -> list[Any]:
        """Add seed, class, the two parts of truncation, and psi; those that the model has not are hidden."""
        sampler, values = self.studio.sampler, self.values_of(self.beginning)
        seed = gr.Textbox(
            values[0], label="Seed", info="7, or 7:12 for image 12 of seed 7", max_length=40, elem_id="seed"
        )
        names = [f"{n} {name}" for n, name in enumerate(sampler.class_names)] or list(
            map(str, range(sampler.num_classes))
        )
        kind: Any = gr.Radio if len(names) <= _FEW else gr.Dropdown
        label = kind(
            list(zip(names, range(len(names)), strict=True)),
            value=values[1],
            label="Class",
            visible=bool(names),
            elem_id="class",
        )
        with gr.Row():
            cut = gr.Checkbox(values[2], label="Truncate z", info="Draw no component beyond the limit", min_width=140)
            limit = gr.Slider(0.1, LARGEST_TRUNCATION, values[3], step=0.1, label="Limit of z", min_width=160)
        psi = gr.Slider(
            0,
            1.5,
            values[4],
            step=0.05,
            label="Psi",
            info="Below 1: nearer to the mean style",
            visible=self.studio.has_styles,
        )
        return [seed, label, cut, limit, psi]

    def _sliders(self) -> list[Any]:
        """Add a slider for each direction, hidden until the directions are known, and the button that finds them."""
        self.find = gr.Button("Find directions", elem_id="find")
        start = self.values_of(self.beginning)[5:]
        return [
            gr.Slider(
                -self.reach,
                self.reach,
                value,
                step=0.1,
                label=f"Direction {number}",
                visible=False,
                elem_id=f"direction-{number}",
            )
            for number, value in enumerate(start, 1)
        ]

    def _between(self, controls: Sequence[Any]) -> None:
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                with gr.Row():
                    first = gr.Textbox("0", label="From seed", max_length=40, min_width=120)
                    last = gr.Textbox("1", label="To seed", max_length=40, min_width=120)
                place = gr.Slider(0, 1, 0.5, step=0.01, label="Place on the way", elem_id="place")
                count = gr.Slider(3, MOST_STEPS, 8, step=1, label="Pictures of the strip")
                with gr.Row():
                    strip = gr.Button("Strip", min_width=80, elem_id="strip")
                    video = gr.Button("GIF", min_width=80, elem_id="gif")
                gr.Markdown("Class and truncation are those of the tab “Picture”.")
            with gr.Column(scale=1, min_width=300):
                middle = gr.HTML(elem_id="middle")
        wide = gr.HTML(elem_id="wide")
        ends = [first, last, *controls[1:]]
        middle.value = self.between(0.5, "0", "1", *self.values_of(self.beginning)[1:5])
        gr.on([place.input], told(self.between), [place, *ends], middle, **LIVE)
        gr.on([first.submit, last.submit], told(self.between), [place, *ends], middle, **ONCE)
        strip.click(told(self.strip), [count, *ends], wide, **ONCE)
        video.click(told(self.video), ends, middle, **ONCE)

    # ------------------------------------------------------------------ functions

    def settings_of(self, seed: str, label: int | None, cut: bool, limit: float, psi: float, *steps: float) -> Settings:
        """Return the settings of the controls' values, in the order of `values_of`.

        Raises:
            ValueError: they are none of this model.
        """
        moved = tuple(float(step) for step in steps)
        while moved and not moved[-1]:
            moved = moved[:-1]
        return self.studio.checked(Settings(one_image(seed), label, limit if cut else None, psi, moved))

    def values_of(self, settings: Settings) -> list[Any]:
        """Return the values that the controls have for settings."""
        steps = [*settings.steps, *[0.0] * (self.studio.shown - len(settings.steps))]
        cut = settings.truncation is not None
        return [str(settings.image), settings.label, cut, settings.truncation or 1.0, settings.psi, *steps]

    def draw(self, *values: Any) -> tuple[str, str]:
        """Return the picture of the controls' values, and how it is made again."""
        settings = self.settings_of(*values)
        image = self.studio.picture(settings)
        title = f"Synthetic picture, image {settings.image} of {self.about.name}"
        return figure(image, settings.file_stem, title), self._recipe(settings)

    def record(self, history: History[Settings], *values: Any) -> tuple[Any, ...]:
        """Draw, and record the settings."""
        made = self.draw(*values)
        return history.record(self.settings_of(*values)), *made

    def random(self, history: History[Settings], seed: str, *values: Any) -> tuple[Any, ...]:
        """Draw and record a picture of a random seed."""
        chosen = str(secrets.randbelow(MOST_SEEDS))
        later, *made = self.record(history, chosen, *values)
        return later, chosen, *made

    def undo(self, history: History[Settings], *values: Any) -> tuple[Any, ...]:
        """Go back to the picture before."""
        try:
            current = self.settings_of(*values)
        except ValueError:
            current = None
        earlier = history.undo(current)
        before = self.values_of(earlier.newest or self.beginning)
        return earlier, *before, *self.draw(*before)

    def reveal(self) -> list[Any]:
        """Find the directions, and show their sliders in place of the button."""
        captions = self.studio.find_directions()
        spare = [gr.update(visible=False)] * (self.studio.shown - len(captions))
        return [gr.update(visible=False), *(gr.update(visible=True, label=text) for text in captions), *spare]

    def reveal_known(self) -> list[Any]:
        """Show the sliders if the directions are known, by a file or by another visitor."""
        return self.reveal() if self.studio.directions is not None else [gr.skip()] * (1 + self.studio.shown)

    def between(self, place: float, first: str, last: str, *values: Any) -> str:
        """Return the picture at a place on the way between two."""
        settings, other = self.settings_of(first, *values), one_image(last)
        image = self.studio.between(settings, other, place)
        name = f"{settings.file_stem}-to-{other.seed}-{other.number}-at-{100 * place:.0f}"
        return figure(image, name, f"Synthetic picture between {settings.image} and {other}")

    def strip(self, count: float, first: str, last: str, *values: Any) -> str:
        """Return the way between two pictures as a row."""
        settings, other = self.settings_of(first, *values), one_image(last)
        image = self.studio.strip(settings, other, int(count))
        name = f"{settings.file_stem}-to-{other.seed}-{other.number}"
        return figure(image, name, f"Synthetic pictures from {settings.image} to {other}")

    def video(self, first: str, last: str, *values: Any) -> str:
        """Return the way between two pictures and back as a .gif."""
        settings, other = self.settings_of(first, *values), one_image(last)
        content = self.studio.gif(settings, other, FRAMES)
        name = f"{settings.file_stem}-to-{other.seed}-{other.number}.gif"
        with Image.open(BytesIO(content)) as gif:
            width, height = gif.size
        return figure_of(content, "image/gif", height, width, name, f"Way from {settings.image} to {other} and back")

    def _recipe(self, settings: Settings) -> str:
        """Return the command that makes a picture again, and the link that saves its settings, as HTML."""
        command = settings.command(self.about.address, self.source)
        data = base64.b64encode(settings.as_json().encode()).decode()
        name = f"{settings.file_stem}.json"
        return (
            f'<div class="recipe"><pre><code>{escape(command)}</code></pre><a download="{name}" '
            f'href="data:application/json;base64,{data}">Save the settings ({name})</a></div>'
        )
