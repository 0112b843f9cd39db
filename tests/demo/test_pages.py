"""The functions behind the pages, without a server."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gan_lightning.demo.history import History
from gan_lightning.demo.settings import Settings
from gan_lightning.demo.studio import Studio
from gan_lightning.demo.visits import Visits
from gan_lightning.inference import ImageName, LatentSampler
from toys import StyledGenerator

pytest.importorskip("gradio", reason="the demo needs gradio, which is not installed")


@pytest.fixture
def latents(tmp_path: Path) -> Any:
    """The page of a model with styles and classes, which begins with a moved picture."""
    from gan_lightning.demo.latent_page import LatentPage
    from gan_lightning.demo.page import About

    torch.manual_seed(0)
    studio = Studio(LatentSampler(StyledGenerator(num_classes=3)), shown=3)
    page = LatentPage(studio, Visits(tmp_path), Settings(ImageName(7, 12), None, 0.7, 0.8, (0.0, 1.5)))
    page.about = About("run", "Toy")
    return page


def test_the_page_begins_with_saved_settings(latents: Any) -> None:
    assert latents.beginning.label == 0  # image 12 of three classes
    values = latents.values_of(latents.beginning)
    assert values == ["7:12", 0, True, 0.7, 0.8, 0.0, 1.5, 0.0]
    assert latents.settings_of(*values) == latents.beginning
    picture, recipe = latents.draw(*values)
    assert "data:image/png;base64," in picture
    assert "gan-lightning demo run --settings image-7-12-class-0.json" in recipe


def test_steps_are_undone_in_their_order(latents: Any) -> None:
    first = latents.values_of(latents.beginning)
    history: Any = History((latents.beginning,))
    history, _, _ = latents.record(history, *first)
    assert len(history.entries) == 1  # nothing has changed
    second = ["3", 1, False, 0.7, 1.0, 0.0, 0.0, 0.0]
    history, picture, _ = latents.record(history, *second)
    history, seed, *_ = latents.random(history, *second)
    assert seed.isdigit()
    history, *values = latents.undo(history, seed, *second[1:])
    assert values[0] == "3"
    assert values[-2] == picture
    sliding = [*second[:-1], 2.0]  # not let go
    history, *values = latents.undo(history, *sliding)
    assert values[7] == 0.0
    history, *values = latents.undo(history, *second)
    assert values[:8] == first
    history, *values = latents.undo(history, "no seed", *first[1:])
    assert values[:8] == first


def test_the_notice_names_model_paper_and_licence() -> None:
    from gan_lightning.demo.page import About

    about = About("run", "DCGAN", ("DCGAN: Unsupervised Learning.", "Authors, 2015"), "mit")
    assert "synthetic" in about.notice()
    assert "DCGAN (Unsupervised Learning) made them. Licence of the weights: mit." in about.notice()
    assert About("run", "Mine").notice().endswith("the model Mine made them.")
