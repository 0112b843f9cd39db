from pathlib import Path
from typing import cast

import pytest
import torch
from PIL import Image

from gan_lightning.data.images import write_png
from gan_lightning.demo.retouch import MOST_PIXELS, Retouch, read_upload
from gan_lightning.export import load
from gan_lightning.inference import DomainTranslator, Translator
from gan_lightning.inference.stored import translate_image
from toys import BrightnessClassifier, DomainNetwork


@pytest.fixture
def retouch(translator: Path) -> Retouch:
    return Retouch(cast(Translator, load(translator)))


def test_translations_are_those_of_the_library(retouch: Retouch, translator: Path) -> None:
    image = torch.randint(0, 256, (3, 37, 22), dtype=torch.uint8)
    for way in retouch.directions:
        pair = retouch.translate(image, way)
        assert torch.equal(pair.after, translate_image(cast(Translator, load(translator)), image, way))
        assert torch.equal(pair.before, image)
    with pytest.raises(ValueError, match="a_to_b or b_to_a"):
        retouch.translate(image, "up")


def test_uploads_lose_their_notes_and_stand_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271], exif[274] = "a camera", 6  # the maker, and a quarter turn
    Image.new("RGB", (20, 10)).save(tmp_path / "photo.jpg", exif=exif)
    image = read_upload(tmp_path / "photo.jpg")
    assert image.shape == (3, 20, 10)
    write_png(image, tmp_path / "again.png")
    with Image.open(tmp_path / "again.png") as again:
        assert not again.getexif()
        assert not again.info


def test_bad_uploads_are_refused_without_the_servers_paths(tmp_path: Path, retouch: Retouch) -> None:
    (tmp_path / "text.png").write_text("no image")
    Image.new("1", (MOST_PIXELS // 1000 + 1, 1001)).save(tmp_path / "bomb.png")
    Image.new("L", (4, 4)).save(tmp_path / "film.gif", save_all=True, append_images=[Image.new("L", (4, 4), 9)])
    for name, word in {
        "text.png": "damaged",
        "bomb.png": "too large",
        "film.gif": "animation",
        "no.png": "missing",
    }.items():
        with pytest.raises(ValueError, match=word) as refusal:
            read_upload(tmp_path / name)
        assert str(tmp_path) not in str(refusal.value)
    with pytest.raises(ValueError, match="too large"):
        retouch.translate(torch.zeros(1, 1, 1, dtype=torch.uint8).expand(3, MOST_PIXELS // 1000 + 1, 1001))


def test_a_target_is_one_of_the_options() -> None:
    retouch = Retouch(DomainTranslator(DomainNetwork(2), ["hat", "beard"], [], BrightnessClassifier(2)))
    assert retouch.options == ("hat", "beard", "no_hat", "no_beard")
    image = torch.zeros(1, 6, 4, dtype=torch.uint8)
    made = [retouch.translate(image, to=to).after for to in (None, *retouch.options)]
    assert torch.equal(made[0], made[1])
    assert len({each.sum().item() for each in made}) == 3
    with pytest.raises(ValueError, match="there is no target 'glasses': choose hat or beard or no_hat or no_beard"):
        retouch.translate(image, to="glasses")
