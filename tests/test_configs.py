"""Every YAML file of configs/ through the real command line; a new file is tested at once."""

import contextlib
import inspect
import io
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from gan_lightning.cli.training import STANDARD_CALLBACKS, main
from gan_lightning.data.images import write_png
from gan_lightning.families import Autoregressive
from gan_lightning.layers import sides
from gan_lightning.recording import import_class
from gan_lightning.training.adversarial import AdversarialModule

CONFIGS = Path(__file__).parent.parent / "configs"
EXPERIMENTS = sorted(p for p in CONFIGS.rglob("*.yaml") if p.parent.name not in ("overlays", "sweeps"))
OVERLAYS = sorted((CONFIGS / "overlays").glob("*.yaml"))
NETWORKS = ("generator", "discriminator")
QUICKSTART = str(CONFIGS / "quickstart.yaml")


def name(path: Path) -> str:
    return str(path.relative_to(CONFIGS).with_suffix(""))


def by_model(paths: Sequence[Path]) -> list[Any]:
    """Mark all but the first config of each model as slow: they show on other data what it shows."""
    firsts = {path.parent: path for path in reversed(paths)}
    return [
        pytest.param(path, id=name(path), marks=() if path == firsts[path.parent] else pytest.mark.slow)
        for path in paths
    ]


def images(folder: Path, count: int, height: int, width: int) -> Path:
    for i in range(count):
        write_png(torch.randint(0, 256, (3, height, width), dtype=torch.uint8), folder / f"{i}.png")
    return folder


def shapes(folder: Path, given: dict[str, Any]) -> list[str]:
    """Make shapes with pictures in one file, and return the arguments that name them."""
    occupied = np.random.default_rng(0).random((20, *[given["size"]] * 3)) < 0.1
    np.savez(folder / "shapes.npz", voxels=occupied, pictures=np.zeros((20, 16, 16, 3), np.uint8))
    (folder / "meta.json").write_text(json.dumps([{"name": "chair"}] * 20))
    depicted = ["--data.picture_key=pictures", "--data.pictures=null"] if "image_size" in given else []
    return [f"--data.train={folder / 'shapes.npz'}", *depicted]


def label_maps(folder: Path, given: dict[str, Any]) -> list[str]:
    """Make small label maps, pictures and instance maps, and return the arguments that name them."""
    classes = given.get("num_classes", 8)
    palette = folder / "palette.txt"
    palette.write_text("".join(f"#0000{number:02x}\n" for number in range(classes)))
    size = 32 if "emoji" in given["train"] else 64
    arguments = [f"--data.image_size={size}", "--data.load_size=null"]
    arguments += [f"--data.palette={palette}"] if "palette" in given else []
    for part in ("train", "images", "instances", "test", "test_images", "test_instances"):
        if part not in given:
            continue
        grey = part.endswith("instances") or not (part.endswith("images") or "palette" in given)
        for number in range(20):  # eight for training, at least, where some are held out
            levels = torch.randint(0, classes, (1, size, size), dtype=torch.uint8)
            colours = torch.cat([0 * levels, 0 * levels, levels])  # of the palette
            write_png(levels if grey else colours, folder / part / f"{number}.png")
        arguments.append(f"--data.{part}={folder / part}")
    return arguments


def captioned(folder: Path, given: dict[str, Any], size: int) -> list[str]:
    """Make images with captions of two classes, and return the arguments that name them, without a sentence encoder."""
    images(folder / "images", 20, size, size)
    fields = given.get("caption_fields", ["caption"])
    kind = given.get("class_field", "kind")
    records = [{"image": f"{i}.png", kind: "ab"[i % 2], **dict.fromkeys(fields, f"a thing {i % 5}")} for i in range(20)]
    (folder / "captions.json").write_text(json.dumps(records))
    arguments = [f"--data.train={folder / 'images'}", f"--data.captions={folder / 'captions.json'}"]
    arguments += ["--data.image_field=image", "--data.held_out=null", "--data.split=image"]
    if "SentenceEncoder" in given["text"]["class_path"]:
        arguments += ["--data.text=gan_lightning.data.texts.Vocabulary", "--data.text.size=50"]
        arguments += ["--model.text_encoder=gan_lightning.networks.GRUTextEncoder", "--model.text_encoder.text_dim=384"]
        arguments += ["--model.text_encoder.vocabulary=50"]
    return arguments


