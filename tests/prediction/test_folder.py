"""Folders: names, formats, stopped and resumed runs, and errors."""

import json
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gan_lightning.data.files import image_files, pages, read_image, write_image, write_pages
from gan_lightning.inference import Policy, Translator
from gan_lightning.prediction import FolderTranslation, Summary, translate_folder, translate_image
from models.test_cyclegan import cyclegan
from models.test_dcgan import dcgan
from models.test_pix2pix import pix2pix
from toys import trainer


def noise(*shape: int, dtype: torch.dtype = torch.uint8, seed: int = 0) -> Tensor:
    levels = np.random.default_rng(seed).integers(0, torch.iinfo(dtype).max, shape)
    return torch.from_numpy(levels.astype(np.uint8 if dtype == torch.uint8 else np.uint16))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for seed, name in enumerate(["a.png", "b/c.png", "b/a.png", "d.png", "e.png"]):
        write_image(noise(3, 16, 20, seed=seed), folder / name)
    return folder


def translated(model: Any, photos: Path, out: Path, **how: Any) -> Summary:
    return translate_folder(model, photos, out, **{"trainer": trainer(out.parent)} | how)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in image_files(folder)}


def test_names_and_sub_folders_are_kept(photos: Path, tmp_path: Path) -> None:
    model = cyclegan()
    assert translated(model, photos, tmp_path / "out", direction="b_to_a") == Summary(5, 0, [])
    assert contents(tmp_path / "out").keys() == contents(photos).keys()
    for file in image_files(photos):
        made = read_image(tmp_path / "out" / file.relative_to(photos))
        assert torch.equal(made, translate_image(model.translator, read_image(file), "b_to_a"))


def test_a_suffix_is_kept_where_its_format_holds_the_translation(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    write_image(noise(1, 16, 16), photos / "grey.jpg")
    write_image(noise(3, 16, 16), photos / "colour.JPEG")
    write_image(noise(4, 16, 16), photos / "clear.webp")
    write_image(noise(4, 16, 16), photos / "clear.tif")
    write_image(noise(1, 16, 16, dtype=torch.uint16), photos / "deep.tiff")
    write_image(noise(4, 16, 16, dtype=torch.uint16), photos / "deep-clear.png")
    Image.fromarray(noise(16, 16).numpy()).save(photos / "palette.gif")
    Image.fromarray(noise(16, 16, 3).numpy()).save(photos / "old.bmp")
    assert translated(pix2pix(), photos, out).made == 8  # grey to RGB
    made = {file.name: read_image(file) for file in image_files(out)}
    assert {name: (len(image), image.dtype) for name, image in made.items()} == {
        "grey.jpg": (3, torch.uint8),
        "colour.JPEG": (3, torch.uint8),
        "clear.webp": (4, torch.uint8),
        "clear.tif": (4, torch.uint8),
        "deep.png": (3, torch.uint16),
        "deep-clear.png": (4, torch.uint16),
        "palette.png": (3, torch.uint8),
        "old.png": (3, torch.uint8),
    }
    assert torch.equal(made["clear.webp"][3], noise(4, 16, 16)[3])
    assert torch.equal(made["deep-clear.png"][3], noise(4, 16, 16, dtype=torch.uint16)[3])


def test_a_page_in_is_a_page_out(tmp_path: Path) -> None:
    photos, out, model = tmp_path / "photos", tmp_path / "out", pix2pix()
    images = [noise(3, 16, 20), noise(3, 33, 8, seed=1), noise(4, 16, 16, seed=2)]
    write_pages(images, photos / "a.tif")
    write_pages(images[:2], photos / "a.tiff")
    write_image(images[1], photos / "a#2.png")
    assert translated(model, photos, out) == Summary(6, 0, [])
    assert contents(out).keys() == {"a.tif", "a.tiff", "a#2.png"}
    for made, given in zip(pages(out), pages(photos), strict=True):
        seed = crc32(given.name(photos).encode())
        assert torch.equal(read_image(made), translate_image(model.translator, read_image(given), seed=seed))
    assert translated(model, photos, out) == Summary(0, 6, [])


def test_pages_that_no_file_holds_are_skipped_and_named(tmp_path: Path) -> None:
    deep = [Image.fromarray(noise(16, 16, dtype=torch.uint16).numpy()) for _ in range(2)]
    (tmp_path / "photos").mkdir()
    deep[0].save(tmp_path / "photos" / "deep.tif", save_all=True, append_images=deep[1:])
    made, _, failures = translated(pix2pix(), tmp_path / "photos", tmp_path / "out")
    assert (made, len(failures)) == (0, 1)
    assert "deep.tif has 2 pages, whose translations no TIFF file can hold" in failures[0]


def test_two_images_of_one_name_are_refused(photos: Path, tmp_path: Path) -> None:
    Image.fromarray(noise(16, 16).numpy()).save(photos / "a.bmp")
    with pytest.raises(ValueError, match=r"a\.bmp and .*a\.png would both become .*out/a\.png: rename one"):
        translated(cyclegan(), photos, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unreadable_file_is_skipped_and_named(photos: Path, tmp_path: Path) -> None:
    (photos / "b" / "empty.png").touch()
    whole = (photos / "a.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])  # its header is whole
    made, _, failures = translated(cyclegan(), photos, tmp_path / "out")
    assert made == 5
    assert [failure.split(" cannot be read")[0] for failure in failures] == [
        str(photos / "b" / "empty.png"),
        str(photos / "cut.png"),
    ]
    assert len(image_files(tmp_path / "out")) == 5


class StoppedError(Exception):
    pass


def test_an_interrupted_run_goes_on_and_ends_the_same(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in image_files(photos):  # pix2pix takes one channel here
        write_image(read_image(file)[:1], file)
    model = pix2pix()  # with dropout as its noise
    translated(model, photos, tmp_path / "whole")

    def fail_at_the_fourth(self: Any, images: Tensor, code: None, direction: str) -> Tensor:
        calls.append(images)
        if len(calls) == 4:
            raise StoppedError
        return apply(self, images, code, direction)

    calls: list[Tensor] = []
    apply = Translator.apply
    with monkeypatch.context() as patch:
        patch.setattr(Translator, "apply", fail_at_the_fourth)
        with pytest.raises(StoppedError):
            translated(model, photos, tmp_path / "parts")
    done = {file: file.stat().st_mtime_ns for file in image_files(tmp_path / "parts")}
    assert len(done) == 2  # after the try-out
    assert translated(model, photos, tmp_path / "parts") == Summary(3, 2, [])
    assert {file: file.stat().st_mtime_ns for file in done} == done
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    assert len(set(contents(tmp_path / "whole").values())) == 5
    assert not list((tmp_path / "parts").rglob("*.part"))


def test_noise_follows_the_name(photos: Path, tmp_path: Path) -> None:
    for file in image_files(photos):
        write_image(noise(1, 16, 16), file)
    translated(pix2pix(), photos, tmp_path / "out")
    assert len(set(contents(tmp_path / "out").values())) == 5  # of the same image


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"tile": 64, "overlap": 8}, "overlap"),
        ({"tile": 32}, "tile, overlap"),
        ({"direction": "b_to_a"}, "weights, direction"),
        ({"model": "other"}, "weights"),
        ({"input": "moved"}, "input"),
    ],
)
def test_a_folder_never_mixes_settings(change: dict[str, Any], named: str, photos: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    how: dict[str, Any] = {"model": cyclegan(), "photos": photos, "out": tmp_path / "out", "tile": 64}
    translated(**how)
    (tmp_path / "out" / "a.png").unlink()
    if change.get("model"):
        change = {"model": cyclegan()}
    if change.get("input"):
        change = {"photos": photos.rename(tmp_path / "moved")}
    with pytest.raises(FileExistsError, match=rf"made with other settings \({named}; see translation.json there\)"):
        translated(**how | change)
    assert not (tmp_path / "out" / "a.png").exists()


def test_a_models_policy_is_a_setting(photos: Path, tmp_path: Path) -> None:
    model = pix2pix()
    translated(model, photos, tmp_path / "out")
    model.policy = Policy(dropout=False, batch_norm="instance")
    with pytest.raises(FileExistsError, match=r"other settings \(policy;"):
        translated(model, photos, tmp_path / "out")


def test_a_folder_of_something_else_is_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").touch()
    with pytest.raises(FileExistsError, match=r"out is not empty, and has no translation\.json"):
        translated(cyclegan(), photos, tmp_path / "out")
    (tmp_path / "out" / "notes.txt").unlink()
    assert translated(cyclegan(), photos, tmp_path / "out").made == 5


@pytest.mark.parametrize("content", ["", "{", "[1]", "null", '"x"', "[" * 100_000, "\udcff"])
def test_a_damaged_record_is_reported(content: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "translation.json").write_text(content, errors="surrogateescape")
    with pytest.raises(FileExistsError, match=r"translation\.json is damaged, and the settings of .*out are unknown"):
        translated(cyclegan(), photos, tmp_path / "out")


def test_the_record_says_what_was_used(photos: Path, tmp_path: Path) -> None:
    translated(cyclegan(), photos, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "translation.json").read_text())
    assert record["model"] == "gan_lightning.models.cyclegan.CycleGAN"
    assert (record["direction"], record["tile"], record["overlap"]) == ("a_to_b", 512, 128)
    assert record["policy"] == {"dropout": False, "batch_norm": "running"}
    assert len(record["weights"]) == 64


