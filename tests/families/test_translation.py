"""The base class of unpaired translators: the evaluated direction, cycle errors, weights from other runs, by part."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from gan_lightning.data.batches import UnpairedBatch
from gan_lightning.models import CycleGAN
from gan_lightning.recording import Network
from models.test_pix2pix import pix2pix
from models.test_vae_gan import vae_gan
from toys import equal, trainer


class Times(Network):
    """A generator that multiplies by a number; or a discriminator whose map of logits it is."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, images: Tensor) -> Tensor:
        return images * self.factor


def model(**how: Any) -> CycleGAN:
    """G halves and F multiplies by 2.4, so a cycle multiplies by 1.2."""
    return CycleGAN(Times(0.5), Times(2.4), Times(1.0), Times(1.0), **how)


def batch(count: int, level: float) -> UnpairedBatch:
    return UnpairedBatch(torch.full((count, 3, 8, 8), level), torch.full((count, 3, 8, 8), level / 4))


def test_either_direction_is_evaluated() -> None:
    images = batch(2, 0.8)
    assert torch.allclose(model().generate(images), torch.tensor(0.4))
    assert torch.equal(model().reference(images), images.real_b)
    back = model(evaluated="b_to_a")
    assert torch.allclose(back.generate(images), torch.tensor(0.2 * 2.4))
    assert torch.equal(back.reference(images), images.real_a)


@pytest.mark.parametrize("evaluated", ["a_to_b", "b_to_a"])
def test_evaluations_log_the_cycle_errors_of_their_images_alone(evaluated: str) -> None:
    translator = model(evaluated=evaluated)
    batches: Any = [batch(3, 0.8), batch(1, 0.4)]
    loader = DataLoader(batches, batch_size=None)
    for _ in range(2):
        (logged,) = trainer().validate(translator, loader, verbose=False)
        # a fifth of each level, of which the range has two units, over four images
        assert logged["val/cycle_a"] == pytest.approx(0.2 * (3 * 0.8 + 0.4) / 4 / 2)
        assert logged["val/cycle_b"] == pytest.approx(logged["val/cycle_a"] / 4)
    (tested,) = trainer().test(translator, loader, verbose=False)
    assert tested == {name.replace("val", "test"): value for name, value in logged.items()}
    (made, _) = trainer().predict(translator, loader)
    assert torch.equal(made, translator.generate(batches[0]))
    fit = trainer(max_epochs=1)
    fit.fit(translator, loader, loader)  # evaluations by themselves are under torch.inference_mode, and in training not
    assert fit.callback_metrics["val/cycle_a"] != pytest.approx(logged["val/cycle_a"])


def test_parts_start_from_other_runs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    autoencoder, other = vae_gan(ema_half_life=10), vae_gan()
    files = {}
    for name, model in (("encoder", autoencoder), ("generator", other)):
        run = trainer()
        run.strategy.connect(model)
        files[name] = tmp_path / f"{name}.ckpt"
        run.save_checkpoint(files[name])
    model = vae_gan(ema_half_life=10)
    before = {name: value.clone() for name, value in model.discriminator.state_dict().items()}
    model.load_weights(files)
    assert equal(model.encoder.state_dict(), autoencoder.encoder.state_dict())
    assert equal(model.generator.state_dict(), other.generator.state_dict())
    assert equal(model.averaged_generator.state_dict(), other.generator.state_dict())
    assert equal(model.discriminator.state_dict(), before)
    model.load_weights(files["encoder"])
    assert equal(model.state_dict(), autoencoder.state_dict())

    with pytest.raises(ValueError, match="VAEGAN has no part 'decoder': choose generator, discriminator"):
        model.load_weights({"decoder": files["encoder"]})
    with pytest.raises(ValueError, match=r"the generator in .* is another network than"):
        pix2pix().load_weights({"generator": files["encoder"]})
    with pytest.raises(FileNotFoundError, match="to take the encoder from"):
        model.load_weights({"encoder": tmp_path / "absent.ckpt"})