@pytest.fixture
def small_data(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """For each kind of datamodule, arguments that point it to a few small images."""

    def arguments(data: dict[str, Any]) -> list[str]:  # noqa: PLR0911, PLR0912 (one for each kind)
        kind, size = data["class_path"].split(".")[-1], data["init_args"].get("image_size", 32)
        folder = tmp_path / "images"
        match kind:
            case "Digits" | "ShiftedDigits":
                return []
            case "CoupledDigits" | "StackedMNIST" if "root" not in data["init_args"]:
                return []
            case "DigitDomains":  # its files are tested in tests/datamodules
                return ["--data=datamodules.ShiftedDigits", *(f"--model.{p}.channels=3" for p in NETWORKS)]
            case "MNIST" | "CoupledDigits" | "StackedMNIST":
                return [f"--data.root={request.getfixturevalue('real_data') / 'mnist'}"]
            case "AttributesFolder" | "CelebA" if (names := data["init_args"].get("attributes")) is not None:
                images(folder, 12, size, size)
                lines = [f"{i}.png,{','.join(str((i >> place) % 2) for place in range(len(names)))}" for i in range(12)]
                (tmp_path / "table.csv").write_text("\n".join([f"file,{','.join(names)}", *lines]))
                return [
                    "--data=datamodules.AttributesFolder",
                    f"--data.train={folder}",
                    f"--data.table={tmp_path / 'table.csv'}",
                    "--data.num_reference=null",
                ]
            case "DomainsFolder":
                for label in ("a", "b"):
                    images(folder / label, 20, size, size)
                fewer = [f"--model.{part}.num_targets=2" for part in ("generator", "discriminator")]
                return [f"--data.train={folder}", *fewer]
            case "CIFAR" | "CelebA":  # their files are tested in tests/datamodules
                for label in ("a", "b"):
                    images(folder / label, 10, size, size)
                return [
                    "--data=datamodules.ImageFolder",
                    f"--data.train={folder}",
                    "--data.labelled=true",
                    f"--data.class_names=[{','.join('abcdefghij')}]",
                    f"--data.image_size={size}",
                    "--data.num_reference=null",
                ]
            case "ImageFolder" if data["init_args"].get("labelled"):
                for label in ("a", "b"):
                    images(folder / label, 20, size, size)
                fewer = [f"--model.{part}.num_classes=2" for part in NETWORKS]
                return [f"--data.train={folder}", *fewer]
            case "ImageFolder":
                height, width = (size, size) if isinstance(size, int) else size
                return [f"--data.train={images(folder, 20, height, width)}"]
            case "PairedFolder" if "train_b" in data["init_args"]:
                size = data["init_args"].get("load_size", size)
                return [f"--data.{part}={images(tmp_path / part, 30, size, size)}" for part in ("train", "train_b")]
            case "SegmentationFolder":
                masks = tmp_path / "masks"
                for i in range(30):
                    write_png(torch.randint(0, 2, (1, 16, 16), dtype=torch.uint8) * 255, masks / f"{i}.png")
                return [f"--data.train={images(folder, 30, 16, 16)}", f"--data.masks={masks}"]
            case "PairedFolder":
                both = images(folder, 4, size, 2 * size)
                return [f"--data.train={both}", f"--data.test={images(tmp_path / 'test', 4, size, 2 * size)}"]
            case "SuperResolutionFolder":
                size = data["init_args"].get("crop_size", size)
                photographs = images(folder, 20, size, size)
                held_back = images(tmp_path / "test", 20, size, size)
                test = [f"--data.test={held_back}"] if "test" in data["init_args"] else []
                return [f"--data.train={photographs}", *test, f"--data.image_size={size}", "--data.tiles=1"]
            case "CaptionedFolder":
                return captioned(tmp_path, data["init_args"], size)
            case "LabelFolder":
                return label_maps(tmp_path, data["init_args"])
            case "FramesByPerson":
                for person in "ab":
                    images(folder / person, 8, size, size)
                    for i in range(8):
                        (folder / person / f"{i}.csv").write_text("part,x,y\nleft_eye,4,4\n")
                people = ["--data.examples=1", "--model.discriminator.num_classes=1"]
                if "person" in data["init_args"]:
                    people = ["--data.examples=6", "--data.person=a"]  # two batches of three
                elif "test" in data["init_args"]:
                    copy = shutil.copytree(folder, tmp_path / "test")
                    people = ["--data.examples=1", "--model.discriminator.num_classes=2", f"--data.test={copy}"]
                return [f"--data.train={folder}", "--data.landmarks=null", *people]
            case "VoxelFolder" | "DepictedVoxels":
                return shapes(tmp_path, data["init_args"])
            case "UnpairedFolder" | "CartoonFolder":
                parts = ("train_a", "train_b", "test_a", "test_b")
                return [f"--data.{part}={images(tmp_path / part, 8, size, size)}" for part in parts]
        raise AssertionError(f"say here how {kind} is given a few small images")

    return arguments


def network_of(given: Any) -> str:
    """The name of a network's class, "" of what is no network."""
    return given.get("class_path", "").rpartition(".")[2] if isinstance(given, dict) else ""


def narrow(model: dict[str, Any]) -> list[str]:
    """Arguments that make every network of a model that has a width, or a growth of it, a narrow one.

    Batches of a model whose images grow are of four.
    """
    growth = model["init_args"].get("growth")
    batches = [] if growth is None else [f"--model.growth.batch_sizes={{{sides(growth['start_size'])[0]}: 4}}"]
    for part, network in model["init_args"].items():
        stated = network.get("init_args", {}) if isinstance(network, dict) else {}
        for given, argument in (("width", "width"), ("growth", "growth"), ("channel_base", "channel_max")):
            if given in stated:
                batches.append(f"--model.{part}.{argument}=4")
        if network_of(network) == "MADENetwork":
            batches.append(f"--model.{part}.hidden=[8]")
        for inner, inside in stated.items():
            if inner == "discriminator" or (isinstance(inside, dict) and "width" in inside.get("init_args", {})):
                batches.append(f"--model.{part}.{inner}.width=4")
    return batches


def small(config: dict[str, Any]) -> list[str]:
    """Arguments that make large images smaller, where networks state their size by one number of their own.

    Images that the whole network draws value by value are small ones.
    """
    if network_of(config["model"]["init_args"].get("generator")) == "PixelCNNPlusPlusNetwork":
        return ["--data.image_size=8", "--model.generator.image_size=8", "--model.generator.layers=1"]
    stated = [
        part
        for part, network in config["model"]["init_args"].items()
        if isinstance(network, dict)
        and ("channel_base" in (given := network.get("init_args", {})) or given.keys() >= {"layers", "image_size"})
    ]
    size = config["data"]["init_args"].get("image_size")
    if not stated or not isinstance(size, int) or size <= 64:
        return []
    return ["--data.image_size=64", *(f"--model.{part}.image_size=64" for part in stated)]


def alone(model: dict[str, Any]) -> list[str]:
    """Arguments that do without what another run, or another project, has to make first."""
    arguments = []
    if "pretrained" in model["init_args"]:
        arguments += ["--model.pretrained=null"]
        arguments += ["--model.lambda_content=0"] if "lambda_content" in model["init_args"] else []
    if "perceptual" in model["init_args"]:
        arguments += ["--model.perceptual=null"]
    if "VGG19Loss" in str(model["init_args"].get("content")) and "pretrained" not in model["init_args"]:
        arguments += ["--model.content=gan_lightning.losses.EfficientNetLoss", "--model.content.layers={block0: 1.0}"]
    if "lambda_face" in model["init_args"]:  # a loss in VGG-Face, beside that in VGG19
        arguments += ["--model.lambda_content=0", "--model.lambda_face=0"]
    return arguments


def few(model: dict[str, Any]) -> list[str]:
    """Arguments that measure standing statistics on few images, and draw few samples value by value."""
    kind = import_class(model["class_path"], ["gan_lightning"])
    if issubclass(kind, Autoregressive):
        return ["--samples.count=1"]
    measures = "standing_batches" in inspect.signature(kind).parameters
    return ["--model.standing_batches=2", "--model.standing_batch_size=2"] if measures else []


@pytest.mark.parametrize("path", by_model(EXPERIMENTS))
def test_every_experiment_trains_and_evaluates(
    path: Path, small_data: Any, tmp_path: Path, inception_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_LIGHTNING_INCEPTION", str(inception_weights))
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(tmp_path / "cache"))
    config = yaml.safe_load(path.read_text())
    parts = config["model"]["init_args"].get("accumulate", 1)
    batch_size = config["data"]["init_args"].get("batch_size")
    cli = main(
        [
            "fit",
            f"--config={path}",
            *small_data(config["data"]),
            *narrow(config["model"]),
            *alone(config["model"]),
            *small(config),
            *few(config["model"]),
            *(["--start_from=null"] if "start_from" in config else []),
            f"--data.batch_size={2 * parts if parts > 1 else min(4, batch_size or 4)}",
            "--data.eval_batch_size=2",
            "--trainer.fast_dev_run=2",
            "--trainer.accelerator=cpu",
            f"--trainer.default_root_dir={tmp_path / 'run'}",
        ]
    )
    assert cli.model.batches_seen == 2


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--print_config"])
    assert not stop.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name)
