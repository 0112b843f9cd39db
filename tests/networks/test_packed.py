"""Packing: which images form a pack, penalties over whole packs, models with a packed discriminator, mistakes."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.augmentation import AdaptiveAugmentation
from gan_lightning.losses import gradient_penalty
from gan_lightning.models import ACGAN, BEGAN, CGAN, DCGAN, MMDGAN, R3GAN, WGANGP, InfoGAN
from gan_lightning.networks import (
    BEGANAutoencoder,
    BEGANGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    InfoGANDiscriminator,
    InfoGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    PatchGAN,
    StackedDiscriminator,
    StackedGenerator,
)
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.networks.packed import Packed, gives_features
from gan_lightning.recording import Network
from gan_lightning.regularizers import FeatureMatching, GradientPenalties
from tiny import SIZE, SMALL, batch_for, data_for
from toys import equal, trainer, weights


class Linear(Network):
    """The sum of pixels with a weight for each channel."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.in_channels = channels
        self.w = nn.Parameter(torch.arange(1.0, channels + 1))

    def forward(self, images: Tensor) -> Tensor:
        return (images.sum(dim=(2, 3)) * self.w).sum(1)


def mlp(channels: int, dropout: float = 0.5) -> MLPDiscriminator:
    return MLPDiscriminator(SIZE, channels, hidden=(8,), pieces=2, input_dropout=0, dropout=dropout)


def packed(**how: Any) -> WGANGP:
    """A critic of two images, with dropout, whose draws processes share out."""
    return WGANGP(MLPGenerator(6, SIZE, hidden=(8,)), Packed(mlp(2)), n_critic=1, **how)


def test_consecutive_images_are_joined_along_channels() -> None:
    images = torch.arange(8.0).reshape(4, 2, 1, 1)  # two images of two channels a pack
    assert Packed(Linear())(images).tolist() == [0 + 2 + 6 + 12, 4 + 10 + 18 + 28]
    assert Packed(Linear(8), pack=4)(images).shape == (1,)
    single = Packed(Linear(2), pack=1)
    assert torch.equal(single(images), single.discriminator(images))


def test_the_penalty_is_that_of_the_whole_input() -> None:
    critic = Packed(Linear())
    norm = (4 * (1 + 4 + 9 + 16)) ** 0.5  # four pixels a channel
    images = torch.randn(6, 2, 2, 2)
    assert float(gradient_penalty(critic, images, images, pack=2)) == pytest.approx((norm - 1) ** 2, rel=1e-5)
    model = WGANGP(DCGANGenerator(6, **SMALL), critic)
    assert model.pack == 2


@pytest.mark.parametrize("kind", [WGANGP, R3GAN])
def test_penalties_of_models_are_over_packs(kind: Any) -> None:
    network = Packed(Linear(2))
    how: dict[str, Any] = {"lambda_gp": 3.0} if kind is WGANGP else {"gamma": 4.0}
    model = kind(DCGANGenerator(6, **SMALL), network, **how)
    batch = batch_for(model)
    terms = model.discriminator_loss(batch, model.draw_fakes(batch).detach())
    square = SIZE**2 * (1 + 4)
    if kind is WGANGP:
        assert float(terms["gradient_penalty"]) == pytest.approx(3 * (square**0.5 - 1) ** 2, rel=1e-4)
    else:
        assert float(terms["r1"]) == float(terms["r2"]) == pytest.approx(4 / 2 * square, rel=1e-4)
    penalties = GradientPenalties(4.0).discriminator(model, batch, model.draw_fakes(batch).detach())
    assert float(penalties["r1"]) == pytest.approx(4 / 2 * square, rel=1e-4)


def test_features_and_maps_of_packs() -> None:
    images = torch.randn(4, 1, SIZE, SIZE)
    output = Packed(DCGANDiscriminator(**SMALL | {"channels": 2}))(images, with_features=True, with_logits=False)
    assert isinstance(output, DiscriminatorOutput)
    assert output.features[0][0].shape[0] == 2
    maps = DiscriminatorOutput.of(Packed(PatchGAN(2, width=4, receptive_field=16))(images)).logits[0]
    assert maps.shape[:2] == (2, 1)
    assert gives_features(Packed(mlp(2)))
    assert not gives_features(Packed(Linear()))
    with pytest.raises(TypeError, match="has none on request"):
        FeatureMatching().check(DCGAN(DCGANGenerator(6, **SMALL), Packed(Linear(2))))


@pytest.mark.parametrize("how", [{}, {"accumulate": 2}, {"augmentation": AdaptiveAugmentation(p=0.5, target=None)}])
def test_a_model_trains_is_saved_and_loaded(how: dict[str, Any], tmp_path: Any) -> None:
    model = DCGAN(
        DCGANGenerator(6, **SMALL),
        Packed(DCGANDiscriminator(**SMALL | {"channels": 2})),
        regularizers=[FeatureMatching()],
        **how,
    )
    run = trainer(max_epochs=1)
    run.fit(model, data_for(model, batches=2, count=8))
    assert {"loss/generator/feature_matching", "loss/discriminator/adversarial"} <= model.records.keys()
    run.save_checkpoint(tmp_path / "packed.ckpt")
    loaded = DCGAN.load_from_checkpoint(tmp_path / "packed.ckpt")
    assert loaded.pack == 2
    assert equal(weights(loaded), weights(model))


