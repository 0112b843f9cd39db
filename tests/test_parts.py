"""Parts of any model with any translator, from YAML alone: each combination trains two steps and logs its terms."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from gan_lightning.cli.training import main
from gan_lightning.data.images import write_png

SIZE = 32
MODELS = ("Pix2Pix", "CycleGAN", "CUT")


def network(name: str, /, **how: Any) -> dict[str, Any]:
    return {"class_path": f"gan_lightning.networks.{name}", "init_args": how}


def part(name: str, /, **how: Any) -> dict[str, Any]:
    return {"class_path": f"gan_lightning.{name}", "init_args": how}


def patches(model: str, **how: Any) -> dict[str, Any]:
    channels = 6 if model == "Pix2Pix" else 3
    return network(
        "PatchGAN", **{"in_channels": channels, "width": 4, "receptive_field": 16, "norm": "instance", **how}
    )


def settings(model: str, discriminator: dict[str, Any], **how: Any) -> dict[str, Any]:
    """A config of a model with small networks."""
    resnet = network("ResNetGenerator", width=4, blocks=1)
    match model:
        case "Pix2Pix":
            parts = {"generator": network("UNetGenerator", image_size=SIZE, width=4), "discriminator": discriminator}
        case "CUT":
            sampler = network("patch_sampler.PatchSampler", width=8, patches=8)
            parts = {"generator": resnet, "discriminator": discriminator, "sampler": sampler, "layers": [0, 4, 8]}
        case _:
            parts = {"generator_a_to_b": resnet, "generator_b_to_a": resnet}
            parts |= {"discriminator_a": discriminator, "discriminator_b": discriminator}
    return {"class_path": f"gan_lightning.models.{model}", "init_args": parts | how}


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAN_LIGHTNING_CACHE", str(tmp_path / "cache"))
    random = torch.Generator().manual_seed(0)
    for number in range(8):
        coarse = torch.rand(2, 3, 4, 4, generator=random)
        for folder, image in zip("ab", torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear"), strict=True):
            write_png((image * 255).byte(), tmp_path / folder / f"{number}.png")
    return tmp_path


def trained(folder: Path, model: dict[str, Any], batch_size: int = 2) -> dict[str, float]:
    """Train two steps by a YAML file; return what was logged of them, by name."""
    paired = model["class_path"].endswith("Pix2Pix")
    names = ("train", "train_b") if paired else ("train_a", "train_b")
    data = {name: str(folder / side) for name, side in zip(names, "ab", strict=True)}
    config = {
        "trainer": {"max_steps": 2, "accelerator": "cpu", "log_every_n_steps": 1, "limit_val_batches": 0},
        "evaluation": {"recipe": None},
        "samples": {"count": 0},
        "validate_before_fit": False,
        "model": model,
        "data": {
            "class_path": f"datamodules.{'PairedFolder' if paired else 'UnpairedFolder'}",
            "init_args": data | {"image_size": SIZE, "batch_size": batch_size, "holdout": 0.25},
        },
    }
    config["trainer"] |= {"default_root_dir": str(folder / "run"), "enable_progress_bar": False}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    run = main(["fit", f"--config={folder / 'config.yaml'}"])
    assert run.model.batches_seen == 2
    return {name: float(value) for name, value in run.model.records.items()} | {
        name: float(value) for name, value in run.model.progress().items()
    }


def domains(model: str, *terms: str) -> set[str]:
    """The names of terms, for both domains where a model has two discriminators."""
    return {f"{term}_{domain}" for term in terms for domain in "ab"} if model == "CycleGAN" else {*terms}


def terms_of(logged: dict[str, float], player: str) -> set[str]:
    return {name.removeprefix(f"loss/{player}/") for name in logged if name.startswith(f"loss/{player}/")}


OWN = {
    "Pix2Pix": {"adversarial", "l1"},
    "CycleGAN": {f"{term}_{domain}" for term in ("adversarial", "cycle", "identity") for domain in "ab"},
    "CUT": {"adversarial", "nce", "identity"},
}
OWN_D = {"Pix2Pix": {"adversarial"}, "CycleGAN": {"a", "b"}, "CUT": {"adversarial"}}


@pytest.mark.parametrize("model", MODELS)
def test_several_scales_with_matched_features_and_with_perceptual_and_style_terms(model: str, folders: Path) -> None:
    discriminator = network("MultiScale", discriminator=patches(model, padding=2), scales=2)
    looked = part("losses.EfficientNetLoss", layers={"block2": 1.0})
    style = part("losses.EfficientNetLoss", layers={"stem": 0.5, "block0": 0.5}, distance="gram")
    matching = "LayerMatching" if model == "Pix2Pix" else "FeatureMatching"
    added = [
        part(f"regularizers.{matching}", weight=2.0),
        part("regularizers.Perceptual", loss=looked, weight=0.5, target="real" if model == "Pix2Pix" else "source"),
        part("regularizers.Perceptual", loss=style, weight=10.0, name="style"),
    ]
    logged = trained(folders, settings(model, discriminator, regularizers=added))
    names = domains(model, "layer_matching" if model == "Pix2Pix" else "feature_matching", "perceptual", "style")
    assert terms_of(logged, "generator") == OWN[model] | names
    assert terms_of(logged, "discriminator") == OWN_D[model]
    assert all(logged[f"loss/generator/{name}"] > 0 for name in names)


@pytest.mark.parametrize("model", MODELS)
def test_the_objective_of_r3gan(model: str, folders: Path) -> None:
    penalties = part(
        "regularizers.Scheduled",
        regularizer=part("regularizers.GradientPenalties", gamma=0.5),
        schedule=part("schedules.Cosine", final=0.1, unit="image"),
    )
    loss = part("losses.RelativisticPairing")
    logged = trained(folders, settings(model, patches(model, norm="none"), loss=loss, regularizers=[penalties]))
    assert terms_of(logged, "discriminator") == OWN_D[model] | domains(model, "r1", "r2")
    assert terms_of(logged, "generator") == OWN[model]
    assert all(logged[f"loss/discriminator/{name}"] > 0 for name in domains(model, "r1", "r2"))


@pytest.mark.parametrize("model", MODELS)
def test_diffaugment_with_lazy_penalties_of_several_scales(model: str, folders: Path) -> None:
    discriminator = network("MultiScale", discriminator=patches(model, norm="none"), scales=2, widths=[4, 2])
    added = [part("regularizers.R1", gamma=1.0, every=2), part("regularizers.R2", gamma=1.0, every=2)]
    how = {"augmentation": part("augmentation.DiffAugment"), "regularizers": added}
    logged = trained(folders, settings(model, discriminator, **how))
    assert terms_of(logged, "discriminator") == OWN_D[model] | domains(model, "r1", "r2")
    assert terms_of(logged, "generator") == OWN[model]


@pytest.mark.parametrize("model", MODELS)
def test_ada_adapts(model: str, folders: Path) -> None:
    how = {"augmentation": part("augmentation.AdaptiveAugmentation", p=0.5, interval=1, adjustment=100)}
    logged = trained(folders, settings(model, patches(model), **how))
    assert terms_of(logged, "discriminator") == OWN_D[model]
    assert logged["augmentation/p"] != 0.5


@pytest.mark.parametrize("model", MODELS)
def test_all_at_once(model: str, folders: Path) -> None:
    """Several scales, R3GAN's objective, ADA with a constant p, matched features and a perceptual term."""
    discriminator = network("MultiScale", discriminator=patches(model, norm="none", padding=2), scales=2)
    added = [
        part("regularizers.GradientPenalties", gamma=0.1),
        part("regularizers.FeatureMatching"),
        part("regularizers.Perceptual", loss=part("losses.EfficientNetLoss", layers={"stem": 1.0}), target="source"),
        part("regularizers.HistoricalAveraging", player="generator"),
    ]
    how = {
        "loss": part("losses.RelativisticPairing"),
        "augmentation": part("augmentation.AdaptiveAugmentation", p=0.3, target=None, cutout=1.0),
        "regularizers": added,
        "ema_half_life": 10,
        "accumulate": 2,
        "channels_last": True,
    }
    logged = trained(folders, settings(model, discriminator, **how))
    names = domains(model, "feature_matching", "perceptual") | {"historical_averaging"}
    assert terms_of(logged, "generator") == OWN[model] | names
    assert terms_of(logged, "discriminator") == OWN_D[model] | domains(model, "r1", "r2")