def test_what_does_not_fit_is_said_before_anything_is_written(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    for model, source, target, direction, said in [
        (cyclegan(), photos, photos / "out", None, "lies in the input"),
        (cyclegan(), photos, photos, None, "lies in the input"),
        (cyclegan(), tmp_path / "absent", out, None, "absent: name a folder of images"),
        (cyclegan(), tmp_path / "empty", out, None, "holds no images"),
        (dcgan(), photos, out, None, "DCGAN does not translate images"),
        (pix2pix(), photos, out, "b_to_a", "there is no direction 'b_to_a'"),
    ]:
        with pytest.raises((ValueError, FileNotFoundError), match=said):
            translated(model, source, target, direction=direction)
    assert not out.exists()


def test_processes_that_cannot_report_are_refused(photos: Path, tmp_path: Path) -> None:
    class Spawning:
        def predict(self, *args: Any, **how: Any) -> None:
            """Predict in other processes, on a copy of the module, and so do nothing here."""

    with pytest.raises(RuntimeError, match="use the strategy ddp"):
        translated(cyclegan(), photos, tmp_path / "out", trainer=Spawning())


def test_processes_share_the_files(photos: Path, tmp_path: Path) -> None:
    class Process:
        def __init__(self, rank: int) -> None:
            self.global_rank, self.world_size = rank, 2

    translation = FolderTranslation(cyclegan(), photos, tmp_path / "out")
    shares = []
    for rank in range(2):
        translation._trainer = Process(rank)  # type: ignore[assignment]
        shares.append([job.pages[0].file.name for job in translation.predict_dataloader()])
    assert shares == [["a.png", "c.png", "e.png"], ["a.png", "d.png"]]
