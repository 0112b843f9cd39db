"""Any adversarial loss plays with any generator and discriminator, named in YAML."""

import inspect
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser

from gan_lightning import losses
from gan_lightning.losses import AdversarialLoss
from gan_lightning.training.adversarial import AdversarialModule
from toys import ToyLoader, equal, trainer, weights

LOSSES = [
    name
    for name, thing in vars(losses).items()
    if inspect.isclass(thing) and issubclass(thing, AdversarialLoss) and not inspect.isabstract(thing)
]
NEEDED: dict[str, dict[str, Any]] = {
    "AlternativeUpdate": {"divergence": "gan_lightning.losses.SquaredHellinger"},
    "WeightedGenerator": {"loss": "gan_lightning.losses.Hinge", "weight": 0.5},
}
SMALL: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 4}
FLAT: dict[str, Any] = {"image_size": 16, "channels": 1, "hidden": [8]}
NETWORKS = {
    "MLP": (FLAT, FLAT),
    "DCGAN": (SMALL, SMALL),
    "Residual": (SMALL, SMALL),
}


@pytest.fixture(scope="module")
def parser() -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(AdversarialModule, "model", required=False)
    parser.add_subclass_arguments(AdversarialLoss, "loss", required=False)
    return parser


def described(loss: str) -> dict[str, Any]:
    return {"class_path": f"gan_lightning.losses.{loss}", "init_args": NEEDED.get(loss, {})}


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("loss", LOSSES)
def test_two_steps_move_both_networks(loss: str, family: str, parser: ArgumentParser) -> None:
    torch.manual_seed(0)
    said: dict[str, Any] = {
        player: {"class_path": f"gan_lightning.networks.{family}{player.title()}", "init_args": dict(arguments)}
        for player, arguments in zip(("generator", "discriminator"), NETWORKS[family], strict=True)
    }
    said["generator"]["init_args"]["latent_dim"] = 6
    said["loss"] = described(loss)
    config = parser.parse_object({"model": {"class_path": "gan_lightning.models.DCGAN", "init_args": said}})
    model = parser.instantiate(config).model
    assert type(model.loss).__name__ == loss

    before = {player: weights(getattr(model, player)) for player in ("generator", "discriminator")}
    trainer(max_epochs=1).fit(model, ToyLoader(torch.rand(2, 4, 1, 16, 16) * 2 - 1))
    assert model.batches_seen == 2
    for player, old in before.items():
        new = weights(getattr(model, player))
        assert not equal(old, new), f"the {player} has not learnt"
        assert all(p.isfinite().all() for p in new.values())


@pytest.mark.parametrize("loss", LOSSES)
def test_patch_maps_are_judged_as_well(loss: str, parser: ArgumentParser) -> None:
    """A discriminator of many logits an image, (N, 1, h, w)."""
    made = parser.instantiate(parser.parse_object({"loss": described(loss)})).loss
    real, fake = torch.randn(2, 3, 1, 4, 4).requires_grad_()
    for value in (made.discriminator(real, fake), made.generator(fake, lambda: real)):
        assert value.shape == ()
        (pull,) = torch.autograd.grad(value, fake, retain_graph=True)
        assert pull.shape == fake.shape
