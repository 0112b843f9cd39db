import multiprocessing
import os
import signal

import pytest
import torch
from torch import nn

from gan_lightning.evaluation import FeatureCache, cache
from gan_lightning.metrics import Features, ModuleExtractor

EXTRACTOR = ModuleExtractor(nn.Identity(), num_features=8)


def features(count, value=0.0):
    return Features(torch.full((count, 8), value), torch.full((count, 3), value), torch.arange(count))


def in_another_process(function, *arguments):
    process = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    process.start()
    return process


def test_what_was_saved_in_parts_is_loaded_as_a_whole(tmp_path):
    FeatureCache(tmp_path / "new").save("a", [features(3, 1.0), features(2, 2.0)])
    loaded = FeatureCache(tmp_path / "new").load("a", EXTRACTOR)
    assert loaded.pooled[:, 0].tolist() == [1, 1, 1, 2, 2]
    assert loaded.logits.shape == (5, 3)
    assert loaded.labels.tolist() == [0, 1, 2, 0, 1]
    assert FeatureCache(tmp_path / "new").load("b", EXTRACTOR) is None


def test_without_logits_and_labels_there_are_none(tmp_path):
    FeatureCache(tmp_path).save("a", [Features(torch.ones(2, 8))])
    assert FeatureCache(tmp_path).load("a", EXTRACTOR)[1:] == (None, None, None)


def test_the_folder_comes_from_the_argument_the_environment_or_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GAN_LIGHTNING_CACHE", raising=False)
    assert FeatureCache().folder == tmp_path / "home/.cache/gan_lightning"
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(tmp_path / "named"))
    assert FeatureCache().folder == tmp_path / "named"
    assert FeatureCache(tmp_path).folder == tmp_path


def test_what_is_not_as_it_was_written_counts_as_absent(tmp_path):
    kept = FeatureCache(tmp_path)
    kept.save("a", [features(3)])
    whole = kept.path("a").read_bytes()
    assert kept.load("a", ModuleExtractor(nn.Identity(), num_features=9)) is None
    for damaged in (whole[: len(whole) // 2], b"", b"no features", whole + b"more"):
        kept.path("a").write_bytes(damaged)
        assert kept.load("a", EXTRACTOR) is None
    kept.save("a", [features(3, torch.nan)])
    assert kept.load("a", EXTRACTOR) is None
    kept.save("a", [features(3)])
    assert kept.load("a", EXTRACTOR) is not None


@pytest.mark.parametrize("before", [False, True])
def test_a_process_killed_while_it_writes_leaves_what_was_there(tmp_path, monkeypatch, before):
    kept = FeatureCache(tmp_path)
    if before:
        kept.save("a", [features(3, 1.0)])
    save_file = cache.save_file

    def die_half_way(tensors, path):
        save_file(tensors, path)
        os.truncate(path, path.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(cache, "save_file", die_half_way)
        process = in_another_process(kept.save, "a", [features(3, 2.0)])
        process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1 + before  # a torn file was left
    loaded = kept.load("a", EXTRACTOR)
    assert (loaded.pooled[0, 0] == 1) if before else loaded is None
    kept.save("a", [features(3, 3.0)])
    assert kept.load("a", EXTRACTOR).pooled[0, 0] == 3


def test_two_writers_and_a_reader_do_not_disturb_each_other(tmp_path):
    kept = FeatureCache(tmp_path)
    kept.save("a", [features(20_000, 0.0)])

    def write(value):
        for _ in range(30):
            kept.save("a", [features(20_000, value)])

    writers = [in_another_process(write, value) for value in (1.0, 2.0)]
    seen = set()
    while any(writer.is_alive() for writer in writers):
        pooled = kept.load("a", EXTRACTOR).pooled
        assert pooled.shape == (20_000, 8)
        assert (pooled == pooled[0, 0]).all()
        seen.add(float(pooled[0, 0]))
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert seen >= {1.0, 2.0}
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_where_nothing_can_be_written_the_run_goes_on_with_a_warning(tmp_path):
    (tmp_path / "taken").write_text("a file in the folder's place")
    kept = FeatureCache(tmp_path / "taken")
    with pytest.warns(UserWarning, match="features of real images could not be kept in .*taken"):
        kept.save("a", [features(3)])
    assert kept.load("a", EXTRACTOR) is None
