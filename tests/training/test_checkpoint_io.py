"""Checkpoints are written whole or not at all; reading any file ends with data or with a sentence."""

import errno
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, Timer
from torch import Tensor

from gan_lightning.training import checkpoint_io
from gan_lightning.training.checkpoint_io import AtomicCheckpointIO, CheckpointError, read_checkpoint
from gan_lightning.training.generative import GenerativeModule
from gan_lightning.training.pretrained import load_part
from toys import ToyData, ToyGAN, ToyGenerator, trainer


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    writer = AtomicCheckpointIO()
    writer.save_checkpoint({"step": 1}, path)

    def full(checkpoint: Any, file: Any) -> None:
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(OSError, match="make room there"):
            writer.save_checkpoint({"step": 2}, path)
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]
    assert torch.load(path, weights_only=True) == {"step": 1}

    writer.save_checkpoint({"step": 3}, path)
    assert torch.load(path, weights_only=True) == {"step": 3}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_what_torch_says_of_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    monkeypatch.setattr(Path, "with_name", lambda self, name: Path("/dev/full"))
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok: None)
    with pytest.raises(OSError, match="no checkpoint could be written"):
        AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(1_000_000)}, path)


# ------------------------------------------------------------------ reading


def run(folder: Path, resume: Path | None = None, epochs: int = 1, **how: Any) -> Any:
    """A run of two batches an epoch, with a checkpoint of each of the last two epochs and `last.ckpt`."""
    keep = ModelCheckpoint(folder, monitor="step", mode="max", save_top_k=2, save_on_train_epoch_end=True)
    how = {"plugins": [AtomicCheckpointIO()], "callbacks": [keep], **how}
    going = trainer(folder, max_epochs=epochs, limit_train_batches=2, enable_checkpointing=True, **how)
    going.fit(ToyGAN(), ToyData(), ckpt_path=resume)
    going.save_checkpoint(folder / "last.ckpt")
    return going


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint of a run, which tests must not change."""
    folder = tmp_path_factory.mktemp("run")
    run(folder)
    return folder / "last.ckpt"


def plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.dtype, value.shape, value.tolist()
    if isinstance(value, dict):
        return [(key, plain(item)) for key, item in value.items()]
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def changed(written: Path, path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Write a changed copy of a checkpoint without a hash, like one from another program."""
    content = torch.load(written, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


def rewritten(written: Path, path: Path, compression: int = zipfile.ZIP_STORED, **records: bytes) -> Path:
    """Copy an archive with some records replaced, by the ends of their names; `pickle` has all but the tensors."""
    with zipfile.ZipFile(written) as before, zipfile.ZipFile(path, "w", compression) as after:
        for record in before.infolist():
            name = "pickle" if record.filename.endswith("data.pkl") else record.filename.rpartition("/")[2]
            after.writestr(record.filename, records.get(name, before.read(record)))
    return path


def test_a_checkpoint_is_an_archive_that_any_reader_takes_with_its_hash_behind_it(written: Path) -> None:
    with zipfile.ZipFile(written) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(b"gan_lightning checkpoint 2 sha256:")
    assert plain(read_checkpoint(written)["state_dict"]) == plain(torch.load(written, weights_only=True)["state_dict"])
    assert type(ToyGAN.load_from_checkpoint(written)) is ToyGAN


@pytest.mark.parametrize("hashed", [True, False])
def test_a_flipped_bit_anywhere_is_found(hashed: bool, written: Path, tmp_path: Path) -> None:
    path = written if hashed else changed(written, tmp_path / "other.ckpt", lambda content: None)
    whole, right = path.read_bytes(), plain(read_checkpoint(path))
    draw = random.Random(0)
    found = 0
    for bit in draw.sample(range(8 * len(whole)), 80) + [8 * len(whole) - 8 * i - 1 for i in range(1, 130, 6)]:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "flipped.ckpt").write_bytes(damaged)
        try:
            assert plain(read_checkpoint(tmp_path / "flipped.ckpt")) == right  # padding between the records
        except CheckpointError as error:
            assert str(error).startswith(f"{tmp_path / 'flipped.ckpt'} ")  # noqa: PT017 (either is right)
            found += 1
    assert found > (100 if hashed else 60)


