"""torch.compile as a switch: the same first losses, penalties eager, plain names in the checkpoint."""

import pytest
import torch
from torch import Tensor

from datamodules import Digits
from gan_lightning.models import WGANGP
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from toys import trainer


@pytest.mark.slow
def test_compiled_networks_train_like_eager_ones() -> None:
    def losses(compiled: bool) -> tuple[dict[str, Tensor], WGANGP]:
        torch.manual_seed(0)
        model = WGANGP(
            DCGANGenerator(image_size=16, channels=1, width=4),
            DCGANDiscriminator(image_size=16, channels=1, width=4, norm="none"),
            n_critic=1,
            compile=compiled,
        )
        trainer(max_steps=3, max_epochs=-1, limit_val_batches=0).fit(
            model, datamodule=Digits(image_size=16, batch_size=8)
        )
        return model._terms, model

    eager, _ = losses(False)
    compiled, model = losses(True)
    assert {"loss/discriminator/gradient_penalty", "loss/generator"} <= compiled.keys()
    for name, value in eager.items():
        torch.testing.assert_close(compiled[name], value, rtol=1e-3, atol=1e-4)
    assert not any("_orig_mod" in name for name in model.state_dict())
