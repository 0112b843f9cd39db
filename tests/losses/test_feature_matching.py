"""Feature matching by hand; beside models in tests/test_regularizers.py."""

import pytest
import torch

from gan_lightning.losses import feature_matching, layer_matching


def test_distance_of_means_by_hand():
    real, fake = torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([[0.0, 0.0], [0.0, 4.0], [0.0, 2.0]])
    assert feature_matching(real, fake).item() == 2**2 + 1**2


def test_layers_are_added_and_scales_averaged_by_hand():
    # scale 0: layers of means |1, 3| -> 2 and |0.5| -> 0.5; scale 1: |4| -> 4
    real = [[torch.tensor([[1.0, 0.0]]), torch.tensor([[[0.5]]])], [torch.tensor([[4.0]])]]
    fake = [[torch.tensor([[0.0, 3.0]]), torch.tensor([[[0.0]]])], [torch.tensor([[0.0]])]]
    assert layer_matching(real, fake).item() == pytest.approx(((2 + 0.5) + 4) / 2)


def test_layers_learn_from_the_fakes_only_and_in_float32():
    real, fake = (torch.randn(2, 3, dtype=torch.bfloat16, requires_grad=True) for _ in range(2))
    value = layer_matching([[real]], [[fake]])
    assert value.dtype == torch.float32
    value.backward()
    assert real.grad is None
    torch.testing.assert_close(fake.grad.float(), (fake - real).sign().float() / 6, rtol=0.01, atol=0)


def test_pairs_are_not_exchanged():
    # means of both batches are equal, but each image differs from its own fake
    a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [0.0]])
    assert feature_matching(a, b) == 0
    assert layer_matching([[a]], [[b]]) == 1
