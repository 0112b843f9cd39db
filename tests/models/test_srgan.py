"""SRGAN and the run before it: losses by hand, the start from a checkpoint, the content of a checkpoint."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import interpolate

from gan_lightning.data.batches import PairedBatch
from gan_lightning.losses import FeatureLoss, RelativisticAverage, VGG19Loss
from gan_lightning.models import SRGAN, SRResNet
from gan_lightning.networks import Bicubic, RRDBGenerator, SRResNetGenerator, VGGDiscriminator
from gan_lightning.recording import Network
from gan_lightning.training.generative import GenerativeModule
from models.test_srresnet import srresnet
from tiny import SIZE, Batches, batch_for, data_for, images
from toys import equal, trainer, weights


def srgan(**how: Any) -> SRGAN:
    """Return a model from 8x8 to 16x16, without a network for the content loss."""
    networks = (
        SRResNetGenerator(3, width=4, blocks=1, scale=2),
        VGGDiscriminator(SIZE, 3, width=4, stages=2, hidden=8),
    )
    return SRGAN(*networks, **{"lambda_content": 0, "lambda_l1": 1.0} | how)


def srgan_batch(count: int, seed: int) -> PairedBatch:
    target = images(count, 3, seed)
    return PairedBatch(nn.functional.avg_pool2d(target, 2), target)


class Sharp(Network):
    """A fixed network: differences of neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 2, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([[1.0, -1.0], [0.0, 0.0]]).expand(1, 3, 2, 2))

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(images)


def fitted(model: GenerativeModule, folder: Path) -> Path:
    """The checkpoint of a short run."""
    torch.manual_seed(0)
    saving = ModelCheckpoint(folder, filename="last")
    trainer(folder, max_epochs=1, enable_checkpointing=True, callbacks=[saving]).fit(
        model, Batches([batch_for(srgan(), seed=i) for i in range(3)])
    )
    return folder / "last.ckpt"


@pytest.mark.parametrize("game", [None, RelativisticAverage()])
def test_the_losses_are_those_of_the_papers(game: Any) -> None:
    torch.manual_seed(0)
    content = FeatureLoss(Sharp(), {"conv": 1.0}, "mse")
    model = srgan(loss=game, content=content, lambda_content=0.5, lambda_adversarial=0.1, lambda_l1=2.0).eval()
    batch = batch_for(model)
    fake = model.draw_fakes(batch)
    real_logits, fake_logits = model.discriminator(batch.target), model.discriminator(fake)
    ones, zeros = torch.ones(4), torch.zeros(4)
    if game is None:
        of_d = bce(real_logits, ones) + bce(fake_logits, zeros)
        of_g = bce(fake_logits, ones)
    else:
        real, made = real_logits - fake_logits.mean(), fake_logits - real_logits.mean()
        of_d = bce(real, ones) + bce(made, zeros)
        of_g = bce(made, ones) + bce(real, zeros)
    torch.testing.assert_close(model.discriminator_loss(batch, fake), {"adversarial": of_d})
    error = fake - batch.target
    sharp = (error[:, :, :-1, :-1] - error[:, :, :-1, 1:]).sum(1)
    expected = {
        "adversarial": 0.1 * of_g,
        "content": 0.5 * sharp.square().mean(),
        "l1": 2.0 * error.abs().mean(),
    }
    torch.testing.assert_close(model.generator_loss(batch, fake), expected)


def test_the_defaults_are_the_papers() -> None:
    model = srgan()
    default = SRGAN(model.generator, model.discriminator)
    assert isinstance(default.content, VGG19Loss)
    assert (default.content.layers, default.content.distance) == ({"relu5_4": 1.0}, "mse")
    assert (default.lambda_content, default.lambda_adversarial, default.lambda_l1) == (0.006, 1e-3, 0)
    assert SRResNet(model.generator).distance == "mse"


def test_missing_weights_of_the_content_loss_end_a_run_before_its_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.delenv("GAN_LIGHTNING_VGG19", raising=False)
    model = srgan(content=None, lambda_content=0.006)
    with pytest.raises(FileNotFoundError, match="GAN_LIGHTNING_VGG19"):
        trainer(max_epochs=1).fit(model, data_for(model))
    assert model.batches_seen == 0
    model.translate(batch_for(model).source)  # which needs no such network