def test_a_newer_format_says_so(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_io, "FORMAT_VERSION", 3)
    monkeypatch.setitem(checkpoint_io._HASHES, 3, b"sha256")
    AtomicCheckpointIO().save_checkpoint(torch.load(written, weights_only=True), tmp_path / "new.ckpt")
    assert read_checkpoint(written)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"new.ckpt is a checkpoint of format 3, .* up to 2: install a newer one"):
        read_checkpoint(tmp_path / "new.ckpt")


def test_the_first_format_is_read_and_a_flipped_bit_in_it_found(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old.ckpt"
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_io, "FORMAT_VERSION", 1)
        AtomicCheckpointIO().save_checkpoint(torch.load(written, weights_only=True), path)
    data = path.read_bytes()
    assert b"gan_lightning checkpoint 1 blake2b:" in data
    assert read_checkpoint(path)
    for damaged in (data[:5000] + bytes([data[5000] ^ 8]) + data[5001:], data.replace(b"1 blake2b:", b"1 sha256:")):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="is damaged"):
            read_checkpoint(path)


def broken(kind: str, written: Path, folder: Path) -> Path:
    path = folder / "broken.ckpt"
    whole = written.read_bytes()
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind in ("a list", "weights alone", "weights under another name", "a tensor"):
        weights = ToyGAN().state_dict()
        content = {"a list": [1], "weights alone": weights, "weights under another name": {"model": weights}}
        torch.save(content.get(kind, torch.zeros(2)), path)
    elif kind == "old torch":
        torch.save(ToyGAN().state_dict(), path, _use_new_zipfile_serialization=False)
    elif kind == "a pickle":
        path.write_bytes(pickle.dumps({"state_dict": {}}))
    elif kind == "another archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "hello")
    else:
        contents = {"empty": b"", "text": b"weights: 1\n", "half": whole[: len(whole) // 2], "zeros": bytes(len(whole))}
        path.write_bytes({**contents, "more behind it": whole + b"PK", "two": whole + whole}[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("a folder", "is a folder, not a checkpoint: name a file"),
        ("a pipe", "is not a regular file"),
        ("empty", "is empty: give one"),
        ("text", "is not a checkpoint, nor any other file of PyTorch: give one"),
        ("zeros", "is not a checkpoint, nor any other file of PyTorch: give one"),
        ("a pickle", "is not a checkpoint, nor any other file of PyTorch: give one"),
        ("old torch", "is not a checkpoint, nor any other file of PyTorch: give one"),
        ("half", "is damaged"),
        ("more behind it", "is damaged"),
        ("two", "is damaged"),
        ("another archive", "is an archive of something else"),
        ("a list", "is not a checkpoint of gan_lightning"),
        ("a tensor", "is not a checkpoint of gan_lightning"),
        ("weights alone", "holds weights alone"),
        ("weights under another name", "is not a checkpoint of gan_lightning, since there is no weights in it"),
    ],
)
def test_a_file_that_is_not_a_checkpoint_gives_a_sentence_wherever_one_is_taken(
    kind: str, reason: str, written: Path, tmp_path: Path
) -> None:
    path = broken(kind, written, tmp_path)
    for take in (
        lambda: read_checkpoint(path),
        lambda: GenerativeModule.load_from_checkpoint(path),
        lambda: load_part(ToyGenerator(), path),
        lambda: trainer(tmp_path, max_epochs=1, plugins=[AtomicCheckpointIO()]).fit(
            ToyGAN(), ToyData(), ckpt_path=path, weights_only=False
        ),
    ):
        with pytest.raises(CheckpointError, match=rf"broken\.ckpt {reason}") as raised:
            take()
        assert "\n" not in str(raised.value)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    for take in (read_checkpoint, GenerativeModule.load_from_checkpoint, lambda p: load_part(ToyGenerator(), p)):
        with pytest.raises(FileNotFoundError, match=r"there is no checkpoint .*absent\.ckpt"):
            take(tmp_path / "absent.ckpt")


def test_a_checkpoint_of_a_gpu_is_read_without_one(written: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(written) as archive:
        data = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    there = data.replace(b"X\3\0\0\0cpu", b"X\6\0\0\0cuda:0")
    assert there != data
    content = read_checkpoint(rewritten(written, tmp_path / "cuda.ckpt", pickle=there))
    assert {value.device.type for value in content["state_dict"].values()} == {"cpu"}


# ------------------------------------------------------------------ bombs


def test_compressed_records_are_refused_before_they_are_unpacked(written: Path, tmp_path: Path) -> None:
    bomb = rewritten(written, tmp_path / "bomb.ckpt", zipfile.ZIP_DEFLATED, byteorder=bytes(50_000_000))
    assert bomb.stat().st_size < 200_000
    with pytest.raises(CheckpointError, match="holds compressed records"):
        read_checkpoint(bomb)


def test_a_record_is_not_larger_than_the_file(written: Path, tmp_path: Path) -> None:
    path = changed(written, tmp_path / "large.ckpt", lambda content: None)
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\1\2")  # of the last record, in the directory
    data[entry + 20 : entry + 28] = struct.pack("<2L", 2**31, 2**31)
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"is damaged|claims to hold"):
        read_checkpoint(path)


class Filled:
    """Pickled as bytearray(n)."""

    def __reduce__(self) -> Any:
        return bytearray, (10**12,)


def laughing(levels: int) -> Any:
    nest: Any = ["ha"] * 10
    for _ in range(levels):
        nest = [nest] * 10
    return nest


def nested(levels: int) -> Any:
    nest: Any = []
    for _ in range(levels):
        nest = [nest]
    return nest


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Filled(), r"asks for '(builtins|__builtin__)\.bytearray'"),
        (laughing(30), "holds more than any checkpoint"),
        (nested(300), "nests it deeper"),
        (torch.zeros(1).expand(10**9), "without the numbers for it"),
        (torch.zeros(3, device="meta"), "asks for|without the numbers for it"),
        (torch.eye(3).to_sparse(), "asks for"),
        (1 << 100, "more than 64 bits"),
        ("x" * 17_000_000, "bytes besides its tensors"),
    ],
    ids=["bytearray", "laughs", "nested", "expanded", "meta", "sparse", "integer", "text"],
)
def test_what_would_grow_beyond_its_file_is_refused(value: Any, reason: str, written: Path, tmp_path: Path) -> None:
    path = changed(written, tmp_path / "bomb.ckpt", lambda content: content["hyper_parameters"].update(bomb=value))
    with pytest.raises(CheckpointError, match=reason):
        read_checkpoint(path)


