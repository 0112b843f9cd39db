"""GAN-INT-CLS: both losses by hand, what each network learns from, text by the sampler, checkpoints, and errors."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from gan_lightning.data.batches import CaptionedBatch
from gan_lightning.data.texts import TextDescription, Vocabulary
from gan_lightning.export import load, load_trained, save
from gan_lightning.inference import TextSampler
from gan_lightning.latent import LatentPath, LatentSpace, image_names
from gan_lightning.models import GANINTCLS, StackGAN
from gan_lightning.networks import GANINTCLSDiscriminator, GANINTCLSGenerator, GRUTextEncoder, TransformerTextEncoder
from gan_lightning.training.generative import GenerativeModule
from models.test_dcgan import dcgan
from tiny import SMALL, Batches, images
from toys import checkpoint, trainer, weights

SENTENCES = ("a red flower", "a blue bird", "the sun")
WORDS = Vocabulary(16, 4).learn(SENTENCES)


def described(coder: Any = WORDS, sentences: Any = SENTENCES) -> TextDescription:
    return TextDescription(coder, tuple(sentences), coder(sentences))


def gan_int_cls(**how: Any) -> GANINTCLS:
    text = {"text_dim": 5, "projection": 4}
    networks = GANINTCLSGenerator(6, **SMALL, **text), GANINTCLSDiscriminator(**SMALL, **text)
    model = GANINTCLS(*networks, text_encoder=GRUTextEncoder(16, 5, 8), **how)
    torch.nn.init.normal_(networks[0].project[0].weight)  # texts differ visibly
    model.text = described()
    return model


def gan_int_cls_batch(count: int, seed: int) -> CaptionedBatch:
    random = torch.Generator().manual_seed(seed)
    captions, wrong = torch.randint(2, 9, (2, count, 4), generator=random)
    return CaptionedBatch(images(count, 1, seed), captions, wrong, torch.arange(count) % 2)


def embedded(**how: Any) -> GANINTCLS:
    """A model of embeddings."""
    text = {"text_dim": 5, "projection": 4}
    return GANINTCLS(GANINTCLSGenerator(6, **SMALL, **text), GANINTCLSDiscriminator(**SMALL, **text), **how)


def embedded_batch(count: int = 4, seed: int = 0) -> CaptionedBatch:
    random = torch.Generator().manual_seed(seed)
    return CaptionedBatch(images(count, 1, seed), *torch.randn(2, count, 5, generator=random))


def test_both_losses_by_hand() -> None:
    torch.manual_seed(0)
    model = embedded().eval()
    batch = embedded_batch()
    fake = model.draw_fakes(batch)
    D = model.discriminator
    right, wrong, made = D(batch.images, batch.captions), D(batch.images, batch.wrong), D(fake, batch.captions)
    log = F.logsigmoid
    expected = -log(right).mean() - 0.5 * (log(-wrong).mean() + log(-made).mean())  # algorithm 1, line 10
    terms = model.discriminator_loss(batch, fake)
    torch.testing.assert_close(sum(terms.values()), expected)
    assert set(terms) == {"adversarial", "matching"}
    torch.manual_seed(1)
    terms = model.generator_loss(batch, fake)
    torch.testing.assert_close(terms["adversarial"], -log(made).mean())
    torch.manual_seed(1)
    between = (batch.captions + batch.wrong) / 2
    fakes = model.generator(model.latents(4), between)
    torch.testing.assert_close(terms["interpolation"], -0.5 * log(D(fakes, between)).mean())


def test_each_idea_can_be_turned_off() -> None:
    model = embedded(matching=0, lambda_interpolation=0).eval()
    batch = embedded_batch()._replace(wrong=None)
    model.check_batch(batch)
    fake = model.draw_fakes(batch)
    D = model.discriminator
    expected = -F.logsigmoid(D(batch.images, batch.captions)).mean() - F.logsigmoid(-D(fake, batch.captions)).mean()
    torch.testing.assert_close(model.discriminator_loss(batch, fake), {"adversarial": expected})
    assert set(model.generator_loss(batch, fake)) == {"adversarial"}


def test_the_text_encoder_learns_in_the_turn_of_the_discriminator_alone() -> None:
    model, moved = gan_int_cls(), []
    minimize = model.minimize

    def watched(player: Any, *losses: Any) -> None:
        before = weights(model.text_encoder)
        minimize(player, *losses)
        moved.append((player, any(not torch.equal(v, before[n]) for n, v in weights(model.text_encoder).items())))

    model.minimize = watched  # type: ignore[method-assign]
    trainer(max_epochs=1).fit(model, Batches([gan_int_cls_batch(4, 0), gan_int_cls_batch(4, 1)]))
    assert moved == [("discriminator", True), ("generator", False)] * 2


@pytest.mark.parametrize("encoder", [GRUTextEncoder(16, 5, 8), TransformerTextEncoder(16, 5, 8, 6, heads=2)])
def test_padding_does_not_change_an_embedding_and_the_order_of_words_does(encoder: Any) -> None:
    encoder.eval()
    tokens = torch.tensor([[2, 3, 4, 0], [3, 2, 4, 0], [0, 0, 0, 0]])
    first, other, empty = encoder(tokens)
    assert torch.isfinite(empty).all()
    torch.testing.assert_close(encoder(tokens[:1, :3])[0], first)
    torch.testing.assert_close(encoder(F.pad(tokens[:1], (0, 2)))[0], first)
    assert (first - other).abs().max() > 1e-5


def test_a_prompt_is_a_class_with_a_name() -> None:
    model = gan_int_cls().eval()
    sampler = model.sampler
    assert (sampler.kind, sampler.num_classes, sampler.class_names) == ("text", 3, SENTENCES)
    z = sampler.latents([0, 1], 7)
    by_number = sampler.images(z, torch.tensor([1, 2]))
    assert torch.equal(by_number, sampler.images(z, WORDS(SENTENCES[1:])))  # or by its code
    others = sampler.with_texts(["the sun", "a blue bird"])
    torch.testing.assert_close(others.images(z, torch.tensor([1, 0])), by_number)
    torch.testing.assert_close(sampler.sample(2, seed=7, first=1)[0], sampler.images(z[1:], torch.tensor([1]))[0])
    with pytest.raises(ValueError, match="knows no word of 'green grass'"):
        sampler.with_texts(["green grass"])
    with pytest.raises(ValueError, match="empty caption"):
        sampler.with_texts([" "])


def test_halfway_between_two_sentences_is_the_mean_of_their_embeddings() -> None:
    model = gan_int_cls().eval()
    sampler = model.sampler
    path = LatentPath.through(LatentSpace(sampler), image_names("3"), [0, 1]).strip(3)
    (made,) = path.images(image_names("3")[0], None)
    mean = sampler.embed(sampler.prompts.codes[:2]).mean(dim=0, keepdim=True)
    expected = sampler.network.eval()(sampler.latents([0], 3), mean)
    torch.testing.assert_close(
        made[1].float(), expected[0].mul(127.5).add(128).clamp(0, 255).byte().float(), atol=1, rtol=0
    )


def test_a_checkpoint_and_an_export_carry_the_words_and_their_encoder(tmp_path: Path) -> None:
    model = gan_int_cls()
    expected = model.sampler.with_texts(["red sun"]).sample(2, seed=1)
    path = checkpoint(model, tmp_path / "last.ckpt")
    again = GenerativeModule.load_from_checkpoint(path)
    assert again.text.sentences == SENTENCES
    trained = load_trained(path)
    torch.testing.assert_close(trained.maker.with_texts(["red sun"]).sample(2, seed=1), expected)  # in another layout
    save(trained.maker, tmp_path / "export", trained.model)
    exported = load(tmp_path / "export")
    assert isinstance(exported, TextSampler)
    assert exported.class_names == SENTENCES
    torch.testing.assert_close(exported.sample(3, seed=2), model.sampler.sample(3, seed=2))
    torch.testing.assert_close(exported.with_texts(["red sun"]).sample(2, seed=1), expected)


def test_variations_are_of_one_caption_and_different_latents() -> None:
    model = gan_int_cls().eval()
    batch = gan_int_cls_batch(3, 0)
    made = model.variations(batch, 2)
    assert made.shape == (3, 2, 1, 16, 16)
    assert (made[:, 0] - made[:, 1]).abs().max() > 0
    torch.testing.assert_close(made[1:, 1], model.variations(type(batch)(*(f[1:] for f in batch)), 2)[:, 1])


def test_a_preview_has_its_captions_below() -> None:
    model = gan_int_cls()
    shown, columns = model.preview(gan_int_cls_batch(4, 0), 4)
    assert (shown.shape[:2], columns, shown.shape[3]) == ((4, 3), 2, 96)
    below = shown[:, :, 96:]
    assert below.min() < 0 < below.max()
    assert torch.equal(below[0], below[3])  # of the same caption
    assert not torch.equal(below[0], below[1])
    model.text = None
    shown, _ = model.preview(gan_int_cls_batch(3, 0), 4)
    assert shown.shape == (4, 1, 16, 16)


def refused(model: Any, batch: Any, kind: type[Exception], match: str) -> None:
    with pytest.raises(kind, match=match):
        trainer(max_epochs=1).fit(model, Batches([batch]))


def test_captions_that_do_not_fit_are_refused() -> None:
    tokens, vectors = gan_int_cls_batch(4, 0), embedded_batch()
    refused(gan_int_cls(), vectors, ValueError, "serve GANINTCLS embeddings .* GRUTextEncoder takes token ids")
    refused(embedded(), tokens, ValueError, "token ids of captions, and it has no network .*GRUTextEncoder")
    refused(gan_int_cls(), tokens._replace(captions=tokens.captions + 9), ValueError, r"token ids from 1\d to 1\d")
    wide = vectors._replace(captions=torch.zeros(4, 7))
    refused(embedded(), wide, ValueError, "embeddings of 7 numbers, .* take 5: set text_dim of both networks to 7")
    refused(
        embedded(), vectors._replace(wrong=None), ValueError, "the data serve none: use datamodules.CaptionedFolder"
    )
    refused(StackGAN(), vectors._replace(wrong=None), ValueError, "set model.matching to 0")
    with pytest.raises(ValueError, match="takes embeddings of 5 numbers, and GANINTCLSDiscriminator has 6"):
        GANINTCLS(GANINTCLSGenerator(6, 5, width=4), GANINTCLSDiscriminator(6, width=4))
    with pytest.raises(ValueError, match="makes images of no text"):
        dcgan().sampler.with_texts(["a"])


def test_without_captions_of_the_data_there_are_no_prompts(tmp_path: Path) -> None:
    model = embedded()
    with pytest.raises(ValueError, match="knows none yet"):
        model.sample(2)
    path = checkpoint(model, tmp_path / "model.ckpt")
    with pytest.raises(ValueError, match="does not know how its captions were coded"):
        load(path).with_texts(["a red flower"])
    assert model.sample(2, torch.zeros(2, 5), seed=0).shape == (2, 1, 16, 16)


def test_the_papers_networks_are_counted_on_the_authors_layers() -> None:
    def bottleneck(channels: int, inner: int) -> int:
        return channels * inner + 9 * inner * inner + 9 * inner * channels + 4 * inner + 2 * channels

    def count(network: Any) -> int:
        return sum(p.numel() for p in network.parameters())

    project = 1024 * 128 + 128
    generator = project + 228 * 1024 * 16 + 16 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3)
    generator += bottleneck(1024, 256) + bottleneck(512, 128) + 2 * (1024 + 512 + 256 + 128)
    with torch.device("meta"):
        assert count(GANINTCLSGenerator()) == generator
        discriminator = project + 256 + 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 2 * (128 + 256 + 512)
        discriminator += bottleneck(512, 128) + 640 * 512 + 2 * 512 + 512 * 16
        assert count(GANINTCLSDiscriminator()) == discriminator


def test_upsampling_by_interpolation_takes_the_place_of_all_transposed_convolutions_but_the_first() -> None:
    with torch.device("meta"):
        transposed, nearest = (GANINTCLSGenerator(upsampling=how) for how in ("transposed", "nearest"))
    kinds = [[type(layer) for layer in network.net] for network in (transposed, nearest)]
    assert [each.count(torch.nn.ConvTranspose2d) for each in kinds] == [5, 1]
    assert kinds[1].count(torch.nn.Upsample) == 4
    fewer = sum(p.numel() for p in transposed.parameters()) - sum(p.numel() for p in nearest.parameters())
    assert fewer == (16 - 9) * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3)
    with pytest.raises(ValueError, match='upsampling must be "transposed", "nearest" or "bilinear", not \'cubic\''):
        GANINTCLSGenerator(upsampling="cubic")  # type: ignore[arg-type]
