import pytest
import torch

from benchmarks import translation
from gan_lightning.networks import PatchGAN, ResNetGenerator, UNetGenerator


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
    translation.make_files(tmp_path)
    return tmp_path


OF_IMAGES = ["--data.init_args.image_size=32", "--data.init_args.load_size=36"]
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
}
OURS = {"cyclegan": translation.our_cyclegan, "pix2pix": translation.our_pix2pix}


@pytest.mark.parametrize("model", translation.VARIANTS)
def test_both_ways_of_training_end_as_many_batches(model, small):
    assert len(translation.VARIANTS[model]["plain loop, fp32"](small, 3)) == 3
    assert len(OURS[model](SMALL[model], small, 3)) == 3


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
