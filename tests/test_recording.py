"""Objects as plain data and back: the content that a checkpoint may have, and the objects that it may make."""

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from torch import nn
from torch.optim import SGD, Adam

from gan_lightning.losses import LeastSquares
from gan_lightning.models import DCGAN, WGANGP
from gan_lightning.networks import DCGANDiscriminator, DCGANGenerator, MLPGenerator
from gan_lightning.recording import Network, describe, import_class, path_of, rebuild
from gan_lightning.schedules import LinearToZero
from gan_lightning.training.adversarial import TRUSTED, AdversarialModule
from toys import ToyGAN, ToyGenerator

OURS = ("gan_lightning", "torch", "toys", __name__)


class Pair(Network):
    """Two arguments by place, some by name, and any others."""

    def __init__(self, a: int, b: Any = 2, *, c: str = "c", **rest: Any) -> None:
        super().__init__()
        self.values = (a, b, c, rest)


class Outer:
    """A class that records nothing."""


# ------------------------------------------------------------------ recording


def test_arguments_are_kept_by_name_however_they_were_given() -> None:
    assert Pair(1).init_args == {"a": 1}
    assert Pair(1, 3, c="x", d=4).init_args == {"a": 1, "b": 3, "c": "x", "d": 4}
    assert Pair(b=1, a=2).init_args == {"a": 2, "b": 1}


def test_a_subclass_records_what_it_was_itself_given() -> None:
    class Narrow(Pair):
        def __init__(self, width: int) -> None:
            super().__init__(1, width)

    assert Narrow(7).init_args == {"width": 7}


def test_a_network_may_be_copied_and_saved() -> None:
    import copy

    network = DCGANGenerator(6, image_size=16, channels=1, width=4)
    again = copy.deepcopy(network)
    assert again.init_args == network.init_args
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), network.parameters(), strict=True))
    assert "init_args" not in network.state_dict()


# ------------------------------------------------------------------ there and back


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 0.5, "text", float("inf"), [1, [2, None]], {"a": {"b": [1]}}],
)
def test_plain_data_stay_as_they_are(value: Any) -> None:
    assert describe(value) == value
    assert rebuild(describe(value), OURS) == value
    assert type(describe(value)) is type(value)


def test_what_yaml_does_not_know_becomes_what_it_does() -> None:
    assert describe((1, (2, 3))) == [1, [2, 3]]
    assert describe(frozenset({5})) == [5]
    assert describe(Path("a") / "b") == "a/b"
    assert describe({1: "x"}) == {"1": "x"}


def test_an_object_is_its_class_and_its_arguments() -> None:
    described = describe(LinearToZero(1, end=5, unit="batch"))
    assert described == {
        "class_path": "gan_lightning.schedules.LinearToZero",
        "init_args": {"start": 1, "end": 5, "unit": "batch"},
    }
    json.dumps(described)
    again = rebuild(described, TRUSTED)
    assert vars(again) == vars(LinearToZero(1, 5, "batch"))


def test_objects_inside_objects_come_back() -> None:
    nested = Pair(Pair(1, [LeastSquares(fake_label=-1.0)]), {"k": Pair(2)})  # type: ignore[arg-type]
    again = rebuild(json.loads(json.dumps(describe(nested))), OURS)
    assert again.values[0].values[1][0].fake_label == -1
    assert again.values[1]["k"].values[0] == 2
    assert describe(again) == describe(nested)