def test_print_config_round_trips(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = printed(["fit", f"--config={path}"], capsys)
    folder = yaml.safe_load(first)["trainer"]["default_root_dir"]
    assert folder == f"runs/{name(path).replace('/', '-')}", f"{path} states a run folder: leave it to the default"
    (tmp_path / "printed.yaml").write_text(first)
    assert printed(["fit", f"--config={tmp_path / 'printed.yaml'}"], capsys) == first
    given, full = yaml.safe_load(path.read_text()), yaml.safe_load(first)
    assert full["model"]["class_path"] == given["model"]["class_path"]


@pytest.fixture(scope="module")
def defaults() -> dict[str, Any]:
    """All settings of a command line that states none, by their dotted names."""
    with contextlib.redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit):
        main(["fit", "--model=DCGAN", "--data=datamodules.Digits", "--print_config"])
    return dict(settings(yaml.safe_load(out.getvalue())))


def settings(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The settings of a config by their dotted names, without those of the model, the data and other runs."""
    for key, value in config.items():
        if isinstance(value, dict) and key not in ("model", "data", "start_from"):
            yield from settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name)
def test_an_experiment_is_short_and_states_no_default(path: Path, defaults: dict[str, Any]) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 60, f"{path} has more than 60 lines: shorten it"
    head = text[: re.search(r"^[^#]", text, re.MULTILINE).start()]  # type: ignore[union-attr]
    assert f"  gan-lightning fit --config {name(path)}" in head, f"the comment at the top of {path} lacks the command"
    paper = r"arXiv \d{4}\.\d{4,5}|CVPR \d{4}"  # the conference of a paper that is not in arXiv
    assert re.search(paper, head), f"the comment at the top of {path} names no paper by its arXiv id"
    given = yaml.safe_load(text)
    for key, value in settings(given):
        assert value != defaults[key], f"{path} states {key}: {value}, which is the default: take it out"
    listed = {callback["class_path"].rpartition(".")[2] for callback in given["trainer"].get("callbacks", [])}
    for group, (callback, _) in STANDARD_CALLBACKS.items():
        assert callback.__name__ not in listed, f"{path} lists {callback.__name__}: give its settings as {group}:"


def has_a_discriminator(path: Path) -> bool:
    model = yaml.safe_load(path.read_text())["model"]["class_path"]
    return issubclass(import_class(model, ["gan_lightning"]), AdversarialModule)


def stacked(path: Path, overlays: list[Path], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the settings of a config with its overlays."""
    return yaml.safe_load(
        printed(["fit", f"--config={path}", *(f"--config={overlay}" for overlay in overlays)], capsys)
    )


@pytest.mark.parametrize("path", [path for path in EXPERIMENTS if has_a_discriminator(path)], ids=name)
def test_a_flag_changes_one_number_of_an_optimizer(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--model.generator_optimizer.init_args.lr=1.5e-4", "--model.discriminator_optimizer.lr=7e-5"]
    given = yaml.safe_load(path.read_text())["model"]["init_args"]
    for player in ("generator_optimizer", "discriminator_optimizer"):
        assert player in given, f"{path} does not state model.{player}, so no flag can change one number of it"
    found = yaml.safe_load(printed(["fit", f"--config={path}", *flags], capsys))["model"]["init_args"]
    for player, rate in (("generator_optimizer", 1.5e-4), ("discriminator_optimizer", 7e-5)):
        assert found[player]["class_path"] == given[player]["class_path"]
        assert found[player]["init_args"].items() >= (given[player]["init_args"] | {"lr": rate}).items()


@pytest.mark.parametrize("path", by_model(EXPERIMENTS))
def test_every_experiment_takes_all_overlays_at_once(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fitting = [o for o in OVERLAYS if o.stem not in ("ada", "diffaugment") or has_a_discriminator(path)]
    together, alone = stacked(path, fitting, capsys), stacked(path, [], capsys)
    assert together["model"]["class_path"] == alone["model"]["class_path"]
    kept = [callback["class_path"] for callback in alone["trainer"]["callbacks"] or []]
    assert [callback["class_path"] for callback in together["trainer"]["callbacks"]][: len(kept)] == kept


@pytest.mark.parametrize("overlay", OVERLAYS, ids=name)
def test_every_overlay_sets_what_it_says(overlay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = stacked(Path(QUICKSTART), [overlay], capsys)["trainer"]
    for key, value in yaml.safe_load(overlay.read_text()).get("trainer", {}).items():
        if not key.endswith("+"):
            assert found[key] == value or value["class_path"] == found[key]["class_path"]


@pytest.mark.parametrize("overlay", [o for o in OVERLAYS if o.stem not in ("ddp", "slurm")], ids=name)
def test_the_quickstart_runs_under_every_overlay(
    overlay: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    cli = main(
        [
            "fit",
            f"--config={QUICKSTART}",
            f"--config={overlay}",
            f"--trainer.default_root_dir={tmp_path}",
            "--trainer.max_epochs=1",
            "--trainer.limit_train_batches=2",
            "--trainer.check_val_every_n_epoch=1",
            "--trainer.log_every_n_steps=1",
            "--trainer.accelerator=cpu",
            "--validate_before_fit=false",
            *narrow(yaml.safe_load(Path(QUICKSTART).read_text())["model"]),
        ]
    )
    assert cli.model.batches_seen == 2
    assert (tmp_path / "metrics.csv").exists()
    assert (tmp_path / "config.yaml").exists()
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["images-000000256.png"]
    if overlay.stem == "wandb":
        import wandb

        wandb.finish()
        assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
        pictures = list(tmp_path.glob("wandb/offline-run-*/files/media/images/*.png"))
        assert len(pictures) == 1
    if overlay.stem == "tensorboard":
        assert list(tmp_path.glob("tensorboard/events.out.tfevents.*"))
