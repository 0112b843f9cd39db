"""CUT: its terms by their numbers, the patches that are compared, mirrored batches, the networks that learn."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from gan_lightning.data.batches import UnpairedBatch
from gan_lightning.losses import patch_nce
from gan_lightning.models import CUT
from gan_lightning.models.cut import Fakes
from gan_lightning.networks import PatchGAN, ResNetGenerator, UNetGenerator
from gan_lightning.networks.patch_sampler import PatchSampler
from gan_lightning.recording import Network
from gan_lightning.schedules import LinearToZero
from tiny import Batches, batch_for, data_for, images
from toys import trainer


def cut(**how: Any) -> CUT:
    networks = (
        ResNetGenerator(3, 3, width=4, blocks=1, antialias=True),
        PatchGAN(in_channels=3, width=4, receptive_field=16, norm="instance", antialias=True),
        partial(PatchSampler, width=8, patches=16),
    )
    return CUT(*networks, **{"layers": [0, 4, 8, 12]} | how)


def cut_batch(count: int, seed: int) -> UnpairedBatch:
    return UnpairedBatch(images(count, 3, seed), -images(count, 3, seed + 1))


CONFIGS = Path(__file__).parents[2] / "configs" / "cut"


class Lit(Network):
    """A generator that brightens the left half of an image; layers 0 and 1 are the image, and twice the image.

    It keeps its inputs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.tensor(0.1))
        self.encoded: list[Tensor] = []

    def forward(self, images: Tensor, layers: Any = None) -> Any:
        if layers is not None:
            return self.features(images, layers)
        left = (torch.arange(images.shape[3]) < images.shape[3] // 2).float()
        return images + self.number * left

    def features(self, images: Tensor, layers: Any) -> list[Tensor]:
        self.encoded.append(images)
        return [images * (layer + 1) for layer in layers]

    def feature_channels(self, layers: Any) -> list[int]:
        return [3 for _ in layers]


class Plain(PatchSampler):
    """Return all places in order."""

    def positions(self, features: Any) -> list[Tensor]:
        return [torch.arange(x.shape[2] * x.shape[3]) for x in features]

    def forward(self, features: Any, positions: Any) -> list[Tensor]:
        return [x.flatten(2).transpose(1, 2) for x in features]


class Scale(Network):
    """A discriminator whose map of logits is the first channel, times a number."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * images[:, :1]


def lit(**how: Any) -> CUT:
    return CUT(Lit(), Scale(), Plain, **{"layers": [0, 1]} | how)


def batch() -> UnpairedBatch:
    real_a, real_b = torch.rand(2, 2, 3, 4, 4, generator=torch.Generator().manual_seed(1)) - 0.5
    return UnpairedBatch(real_a, real_b)


def places(images: Tensor) -> Tensor:
    return images.flatten(2).transpose(1, 2)


def test_the_terms_by_their_numbers() -> None:
    model, (real_a, real_b) = lit(), batch()
    fake = model.draw_fakes(batch())
    assert torch.equal(fake.fake_b, model.generator(real_a))
    assert torch.equal(fake.idt_b, model.generator(real_b))
    terms = model.discriminator_loss(batch(), fake)
    real, made = 2 * real_b[:, :1], 2 * fake.fake_b[:, :1]
    expected = {"adversarial": 0.5 * ((real - 1) ** 2).mean() + 0.5 * (made**2).mean()}
    assert {k: v.item() for k, v in terms.items()} == pytest.approx({k: v.item() for k, v in expected.items()})
    terms = model.generator_loss(batch(), fake)
    # cosines do not see that layer 1 is twice layer 0: the mean of both is either
    expected = {
        "adversarial": ((made - 1) ** 2).mean(),
        "nce": 0.5 * patch_nce(places(fake.fake_b), places(real_a)),
        "identity": 0.5 * patch_nce(places(fake.idt_b), places(real_b)),
    }
    assert {k: v.item() for k, v in terms.items()} == pytest.approx({k: v.item() for k, v in expected.items()})


def test_weights_and_temperature_count() -> None:
    model = lit(lambda_nce=10.0, lambda_identity=2.0, temperature=1.0)
    fake = model.draw_fakes(batch())
    terms = model.generator_loss(batch(), fake)
    nce = patch_nce(places(fake.fake_b), places(batch().real_a), 1.0)
    identity = patch_nce(places(fake.idt_b), places(batch().real_b), 1.0)
    assert terms["nce"].item() == pytest.approx(10 * nce.item())
    assert terms["identity"].item() == pytest.approx(2 * identity.item())


@pytest.mark.parametrize(
    ("settings", "terms", "passes"),
    [
        ({}, {"adversarial", "nce", "identity"}, 4),
        ({"lambda_identity": 0}, {"adversarial", "nce"}, 2),
        ({"lambda_nce": 0, "lambda_identity": 0}, {"adversarial"}, 0),
    ],
)
def test_a_term_that_is_off_is_not_there_and_costs_no_pass(settings: Any, terms: set[str], passes: int) -> None:
    model = lit(**settings)
    made = []
    model.generator.register_forward_hook(lambda _, given, out: made.append(len(out)) if len(given) == 1 else None)
    fake = model.draw_fakes(batch())
    assert model.generator_loss(batch(), fake).keys() == terms
    assert made == [4 if "identity" in terms else 2]  # a and b go through G at once
    assert len(model.generator.encoded) == passes


def test_keys_are_of_the_input_and_teach_nobody() -> None:
    model = cut()
    real, made = batch_for(model).real_a, torch.rand(4, 3, 16, 16, requires_grad=True)
    source = real.requires_grad_()
    model.contrast(source, made, mirrored=False).backward()
    assert made.grad is not None
    assert source.grad is None
    for learner in (model.generator, model.patch_sampler):
        assert any(p.grad is not None and p.grad.any() for p in learner.parameters())  # by the queries


def test_query_and_key_are_of_the_same_places() -> None:
    model, asked = cut(), []
    embed = model.patch_sampler.forward
    model.patch_sampler.forward = lambda maps, at: (asked.append((maps, at)), embed(maps, at))[1]  # type: ignore[method-assign]
    real = batch_for(model).real_a
    model.contrast(real, -real, mirrored=False)
    (key_maps, key_places), (query_maps, query_places) = asked
    assert all(a is b for a, b in zip(key_places, query_places, strict=True))
    assert torch.equal(key_maps[0], real)
    assert torch.equal(query_maps[0], -real)
    assert [len(at) for at in key_places] == [16, 16, 16, 16]


def test_mirrored_batches_are_compared_upright_and_shown_to_d_as_they_are() -> None:
    model, (real_a, real_b) = lit(flip_equivariance=True), batch()
    seen: dict[bool, Fakes] = {}
    torch.manual_seed(0)
    drawn = [model.draw_fakes(batch()) for _ in range(200)]
    for fake in drawn:
        seen[fake.mirrored] = fake
    assert 60 < sum(fake.mirrored for fake in drawn) < 140
    assert torch.equal(seen[False].fake_b, model.generator(real_a))
    assert torch.equal(seen[True].fake_b, model.generator(real_a.flip(3)))
    assert torch.equal(seen[True].idt_b, model.generator(real_b.flip(3)))
    terms = model.generator_loss(batch(), seen[True])
    upright = seen[True].fake_b.flip(3)
    assert terms["nce"].item() == pytest.approx(0.5 * patch_nce(places(upright), places(real_a)).item())
    logits = 2 * seen[True].fake_b[:, :1]
    assert terms["adversarial"].item() == pytest.approx(((logits - 1) ** 2).mean().item())


def test_nothing_is_mirrored_without_being_asked_nor_in_use() -> None:
    model = lit()
    state = torch.get_rng_state()
    assert not any(model.draw_fakes(batch()).mirrored for _ in range(20))
    assert torch.equal(state, torch.get_rng_state())
    model = lit(flip_equivariance=True)
    assert torch.equal(model.translate(batch().real_a), model.generator(batch().real_a))


def test_the_sampler_is_there_from_the_start_and_learns_with_the_generator() -> None:
    model = CUT(ResNetGenerator(width=2, antialias=True), PatchGAN(3, width=2, norm="instance"))
    assert [net[0].in_features for net in model.patch_sampler.embeddings] == [3, 4, 8, 8, 8]
    learned = {id(p) for group in model.configure_optimizers()[1].param_groups for p in group["params"]}
    assert learned == {id(p) for net in (model.generator, model.patch_sampler) for p in net.parameters()}
    model = cut()
    before = [p.clone() for p in model.patch_sampler.parameters()]
    trainer(max_epochs=1).fit(model, data_for(model, batches=2))
    assert not any(torch.equal(a, b) for a, b in zip(before, model.patch_sampler.parameters(), strict=True))


def test_the_default_sampler_has_the_published_parameters() -> None:
    with torch.device("meta"):
        model = CUT()
    assert sum(p.numel() for p in model.patch_sampler.parameters()) == 560_384


def test_a_preview_shows_what_becomes_of_both_domains() -> None:
    model, (real_a, real_b) = lit(), batch()
    shown, columns = model.preview(batch(), 2)
    assert columns == 4
    rows = torch.stack([real_a, model.generator(real_a), real_b, model.generator(real_b)], dim=1).flatten(0, 1)
    assert torch.equal(shown, rows)


def test_a_generator_that_shows_no_features_is_refused() -> None:
    with pytest.raises(TypeError, match=r"UNetGenerator has none: give its forward an argument `layers`"):
        CUT(UNetGenerator(image_size=16, width=2))


def test_layers_that_the_generator_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the layers 0 to 22, and not \[40\]"):
        cut(layers=[0, 40])


def test_domains_of_other_channels_are_refused_before_the_first_step() -> None:
    """G encodes its own images, so its output must have the channels of its input."""
    networks = ResNetGenerator(1, 3, width=2, blocks=1), PatchGAN(3, width=2, receptive_field=16, norm="instance")
    for weight in (0.0, 0.5):
        model = CUT(*networks, layers=[0, 4], lambda_identity=weight)
        grey_to_colour = UnpairedBatch(torch.zeros(2, 1, 16, 16), torch.zeros(2, 3, 16, 16))
        with pytest.raises(ValueError, match=r"CUT cannot take .*\(1x16x16 and 3x16x16\).*not \(2, 3, 16, 16\)"):
            trainer(max_epochs=1).fit(model, Batches([grey_to_colour]))
        assert model.batches_seen == 0


def test_a_checkpoint_rebuilds_it_sampler_and_all(tmp_path: Path) -> None:
    model = cut(flip_equivariance=True)
    run = trainer(tmp_path, max_epochs=1)
    run.fit(model, data_for(model))
    run.save_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    again = CUT.load_from_checkpoint(tmp_path / "a.ckpt")
    assert (again.patch_sampler.patches, again.layers, again.flip_equivariance) == (16, [0, 4, 8, 12], True)
    real = batch_for(model).real_a
    assert torch.equal(again.translate(real), model.translate(real))


@pytest.mark.parametrize(
    ("name", "weights", "epochs"),
    [
        ("horse2zebra", {"lambda_nce": 0.5, "lambda_identity": 0.5, "flip_equivariance": False}, (200, 200)),
        ("horse2zebra_fast", {"lambda_nce": 10, "lambda_identity": 0, "flip_equivariance": True}, (150, 50)),
    ],
)
def test_the_configs_are_as_published(name: str, weights: dict[str, Any], epochs: tuple[int, int]) -> None:
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    settings = config["model"]["init_args"]
    assert {key: settings[key] for key in weights} == weights
    assert (settings["temperature"], settings["layers"]) == (0.07, [0, 4, 8, 12, 16])
    constant, falling = epochs
    assert config["trainer"]["max_epochs"] == constant + falling
    for player in ("generator", "discriminator"):
        factor = LinearToZero(**settings[f"{player}_schedule"]["init_args"]).over(sum(epochs))
        # the authors' rule, epochs counted from 0: 1 - max(0, epoch + 1 - constant) / (falling + 1)
        for epoch in (0, constant - 1, constant, constant + falling // 2, constant + falling - 1):
            assert factor(epoch) == pytest.approx(1 - max(0, epoch + 1 - constant) / (falling + 1))
