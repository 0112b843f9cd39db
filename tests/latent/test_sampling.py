"""The command sample, and truncation."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from gan_lightning.data.images import to_uint8
from gan_lightning.evaluation.sources import load_sampler
from gan_lightning.inference import LatentSampler
from gan_lightning.latent import LatentSpace, image_names, make_images, output
from gan_lightning.latent.commands.images import sample
from toys import StyledGenerator, read_png

TRUSTED = ["toys"]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_files_are_those_of_their_names_and_are_gone_on_with(
    styled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how: dict[str, Any] = {"trusted": TRUSTED, "device": "cpu"}
    out = tmp_path / "images"
    sample(styled, out, seeds="4,6:2", n=2, **how)
    assert files(out) == {"samples.json", "0/4-000000.png", "1/4-000001.png", "2/6-000002.png"}
    images = to_uint8(load_sampler(styled, trusted=TRUSTED).sampler.sample(2, seed=4))
    torch.testing.assert_close(read_png(out / "1/4-000001.png"), images[1], atol=1, rtol=0)

    kept = (out / "0/4-000000.png").stat().st_mtime_ns
    (out / "1/4-000001.png").unlink()
    sample(styled, out, seeds="4", n=2, batch_size=1, **how)
    assert "1 image written into" in (said := capsys.readouterr().out)
    assert "1 were there already" in said
    assert (out / "0/4-000000.png").stat().st_mtime_ns == kept
    torch.testing.assert_close(read_png(out / "1/4-000001.png"), images[1], atol=1, rtol=0)

    with pytest.raises(FileExistsError, match=r"made with other settings \(truncation; see samples\.json"):
        sample(styled, out, truncation=0.5, **how)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"is not empty, and has no samples\.json"):
        sample(styled, tmp_path / "other", **how)
    assert files(tmp_path / "other") == {"mine.txt"}


def test_an_archive_is_whole_and_gone_on_with(styled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how: dict[str, Any] = {"trusted": TRUSTED, "device": "cpu", "classes": "1,0"}
    out = tmp_path / "images.zip"

    def stopped(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "write", stopped)
        with pytest.raises(KeyboardInterrupt):
            sample(styled, out, seeds="0", **how)
    assert not out.exists()
    for seeds in ("0-1", "1-2"):
        sample(styled, out, seeds=seeds, **how)
    sample(styled, tmp_path / "folder", seeds="0-2", **how)
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted(files(tmp_path / "folder"))
        archive.extractall(tmp_path / "unpacked")
    for name in files(tmp_path / "folder"):
        assert (tmp_path / "unpacked" / name).read_bytes() == (tmp_path / "folder" / name).read_bytes()
    assert set(tmp_path.iterdir()) == {out, tmp_path / "folder", tmp_path / "unpacked"}

    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(FileExistsError, match=r"text\.zip is there already, and is no archive"):
        sample(styled, tmp_path / "text.zip", **how)
    assert (tmp_path / "text.zip").read_text() == "no archive"


def test_a_grid_has_a_row_an_image_and_a_column_a_class(styled: Path, plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    sample(styled, out, seeds="3-4", classes="2,0,1", psi=0.5, trusted=TRUSTED, device="cpu")
    space = LatentSpace(load_sampler(styled, trusted=TRUSTED).sampler, psi=0.5)
    names = image_names("3,3,3,4,4,4")
    expected = to_uint8(space.make(names, torch.tensor([2, 0, 1] * 2)))
    assert read_png(out).shape == (1, 14, 20)
    for place, image in enumerate(expected):
        top, left = 2 + place // 3 * 6, 2 + place % 3 * 6
        torch.testing.assert_close(read_png(out)[:, top : top + 4, left : left + 4], image, atol=1, rtol=0)
    sample(plain, out, trusted=TRUSTED, device="cpu")
    assert read_png(out).shape == (1, 50, 50)
    sample(plain, out, n=5, columns=5, trusted=TRUSTED, device="cpu")
    assert read_png(out).shape == (1, 8, 32)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"classes": "1"}, "makes images without classes"),
        ({"psi": 0.5}, "ToyGenerator has none: leave it out, or truncate z"),
        ({"psi": float("nan")}, "psi=nan is out of range"),
        ({"truncation": 0.0}, "truncation=0.0 is out of range"),
        ({"seeds": "all"}, "'all' names no image"),
        ({"n": 0}, "n=0 is out of range"),
        ({"out": "picture.jpg"}, r"picture\.jpg cannot be written"),
        ({"checkpoint": Path("absent.ckpt")}, r"absent\.ckpt"),
        ({"out": "large.png"}, "too large: show fewer images"),
        ({"device": "cuda"}, "torch finds no GPU"),
    ],
)
def test_a_mistake_is_a_sentence_and_writes_nothing(
    plain: Path, tmp_path: Path, changed: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(output, "MOST_PIXELS", 1000)
    given = {"checkpoint": plain, "out": "new", "trusted": TRUSTED, "device": "cpu"} | changed
    with pytest.raises((ValueError, OSError), match=sentence):
        sample(**given | {"out": tmp_path / given["out"]})
    assert files(tmp_path) <= {"new/samples.json"}


def test_a_model_that_diverged_is_a_sentence(tmp_path: Path) -> None:
    sampler = LatentSampler(StyledGenerator())
    with torch.no_grad():
        sampler.network.net[0].bias[0] = float("nan")
    with pytest.raises(ValueError, match="NaN or infinite pixels"):
        list(make_images(sampler, image_names("0")))


@pytest.mark.parametrize("classes", [0, 3])
def test_psi_is_linear_and_leads_to_the_mean_of_the_class(classes: int) -> None:
    torch.manual_seed(0)
    sampler = LatentSampler(StyledGenerator(classes))
    names = image_names("0-5")
    labels = torch.tensor([0, 1, 2, 0, 1, 2]) if classes else None
    points = {psi: LatentSpace(sampler, psi=psi, batch_size=5000).points(names, labels) for psi in (1, 0.25, 0, -1)}
    assert torch.equal(points[1], sampler.map(sampler.latents_of(names), labels))
    middle = points[0]
    assert torch.equal(middle[:3], middle[3:])  # whatever z
    assert classes == 0 or not torch.allclose(middle[0], middle[1], atol=0.01)
    for psi in (0.25, -1):
        torch.testing.assert_close(points[psi], middle + psi * (points[1] - middle))
    z = torch.randn(20_000, 3)
    mean = sampler.map(z, torch.zeros(20_000, dtype=torch.int64) if classes else None).mean(dim=0)
    torch.testing.assert_close(middle[0], mean, atol=0.03, rtol=0)
    # the truncation of a picture does not depend on the space that it is reached through
    in_z = LatentSpace(sampler, "z", psi=0.25)
    in_w = LatentSpace(sampler, "w", psi=0.25)
    made = [next(iter(s.images(s.points(names, labels), names, labels))) for s in (in_z, in_w)]
    torch.testing.assert_close(made[0], made[1], atol=1, rtol=0)


def test_only_a_record_of_settings_opens_a_folder(plain: Path, tmp_path: Path) -> None:
    sample(plain, tmp_path / "a", n=1, trusted=TRUSTED, device="cpu")
    record = json.loads((tmp_path / "a/samples.json").read_text())
    assert record["truncation"] is None
    for content in (b"[]", b"{", b"\xff", b"[" * 100_000):
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        (tmp_path / "b/samples.json").write_bytes(content)
        with pytest.raises(FileExistsError, match=r"samples\.json is damaged"):
            sample(plain, tmp_path / "b", trusted=TRUSTED, device="cpu")
        shutil.rmtree(tmp_path / "b")
