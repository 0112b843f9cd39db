import os
import sys
from collections.abc import Iterator
from pathlib import Path

# small tensors run many times slower on contended threads, in the processes that tests start too
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

torch.set_num_threads(1)


def _runs_in(folder: Path) -> set[str]:
    names = ("evaluations.jsonl", "metrics.csv", "checkpoints", "samples", "wandb")
    return {name for name in names if (folder / name).exists()}


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    """End the process group and the run of Weights & Biases, if any, and put the environment back.

    A run without a folder of its own writes into the working directory: that fails the test.
    """
    before, place = dict(os.environ), Path.cwd()
    present = _runs_in(place)
    yield
    assert _runs_in(place) == present, f"the test wrote into {place}: give its run a folder"
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if "wandb" in sys.modules and sys.modules["wandb"].run is not None:
        sys.modules["wandb"].finish()
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real images; skip the test if there is none."""
    place = os.environ.get("GAN_LIGHTNING_DATA")
    if not place:
        pytest.skip("GAN_LIGHTNING_DATA is not set: no folder of real images to test on")
    path = Path(place)
    if not path.is_dir():
        pytest.skip(f"GAN_LIGHTNING_DATA names {path}, which is not a folder")
    return path


@pytest.fixture(scope="session")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the layout of torch-fidelity's file, of a size that neither fades nor explodes on the way."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    from gan_lightning.extractors.inception import WEIGHTS_NAME

    path = tmp_path_factory.mktemp("hub") / "checkpoints" / WEIGHTS_NAME
    path.parent.mkdir()
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        torch.save({}, path)
        network = FeatureExtractorInceptionV3("random", ["2048"], feature_extractor_weights_path=str(path))
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
    torch.save(network.state_dict(), path)
    return path