# ------------------------------------------------------------------ contents that no run writes


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("state_dict",), {}),
        (("state_dict", "generator.net.0.weight"), [1.0]),
        (("hyper_parameters",), {"latent_dim": 3}),
        (("gan_lightning", "batches_seen"), -1),
        (("gan_lightning", "class_names"), ["cat", 3]),
        (("gan_lightning", "images_seen"), "many"),
        (("gan_lightning", "images_at_last_update"), 10**9),
        (("pytorch-lightning_version",), "0.9.0"),
        (("pytorch-lightning_version",), "newest"),
        (("epoch",), 0.5),
        (("loops",), {"fit_loop": {"epoch_progress": torch.zeros(3)}}),
        (("loops", "fit_loop"), {}),
        (("loops", "fit_loop", "epoch_progress", "current", "reset"), 1),
        (("callbacks",), {"ModelCheckpoint": 3}),
        (("optimizer_states",), {}),
        (("optimizer_states", 0, "param_groups", 0, "betas"), "x"),
        (("optimizer_states", 0, "param_groups", 0, "betas"), [0.5, 2.0]),
        (("optimizer_states", 0, "state", 0, "exp_avg"), torch.zeros(7)),
        (("optimizer_states", 1, "state", 0, "step"), None),
        (("gan_lightning", "resume_state"), {}),
        (("gan_lightning", "standing", "batch"), 2**62),
    ],
)
def test_what_no_run_writes_is_refused(place: tuple[Any, ...], value: Any, written: Path, tmp_path: Path) -> None:
    def change(content: Any) -> None:
        for key in place[:-1]:
            content = content[key]
        content[place[-1]] = value

    path = changed(written, tmp_path / "strange.ckpt", change)
    with pytest.raises(CheckpointError, match="wrote"):
        run(tmp_path, path, epochs=2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: content["optimizer_states"].pop(), r"holds optimizers of other networks \(\[\[4\]\]"),
        (lambda content: content["optimizer_states"][0]["param_groups"][0]["params"].pop(), "of other networks"),
        (lambda content: content.pop("global_step"), "without the state of its training"),
        (lambda content: content["optimizer_states"][0]["param_groups"][0].update(lr="x"), r"holds .*\(lr is x\)"),
        (lambda content: content["state_dict"].update({"generator.net.0.bias": torch.zeros(16).long()}), "int64"),
    ],
)
def test_an_error_about_weights_that_do_not_fit_names_the_file(
    change: Callable[[Any], object], reason: str, written: Path, tmp_path: Path
) -> None:
    path = changed(written, tmp_path / "other.ckpt", change)
    with pytest.raises(CheckpointError, match=reason) as raised:
        run(tmp_path, path, epochs=2)
    assert "other.ckpt" in str(raised.value) or "weights" in str(raised.value)


