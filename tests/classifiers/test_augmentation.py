"""Classifiers of mixes of real and generated images."""

import json
from pathlib import Path

import pytest
import torch

from gan_lightning.classifiers import train
from gan_lightning.classifiers.augmentation import (
    AugmentationReport,
    LabelledImages,
    Mix,
    MixedImages,
    train_on_mix,
    train_on_mixes,
)
from gan_lightning.classifiers.augmentation_command import augment
from gan_lightning.data.images import write_png
from toys import StyledGenerator, ToyGAN, ToyGenerator, checkpoint

NAMES = ("dark", "bright")


def labelled(count: int, level: int, seed: int = 0) -> LabelledImages:
    """8x8 images of noise, darker and brighter than `level`, in turn."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    noise = torch.randint(0, 40, (count, 1, 8, 8), generator=random)
    return LabelledImages((noise + level + 60 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels)


REAL, GENERATED = labelled(64, 20), labelled(30, 130, seed=1)


@pytest.mark.parametrize("p_real", [0.0, 0.25, 0.8, 1.0])
def test_the_share_of_real_images_and_their_classes(p_real):
    mix = MixedImages(REAL, GENERATED, p_real, seed=3)
    rows = torch.arange(64).repeat(100)
    images = mix[rows]
    kept = (images == REAL.images[rows]).flatten(1).all(dim=1)
    share = kept.double().mean().item()
    assert share == pytest.approx(p_real, abs=4 * (p_real * (1 - p_real) / len(rows)) ** 0.5 + 1e-12)
    for label in (0, 1):
        fakes = images[~kept & (REAL.labels[rows] == label)]
        own = GENERATED.images[GENERATED.labels == label]
        assert all((own == fake).flatten(1).all(dim=1).any() for fake in fakes[:50])
        if p_real < 1:
            assert len(fakes.unique(dim=0)) == len(own), "all generated images of the class are used"


def test_inputs_are_not_changed_and_seeds_are_honoured():
    before = REAL.images.clone(), GENERATED.images.clone()
    rows = torch.randperm(64)
    first, again = (MixedImages(REAL, GENERATED, 0.5, seed=1)[rows] for _ in range(2))
    other = MixedImages(REAL, GENERATED, 0.5, seed=2)[rows]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before[0], REAL.images)
    assert torch.equal(before[1], GENERATED.images)


def test_only_real_images_give_the_usual_training_bit_by_bit():
    mix = MixedImages(REAL, GENERATED, 1.0, seed=5)
    ours = train_on_mix(mix, NAMES, "small", seed=5, epochs=3, batch_size=16).state_dict()
    usual = train(REAL.images, REAL.labels, NAMES, epochs=3, batch_size=16, seed=5, held_back=0.0).state_dict()
    assert all(torch.equal(ours[name], usual[name]) for name in usual)


def test_no_real_pixel_is_used_with_p_real_0():
    """Other real images of the same classes give the same classifier."""
    weights = [
        train_on_mix(MixedImages(real, GENERATED, 0.0, 0), NAMES, "small", 0, 2, 16).state_dict()
        for real in (REAL, labelled(64, 80, seed=9))
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_accuracies_of_useful_and_of_wrong_generated_images():
    wrong = LabelledImages(GENERATED.images, 1 - GENERATED.labels)
    tests = labelled(40, 130, seed=2), labelled(20, 130, seed=4)
    for generated, expected in ((GENERATED, 1.0), (wrong, 0.0)):
        mixes = train_on_mixes(REAL, generated, *tests, NAMES, [0.0], seeds=(0, 1), steps=30, batch_size=16)
        assert [*mixes[0].validation, *mixes[0].test] == [expected] * 4


def test_a_class_without_generated_images_is_refused():
    with pytest.raises(ValueError, match="no generated images of the class 'bright'"):
        train_on_mixes(REAL, GENERATED.rows(GENERATED.labels == 0), REAL, REAL, NAMES, [1.0])


def test_validation_chooses_and_real_images_win_ties():
    report = AugmentationReport(
        [Mix(0, [0.5, 0.7], [0.9, 0.9]), Mix(0.5, [0.8, 0.6], [0.1, 0.1]), Mix(1, [0.7, 0.7], [0.2, 0.2])], {}
    )
    assert report.best.p_real == 1
    assert report.as_dict()["best_p_real"] == 1


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("labelled")
    for split, count in (("train", 12), ("test", 24)):
        for label in range(3):
            for number in range(count // 3):
                image = torch.full((1, 4, 4), 40 + 80 * label + number, dtype=torch.uint8)
                write_png(image, place / split / f"class {label}" / f"{number}.png")
    return place


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return checkpoint(ToyGAN(StyledGenerator(num_classes=3)), tmp_path_factory.mktemp("model") / "styled.ckpt")


def test_the_command_writes_numbers_and_a_picture(model, folders, tmp_path, capsys):
    settings = {
        "p_real": (0.0, 1.0),
        "seeds": 2,
        "steps": 4,
        "generated": 60,
        "batch_size": 8,
        "extractor": "digits",
        "trusted": "toys",
    }
    augment(model, folders / "train", folders / "test", tmp_path / "out.json", **settings)
    content = json.loads((tmp_path / "out.json").read_text())
    assert [mix["p_real"] for mix in content["mixes"]] == [0, 1]
    assert all(len(mix["test"]) == 2 for mix in content["mixes"])
    assert content["settings"]["num_real"] == 12
    assert content["settings"]["num_test"] == 12
    assert 0 <= content["memorisation"]["authenticity"] <= 1
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert "the best p_real by validation" in capsys.readouterr().out


def test_models_and_folders_that_do_not_fit(model, folders, tmp_path):
    plain = checkpoint(ToyGAN(ToyGenerator()), tmp_path / "plain.ckpt")
    with pytest.raises(ValueError, match="without classes"):
        augment(plain, folders / "train", folders / "test", tmp_path / "out.json", extractor="none", trusted="toys")
    write_png(torch.zeros(1, 4, 4, dtype=torch.uint8), tmp_path / "two" / "a" / "0.png")
    write_png(torch.zeros(1, 4, 4, dtype=torch.uint8), tmp_path / "two" / "b" / "0.png")
    with pytest.raises(ValueError, match="has the classes a, b, and the model has 3"):
        augment(model, tmp_path / "two", folders / "test", tmp_path / "out.json", extractor="none", trusted="toys")
    assert not (tmp_path / "out.json").exists()
