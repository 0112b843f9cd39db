"""StackGAN: the KL divergence by hand, both stages, what stage II takes from stage I, and errors."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from gan_lightning.data.batches import CaptionedBatch
from gan_lightning.models import StackGAN
from gan_lightning.networks import (
    GANINTCLSGenerator,
    GRUTextEncoder,
    StackGANDiscriminator,
    StackGANStageOne,
    StackGANStageTwo,
)
from gan_lightning.training.generative import GenerativeModule
from models.test_gan_int_cls import described, gan_int_cls_batch
from tiny import SMALL, Batches, images
from toys import checkpoint, equal, trainer, weights


def stage_one() -> StackGANStageOne:
    return StackGANStageOne(4, 5, 3, **SMALL)


def stackgan(**how: Any) -> StackGAN:
    model = StackGAN(
        stage_one(),
        StackGANDiscriminator(5, projection=4, **SMALL),
        text_encoder=GRUTextEncoder(16, 5, 8),
        **how,
    )
    torch.nn.init.normal_(model.generator.conditioning.net[0].weight)  # texts differ visibly
    model.text = described()
    return model


def second(**how: Any) -> StackGAN:
    """Stage II, from 16x16 to 32x32."""
    discriminator = StackGANDiscriminator(5, **SMALL | {"image_size": 32}, projection=4)
    networks = StackGANStageTwo(stage_one(), 3, enlargements=1, width=4, blocks=1), discriminator
    model = StackGAN(*networks, text_encoder=GRUTextEncoder(16, 5, 8), **how)
    model.text = described()
    return model


def stackgan_batch(count: int, seed: int) -> CaptionedBatch:
    return gan_int_cls_batch(count, seed)


def large_batch(count: int = 4, seed: int = 0) -> CaptionedBatch:
    return stackgan_batch(count, seed)._replace(images=F.interpolate(images(count, 1, seed), 32, mode="bilinear"))


def test_the_kl_term_is_that_of_two_normals_averaged_over_components() -> None:
    torch.manual_seed(0)
    model = stackgan().eval()
    batch = stackgan_batch(4, 0)
    fake = model.draw_fakes(batch)
    text = model.given(batch)
    mean, log_std = model.generator.conditioning(text)
    expected = 2 * kl_divergence(Normal(mean, log_std.exp()), Normal(0.0, 1.0)).mean()
    terms = model.generator_loss(batch, fake)
    torch.testing.assert_close(terms["kl"], expected)
    torch.testing.assert_close(terms["adversarial"], -F.logsigmoid(model.discriminator(fake.images, text)).mean())
    assert set(terms) == {"adversarial", "kl"}


def test_an_image_is_a_function_of_latents_and_caption() -> None:
    torch.manual_seed(0)
    G, text = stage_one().eval(), torch.randn(2, 5)
    z = torch.randn(2, 7)
    assert G.latent_dim == 7
    assert torch.equal(G(z, text), G(z, text))
    mean, log_std = G.conditioning(text)
    made = G(z, text, with_distribution=True)
    assert all(torch.equal(*pair) for pair in zip(made, (G(z, text), mean, log_std), strict=True))
    assert not torch.equal(G(z, text), G(torch.cat([z[:, :4], torch.zeros(2, 3)], dim=1), text))


def test_stage_two_takes_stage_one_from_another_run_and_leaves_it_as_it_is(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = stackgan(ema_half_life=10)
    trainer(max_epochs=1).fit(first, Batches([stackgan_batch(4, 0)]))
    path = checkpoint(first, tmp_path / "first.ckpt")
    model = second(pretrained=path)
    averaged = dict(first.averaged_generator.state_dict())
    assert equal(averaged, dict(model.generator.stage_one.state_dict()))
    assert equal(weights(first.text_encoder), weights(model.text_encoder))
    before = {name: value.clone() for name, value in model.generator.state_dict().items()}
    trainer(max_epochs=2).fit(model, Batches([large_batch()]))
    assert equal(averaged, dict(model.generator.stage_one.state_dict()))
    assert equal(weights(first.text_encoder), weights(model.text_encoder))
    after = model.generator.state_dict()
    still = [name for name in before if torch.equal(before[name], after[name]) and not name.startswith("stage_one")]
    assert still == ["trained"]
    again = GenerativeModule.load_from_checkpoint(checkpoint(model, tmp_path / "second.ckpt"))
    assert again.hparams["pretrained"] is None
    torch.testing.assert_close(again.sample(2, seed=0), model.sample(2, seed=0))  # in another layout
    assert model.sample(1, seed=0).shape == (1, 1, 32, 32)


def test_a_stage_two_without_a_trained_stage_one_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    model, said = second(), []
    model.say = said.append  # type: ignore[method-assign, assignment]
    trainer(max_epochs=1).fit(model, Batches([large_batch()]))
    assert ["stage I of this StackGAN has random weights" in sentence for sentence in said] == [True]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="GANINTCLSGenerator has no `conditioning`: choose StackGANStageOne"):
        StackGAN(GANINTCLSGenerator(6, 5, width=4))
    path = checkpoint(stackgan(), tmp_path / "first.ckpt")
    with pytest.raises(ValueError, match="pretrained is a stage I for stage II, and StackGANStageOne holds none"):
        stackgan(pretrained=path)
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint .*missing.ckpt"):
        second(pretrained=tmp_path / "missing.ckpt")
    wide = StackGANStageTwo(StackGANStageOne(4, 5, 3, **SMALL | {"width": 8}), 3, width=4)
    with pytest.raises(ValueError, match="is another network than the StackGANStageOne"):
        StackGAN(wide, StackGANDiscriminator(5), pretrained=path)


def count(network: Any) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def bottleneck(channels: int, inner: int) -> int:
    return channels * inner + 9 * inner * inner + 9 * inner * channels + 4 * inner + 2 * channels


def test_the_papers_networks_are_counted_on_the_authors_layers() -> None:
    conditioning, project = 1024 * 256 + 256, 1024 * 128 + 128
    first = conditioning + 228 * 16384 + 2 * 16384 + bottleneck(1024, 256) + bottleneck(512, 128)
    first += 9 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3) + 2 * (512 + 256 + 128) + 3
    final = 9 * 32 * 3 + 3
    second = conditioning + 9 * 3 * 128 + 128 + 16 * (128 * 256 + 256 * 512) + 2 * (256 + 512)
    second += 9 * (512 + 128) * 512 + 2 * 512 + 4 * (2 * 9 * 512 * 512 + 4 * 512)
    second += 9 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 32) + 2 * (256 + 128 + 64 + 32) + final
    judge = project + bottleneck(512, 128) + 640 * 512 + 2 * 512 + 512 * 16
    small = judge + 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 2 * (128 + 256 + 512)
    large = small + 16 * (512 * 1024 + 1024 * 2048) + 2 * (1024 + 2048) + 2048 * 1024 + 1024 * 512 + 2 * (1024 + 512)
    with torch.device("meta"):
        assert count(StackGANStageOne()) == first
        assert count(StackGANStageTwo()) == second
        assert count(StackGANDiscriminator()) == small
        assert count(StackGANDiscriminator(image_size=256)) == large
        z, text = torch.zeros(2, 228 + 128), torch.zeros(2, 1024)
        assert StackGANStageTwo().eval()(z, text).shape == (2, 3, 256, 256)


def test_a_second_stage_that_corrects_begins_with_the_enlarged_image_and_learns() -> None:
    torch.manual_seed(0)
    first = stage_one().eval()
    second_stage = StackGANStageTwo(first, 3, enlargements=1, width=4, blocks=1, corrects=True)
    z, text = torch.randn(4, second_stage.latent_dim), torch.randn(4, 5)
    large = F.interpolate(first(z[:, : first.latent_dim], text), 32, mode="bilinear")
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(second_stage(z, text).float(), large, atol=0.02)
    assert torch.allclose(second_stage(z, text), large, atol=1e-5)
    learns = torch.optim.SGD([p for p in second_stage.parameters() if p.requires_grad], lr=0.5)
    for _ in range(3):
        learns.zero_grad()
        second_stage(z, text).mean().backward()
        learns.step()
    assert second_stage.encode[0].weight.grad.abs().sum() > 0  # the layers learn once the last one has moved
    assert second_stage(z, text).mean() < large.mean() - 0.1
