import errno
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import cache
from datamodules.cache import decode_cached, default_cache_dir
from datamodules.decode import Decoder
from gan_lightning.data.files import image_files

DECODER = Decoder((8, 8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images, each of one grey level."""
    for number in range(6):
        path = tmp_path / "images" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (10, 10), number * 10).save(path)
    return tmp_path / "images"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def decode(folder: Path, store: Path, decoder: Decoder = DECODER):
    return decode_cached(folder, image_files(folder), decoder, store)


def test_images_are_decoded_in_order_and_memory_mapped(folder, store):
    pixels = decode(folder, store)
    assert pixels.values.shape == (6, 3, 8, 8)
    assert pixels.values[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40, 50]
    assert isinstance(pixels.values.base, np.memmap)
    assert not list(store.glob("*.part"))


def test_the_second_time_nothing_is_decoded(folder, store, monkeypatch):
    first = decode(folder, store)
    monkeypatch.setattr(Decoder, "__call__", lambda *_: pytest.fail("decoded again"))
    second = decode(folder, store)
    assert second.fingerprint == first.fingerprint
    assert (second.values == first.values).all()


def test_a_shared_cache_serves_where_nothing_may_be_written(folder, store, monkeypatch):
    decode(folder, store)
    monkeypatch.setattr(cache, "FileLock", lambda _: pytest.fail("locked a finished cache"))
    decode(folder, store)


@pytest.mark.parametrize("change", ["content", "time", "name", "more", "fewer"])
def test_a_stale_cache_is_built_anew(folder, store, change, monkeypatch):
    before = decode(folder, store)
    if change == "content":
        Image.new("L", (10, 10), 255).save(folder / "0.png")
    elif change == "time":
        os.utime(folder / "0.png", ns=(1, 1))
    elif change == "name":
        (folder / "0.png").rename(folder / "9.png")
    elif change == "more":
        Image.new("L", (10, 10), 255).save(folder / "7.png")
    else:
        (folder / "0.png").unlink()
    calls = []
    original = Decoder.__call__
    monkeypatch.setattr(Decoder, "__call__", lambda self, file: calls.append(file) or original(self, file))
    after = decode(folder, store)
    assert len(calls) == len(after) == {"more": 7, "fewer": 5}.get(change, 6)
    # the fingerprint is of the content: touching a file makes no other images
    assert (after.fingerprint == before.fingerprint) == (change == "time")


def test_settings_have_caches_of_their_own(folder, store):
    decoders = [DECODER, Decoder((8, 9)), Decoder((8, 8), 1), Decoder((8, 8), bits=16), Decoder((8, 8), region="left")]
    assert len({decode(folder, store, decoder).fingerprint for decoder in decoders}) == 4  # the left half looks alike
    assert len(list(store.glob("*.npy"))) == 5


def test_folders_of_equal_names_sizes_and_times_have_caches_of_their_own(tmp_path, store):
    for folder, level in [("a", 0), ("b", 255)]:
        (tmp_path / folder).mkdir()
        Image.new("L", (8, 8), level).save(tmp_path / folder / "0.bmp")
        os.utime(tmp_path / folder / "0.bmp", ns=(1, 1))
    assert decode(tmp_path / "a", store).values.max() == 0
    assert decode(tmp_path / "b", store).values.min() == 255


def test_a_damaged_cache_is_built_anew(folder, store):
    decode(folder, store)
    (file,) = store.glob("*.npy")
    os.truncate(file, file.stat().st_size // 2)
    assert decode(folder, store).values[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40, 50]


def test_bad_files_are_all_counted_and_the_first_ones_named(folder, store):
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("no image")
    Image.effect_noise((64, 64), 50).save(folder / "whole.jpg")
    whole = (folder / "whole.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    Image.effect_noise((64, 64), 50).save(folder / "whole.png")
    whole = bytearray((folder / "whole.png").read_bytes())
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    whole[60:90] = bytes(30)
    (folder / "flipped.png").write_bytes(whole)
    (folder / "dead.png").symlink_to(folder / "notes")
    (folder / "notes").write_text("no image")
    with pytest.raises(ValueError, match="6 of 14 images cannot be decoded, fix or remove them: ") as caught:
        decode(folder, store)
    for name in ["cut.png", "dead.png", "empty.png", "flipped.png", "text.jpg"]:
        assert str(folder / name) in str(caught.value)
    assert str(caught.value).endswith("and 1 more")
    assert not list(store.glob("*.npy"))
    assert not list(store.glob("*.part"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(folder, store):
    (folder / "0.png").chmod(0)
    with pytest.raises(ValueError, match=r"1 of 6 .*0\.png"):
        decode(folder, store)


def test_a_missing_file_is_named(folder, store):
    with pytest.raises(FileNotFoundError, match=r"absent\.png is missing"):
        decode_cached(folder, [folder / "absent.png"], DECODER, store)


def test_a_full_disk_is_reported_before_and_while_writing(folder, store, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(cache.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100}))
        with pytest.raises(OSError, match=r"6 images .* No space left .* cache_dir"):
            decode(folder, store)

    def fails(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(cache.os, "fsync", fails)
        with pytest.raises(OSError, match=r"No space left .* make room there"):
            decode(folder, store)
    assert not list(store.glob("*.npy"))
    assert not list(store.glob("*.part"))
    decode(folder, store)


def test_a_cache_folder_that_cannot_be_made_is_named(folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot be written to .*file.* GAN_LIGHTNING_CACHE"):
        decode(folder, tmp_path / "file" / "cache")


def build_slowly(folder: Path, store: Path, barrier, results) -> None:
    original = Decoder.__call__

    def slow(self, file):
        time.sleep(0.1)
        results.put(file.file.name)
        return original(self, file)

    Decoder.__call__ = slow  # type: ignore[method-assign]
    barrier.wait()
    pixels = decode(folder, store)
    results.put((pixels.fingerprint, pixels.values[:, 0, 0, 0].tolist()))


def test_two_processes_that_build_at_once_decode_once(folder, store):
    fork = multiprocessing.get_context("fork")
    barrier, results = fork.Barrier(2), fork.Queue()
    processes = [fork.Process(target=build_slowly, args=(folder, store, barrier, results)) for _ in range(2)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in range(8)]  # six files, decoded by one of the two, and two results
    for process in processes:
        process.join(60)
    assert sorted(item for item in found if isinstance(item, str)) == [f"{number}.png" for number in range(6)]
    first, second = (item for item in found if isinstance(item, tuple))
    assert first == second
    assert first[1] == [0, 10, 20, 30, 40, 50]


def build_until_killed(folder: Path, store: Path) -> None:
    cache.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
    decode(folder, store)


def test_a_killed_process_leaves_nothing_that_counts(folder, store):
    process = multiprocessing.get_context("fork").Process(target=build_until_killed, args=(folder, store))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert list(store.glob("*.part"))
    assert not list(store.glob("*.npy"))
    assert decode(folder, store).values[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40, 50]
    assert not list(store.glob("*.part"))


def test_the_default_folder_is_that_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(tmp_path))
    assert default_cache_dir() == tmp_path
    monkeypatch.delenv("GAN_LIGHTNING_CACHE")
    assert default_cache_dir() == Path.home() / ".cache" / "gan_lightning"
