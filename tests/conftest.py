import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)  # small tensors run many times slower on contended threads


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images; a test that needs it skips where it is absent."""
    place = os.environ.get("GAN_LIGHTNING_DATA")
    if not place:
        pytest.skip("GAN_LIGHTNING_DATA is not set: no folder of real images to test on")
    path = Path(place)
    if not path.is_dir():
        pytest.skip(f"GAN_LIGHTNING_DATA names {path}, which is not a folder")
    return path