def test_each_image_of_a_pack_is_augmented_by_itself() -> None:
    seen = []

    class Spy(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(images.shape)
            return images

    model = DCGAN(DCGANGenerator(6, **SMALL), Packed(Linear(2)), augmentation=Spy())
    assert model.discriminate(torch.zeros(4, 1, SIZE, SIZE)).logits[0].shape == (2,)
    assert seen == [(4, 1, SIZE, SIZE)]


def test_one_logit_for_a_pack_of_equal_images_is_d_of_one_image_where_packs_add_up() -> None:
    """A packed linear D of a pack is the sum of its parts: the losses are those of the plain D by hand."""
    torch.manual_seed(0)
    model = DCGAN(DCGANGenerator(6, **SMALL), Packed(Linear(2)))
    batch = batch_for(model)
    fake = model.draw_fakes(batch).detach()
    sums = [x.sum(dim=(1, 2, 3)).reshape(2, 2) @ torch.tensor([1.0, 2.0]) for x in (batch.images, fake)]
    expected = nn.functional.softplus(-sums[0]).mean() + nn.functional.softplus(sums[1]).mean()
    torch.testing.assert_close(model.discriminator_loss(batch, fake)["adversarial"], expected)


def test_mistakes() -> None:
    conditional = DCGANDiscriminator(**SMALL, num_classes=3)
    with pytest.raises(ValueError, match="takes the class of an image: set its num_classes to 0"):
        Packed(conditional)
    with pytest.raises(ValueError, match="built for 3 channels, which are no 2 images"):
        Packed(DCGANDiscriminator(**SMALL | {"channels": 3}))
    three = Packed(Linear(3), pack=3)
    with pytest.raises(ValueError, match="4 images make no packs of 3"):
        three(torch.zeros(4, 1, 2, 2))
    with pytest.raises(ValueError, match="packs of 3 images with 2 channels have 6, and Linear was built for 3"):
        three(torch.zeros(3, 2, 2, 2))
    with pytest.raises(ValueError, match="takes images alone"):
        three(torch.zeros(3, 1, 2, 2), torch.zeros(3))
    with pytest.raises(ValueError, match="generator knows 3 classes and the discriminator 0"):
        CGAN(DCGANGenerator(6, **SMALL, num_classes=3), Packed(Linear(2)))


def test_a_batch_that_makes_no_packs_is_refused_before_training() -> None:
    for count, how, needed in ((8, {}, 3), (6, {"accumulate": 2}, 6), (9, {"accumulate": 3}, 9)):
        model = DCGAN(DCGANGenerator(6, **SMALL), Packed(Linear(3), pack=3), **how)
        if (count, how) == (6, {"accumulate": 2}):
            trainer(max_epochs=1).fit(model, data_for(model, count=count))  # three in each part
            continue
        if count == 9:
            trainer(max_epochs=1).fit(model, data_for(model, count=count))
            continue
        with pytest.raises(ValueError, match=f"packs of 3 .* multiple of {needed}"):
            trainer(max_epochs=1).fit(model, data_for(model, count=count))


def test_models_that_need_an_answer_for_each_image() -> None:
    info = {"image_size": 28, "channels": 1}
    makers = (
        lambda: InfoGAN(InfoGANGenerator(), Packed(InfoGANDiscriminator(channels=2))),
        lambda: BEGAN(BEGANGenerator(), Packed(BEGANAutoencoder(channels=6))),
        lambda: MMDGAN(DCGANGenerator(6, **SMALL), Packed(Linear(2))),
    )
    for make in makers:
        with pytest.raises(ValueError, match="needs an answer of its discriminator for each image"):
            make()
    with pytest.raises(ValueError, match="ACGAN needs"):
        ACGAN(DCGANGenerator(6, **SMALL, num_classes=3), Packed(Linear(2)))  # type: ignore[arg-type]
    assert info


def test_the_published_networks_for_stacked_mnist() -> None:
    """Counts of `D = ¼ G`, and of packs of two: only the first convolution grows."""
    generator = StackedGenerator()
    linear = 256 * 1024 + 1024
    norms = 2 * (64 + 32 + 16 + 8)
    transposed = 9 * (64 * 32 + 32 * 16 + 16 * 8) + 32 + 16 + 8
    assert sum(p.numel() for p in generator.parameters()) == linear + norms + transposed + 9 * 8 * 3 + 3 == 287_875
    counts = [sum(p.numel() for p in StackedDiscriminator(c, w).parameters()) for c, w in ((3, 2), (6, 2), (3, 4))]
    first = 9 * 3 * 2 + 2 + 9 * 2 * 4 + 4 + 9 * 4 * 8 + 8 + 2 * (2 + 4 + 8) + 8 * 16 + 1
    assert counts[0] == first == 585
    assert counts[1] == first + 9 * 3 * 2
    assert generator(torch.randn(2, 256)).shape == (2, 3, 28, 28)
    assert Packed(StackedDiscriminator(6))(torch.zeros(4, 3, 28, 28)).shape == (2,)
