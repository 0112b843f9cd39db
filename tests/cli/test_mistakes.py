"""Mistakes of the command line's users: each ends in one sentence on standard error and exit code 2."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

HERE = Path(__file__).parent
MORE = yaml.safe_load((HERE / "mistakes.yaml").read_text(encoding="utf-8"))
TRAIN = [
    "fit",
    "--config=configs/quickstart.yaml",
    "--trainer.accelerator=cpu",
    "--trainer.max_epochs=1",
    "--trainer.limit_train_batches=1",
    "--trainer.limit_val_batches=0",
    "--validate_before_fit=false",
    "--trainer.default_root_dir={run}",
    "--model.generator.width=4",
    "--model.discriminator.width=4",
]
FOLDER = [*TRAIN, "--data=datamodules.ImageFolder", "--data.image_size=32", "--data.channels=1", "--data.batch_size=4"]

SCHEDULES = "gan_lightning.schedules"
EVALUATE = "gan_lightning evaluate {place}/images {place}/images"
VALIDATE = "train.py validate --config=configs/quickstart.yaml"

FLAGS: dict[str, str] = {  # what is added to a good command, and a word that the sentence has
    "--trainer.max_epoch=3": "--trainer.max_epochs",
    "--trainer.max_epochs=many": "max_epochs",
    "--trainer.precision=bf17": "precision",
    "--trainer.devices=-3": "devices",
    "--trainer.accelerator=abacus": "accelerator",
    "--trainer.strategy=dpp": "strategy",
    "--trainer.limit_train_batches=0": "limit_train_batches",
    "--trainer.limit_train_batches=-1": "limit_train_batches",
    "--trainer.gradient_clip_val=1": "generator_clip_norm",
    "--trainer.accumulate_grad_batches=2": "model.accumulate",
    "--trainer.callbacks+=gan_lightning.callbacks.SampleGird": "SampleGrid",
    "--trainer.callbacks+={class_path: gan_lightning.callbacks.SampleGrid, init_args: {cuont: 3}}": "count",
    "--trainer.callbacks+={class_path: gan_lightning.callbacks.SampleGrid, init_args: {count: -1}}": "count",
    "--trainer.logger=lightning.pytorch.loggers.WandLogger": "WandbLogger",
    "--trainer.overfit_batches=2": "overfit_batches",
    "--max_epochs=3": "max_epochs",
    "--fast": "--fast",
    "quick": "quick",
    "--seed_everything=x": "seed_everything",
    "--model.generatr.width=3": "generator",
    "--model.generator.widht=3": "width",
    "--model.generator.width=0": "width",
    "--model.generator.width=-4": "width",
    "--model.generator.width=4.5": "width",
    "--model.generator.image_size=33": "33",
    "--model.generator.image_size=64": "image_size",
    "--model.generator.channels=3": "channels",
    "--model.generator.latent_dim=0": "latent_dim",
    "--model.generator.num_classes=-1": "num_classes",
    "--model.generator.upsampling=cubic": "upsampling",
    "--model.discriminator.norm=layers": "norm",
    "--model.discriminator.image_size=16": "image_size",
    "--model.discriminator.channels=2": "channels",
    "--model.loss=gan_lightning.losses.Hing": "Hinge",
    "--model.loss=torch.nn.Linear": "AdversarialLoss",
    "--model.loss=3": "loss",
    "--model.generator=gan_lightning.networks.DCGANGenrator": "DCGANGenerator",
    "--model.generator=os.system": "os.system",
    "--model.generator_optimizer=torch.optim.Adamm": "Adam",
    "--model.generator_optimizer={class_path: os.system, init_args: {command: 'true'}}": "os.system",
    "--model.generator_optimizer={class_path: torch.optim.Adam, init_args: {lr: -1}}": "model.generator_optimizer",
    "--model.generator_optimizer={class_path: torch.optim.Adam, init_args: {beta: [0, 1]}}": "betas",
    "--model.generator_optimizer={class_path: torch.optim.Adam, init_args: {betas: [0, 1.5]}}": "beta",
    "--model.generator={class_path: torch.nn.Linear, init_args: {in_features: 1, out_features: 1, device: "
    "{class_path: subprocess.Popen, init_args: {args: 'true'}}}}": "subprocess.Popen",
    "--model.generator={class_path: torch.nn.Linear, init_args: {in_features: 1, out_features: 1, device: "
    "{class_path: zipfile.ZipFile, init_args: {file: '{place}/none', mode: w}}}}": "zipfile.ZipFile",
    "--model.generator_optimizer={class_path: functools.partial}": "functools.partial",
    "--config=ddp": "overlays/ddp",
    "--config=http://127.0.0.1:9/a.yaml": "no config",
    "--config=simplecache::http://127.0.0.1:9/a.yaml": "no config",
    "--model.generator_clip_norm=-1": "generator_clip_norm",
    "--model.n_critic=0": "n_critic",
    "--model.n_critic=1.5": "n_critic",
    "--model.accumulate=0": "accumulate",
    "--model.accumulate=3": "accumulate",
    "--model.ema_half_life=-5": "ema_half_life",
    "--model.ema_half_life=nan": "ema_half_life",
    "--model.compile=maybe": "compile",
    "--model.channels_last=perhaps": "channels_last",
    "--model.augmentation=gan_lightning.augmentation.DiffAugmnt": "DiffAugment",
    "--model.augmentation={class_path: gan_lightning.augmentation.AdaptiveAugmentation, init_args: {p: -1}}": "p=-1",
    "--model.regularizers=3": "regularizers",
    f"--model.generator_schedule={{class_path: {SCHEDULES}.LinearToZero, init_args: {{start: 5, end: 2}}}}": "end",
    f"--model.generator_schedule={{class_path: {SCHEDULES}.Cosine, init_args: {{end: 0}}}}": "end",
    "--model=gan_lightning.models.DCGANN": "DCGAN",
    "--model=gan_lightning.models.Pix2Pix": "Pix2Pix",
    "--data=datamodules.Digit": "Digits",
    "--data.batch_size=0": "batch_size",
    "--data.batch_size=100000": "100000",
    "--data.batch_size=abc": "batch_size",
    "--data.image_size=0": "image_size",
    "--data.image_size=16": "32",
    "--data.num_reference=-1": "num_reference",
    "--data.reference_split=tset": "test",
    "--data.labels_per_class=0": "labels_per_class",
    "--data.flip=maybe": "flip",
    "--data.seed=-1": "seed",
    "--recipe=fid": "METRICS NUMBER",
    "--recipe=fidd2k_test@digits": "fid",
    "--recipe=fid2k_test@digit": "digits",
    "--recipe=fid2k_tset@digits": "recipe",
    "--evaluate_every_images=0": "evaluate_every_images",
    "--save_every_minutes=-1": "save_every_minutes",
    "--save_every_minutes=x": "save_every_minutes",
    "--init_from=absent.ckpt": "absent.ckpt",
    "--init_from={place}/text.ckpt": "not a checkpoint",
    "--ckpt_path=absent.ckpt": "absent.ckpt",
    "--ckpt_path={place}/text.ckpt": "not a checkpoint",
    "--ckpt_path={place}/empty.ckpt": "empty",
    "--ckpt_path={place}/images": "folder",
    "--config=absent.yaml": "absent.yaml",
    "--config={place}/broken.yaml": "broken.yaml",
    "--config={place}/list.yaml": "list.yaml",
    "--config={place}/typo.yaml": "trainer",
    "--config={place}/binary.yaml": "binary.yaml",
    "--config={place}/images": "config.yaml",
    "--trainer.default_root_dir={place}/text.ckpt/run": "text.ckpt",
}
FOLDERS: dict[str, str] = {
    "--data.train={place}/absent": "absent",
    "--data.train={place}/none": "no images",
    "--data.train={place}/text.ckpt": "text.ckpt",
    "--data.train={place}/corrupt": "corrupt",
    "--data.train={place}/images --data.holdout=1.5": "holdout",
    "--data.train={place}/images --data.labelled=true": "class",
    "--data.train={place}/images --data.channels=2": "channels",
    "--data.train={place}/images --data.channels=3": "1x32x32",
    "--data.train={place}/images --data.bits=12": "bits",
    "--data.train={place}/images --data.fit=squeeze": "crop",
    "--data.train={place}/images --data.load_size=16": "load_size",
    "--data.train={place}/images --data.test={place}/absent": "absent",
    "--data.train={place}/images --data.batch_size=1000": "1000",
    "--data.train={place}/images --data.cache_dir={place}/text.ckpt": "text.ckpt",
    "--data.trian={place}/images --data.train={place}/images": "train",
    "--data=datamodules.DomainsFolder --data.train={place}/images": "sub-folders",
    "--data=datamodules.DomainsFolder --data.train={place}/images --data.domains=[a]": "two or more",
    "--data=datamodules.DomainsFolder --data.train={place}/images --data.domains=[a,b]": "sub-folder for the domains",
    "--data=datamodules.AttributesFolder --data.train={place}/images --data.table={place}/absent.csv": "absent.csv",
    "--data=datamodules.AttributesFolder --data.train={place}/images --data.table={place}/text.ckpt": "text.ckpt",
}
OTHERS: dict[str, str] = {  # whole commands of either program
    "train.py": "command",
    "train.py fti": "fit",
    "train.py fit": "config",
    "train.py fit --config": "config",
    "train.py validate --config=configs/quickstart.yaml": "--ckpt_path",
    VALIDATE + " --ckpt_path=last --trainer.default_root_dir={place}/no": "no checkpoint",
    "train.py test --config=configs/quickstart.yaml --ckpt_path=absent.ckpt": "absent.ckpt",
    "train.py validate --config=configs/quickstart.yaml --ckpt_path={place}/text.ckpt": "not a checkpoint",
    "train.py validate --config=configs/quickstart.yaml --ckpt_path=none --seeds=0": "seeds",
    "train.py predict --config=configs/quickstart.yaml --output={place}/o --ckpt_path=none": "--input",
    "train.py predict --config=configs/quickstart.yaml --input={place}/images": "translate",
    "train.py predict --config=configs/cyclegan/folder.yaml --input={place}/images": "--ckpt_path",
    "train.py predict --config=configs/cyclegan/folder.yaml --input={place}/absent --ckpt_path=x": "no checkpoint x",
    "train.py predict --config=configs/cyclegan/folder.yaml --input={place}/images --tile=0 --ckpt_path=x": "tile",
    "gan_lightning evalaute": "evaluate",
    "gan_lightning evaluate": "real",
    "gan_lightning evaluate {place}/images": "fake",
    "gan_lightning evaluate {place}/absent {place}/images": "absent",
    "gan_lightning evaluate {place}/images {place}/absent": "absent",
    "gan_lightning evaluate {place}/images {place}/text.ckpt": "not a checkpoint",
    "gan_lightning evaluate {place}/images {place}/empty.ckpt": "empty",
    "gan_lightning evaluate {place}/images {place}/corrupt --recipe=fidfull@digits": "corrupt",
    "gan_lightning evaluate {place}/images {place}/images --recipe=fid": "METRICS NUMBER",
    "gan_lightning evaluate {place}/images {place}/images --recipe=fidfull@digts": "digits",
    "gan_lightning evaluate {place}/images {place}/images --recipe=fidfull@digits --seeds=0": "seeds",
    "gan_lightning evaluate {place}/images {place}/images --recipe=fidfull@digits --batch_size=-1": "batch_size",
    "gan_lightning evaluate {place}/images {place}/images --recipe=fidfull@digits --device=tpu": "cuda",
    "gan_lightning evaluate {place}/images {place}/images --recipe=fid100@digits": "100",
    "gan_lightning evaluate {place}/images {place}/images --recip=fidfull@digits": "--recipe",
    "gan_lightning evaluate {place}/images {place}/images --recipe=fidfull@inception": "GAN_LIGHTNING_INCEPTION",
    EVALUATE + " --recipe=fidfull@digits --json={place}/text.ckpt/x.json": "text.ckpt",
    "gan_lightning plot": "curves",
    "gan_lightning plot curvs": "curves",
    "gan_lightning plot curves {place}/absent {place}/x.png": "absent",
    "gan_lightning plot curves {place}/none {place}/x.png": "none",
    "gan_lightning plot truncation {place}/images {place}/absent.ckpt {place}/x.png": "absent.ckpt",
    "gan_lightning plot neighbours {place}/images {place}/absent {place}/x.png --extractor=digits": "absent",
    "gan_lightning hype {place}/images {place}/absent": "absent",
    "gan_lightning hype {place}/images {place}/images": "same folder",
    "gan_lightning hype-report {place}/absent.jsonl": "absent.jsonl",
    "gan_lightning hype-report {place}/text.ckpt": "text.ckpt",
    "train.py predict --config=configs/cyclegan/folder.yaml --input={place}/circle --ckpt_path=x": "no checkpoint x",
    EVALUATE + " --recipe=fidfull@digits --metrics=[]": "metrics",
    "train.py fit --config=configs/infogan/digits.yaml --data.batch_size=1 --validate_before_fit=false "
    "--trainer.default_root_dir={place}/one": "one image at a time",
}
CONFIGS = {
    "dup": "trainer:\n  max_epochs: 1\ntrainer:\n  max_epochs: 2\n",
    "tabs": "trainer:\n\tmax_epochs: 1\n",
    "empty": "",
    "number": "5\n",
    "nested": "model:\n  init_args:\n    generator:\n      init_args:\n        width: wide\n",
    "python": 'a: !!python/object/apply:os.system ["true"]\n',
    "env": "model:\n  class_path: gan_lightning.models.DCGANX\n",
    "cat": "trainer: 3\n",
}
REPORT = '{"recipe": "r", "settings": {"images_seen": 5, "stage": "val"}, "values": {"fid": {"each": [1.0]}}}\n'
RUNS = {  # a file in the folder of a run, and what is wrong with it
    "j1": ("evaluations.jsonl", "5\n"),
    "j2": ("evaluations.jsonl", '{"a": 1}\n'),
    "j3": ("evaluations.jsonl", "[]\n"),
    "j4": ("evaluations.jsonl", '{"recipe": "r", "settings": [], "values": {}}\n'),
    "j5": ("evaluations.jsonl", REPORT.replace("[1.0]", "3")),
    "j6": ("evaluations.jsonl", REPORT.replace("[1.0]", '["x"]')),
    "j7": ("evaluations.jsonl", REPORT.replace("5", '"x"')),
    "j9": ("evaluations.jsonl", REPORT),
    "c1": ("metrics.csv", "rubbish\nmore\n"),
    "c2": ("metrics.csv", bytes(range(256)).decode("latin-1")),
    "c3": ("metrics.csv", "step,images_seen,loss/a\n1,2\nx,y,z\n"),
    "c4": ("metrics.csv", "step,images_seen,val/fid\nnan,nan,1\n1,inf,2\n"),
    "c5": ("metrics.csv", "\0\0\n\0\n"),
    "c6": ("metrics.csv", ""),
    "c7": ("metrics.csv", "step,val/fid\n5,3\n3,2\n"),
}
ANSWER = {"person": "a", "block": 1, "number": 1, "image": "0.png", "real": True, "exposure": None, "shown": None}
ANSWER |= {"said_real": True, "time": "2026", "correct": True}
WRONG_ANSWERS = {"person": 5, "block": "x", "number": None, "image": [], "real": "yes", "exposure": "500", "shown": {}}
WRONG_ANSWERS |= {"said_real": 1, "time": 3}
WRONG_DESIGNS = [("protocol", 5), ("num", "x"), ("num", 3), ("tutorial", None), ("seed", 1.5), ("extra", 1)]
SAMPLE = [  # of each kind one
    "--trainer.max_epoch=3",
    "--trainer.precision=bf17",
    "--trainer.devices=-3",
    "--model.generator.width=0",
    "--model.generator_optimizer={class_path: torch.optim.Adam, init_args: {lr: -1}}",
    "--model.loss=gan_lightning.losses.Hing",
    "--data.batch_size=100000",
    "--recipe=fid",
    "--ckpt_path={place}/text.ckpt",
    "--config={place}/binary.yaml",
    "--trainer.default_root_dir={place}/text.ckpt/run",
    "--data.train={place}/corrupt",
    "train.py validate --config=configs/quickstart.yaml",
    "gan_lightning evalaute",
    "gan_lightning evaluate {place}/images {place}/text.ckpt",
    "gan_lightning plot curves {place}/j2 {place}/x.png",
    "gan_lightning hype-report {place}/h_exposure.jsonl",
]


def commands() -> dict[str, tuple[str, list[str], str]]:
    """Each command by its name: program, arguments, and a word that its sentence has."""
    found = {flag: ("train.py", [*TRAIN, flag], word) for flag, word in (FLAGS | MORE["flags"]).items()}
    found |= {flags: ("train.py", [*FOLDER, *flags.split()], word) for flags, word in FOLDERS.items()}
    for line, word in (OTHERS | MORE["commands"]).items():
        program, *arguments = line.split()
        found[line] = program, arguments, word
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images, and of files that are wrong in many ways."""
    folder = tmp_path_factory.mktemp("place")
    draw = np.random.default_rng(0)
    for name in ("images", "corrupt", "none"):
        (folder / name).mkdir()
    for number in range(12):
        values = draw.integers(0, 256, (32, 32), dtype=np.uint8)
        for name in ("images", "corrupt"):
            Image.fromarray(values).save(folder / name / f"{number}.png")
    (folder / "corrupt" / "3.png").write_bytes(b"no image")
    (folder / "circle").symlink_to("circle")
    (folder / "empty.ckpt").write_bytes(b"")
    (folder / "text.ckpt").write_text("text")
    (folder / "broken.yaml").write_text("trainer: {max_epochs: [")
    (folder / "list.yaml").write_text("- 1\n- 2\n")
    (folder / "typo.yaml").write_text("trianer: {max_epochs: 1}\n")
    (folder / "binary.yaml").write_bytes(bytes(range(256)))
    for name, text in CONFIGS.items():
        (folder / f"{name}.yaml").write_text(text)
    shutil.copytree(folder / "images", folder / "images2")
    for name, (file, text) in RUNS.items():
        (folder / name).mkdir()
        (folder / name / file).write_text(text, encoding="latin-1")
    study = {"protocol": "infinity", "num": 2, "tutorial": 0, "seed": 0}
    joined = {"person": "a", "agreed": "x"}
    files = {"hn": [{"study": study}], "hg": [{"study": study}, joined, {"answer": ANSWER}]}
    files["hp"] = [{"study": study}, {"person": 5}]
    for field, value in WRONG_DESIGNS:
        files[f"hd_{field}{value}"] = [{"study": {**study, field: value}}]
    for field, wrong in WRONG_ANSWERS.items():
        files[f"h_{field}"] = [{"study": study}, joined, {"answer": {**ANSWER, field: wrong}}]
    for name, records in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def answers(chosen: dict[str, tuple[str, list[str], str]], place: Path) -> dict[str, dict[str, Any]]:
    """The exit code of each command, and all that it printed."""
    requests = []
    for number, (program, arguments, _) in enumerate(chosen.values()):
        filled = [each.replace("{place}", str(place)).replace("{run}", f"{place}/runs/{number}") for each in arguments]
        requests.append({"program": program, "arguments": filled, "timeout": 60})
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run(
        [sys.executable, str(HERE / "forks.py")], input=lines, capture_output=True, text=True, timeout=1700, check=True
    )
    return dict(zip(chosen, map(json.loads, done.stdout.splitlines()), strict=True))


