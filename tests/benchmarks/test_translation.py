from functools import partial

import pytest
import torch

from benchmarks import translation
from gan_lightning.networks import (
    MUNITDiscriminator,
    MUNITGenerator,
    PatchGAN,
    Pix2PixHDGenerator,
    ResNetGenerator,
    SPADEGenerator,
    StarGANDiscriminator,
    StarGANGenerator,
    UNetGenerator,
)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """32x32 images, and networks of a few channels, for the plain loop."""
    monkeypatch.setattr(translation, "SIZE", 32)
    monkeypatch.setattr(translation, "LOADED", 36)
    monkeypatch.setattr(translation, "ResNetGenerator", lambda: ResNetGenerator(width=2, blocks=1))
    monkeypatch.setattr(translation, "UNetGenerator", lambda: UNetGenerator(image_size=32, width=2))
    monkeypatch.setattr(
        translation, "PatchGAN", lambda *args, **kwargs: PatchGAN(*args, width=2, receptive_field=16, **kwargs)
    )
    monkeypatch.setattr(translation, "FACES", 32)
    monkeypatch.setattr(translation, "Pix2PixHDGenerator", partial(Pix2PixHDGenerator, width=2, halvings=2, blocks=1))
    monkeypatch.setattr(
        translation, "SPADEGenerator", lambda **how: SPADEGenerator(width=2, hidden=2, **how | {"doublings": 5})
    )
    monkeypatch.setattr(translation, "StarGANGenerator", partial(StarGANGenerator, width=2, blocks=1))
    monkeypatch.setattr(translation, "StarGANDiscriminator", partial(StarGANDiscriminator, width=2, layers=3))
    monkeypatch.setattr(translation, "MUNITGenerator", partial(MUNITGenerator, width=2, blocks=1))
    monkeypatch.setattr(translation, "MUNITDiscriminator", partial(MUNITDiscriminator, width=2, layers=2, scales=2))
    translation.make_files(tmp_path)
    return tmp_path


OF_IMAGES = ["--data.init_args.image_size=32", "--data.init_args.load_size=36"]
SMALL_PATCHES, SMALL_SCALES = ("width=2", "receptive_field=16"), ("width=2", "layers=2", "scales=2")
SMALL = {
    "cyclegan": [
        *OF_IMAGES,
        *(f"--model.init_args.generator_{way}.init_args.width=2" for way in ("a_to_b", "b_to_a")),
        *(f"--model.init_args.discriminator_{domain}.init_args.width=2" for domain in "ab"),
        *(f"--model.init_args.discriminator_{domain}.init_args.receptive_field=16" for domain in "ab"),
    ],
    "pix2pix": [
        *OF_IMAGES,
        "--model.init_args.generator.init_args.image_size=32",
        "--model.init_args.generator.init_args.width=2",
        "--model.init_args.discriminator.init_args.width=2",
        "--model.init_args.discriminator.init_args.receptive_field=16",
    ],
    "pix2pix_hd": [
        *(f"--model.init_args.generator.init_args.{name}" for name in ("width=2", "halvings=2", "blocks=1")),
        *(f"--model.init_args.discriminator.init_args.discriminator.init_args.{each}" for each in SMALL_PATCHES),
    ],
    "spade": [
        *(f"--model.init_args.generator.init_args.{name}" for name in ("width=2", "hidden=2", "doublings=5")),
        *(f"--model.init_args.discriminator.init_args.discriminator.init_args.{each}" for each in SMALL_PATCHES),
    ],
    "stargan": [
        *(f"--model.init_args.generator.init_args.{name}" for name in ("width=2", "blocks=1")),
        *(f"--model.init_args.discriminator.init_args.{name}" for name in ("image_size=32", "width=2", "layers=3")),
    ],
    "munit": [
        *(f"--model.init_args.generator_{way}.init_args.{n}=1" for way in ("a_to_b", "b_to_a") for n in ("blocks",)),
        *(f"--model.init_args.generator_{way}.init_args.width=2" for way in ("a_to_b", "b_to_a")),
        *(f"--model.init_args.discriminator_{domain}.init_args.{each}" for domain in "ab" for each in SMALL_SCALES),
    ],
}
OURS = {model: own for model, (_, own) in translation.BOTH.items()}


@pytest.mark.parametrize("model", translation.VARIANTS)
def test_both_ways_of_training_end_as_many_batches(model, small, monkeypatch):
    if model == "spade":  # two pixels a side are left after the halvings, for the norms of a batch of one
        monkeypatch.setattr(translation, "SIZE", 64)
        monkeypatch.setattr(translation, "LOADED", 72)
    assert len(translation.VARIANTS[model]["plain loop, fp32"](small, 3)) == 3
    assert len(OURS[model](SMALL[model], small, 3)) == 3


def test_the_turns_of_stargan_are_timed_in_whole_rounds(monkeypatch):
    counts = []

    def noted(folder, count):
        counts.append(count)
        return [float(number) for number in range(count)]

    monkeypatch.setitem(translation.VARIANTS, "stargan", {"nothing": noted})
    monkeypatch.setattr(translation, "SIZE", 8)
    assert translation.measure_here("stargan", "nothing", 2)["rate"] == pytest.approx(1)
    assert counts == [15]  # a round of five to warm up, and two


def test_a_measurement_is_a_rate_after_the_warm_up_and_a_peak(monkeypatch):
    ends = [100.0, 101.0, 104.0]
    monkeypatch.setitem(translation.VARIANTS, "none", {"nothing": lambda folder, count: ends})
    monkeypatch.setattr(translation, "SIZE", 8)
    found = translation.measure_here("none", "nothing", 2)
    assert found["rate"] == pytest.approx(2 / 4)
    assert found["peak"] > 50


def test_the_discriminator_is_frozen_where_the_generator_learns():
    net = torch.nn.Linear(1, 1)
    translation.trainable([net], False)
    assert not any(p.requires_grad for p in net.parameters())