@pytest.mark.parametrize("half_life", [0, 1e6])
def test_it_starts_from_the_images_that_the_first_run_ends_with(half_life: float, tmp_path: Path) -> None:
    before = srresnet(ema_half_life=half_life, ema_warm_up=0)
    checkpoint = fitted(before, tmp_path)
    after = srgan(pretrained=checkpoint, ema_half_life=10)
    source = batch_for(after).source
    torch.testing.assert_close(after.translate(source), before.translate(source), rtol=0, atol=1e-5)
    assert equal(weights(after.generator), weights(before.averaged_generator))
    assert equal(weights(after.generator), weights(before.generator)) == (half_life == 0)
    assert not torch.equal(srgan().translate(source), before.translate(source))


def test_a_trained_model_needs_neither_the_first_run_nor_the_content_losss_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fitted(srresnet(), tmp_path / "first")
    model = srgan(pretrained=first, content=VGG19Loss({"relu1_1": 1.0}))
    second = fitted(model, tmp_path / "second")
    first.unlink()
    again = GenerativeModule.load_from_checkpoint(second)
    assert isinstance(again, SRGAN)
    assert equal(weights(model), weights(again))
    assert isinstance(again.content, VGG19Loss)
    assert again.content.layers == {"relu1_1": 1.0}


def test_the_error_names_a_file_that_it_cannot_start_from(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*best\.ckpt.*train it first"):
        srgan(pretrained=tmp_path / "best.ckpt")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    with pytest.raises(ValueError, match=r"text\.ckpt is not a checkpoint"):
        srgan(pretrained=tmp_path / "text.ckpt")
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match=r"other\.ckpt holds weights alone"):
        srgan(pretrained=tmp_path / "other.ckpt")
    rrdb = fitted(SRResNet(RRDBGenerator(3, width=4, growth=2, blocks=1, scale=2)), tmp_path)
    with pytest.raises(ValueError, match=r"last\.ckpt is another network than the SRResNetGenerator"):
        srgan(pretrained=rrdb)


def test_images_depend_neither_on_their_batch_nor_on_its_statistics(tmp_path: Path) -> None:
    model = srresnet()
    fitted(model, tmp_path)
    source = torch.cat([batch_for(srgan()).source, torch.ones(1, 3, 8, 8)])
    together = model.translate(source)
    torch.testing.assert_close(together, torch.cat([model.translate(one[None]) for one in source]))
    assert together.shape == (5, 3, 16, 16)
    assert model.training


def test_images_of_another_size_than_trainings_are_evaluated() -> None:
    model = srgan()
    target = torch.zeros(2, 3, 40, 24)
    batch = PairedBatch(torch.zeros(2, 3, 20, 12), target)
    trainer().validate(model, Batches([batch]), verbose=False)
    assert model.generate(batch).shape == target.shape


def test_bicubic_interpolation_is_a_model_that_can_be_evaluated_and_is_where_a_skip_starts() -> None:
    model = SRResNet(Bicubic(3, scale=2))
    source, target = batch_for(srgan())
    made = model.translate(source)
    expected = interpolate(source, scale_factor=2, mode="bicubic", antialias=True).clamp(-1, 1)
    assert torch.equal(made, expected)
    assert torch.equal(SRResNet(SRResNetGenerator(3, 4, 1, 2, skip="bicubic")).translate(source), expected)
    data = Batches([PairedBatch(source, target)])
    assert torch.equal(trainer().predict(model, data)[0], expected)


def test_a_preview_is_source_bicubic_fake_and_target() -> None:
    model = srresnet()
    batch = batch_for(srgan())
    shown, columns = model.preview(batch, 3)
    assert (len(shown), columns) == (12, 4)
    source, bicubic, fake, target = (shown[i::4] for i in range(4))
    assert torch.equal(source[:, :, ::2, ::2], batch.source[:3])
    assert torch.equal(bicubic, SRResNet(Bicubic(3, 2)).translate(batch.source[:3]))
    assert torch.equal(fake, model.generate(batch)[:3])
    assert torch.equal(target, batch.target[:3])
