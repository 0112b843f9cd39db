"""Starting a network from the weights that another run has trained."""

from pathlib import Path

from torch import nn

from gan_lightning.training.checkpoint_io import read_checkpoint
from gan_lightning.training.migrations import migrate

AVERAGED = "average.network."
"""The prefix of the names of the averaged generator's weights."""


def load_part(network: nn.Module, checkpoint: Path, part: str = "generator") -> None:
    """Give a network the weights of a part of another run's model. Runs no code that the file brings along.

    Args:
        network: of the class and the settings that the part has.
        checkpoint: a `.ckpt` file of any model here.
        part: the model's attribute: "generator", "discriminator", "encoder", ... Of a generator whose moving average
            the run kept, the average is taken.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, or has no such part, or the part is another network.
    """
    if not checkpoint.exists():
        raise FileNotFoundError(
            f"there is no checkpoint {checkpoint} to take the {part} from: train it first, or name another; where a "
            "trained model is loaded or resumed, leave `pretrained` out"
        )
    content = read_checkpoint(checkpoint)
    migrate(content)
    state = content["state_dict"]
    prefixes = [AVERAGED, f"{part}."] if part == "generator" else [f"{part}."]
    found = ({n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)} for prefix in prefixes)
    weights = next((each for each in found if each), None)
    if weights is None:
        parts = sorted({name.partition(".")[0] for name in state} - {"average"})
        raise ValueError(f"the model in {checkpoint} has no part {part!r}: choose {', '.join(parts)}")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"the {part} in {checkpoint} is another network than the {type(network).__name__} that is to start from "
            f"it: give both the same class and settings ({error})"
        ) from error
