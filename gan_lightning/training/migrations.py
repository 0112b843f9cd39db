"""Conversion of checkpoints from earlier versions: each change of the form, in one place.

- 0.2: pix2pix's arguments `test_dropout` and `test_instance_statistics` became its `policy`.
- 0.2: a run's state is stored under the name of the part of the model that it belongs to. Before that, pools had a
  dictionary of their own; earlier still, each process had a state.
- 0.2: CUT's network `sampler` is called `patch_sampler`, since `sampler` is the object that makes images.
"""

from typing import Any

HYPER_PARAMETERS = "hyper_parameters"  # Lightning's name of the constructor arguments


def migrate(checkpoint: dict[str, Any]) -> None:
    """Convert a checkpoint's content to the form of this version, in place; content in this form does not change."""
    run = checkpoint["gan_lightning"]
    if "processes" in run:
        run["resume_state"] = run.pop("processes")[0]
    state = run.get("resume_state", {})
    for name, images in state.pop("pools", {}).items():
        state[f"pools.{name}"] = {"images": images}

    arguments = checkpoint[HYPER_PARAMETERS]
    name = str(arguments.get("_class_path")).rpartition(".")[2]
    if name == "Pix2Pix" and "test_dropout" in arguments:
        dropout, instance = arguments.pop("test_dropout"), arguments.pop("test_instance_statistics")
        how = {"dropout": dropout, "batch_norm": "instance" if instance else "running"}
        arguments["policy"] = {"class_path": "gan_lightning.inference.translation.Policy", "init_args": how}
    if name == "CUT":
        weights = checkpoint["state_dict"]
        for key in [key for key in weights if key.startswith("sampler.")]:
            weights[f"patch_{key}"] = weights.pop(key)
