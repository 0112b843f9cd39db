"""Starting networks from the weights of another run, or of an exported model."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor, nn

from gan_lightning.training.checkpoint_io import read_checkpoint
from gan_lightning.training.migrations import migrate
from gan_lightning.weights import exported_weights, read_weights

AVERAGED = "average.network."
"""The prefix of the names of the averaged generator's weights."""
_MOST = 8  # layers that a sentence names


def load_part(network: nn.Module, source: Path, part: str = "generator", exactly: bool = True) -> list[str]:
    """Load the weights of a part of another run's model into a network. No code from the file is run.

    Args:
        network: a network of the part's class and settings.
        source: a `.ckpt` file of any model of this library, or an exported model, which is a generator.
        part: the model's attribute: "generator", "discriminator", "encoder", ... For a generator, the moving average is
            loaded if the run kept one.
        exactly: all layers must have the shapes of the file's. False = the others start anew.

    Returns:
        The names of the layers that start anew.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file, has no such part, or the part is another network.
    """
    if not source.exists() and exported_weights(source) is None:
        raise FileNotFoundError(
            f"there is no checkpoint {source} to take the {part} from: train it first, or name another; to load or "
            "resume a trained model, leave `pretrained` out"
        )
    own = network.state_dict()
    if (file := exported_weights(source)) is not None:
        state = read_export(file, [f"generator.{name}" for name in own])
    else:
        content = read_checkpoint(source)
        migrate(content)
        state = content["state_dict"]
    prefixes = [AVERAGED, f"{part}."] if part == "generator" else [f"{part}."]
    found = ({n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)} for prefix in prefixes)
    weights = next((each for each in found if each), None)
    if weights is None:
        parts = sorted({name.partition(".")[0] for name in state} - {"average"})
        raise ValueError(f"the model in {source} has no part {part!r}: choose {', '.join(parts)}")
    fitting, anew = fitted(own, weights)
    try:
        if exactly:
            network.load_state_dict(weights)
            return []
        if len(anew) == len(layers_of(own)):
            raise RuntimeError("no layer of it has the same name and shape")
    except RuntimeError as error:
        raise ValueError(
            f"the {part} in {source} is another network than the {type(network).__name__} to be started from "
            f"it: give both the same class and settings ({error})"
        ) from error
    network.load_state_dict(fitting)
    return anew


def read_export(file: Path, names: Iterable[str]) -> dict[str, Tensor]:
    """Read the weights of an exported model, by their names in a model: "generator.net.0.weight".

    Args:
        file: its file of weights.
        names: names of the model's own weights. They tell whether its generator has several directions.

    Raises:
        ValueError: it is not such a file.
    """
    try:
        weights = read_weights(file)
    except ValueError as error:
        raise ValueError(f"{file} is not an exported model, since {error}: name another, or a checkpoint") from error
    parts = list(dict.fromkeys(name.partition(".")[0] for name in weights))  # directions, or "generator"
    several = {name.split(".")[1] for name in names if name.startswith("generator.")}
    if several & {*parts}:
        return {f"generator.{name}": value for name, value in weights.items()}
    first = next((name for name in ("a_to_b", "generator") if name in parts), parts[0] if parts else "")
    return {
        f"generator.{name.removeprefix(f'{first}.')}": value
        for name, value in weights.items()
        if name.startswith(f"{first}.")
    }


def fitted(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Return the weights to start from, and the names of the layers that start anew.

    A layer takes the given weights if all of them are there, with the same shapes and kinds of numbers.

    Args:
        own: the weights of the network.
        given: the weights of another, by name.
    """
    differing = {
        layer
        for layer, names in layers_of(own).items()
        if not all(name in given and _form(own[name]) == _form(given[name]) for name in names)
    }
    state = {
        name: own[name] if layer in differing else given[name]
        for layer, names in layers_of(own).items()
        for name in names
    }
    return state, sorted(differing)


def layers_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the names of weights by the names of their layers."""
    layers: dict[str, list[str]] = {}
    for name in names:
        normed = ".parametrizations." in name  # a spectrally normalised weight lies two levels deeper
        layers.setdefault(name.partition(".parametrizations.")[0] if normed else name.rpartition(".")[0], []).append(
            name
        )
    return layers


def listed(layers: list[str]) -> str:
    """Return names of layers for a sentence, the first few."""
    more = f" and {len(layers) - _MOST} more" if len(layers) > _MOST else ""
    return f"{', '.join(layers[:_MOST])}{more}"


def _form(value: Tensor) -> tuple[object, ...]:
    return value.shape, value.is_floating_point(), value.is_complex()
