"""torch.compile as a switch: the same first losses, penalties eager, plain names in the checkpoint."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datamodules import Digits
from every_model import MODELS
from gan_lightning.models import WGANGP
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator
from tiny import resting
from toys import trainer
from training.test_stops import Stored


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


@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_compilation_reaches_every_layer_that_learns(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`torch.compile` is replaced by a mark on the calls that it would have compiled."""
    inside: list[bool] = []
    calls: dict[bool, Counter[nn.Module]] = {True: Counter(), False: Counter()}

    def marked(function: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
        def call(*args: Any, **how: Any) -> Any:
            inside.append(True)
            try:
                return function(*args, **how)
            finally:
                inside.pop()

        return call

    monkeypatch.setattr(torch, "compile", marked)
    model = build(compile=True)
    layers = [
        part
        for module in model.learners()
        for part in module.modules()
        if any(p.requires_grad for p in part.parameters(recurse=False)) and not isinstance(part, nn.ParameterList)
    ]
    for module in model.learners():  # of other sizes than that of a growing network
        idle = {name.rpartition(".")[0] for name in resting(module)}
        layers = [layer for layer in layers if layer not in {p for name, p in module.named_modules() if name in idle}]
    for layer in layers:
        layer.register_forward_hook(lambda layer, *_: calls[bool(inside)].update([layer]) if layer.training else None)
    data = Stored(model)
    trainer(max_epochs=3, limit_val_batches=0).fit(model, data)
    assert layers
    assert [layer for layer in layers if not calls[True][layer]] == []
    # their penalties take gradients of gradients, which no compiled module has
    twice_differentiated = {"WGANGP", "R3GAN", "ProGAN", "StarGAN", "StyleGAN", "StyleGAN2"}
    if type(model).__name__ not in twice_differentiated:
        assert not calls[False]