def test_a_partial_is_the_class_that_it_makes() -> None:
    described = describe(functools.partial(Adam, lr=0.1, betas=(0.0, 0.9)))
    assert described == {
        "class_path": "torch.optim.adam.Adam",
        "init_args": {"lr": 0.1, "betas": [0.0, 0.9]},
        "partial": True,
    }
    again = rebuild(described, TRUSTED)
    assert isinstance(again, functools.partial)
    optimizer = again(nn.Linear(2, 2).parameters())
    assert type(optimizer) is Adam
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_a_partial_from_yaml_is_the_class_that_it_makes() -> None:
    """The factory that jsonargparse makes for an optimizer in YAML."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(AdversarialModule, "model")
    toy = {
        "class_path": "toys.ToyGAN",
        "init_args": {
            "generator_optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.3, "momentum": 0.9}}
        },
    }
    model = parser.instantiate_classes(parser.parse_object({"model": toy})).model
    described = describe(model.init_args)["generator_optimizer"]
    assert described["class_path"] == "torch.optim.sgd.SGD"
    assert (described["init_args"]["lr"], described["init_args"]["momentum"]) == (0.3, 0.9)
    again = rebuild(described, TRUSTED)(nn.Linear(1, 1).parameters())
    assert type(again) is SGD
    assert again.param_groups[0]["momentum"] == 0.9


def test_a_class_without_arguments_is_named() -> None:
    assert describe(Adam) == {"class_path": "torch.optim.adam.Adam", "init_args": {}, "partial": True}
    assert isinstance(rebuild(describe(Adam), TRUSTED), functools.partial)


@pytest.mark.parametrize("path", ["python", "defaults"])
def test_a_model_says_how_it_was_built(path: str) -> None:
    given = {"generator": MLPGenerator(image_size=16, hidden=(8,)), "ema_half_life": 10.0} if path == "python" else {}
    model = ToyGAN(**given, n_critic=3)
    described = dict(model.hparams)
    assert described.pop("_class_path") == "toys.ToyGAN"
    assert described.pop("n_critic") == 3
    if path == "python":
        assert described["generator"]["init_args"] == {"image_size": 16, "hidden": [8]}
        assert rebuild(described["generator"], TRUSTED).image_shape == (1, 16, 16)
    else:
        assert described == {}


def test_a_model_that_was_described_can_be_built_again() -> None:
    size: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 4}
    model = WGANGP(DCGANGenerator(6, **size), DCGANDiscriminator(**size, norm="none"), lambda_gp=3, n_critic=2)
    again = rebuild(describe(model), TRUSTED)
    assert type(again) is WGANGP
    assert (again.lambda_gp, again.n_critic, again.latent_dim) == (3, 2, 6)
    assert again.state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize("number", [np.float64(0.25), np.float32(0.25), np.int64(3), np.bool_(True)])
def test_numbers_of_a_sweep_in_numpy_are_numbers(number: Any, tmp_path: Path) -> None:
    torch.save(describe(functools.partial(Adam, lr=number)), tmp_path / "a.pt")
    (value,) = torch.load(tmp_path / "a.pt", weights_only=True)["init_args"].values()
    assert value == number.item()
    assert type(value) is type(number.item())


# ------------------------------------------------------------------ what was not recorded


def test_what_does_not_record_itself_is_marked_and_named_on_loading() -> None:
    described = describe({"generator": nn.Linear(2, 3)})
    assert described == {"generator": {"class_path": "torch.nn.modules.linear.Linear", "unrecorded": True}}
    with pytest.raises(ValueError, match=r"how its torch.nn.modules.linear.Linear was built.*pass the object itself"):
        rebuild(described, TRUSTED)
    assert describe(Outer()) == {"class_path": f"{__name__}.Outer", "unrecorded": True}


# ------------------------------------------------------------------ what a file may ask for


@pytest.mark.parametrize(
    "path",
    [
        *("subprocess.Popen", "os.system", "builtins.eval", "lightning.Trainer", "torchevil.Thing", "Thing", ""),
        *("torch.load", "torch.os", "torch.hub.load", "torch.nnevil.Thing", "torch.multiprocessing.Process"),
    ],
)
def test_classes_of_other_packages_are_not_imported(path: str) -> None:
    with pytest.raises(PermissionError, match=r"outside the trusted packages gan_lightning, torch\.nn, torch\.optim"):
        rebuild({"class_path": path, "init_args": {}}, TRUSTED)


def test_foreign_classes_are_refused_however_deep() -> None:
    evil = {"class_path": "subprocess.Popen", "init_args": {"args": "true"}}
    inside = {"class_path": path_of(Pair), "init_args": {"a": [{"b": evil}]}}
    with pytest.raises(PermissionError, match=r"subprocess\.Popen"):
        rebuild({"x": [inside]}, OURS)


@pytest.mark.parametrize("path", ["torch.nn.functional.relu", "torch.nn.Nothing", "torch.nn.init"])
def test_what_is_no_class_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="which is not a class"):
        import_class(path, TRUSTED)


def test_a_class_of_a_module_that_is_gone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gan_lightning\.models\.gone\.Gone"):
        import_class("gan_lightning.models.gone.Gone", TRUSTED)


def test_a_package_can_be_trusted() -> None:
    assert import_class("toys.ToyGenerator", (*TRUSTED, "toys")) is ToyGenerator
    with pytest.raises(PermissionError, match=r"name its package in `trusted` \(--trusted on a command line\)"):
        import_class("toys.ToyGenerator", TRUSTED)
    assert import_class(path_of(DCGAN), TRUSTED) is DCGAN


def test_a_class_of_torch_that_starts_a_program_is_refused(tmp_path: Path) -> None:
    module = "torch.distributed.elastic.multiprocessing.subprocess_handler"
    arguments = {"entrypoint": "touch", "args": [str(tmp_path / "pwned")], "env": {}, "stdout": None, "stderr": None}
    arguments |= {"local_rank_id": 0, "numa_options": None}
    try:
        made = rebuild({"class_path": f"{module}.SubprocessHandler", "init_args": arguments}, TRUSTED)
    except PermissionError:
        return
    made.proc.wait()
    pytest.fail(f"a program was started, and its file is there: {(tmp_path / 'pwned').exists()}")
