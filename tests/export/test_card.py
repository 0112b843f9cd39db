"""Model cards: what the run knows, in the Hub's form, and no path of this machine."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

from gan_lightning.data.images import write_png
from gan_lightning.export import save
from gan_lightning.export.card import PICTURE, license_of
from gan_lightning.export.files import CARD
from gan_lightning.inference import LatentSampler, Translator
from gan_lightning.networks import DCGANGenerator, ResNetGenerator
from tiny import SMALL


def report(images_seen: int, fid: float, **other: Any) -> str:
    settings = {"images_seen": images_seen, "complete": True} | other
    values = {"fid": {"mean": fid, "std": None, "each": [fid]}}
    about = {"recipe": "fid2k_test@digits", "real": "Digits, test split", "extractor": "DigitClassifier"}
    return json.dumps(about | {"num_real": 512, "num_fake": 2000, "values": values, "settings": settings})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder, as far as a card reads it."""
    folder = tmp_path / "run"
    folder.mkdir()
    data = {"class_path": "datamodules.Digits", "init_args": {"image_size": 16, "folder": "/home/somebody/secret"}}
    (folder / "config.yaml").write_text(yaml.safe_dump({"data": data}))
    reports = [report(5, 90.0), report(7, 50.0), report(7, 12.5), report(7, 3.0, complete=False), report(9, 1.0), "{"]
    (folder / "evaluations.jsonl").write_text("\n".join(reports) + "\n")
    for images, level in ((7, 100), (5, 200)):
        write_png(torch.full((3, 8, 8), level, dtype=torch.uint8), folder / "samples" / f"images-{images:09}.png")
    return folder


def test_a_card_holds_paper_data_and_the_scores_of_this_state(run: Path, tmp_path: Path) -> None:
    sampler = LatentSampler(DCGANGenerator(6, **SMALL, num_classes=3))
    save(sampler, tmp_path / "out", "gan_lightning.models.dcgan.DCGAN", 7, "mit", run)
    text = (tmp_path / "out" / CARD).read_text()
    for words in (
        "Radford, Metz, Chintala, 2015. arXiv 1511.06434.",
        "It has seen 7 images. Data: Digits (image_size 16).",
        "| fid | 12.5 | fid2k_test@digits | 2000 | Digits, test split (512) | DigitClassifier |",
    ):
        assert words in text
    assert "secret" not in text
    assert str(tmp_path) not in text
    with Image.open(tmp_path / "out" / PICTURE) as picture:  # five rows of the three classes
        assert picture.size == (3 * 18 + 2, 5 * 18 + 2)


def test_the_hub_reads_the_front_matter(run: Path, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    save(LatentSampler(DCGANGenerator(6, **SMALL)), tmp_path / "out", "gan_lightning.models.dcgan.DCGAN", 7, "mit", run)
    data = ModelCard.load(tmp_path / "out" / CARD).data
    assert (data.license, data.library_name) == ("mit", "gan_lightning")
    assert data.pipeline_tag == "unconditional-image-generation"
    assert data.eval_results is not None
    assert [(each.metric_type, each.metric_value) for each in data.eval_results] == [("fid", 12.5)]


def test_a_translator_shows_the_newest_picture_of_its_run(run: Path, tmp_path: Path) -> None:
    translator = Translator(ResNetGenerator(width=4, blocks=1))
    save(translator, tmp_path / "out", source=run)
    assert (tmp_path / "out" / PICTURE).read_bytes() == (run / "samples" / "images-000000007.png").read_bytes()
    assert "pipeline_tag: image-to-image" in (tmp_path / "out" / CARD).read_text()


def test_an_export_of_an_export_keeps_its_card(tmp_path: Path) -> None:
    sampler = LatentSampler(DCGANGenerator(6, **SMALL))
    first = save(sampler, tmp_path / "first", source=tmp_path / "absent")
    (first / CARD).write_text("my own words")
    save(sampler, tmp_path / "second", source=first)
    assert (tmp_path / "second" / CARD).read_text() == "my own words"


def test_the_use_on_a_card_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, maker in (
        ("plain", LatentSampler(DCGANGenerator(6, **SMALL))),
        ("classes", LatentSampler(DCGANGenerator(6, **SMALL, num_classes=3))),
        ("translator", Translator(ResNetGenerator(width=4, blocks=1))),
    ):
        save(maker, tmp_path / name)
        code = (tmp_path / name / CARD).read_text().partition("```python\n")[2].partition("```")[0]
        made: dict[str, Any] = {"images": torch.zeros(16, 3, 16, 16)}
        exec(code.replace("FOLDER", name), made)
        assert made["images"].shape[0] == 16


def test_the_licence_is_read_from_a_card(tmp_path: Path) -> None:
    sampler = LatentSampler(DCGANGenerator(**SMALL))
    save(sampler, tmp_path / "stated", license="cc-by-4.0")
    save(sampler, tmp_path / "unknown")
    assert license_of(tmp_path / "stated") == license_of(tmp_path / "stated" / "model.safetensors") == "cc-by-4.0"
    assert license_of(tmp_path / "unknown") is None
    assert license_of(tmp_path / "absent") is None
    for text in ("", "no front matter", "---\n[\n---\n", "---\n5\n---\n", "---\nlicense: [mit]\n---\n", "\0"):
        (tmp_path / "stated" / CARD).write_text(text)
        assert license_of(tmp_path / "stated") is None
