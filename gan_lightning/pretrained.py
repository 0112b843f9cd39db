"""Starting a network from the weights that another run has trained."""

from pathlib import Path

from torch import nn

from gan_lightning.checkpoint_io import read_checkpoint


def load_generator(network: nn.Module, checkpoint: Path) -> None:
    """Give a network the weights of a run's generator: their moving average where the run kept one.

    Runs no code that the file brings along.

    Args:
        network: of the class and the settings that the run's generator has.
        checkpoint: a `.ckpt` file of any model here.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: where it is no checkpoint, or its generator another network.
    """
    if not checkpoint.exists():
        raise FileNotFoundError(
            f"there is no checkpoint {checkpoint} to take the generator from: train it first, or name another; where a "
            "trained model is loaded or resumed, leave `pretrained` out"
        )
    state = read_checkpoint(checkpoint)["state_dict"]
    averaged = {
        name.removeprefix("average.network."): v for name, v in state.items() if name.startswith("average.network.")
    }
    last = {name.removeprefix("generator."): v for name, v in state.items() if name.startswith("generator.")}
    try:
        network.load_state_dict(averaged or last)
    except RuntimeError as error:
        raise ValueError(
            f"the generator in {checkpoint} is another network than the {type(network).__name__} that is to start from "
            f"it: give both the same class and settings ({error})"
        ) from error
