"""Starting a network from the weights of another run."""

from pathlib import Path

from torch import nn

from gan_lightning.training.checkpoint_io import read_checkpoint
from gan_lightning.training.migrations import migrate

AVERAGED = "average.network."
"""The prefix of the names of the averaged generator's weights."""


def load_part(network: nn.Module, checkpoint: Path, part: str = "generator") -> None:
    """Load the weights of a part of another run's model into a network. No code from the file is run.

    Args:
        network: a network of the part's class and settings.
        checkpoint: a `.ckpt` file of any model of this library.
        part: the model's attribute: "generator", "discriminator", "encoder", ... For a generator, the moving average is
            loaded if the run kept one.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a checkpoint, has no such part, or the part is another network.
    """
    if not checkpoint.exists():
        raise FileNotFoundError(
            f"there is no checkpoint {checkpoint} to take the {part} from: train it first, or name another; to load or "
            "resume a trained model, leave `pretrained` out"
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
            f"the {part} in {checkpoint} is another network than the {type(network).__name__} to be started from "
            f"it: give both the same class and settings ({error})"
        ) from error