@pytest.mark.parametrize("seconds", [1e300, float("inf"), float("nan"), -1e12, 2**63])
def test_a_clock_that_no_run_has_is_refused(seconds: float, tmp_path: Path) -> None:
    run(tmp_path, callbacks=[Timer("01:00:00:00")])

    def change(content: Any) -> None:
        content["callbacks"]["Timer"]["time_elapsed"]["train"] = seconds

    path = changed(tmp_path / "last.ckpt", tmp_path / "x.ckpt", change)
    with pytest.raises(CheckpointError, match=r"x\.ckpt holds .* times that no run takes"):
        run(tmp_path, path, epochs=2, callbacks=[Timer("01:00:00:00")])


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (
            "generator",
            {"class_path": "toys.ToyGenerator", "init_args": {"latent_dim": 10**9}},
            "larger than its weights",
        ),
        ("generator", {"class_path": "toys.ToyGenerator", "init_args": {"width": 3}}, "unexpected keyword"),
        ("an_argument", 3, "unexpected keyword"),
    ],
)
def test_a_model_that_cannot_be_built_is_reported(
    name: str, value: Any, reason: str, written: Path, tmp_path: Path
) -> None:
    path = changed(written, tmp_path / "x.ckpt", lambda content: content["hyper_parameters"].update({name: value}))
    with pytest.raises(CheckpointError, match=rf"x\.ckpt does not describe how its model is built, .*{reason}"):
        ToyGAN.load_from_checkpoint(path)


def test_attributes_of_a_dictionary_are_left_behind(written: Path, tmp_path: Path) -> None:
    path = changed(written, tmp_path / "a.ckpt", lambda content: setattr(content["state_dict"], "keys", 3))
    assert read_checkpoint(path)["state_dict"].keys()


def test_weights_without_the_training_state_start_no_training(written: Path, tmp_path: Path) -> None:
    path = changed(written, tmp_path / "few.ckpt", lambda content: content.pop("optimizer_states"))
    assert type(ToyGAN.load_from_checkpoint(path)) is ToyGAN
    with pytest.raises(CheckpointError, match="holds the model without the state of its training"):
        run(tmp_path, path, epochs=2)


def test_a_checkpoint_of_another_model_or_other_networks_names_both(written: Path, tmp_path: Path) -> None:
    class OtherGAN(ToyGAN):
        """Another model with the same networks."""

    for stage in ("fit", "validate", "test", "predict"):
        use = getattr(trainer(tmp_path, max_epochs=2, plugins=[AtomicCheckpointIO()]), stage)
        with pytest.raises(CheckpointError, match=r"is of the model toys\.ToyGAN, .* into is .*OtherGAN"):
            use(OtherGAN(), ToyData(), ckpt_path=written)
        with pytest.raises(CheckpointError, match=r"weights are of other networks .*this ToyGAN \(size mismatch for"):
            use(ToyGAN(generator=ToyGenerator(latent_dim=5)), ToyData(), ckpt_path=written)


# ------------------------------------------------------------------ callbacks' states


