"""`train.py predict --input`, as a user meets it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from gan_lightning.cli.training import main
from gan_lightning.data.files import image_files, read_image, write_image
from gan_lightning.models import CycleGAN
from gan_lightning.prediction import translate_image
from gan_lightning.training.generative import GenerativeModule
from models.test_cyclegan import cyclegan
from models.test_dcgan import dcgan
from tiny import data_for
from toys import trainer

ROOT = Path(__file__).parent.parent.parent
RESNET = {"class_path": "gan_lightning.networks.ResNetGenerator", "init_args": {"width": 4, "blocks": 1}}
PATCHES = {
    "class_path": "gan_lightning.networks.PatchGAN",
    "init_args": {"in_channels": 3, "width": 4, "receptive_field": 16, "norm": "instance"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config whose data and extractor are not there, its checkpoint, and images."""
    folder = tmp_path_factory.mktemp("run")
    networks = {f"generator_{way}": RESNET for way in ("a_to_b", "b_to_a")}
    networks |= {f"discriminator_{domain}": PATCHES for domain in "ab"}
    evaluation = {"class_path": "gan_lightning.callbacks.Evaluation", "init_args": {"recipe": "fidfull_test"}}
    config = {
        "trainer": {
            "default_root_dir": str(folder / "run"),
            "accelerator": "cpu",
            "devices": 1,
            "precision": "bf16-mixed",
            "callbacks": [evaluation],
        },
        "model": {"class_path": "gan_lightning.models.CycleGAN", "init_args": networks},
        "data": {
            "class_path": "datamodules.UnpairedFolder",
            "init_args": {"train_a": "absent/a", "train_b": "absent/b"},
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    model = cyclegan()
    run = trainer(folder, max_epochs=1)
    run.fit(model, data_for(model))
    run.save_checkpoint(folder / "run" / "checkpoints" / "last.ckpt")
    (folder / "run" / "config.yaml").write_text("as it was")
    for i, name in enumerate(["a.png", "b/b.png", "c.png"]):
        pixels = torch.randint(0, 256, (3, 20, 40), generator=torch.Generator().manual_seed(i))
        write_image(pixels.to(torch.uint8), folder / "photos" / name)
    return folder


def predict(place: Path, *arguments: str) -> None:
    main(["predict", f"--config={place / 'config.yaml'}", *arguments])


def test_a_folder_is_translated_into_the_runs_without_its_data(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(place, f"--input={place / 'photos'}", "--ckpt_path=last", "--direction=b_to_a", "--tile=32", "--overlap=8")
    out = place / "run" / "predictions" / "photos-b_to_a"
    said = capsys.readouterr()
    assert f"3 images translated into {out}\n" in said.out
    assert "3 images translated" in said.out
    model = GenerativeModule.load_from_checkpoint(place / "run" / "checkpoints" / "last.ckpt")
    assert isinstance(model, CycleGAN)
    for file in image_files(place / "photos"):
        made = read_image(out / file.relative_to(place / "photos"))
        assert torch.equal(made, translate_image(model.translator, read_image(file), "b_to_a", tile=32, overlap=8))
    assert (place / "run" / "config.yaml").read_text() == "as it was"


def test_several_processes_share_a_folder_and_say_together_what_was_skipped(place: Path, tmp_path: Path) -> None:
    for file in image_files(place / "photos"):
        write_image(read_image(file), tmp_path / "photos" / file.relative_to(place / "photos"))
    whole = (tmp_path / "photos" / "a.png").read_bytes()
    for name in ("a.png", "d.png"):  # one of each process
        (tmp_path / "photos" / name).write_bytes(whole[: len(whole) // 2])
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "train.py"), "predict", f"--config={place / 'config.yaml'}"),
            *("--ckpt_path=last", f"--input={tmp_path / 'photos'}", f"--output={tmp_path / 'out'}"),
            "--trainer.devices=2",
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert f"2 images translated into {tmp_path / 'out'}\n" in done.stdout
    skipped = [line for line in done.stderr.splitlines() if line.startswith("skipped: ")]
    assert [line.split(" cannot be read")[0] for line in skipped] == [
        f"skipped: {tmp_path / 'photos' / name}" for name in ("a.png", "d.png")
    ]
    assert [file.name for file in image_files(tmp_path / "out")] == ["b.png", "c.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--input={place}/absent", "--ckpt_path=last"], "absent: name a folder of images"),
        (["--input={place}/photos", "--output={place}/photos/out", "--ckpt_path=last"], "lies in the input"),
        (["--input={place}/photos", "--ckpt_path=last", "--direction=AtoB"], "there is no direction 'AtoB'"),
        (["--input={place}/photos"], "--input needs --ckpt_path"),
        (["--input={place}/photos", "--ckpt_path={place}/absent.ckpt"], "absent.ckpt"),
        (["--input={place}/photos", "--ckpt_path={place}/other.ckpt"], "other.ckpt is of the model"),
        (["--output={place}/out", "--ckpt_path=last"], "--output is for translating a folder: give --input"),
        (["--direction=a_to_b", "--ckpt_path=last"], "--direction is for translating a folder: give --input"),
    ],
)
def test_what_does_not_fit_is_one_sentence(arguments: list[str], said: str, place: Path) -> None:
    if not (place / "other.ckpt").exists():
        other = dcgan()
        run = trainer(place, max_epochs=1)
        run.fit(other, data_for(other))
        run.save_checkpoint(place / "other.ckpt")
    with pytest.raises((ValueError, OSError), match=said):
        predict(place, *(argument.format(place=place) for argument in arguments))
    assert not (place / "out").exists()
    assert not (place / "photos" / "out").exists()


def test_a_model_of_noise_has_nothing_to_translate(place: Path) -> None:
    quickstart = ROOT / "configs" / "quickstart.yaml"
    with pytest.raises(ValueError, match="DCGAN does not translate images"):
        main(["predict", f"--config={quickstart}", f"--input={place / 'photos'}", "--ckpt_path=last"])