def wrongs(chosen: dict[str, tuple[str, list[str], str]], place: Path) -> dict[str, str]:
    """The commands that do not end as they should, and how they end."""
    found = {}
    for name, answer in answers(chosen, place).items():
        lines = answer["err"].strip().splitlines()
        last, word = (lines or [""])[-1], chosen[name][2]
        clean = answer["code"] == 2 and last.startswith("error: ") and "Traceback" not in answer["err"]
        if not (clean and word in last):
            found[name] = f"{answer['code']} {last[:300]}"
    return found


def test_some_mistakes_end_in_one_sentence(place: Path) -> None:
    every = commands()
    assert wrongs({name: every[name] for name in SAMPLE}, place) == {}


@pytest.mark.parametrize("program", ["train.py", "-m gan_lightning"])
def test_ctrl_c_while_packages_are_imported_is_quiet(program: str, tmp_path: Path) -> None:
    for package in ("jsonargparse", "lightning"):
        (tmp_path / f"{package}.py").write_text("raise KeyboardInterrupt")
    done = subprocess.run(
        [sys.executable, *program.split(), "recipes"],
        cwd=HERE.parent.parent,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_mistakes_end_in_one_sentence(place: Path) -> None:
    found = wrongs(commands(), place)
    assert not found, "\n".join(f"{name}: {end}" for name, end in found.items())