@pytest.mark.parametrize("plugins", [[AtomicCheckpointIO()], []], ids=["our reader", "Lightning's own"])
@pytest.mark.parametrize(
    ("prefix", "key"),
    [("local://", "best_model_path"), ("", "last_model_path"), ("file://", "last_model_path"), ("", "best_k_models")],
)
def test_a_checkpoint_removes_nothing(key: str, prefix: str, plugins: list[Any], tmp_path: Path) -> None:
    run(tmp_path / "run")
    precious = tmp_path / "run" / "precious"
    precious.mkdir()
    (precious / "photo.png").write_text("the only one")

    def change(content: Any) -> None:
        (state,) = content["callbacks"].values()
        path = f"{prefix}{precious}"
        state[key] = {path: torch.tensor(-1.0)} if key == "best_k_models" else path
        if key == "best_k_models":
            state.update(kth_best_model_path=path, kth_value=torch.tensor(-1.0))
        if key == "best_model_path":
            state["kth_best_model_path"] = path

    hostile = changed(tmp_path / "run/last.ckpt", tmp_path / "run/hostile.ckpt", change)
    for top in (1, 2):
        keep = ModelCheckpoint(tmp_path / "run", monitor="step", mode="max", save_top_k=top, save_last=True)
        keep.CHECKPOINT_EQUALS_CHAR = str(top)  # files of its own
        run(tmp_path / "run", hostile, epochs=2, plugins=plugins, callbacks=[keep])
    assert (precious / "photo.png").exists()


def test_a_run_that_was_moved_keeps_its_best_checkpoint(tmp_path: Path) -> None:
    run(tmp_path / "run", epochs=3)
    (tmp_path / "run").rename(tmp_path / "moved")
    (state,) = read_checkpoint(tmp_path / "moved/last.ckpt")["callbacks"].values()
    best = Path(state["best_model_path"])
    assert best.parent == Path(state["dirpath"]) == tmp_path / "moved"
    assert best.is_file()
    assert {Path(path).parent for path in state["best_k_models"]} == {tmp_path / "moved"}
    assert len(state["best_k_models"]) == 2
    going = run(tmp_path / "moved", tmp_path / "moved/last.ckpt", epochs=4)
    assert len(list((tmp_path / "moved").glob("epoch*"))) == 2  # the last but one of them was removed
    assert Path(going.checkpoint_callback.best_model_path).parent == tmp_path / "moved"


def test_states_of_other_callbacks_are_of_the_kind_that_they_write(tmp_path: Path) -> None:
    def stopping() -> list[Any]:
        return [EarlyStopping("step", strict=False, patience=5, check_on_train_epoch_end=True, mode="max")]

    run(tmp_path, callbacks=stopping())
    for wrong in ({"patience": 1}, {"wait_count": "x", "stopped_epoch": 0, "best_score": 0, "patience": 1}):

        def change(content: Any, wrong: dict[str, Any] = wrong) -> None:
            content["callbacks"] = dict.fromkeys(content["callbacks"], wrong)

        path = changed(tmp_path / "last.ckpt", tmp_path / "x.ckpt", change)
        with pytest.raises(CheckpointError, match="callbacks"):
            run(tmp_path, path, epochs=2, callbacks=stopping())


def test_only_files_are_removed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.ckpt").touch()
    for path in (tmp_path / "folder", f"local://{tmp_path}/folder", tmp_path / "a.ckpt", tmp_path / "absent"):
        AtomicCheckpointIO().remove_checkpoint(path)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


# ------------------------------------------------------------------ nothing is fetched because a file says so


class Fetching(ToyGenerator):
    """A network that would go to the network."""

    def __init__(self, latent_dim: int = 3, download: bool = False) -> None:
        super().__init__(latent_dim)
        self.download = download


def test_a_file_does_not_decide_that_something_is_fetched(tmp_path: Path) -> None:
    going = trainer(tmp_path)
    going.strategy.connect(ToyGAN(generator=Fetching(download=True)))
    going.save_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    here = __name__.partition(".")[0]
    assert ToyGAN.load_from_checkpoint(tmp_path / "a.ckpt", trusted=[here]).generator.download is False
    given = ToyGAN.load_from_checkpoint(tmp_path / "a.ckpt", trusted=[here], generator=Fetching(download=True))
    assert given.generator.download is True
