"""`--text` of the commands: a row, or a folder, for each sentence, captions, ways between sentences, and errors."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from gan_lightning.data.images import to_uint8
from gan_lightning.data.lettering import captioned
from gan_lightning.inference import ImageName
from gan_lightning.latent.commands.images import interpolate, sample
from gan_lightning.models import GANINTCLS
from models.test_dcgan import dcgan
from models.test_gan_int_cls import gan_int_cls
from toys import checkpoint, read_png


def contrasted() -> GANINTCLS:
    """A model that has not learnt, of images that differ."""
    torch.manual_seed(0)
    model = gan_int_cls()
    for part in model.generator.net:
        if isinstance(part, nn.ConvTranspose2d):
            nn.init.normal_(part.weight, std=0.3)
    return model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return checkpoint(contrasted(), tmp_path / "model.ckpt")


def test_a_picture_has_a_row_for_each_sentence_with_captions_below(model: Path, tmp_path: Path) -> None:
    sample(model, tmp_path / "rows.png", seeds="3-5", text="a red sun | the bird", device="cpu")
    sampler = contrasted().sampler.with_texts(["a red sun", "the bird"])
    z = sampler.latents_of([ImageName(seed) for seed in (3, 4, 5)])
    rows = [captioned(to_uint8(sampler.images(z, torch.full((3,), n))), [sampler.class_names[n]] * 3) for n in (0, 1)]
    picture = read_png(tmp_path / "rows.png")
    _, _, height, width = rows[0].shape
    assert picture.shape == (3, 2 * (height + 2) + 2, 3 * (width + 2) + 2)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            found = picture[:, 2 + i * (height + 2) :, 2 + j * (width + 2) :][:, :height, :width]
            torch.testing.assert_close(found, cell, atol=1, rtol=0)
    sample(model, tmp_path / "eight.png", text="the sun", device="cpu")
    assert read_png(tmp_path / "eight.png").shape == (3, height + 4, 8 * (width + 2) + 2)
    sample(model, tmp_path / "known.png", n=4, device="cpu")  # the model's own captions, in turn
    assert read_png(tmp_path / "known.png").shape == (3, 2 * (height + 2) + 2, 2 * (width + 2) + 2)


def test_a_folder_has_a_sub_folder_for_each_sentence(model: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a red sun\nthe bird\n")
    sample(model, tmp_path / "out", seeds="0-1", text=f"@{tmp_path / 'prompts.txt'}", device="cpu")
    assert {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png")} == {
        f"{sentence}/{seed}-000000.png" for sentence in ("a red sun", "the bird") for seed in (0, 1)
    }
    assert json.loads((tmp_path / "out" / "samples.json").read_text())["texts"] == ["a red sun", "the bird"]
    with pytest.raises(FileExistsError, match="texts"):
        sample(model, tmp_path / "out", seeds="0-1", text="the sun", device="cpu")


def test_a_strip_goes_from_sentence_to_sentence(model: Path, tmp_path: Path) -> None:
    interpolate(model, tmp_path / "strip.png", text="a red sun | the bird", steps=3, device="cpu")
    strip = read_png(tmp_path / "strip.png")
    cells = [strip[:, 2:, 2 + i * 98 :][:, :96, :96].float() for i in range(3)]
    sample(model, tmp_path / "ends.png", seeds="0", text="a red sun | the bird", device="cpu")
    ends = read_png(tmp_path / "ends.png")
    torch.testing.assert_close(cells[0], ends[:, 2:98, 2:98].float(), atol=1, rtol=0)
    assert (cells[0] - cells[2]).abs().max() > 1
    below = strip[:, 100:134]
    assert (below == 0).any()  # captions


def test_text_that_does_not_fit_is_refused_before_anything_is_written(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.png"
    with pytest.raises(ValueError, match="both text and classes are given"):
        sample(model, out, text="the sun", classes="0", device="cpu")
    with pytest.raises(ValueError, match="knows no word of 'green grass'"):
        sample(model, out, text="green grass", device="cpu")
    with pytest.raises(ValueError, match="two seeds or more, or two classes"):
        interpolate(model, out, seeds="3", text="the sun", device="cpu")
    plain = checkpoint(dcgan(), tmp_path / "dcgan.ckpt")
    with pytest.raises(ValueError, match="makes images of no text"):
        sample(plain, out, text="the sun", device="cpu")
    assert not out.exists()


def test_captions_are_wrapped_and_cut_off() -> None:
    images = torch.zeros(3, 1, 16, 20, dtype=torch.uint8)
    drawn = captioned(images, ["short", "word " * 40, "l" * 400])
    assert drawn.shape == (3, 3, 80 + 38, 100)
    assert torch.equal(drawn[0, :, :80], torch.zeros(3, 80, 100, dtype=torch.uint8))
    dark = (drawn[:, :, 80:] < 128).any(dim=1).sum(dim=(1, 2))
    assert 0 < dark[0] < dark[1]
    assert dark[2] > 0
