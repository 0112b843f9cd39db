"""pix2pixHD: its losses by hand, coarse to fine, the choice among styles, and label files."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, l1_loss

from gan_lightning.data.batches import PairedBatch
from gan_lightning.data.description import DataDescription
from gan_lightning.data.files import read_image
from gan_lightning.data.images import to_float, write_png
from gan_lightning.inference import Choice
from gan_lightning.inference.stored import ImageTranslation
from gan_lightning.losses import FeatureLoss
from gan_lightning.models import Pix2PixHD
from gan_lightning.networks import InstanceEncoder, MultiScale, PatchGAN, Pix2PixHDGenerator
from gan_lightning.prediction import translate_folder
from gan_lightning.training.adversarial import AdversarialModule
from tiny import SIZE, batch_for, data_for, images
from toys import equal, trainer, weights

CLASSES = 3


def pix2pix_hd(enhancers: int = 0, **how: Any) -> Pix2PixHD:
    """Three classes with instances to RGB, with two features of instances."""
    generator = Pix2PixHDGenerator(
        CLASSES, width=8, halvings=2, blocks=1, enhancers=enhancers, enhancer_blocks=1, features=2, clusters=3
    )
    patch = partial(PatchGAN, in_channels=CLASSES + 1 + 3, width=4, receptive_field=16, norm="instance", padding=2)
    encoder = InstanceEncoder(features=2, width=2, halvings=2)
    return Pix2PixHD(generator, MultiScale(patch, scales=2), encoder=encoder, **how)


def pix2pix_hd_batch(count: int, seed: int) -> PairedBatch:
    """Three classes by the brightness of the picture, the left and the right half as instances."""
    picture = images(count, 3, seed)
    classes = ((picture.mean(dim=1) + 1) / 2 * CLASSES).long().clamp(0, CLASSES - 1)
    instance = (torch.arange(SIZE) >= SIZE // 2).long().expand(count, SIZE, SIZE)
    return PairedBatch(to_float(torch.stack([classes, 0 * instance, instance], dim=1).to(torch.uint8)), picture)


def test_the_losses_are_those_of_the_paper() -> None:
    torch.manual_seed(0)
    model = pix2pix_hd().eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    planes = model.generator.planes(batch.source)

    def layers_of(image: Tensor) -> list[list[Tensor]]:
        """All layers of both discriminators, the logits last."""
        found, x = [], torch.cat([planes, image], 1)
        for network in model.discriminator.scales:  # type: ignore[union-attr]
            y, layers = x, []
            for layer in network.net:
                y = layer(y)
                layers += [y] if isinstance(layer, nn.LeakyReLU) else []
            found.append([*layers, y])
            x = avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return found

    real_layers, fake_layers = layers_of(batch.target), layers_of(fake)
    terms = model.discriminator_loss(batch, fake)
    halves = [
        0.5 * ((real[-1] - 1).square().mean() + made[-1].square().mean())
        for real, made in zip(real_layers, fake_layers, strict=True)
    ]
    torch.testing.assert_close(terms["adversarial"], torch.stack(halves).mean())

    terms = model.generator_loss(batch, fake)
    assert terms.keys() == {"adversarial", "layer_matching"}
    expected = torch.stack([(made[-1] - 1).square().mean() for made in fake_layers]).sum()  # summed over scales
    torch.testing.assert_close(terms["adversarial"], expected)
    matched = [
        l1_loss(made, real)
        for real_scale, fake_scale in zip(real_layers, fake_layers, strict=True)
        for real, made in zip(real_scale[:-1], fake_scale[:-1], strict=True)
    ]
    assert len(matched) == 2 * 2
    torch.testing.assert_close(terms["layer_matching"], 10 * torch.stack(matched).sum() / 2)


def test_terms_that_are_turned_off_and_the_perceptual_one() -> None:
    torch.manual_seed(0)
    batch = batch_for(pix2pix_hd())
    assert pix2pix_hd(lambda_layers=0.0).generator_loss(batch, batch.target).keys() == {"adversarial"}
    content = FeatureLoss(nn.Sequential(nn.Conv2d(3, 4, 3)), {"0": 1.0})
    model = pix2pix_hd(perceptual=content, lambda_perceptual=2.0)
    fake = model.draw_fakes(batch)
    terms = model.generator_loss(batch, fake)
    torch.testing.assert_close(terms["perceptual"], 2 * content(fake, batch.target))


def test_the_encoder_learns_with_the_generator_and_not_with_the_discriminators() -> None:
    torch.manual_seed(0)
    model = pix2pix_hd(n_critic=2)
    before = weights(model.encoder)  # type: ignore[arg-type]
    trainer(max_epochs=1).fit(model, data_for(model, batches=1))
    assert equal(before, weights(model.encoder))  # type: ignore[arg-type]
    trainer(max_epochs=1).fit(model, data_for(model, batches=1))
    assert not equal(before, weights(model.encoder))  # type: ignore[arg-type]


def test_the_fine_generator_starts_from_the_coarse_one_which_is_fixed_at_first(tmp_path: Path) -> None:
    torch.manual_seed(0)
    coarse = pix2pix_hd()
    run = trainer(max_epochs=1)
    run.fit(coarse, data_for(coarse, batches=2))
    run.save_checkpoint(tmp_path / "coarse.ckpt")
    fine = pix2pix_hd(enhancers=1, fixed_epochs=1)
    with pytest.warns(UserWarning, match="these layers start anew"):
        fine.load_weights(tmp_path / "coarse.ckpt")
    learnt = weights(coarse.generator.coarse)
    assert equal(learnt, weights(fine.generator.coarse))
    anew = weights(fine.generator.enhancer_ups)
    trainer(max_epochs=1).fit(fine, data_for(fine, batches=2))
    assert equal(learnt, weights(fine.generator.coarse))
    assert not equal(anew, weights(fine.generator.enhancer_ups))
    again = trainer(max_epochs=2)
    again.fit(fine, data_for(fine, batches=2))
    assert not equal(learnt, weights(fine.generator.coarse))


def test_training_collects_features_and_a_checkpoint_has_their_clusters(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = pix2pix_hd(ema_half_life=10)
    run = trainer(max_epochs=3)
    data = data_for(model, batches=2)
    run.fit(model, data)
    seen = sum(torch.stack([classes_are(b, number).any(dim=(1, 2)).sum() for number in range(CLASSES)]) for b in data)
    assert torch.equal(model.memory.counts, 3 * seen)
    run.save_checkpoint(tmp_path / "a.ckpt")
    loaded = AdversarialModule.load_from_checkpoint(tmp_path / "a.ckpt")
    centres, found = loaded.translator.network().centres, loaded.translator.network().found
    assert found.tolist() == [3, 3, 3]
    assert torch.equal(centres, model.generator.centres)
    for number in range(CLASSES):
        known = model.memory.values[number, : model.memory.counts[number]]
        assert torch.cdist(centres[number], known).amin(dim=1).max() < 0.5 * known.std() + 1e-3


def test_styles_choose_among_the_centres() -> None:
    torch.manual_seed(0)
    model = pix2pix_hd()
    model.generator.centres.normal_()
    model.generator.found.fill_(3)
    source = batch_for(model).source
    one, again, other = (model.translate(source, choice=Choice(style_seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other, atol=1e-3)
    assert model.translator.style_dim == CLASSES
    assert not model.translator.takes_example


def test_label_files_are_translated_by_the_labels_of_the_data() -> None:
    model = pix2pix_hd()
    label_maps, shapes = {256 + 0xFF0000: 0, 256 + 0x00FF00: 1, 256: 2}, {}
    model.check_data(DataDescription(PairedBatch, 4, CLASSES, shapes, labels=label_maps))
    translate = ImageTranslation(model.translator)
    colours = torch.zeros(3, 18, 30, dtype=torch.uint8)  # of no size that the network takes
    colours[0, :9], colours[1, 9:] = 255, 255
    made = translate(colours)
    assert made.shape == (3, 18, 30)
    grey = ImageTranslation(pix2pix_hd_like(model, {0: 0, 1: 1, 2: 2}).translator)
    levels = torch.zeros(1, 18, 30, dtype=torch.uint8)
    levels[:, 9:] = 1
    assert torch.equal(grey(levels), made)
    assert torch.equal(grey(torch.cat([levels, 0 * levels, 0 * levels])), made)  # one instance a class
    instances = torch.cat([levels, 0 * levels, 0 * levels])
    instances[2, :, 15:] = 7
    assert not torch.equal(grey(instances), made)
    assert grey(torch.cat([levels, 0 * levels])).shape == (4, 18, 30)  # with alpha
    deep = levels.to(torch.uint16)
    assert torch.equal((grey(deep).int() + 128).div(257, rounding_mode="floor").to(torch.uint8), made)
    with pytest.raises(ValueError, match=r"it has 1 colours that are not in the palette: #010203"):
        translate(torch.tensor([1, 2, 3], dtype=torch.uint8)[:, None, None].expand(3, 16, 16))
    with pytest.raises(ValueError, match=r"it has 1 grey levels that are not in .*: 9"):
        grey(torch.full((1, 16, 16), 9, dtype=torch.uint8))


def pix2pix_hd_like(model: Pix2PixHD, table: dict[int, int]) -> Pix2PixHD:
    """Return the same model, whose data had other labels."""
    other = pix2pix_hd()
    other.load_state_dict(model.state_dict())
    other.generator.planes.table = table
    return other


def test_other_classes_than_the_networks_are_an_error() -> None:
    with pytest.raises(ValueError, match="label maps have 4 classes, and the generator of Pix2PixHD knows 3: set its"):
        pix2pix_hd().check_data(DataDescription(PairedBatch, 4, 4))
    with pytest.raises(TypeError, match="the generator takes 3 features, and the encoder makes 0"):
        Pix2PixHD(Pix2PixHDGenerator(3, width=8, halvings=2, blocks=1, features=3), nn.Identity())
    with pytest.raises(TypeError, match="Linear has no `planes`"):
        Pix2PixHD(nn.Linear(1, 1), nn.Identity())


def test_a_preview_colours_the_classes() -> None:
    model = pix2pix_hd()
    batch = batch_for(model)
    shown, columns = model.preview(batch, 2)
    rows = shown.unflatten(0, (2, columns))
    classes = ((batch.source[:2, :1] + 1) * 127.5).round()
    torch.testing.assert_close(rows[:, 0], (classes - 1).expand(-1, 3, -1, -1))  # black, grey, white
    assert torch.equal(rows[:, 3], batch.target[:2])
    model.generator.planes.table = {256 + 0xFF0000: 0, 256 + 0x00FF00: 1, 256: 2}
    red = model.coloured(batch.source)[:, 0]
    assert torch.equal(red == 1, classes_are(batch, 0))


def classes_are(batch: PairedBatch, number: int) -> Tensor:
    return ((batch.source[:, 0] + 1) * 127.5).round() == number


def test_a_folder_of_label_files_is_translated_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    for number, level in enumerate((0, 2, 9)):
        write_png(torch.full((1, 16, 20), level, dtype=torch.uint8), tmp_path / "maps" / "town" / f"{number}.png")
    summary = translate_folder(pix2pix_hd(), tmp_path / "maps", tmp_path / "out")
    assert (summary.made, len(summary.failures)) == (2, 1)
    assert "2.png cannot be translated: it has 1 grey levels that are not in" in summary.failures[0]
    assert read_image(tmp_path / "out" / "town" / "0.png").shape == (3, 16, 20)
    assert not (tmp_path / "out" / "town" / "2.png").exists()
