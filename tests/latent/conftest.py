"""Checkpoints of toys: one with styles and classes, one with z alone."""

from pathlib import Path

import pytest
import torch

from toys import StyledGenerator, ToyGAN, ToyGenerator, checkpoint


@pytest.fixture(scope="session")
def styled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a generator with styles, noise and three classes."""
    torch.manual_seed(0)
    model = ToyGAN(StyledGenerator(num_classes=3))
    return checkpoint(model, tmp_path_factory.mktemp("styled") / "styled.ckpt")


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a generator with z alone."""
    torch.manual_seed(0)
    return checkpoint(ToyGAN(ToyGenerator()), tmp_path_factory.mktemp("plain") / "plain.ckpt")
