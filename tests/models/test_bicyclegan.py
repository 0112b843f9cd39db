"""BicycleGAN: every term by hand, the halves of a batch, who learns from which term, and its many outputs."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_lightning.data.batches import PairedBatch
from gan_lightning.inference import Choice
from gan_lightning.models import BicycleGAN
from gan_lightning.models.bicyclegan import Fakes
from gan_lightning.networks import BicycleEncoder, MultiScale, PatchGAN, UNetGenerator
from tiny import Batches, batch_for, data_for, images
from toys import trainer


def bicyclegan(**how: Any) -> BicycleGAN:
    """Grey to RGB."""
    generator = UNetGenerator(1, 3, image_size=16, width=4, norm="instance", dropout=0, style_dim=2, init="xavier")
    encoder = BicycleEncoder(3, width=4, blocks=2, style_dim=2)
    patches = partial(PatchGAN, in_channels=3, receptive_field=16, norm="instance", init="xavier")
    judges = [MultiScale(patches, scales=2, widths=[4, 2]) for _ in range(2)]
    return BicycleGAN(generator, encoder, *judges, **how)


def bicyclegan_batch(count: int, seed: int) -> PairedBatch:
    return PairedBatch(images(count, 1, seed), images(count, 3, seed + 1))


def made(model: BicycleGAN, count: int = 4) -> tuple[PairedBatch, Fakes]:
    batch = batch_for(model, count=count)
    return batch, model.draw_fakes(batch)


def test_half_of_a_batch_is_translated_in_two_ways() -> None:
    model = bicyclegan().eval()
    batch = batch_for(model)
    torch.manual_seed(0)
    fake = model.draw_fakes(batch)
    torch.manual_seed(0)
    noise, style = (torch.randn(4, 2)[::2] for _ in range(2))
    source, target = batch.source[::2], batch.target[::2]
    mean, log_variance = model.generator.encoder(target)
    assert torch.equal(fake.style, style)
    torch.testing.assert_close(fake.mean, mean)
    network = model.generator.translator
    torch.testing.assert_close(fake.random, network(source, style))
    torch.testing.assert_close(fake.encoded, network(source, mean + noise * log_variance.exp().sqrt()))


def test_the_discriminators_losses_are_sums_over_scales_and_not_halved() -> None:
    model = bicyclegan().eval()
    batch, fake = made(model)
    terms = model.discriminator_loss(batch, fake)
    assert terms.keys() == {"encoded", "random"}
    for name, real, fakes in (
        ("encoded", batch.target[::2], fake.encoded),
        ("random", batch.target[1::2], fake.random),
    ):
        judge = model.discriminator[name]
        pairs = zip(judge(real).logits, judge(fakes).logits, strict=True)
        expected = sum((r - 1).square().mean() + f.square().mean() for r, f in pairs)
        torch.testing.assert_close(terms[name], expected)


def test_the_generators_losses_by_their_numbers() -> None:
    model = bicyclegan().eval()
    batch, fake = made(model)
    terms = model.generator_loss(batch, fake)
    assert terms.keys() == {"adversarial_encoded", "adversarial_random", "l1", "kl", "latent"}
    for name, fakes in (("encoded", fake.encoded), ("random", fake.random)):
        expected = sum((logits - 1).square().mean() for logits in model.discriminator[name](fakes).logits)
        torch.testing.assert_close(terms[f"adversarial_{name}"], expected)
    torch.testing.assert_close(terms["l1"], 10 * l1_loss(fake.encoded, batch.target[::2]))
    torch.testing.assert_close(terms["latent"], 0.5 * l1_loss(model.generator.encoder(fake.random)[0], fake.style))


def test_the_divergence_is_a_sum_over_components_and_a_mean_over_images() -> None:
    from torch.distributions import Normal, kl_divergence

    model = bicyclegan().eval()
    batch, fake = made(model)
    fake = fake._replace(mean=torch.randn(2, 2), log_variance=torch.randn(2, 2))
    term = model.generator_loss(batch, fake)["kl"]
    exact = kl_divergence(Normal(fake.mean, (fake.log_variance / 2).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(term, 0.01 * exact.sum() / 2)
    authors = -0.5 * (1 + fake.log_variance - fake.mean**2 - fake.log_variance.exp())[:1].sum() * 0.01  # of one image
    alone = fake._replace(mean=fake.mean[:1], log_variance=fake.log_variance[:1])
    torch.testing.assert_close(model.generator_loss(batch, alone)["kl"], authors)


def learning(term: str) -> dict[str, bool]:
    """Return whether each network gets a gradient from a term."""
    model = bicyclegan()
    batch, fake = made(model)
    model.generator_loss(batch, fake)[term].backward()
    return {
        name: any(p.grad is not None and bool(p.grad.any()) for p in network.parameters())
        for name, network in (("generator", model.generator.translator), ("encoder", model.generator.encoder))
    }


@pytest.mark.parametrize(
    ("term", "generator", "encoder"),
    [
        ("latent", True, False),
        ("kl", False, True),
        ("l1", True, True),
        ("adversarial_encoded", True, True),
        ("adversarial_random", True, False),
    ],
)
def test_the_latent_term_teaches_the_generator_alone(term: str, generator: bool, encoder: bool) -> None:
    assert learning(term) == {"generator": generator, "encoder": encoder}


def test_the_encoder_can_learn_again_after_the_latent_term() -> None:
    model = bicyclegan()
    model.generator_loss(*made(model))
    assert all(p.requires_grad for p in model.generator.encoder.parameters())
    before = [p.clone() for p in model.generator.encoder.parameters()]
    trainer(max_epochs=1).fit(model, data_for(model))
    assert not all(torch.equal(a, b) for a, b in zip(before, model.generator.encoder.parameters(), strict=True))


def test_the_latent_term_can_be_off() -> None:
    model = bicyclegan(lambda_latent=0.0).eval()
    assert "latent" not in model.generator_loss(*made(model))


@pytest.mark.parametrize("count", [1, 3])
def test_odd_batches_are_refused(count: int) -> None:
    model = bicyclegan()
    with pytest.raises(ValueError, match=rf"two halves, and this one has {count} pairs: make data\.batch_size an even"):
        trainer(max_epochs=1).fit(model, data_for(model, count=count))
    assert model.batches_seen == 0


def test_an_evaluation_takes_batches_of_any_size() -> None:
    model = bicyclegan()
    trainer().validate(model, Batches([batch_for(model, count=1), batch_for(model, count=3)]), verbose=False)


def test_one_source_has_many_outputs_and_an_examples_style() -> None:
    model = bicyclegan()
    batch = batch_for(model)
    styles = model.variations(batch, 3)
    assert styles is not None
    assert styles.shape == (4, 3, 3, 16, 16)
    for seed in range(3):
        assert torch.equal(styles[:, seed], model.translate(batch.source, choice=Choice(style_seed=seed)))
    example = batch.target[:1]
    style = model.generator.eval().encoder(example)[0]
    with torch.no_grad():
        expected = model.generator.translator(batch.source, style.expand(4, -1))
    torch.testing.assert_close(model.translate(batch.source, choice=Choice(example=example)), expected)


def test_a_preview_shows_several_styles_of_a_source() -> None:
    model = bicyclegan()
    batch = batch_for(model)
    shown, columns = model.preview(batch, 2)
    assert columns == 6
    rows = shown.unflatten(0, (2, columns))
    assert torch.equal(rows[:, 0], batch.source[:2].expand(-1, 3, -1, -1))
    assert torch.equal(rows[:, 5], batch.target[:2])
    for seed in range(3):
        assert torch.equal(rows[:, 1 + seed], model.translate(batch.source[:2], choice=Choice(style_seed=seed)))
    alike = model.translate(batch.source[:1], choice=Choice(example=batch.target[:1]))
    torch.testing.assert_close(rows[:1, 4], alike)


def test_generator_and_encoder_have_styles_of_one_length() -> None:
    with pytest.raises(ValueError, match="takes styles of 3 components, and the encoder BicycleEncoder makes 2"):
        BicycleGAN(UNetGenerator(image_size=16, width=4, style_dim=3), BicycleEncoder(width=4, style_dim=2))
    with pytest.raises(ValueError, match="takes styles of 0 components"):
        BicycleGAN(UNetGenerator(image_size=16, width=4), BicycleEncoder(width=4))


def test_the_two_discriminators_are_the_authors_and_share_nothing() -> None:
    model = BicycleGAN(UNetGenerator(image_size=16, width=4, style_dim=8), BicycleEncoder(width=4))
    assert [sum(p.numel() for p in d.parameters()) for d in model.discriminator.values()] == [3_458_978] * 2
    first, second = ({id(p) for p in network.parameters()} for network in model.discriminator.values())
    assert not first & second


class Mean(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flip(-1)


def test_the_augmentation_is_before_both_discriminators() -> None:
    model = bicyclegan().eval()
    batch, fake = made(model)
    mirrored = Fakes(fake.encoded.flip(-1), fake.random.flip(-1), *fake[2:])
    expected = model.discriminator_loss(PairedBatch(batch.source, batch.target.flip(-1)), mirrored)
    model.augmentation = Mean()
    terms = model.discriminator_loss(batch, fake)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)
