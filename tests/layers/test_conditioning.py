"""Batch norm by a vector, by hand; and the start of weights."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_lightning.layers import ConditionalBatchNorm2d
from gan_lightning.layers.conditioning import VectorBatchNorm2d
from gan_lightning.layers.initialisation import start_weights


def test_gain_and_bias_are_linear_in_the_vector() -> None:
    torch.manual_seed(0)
    norm = VectorBatchNorm2d(3, 5)
    x, c = 2 + 3 * torch.randn(4, 3, 6, 7), torch.randn(4, 5)
    plain = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
    gain, bias = c @ norm.gain.weight.T, c @ norm.bias.weight.T
    torch.testing.assert_close(norm(x, c), plain * (1 + gain[:, :, None, None]) + bias[:, :, None, None])
    norm.eval()
    moved = F.batch_norm(x, norm.norm.running_mean, norm.norm.running_var)
    torch.testing.assert_close(norm(x, 0 * c), moved)
    assert norm(x.bfloat16(), c).dtype == torch.bfloat16


def test_synchronised_batch_norm_keeps_the_vector() -> None:
    norm = nn.SyncBatchNorm.convert_sync_batchnorm(VectorBatchNorm2d(3, 5))
    assert isinstance(norm, VectorBatchNorm2d)
    assert isinstance(norm.norm, nn.SyncBatchNorm)


@pytest.mark.parametrize("shape", [(6, 2, 3, 3), (40, 2, 3, 3)])
def test_an_orthogonal_start_has_orthonormal_rows_or_columns(shape: tuple[int, ...]) -> None:
    conv = nn.Conv2d(shape[1], shape[0], shape[2])
    start_weights(conv, "orthogonal")
    matrix = conv.weight.detach().flatten(1)
    small = matrix @ matrix.T if shape[0] <= matrix.shape[1] else matrix.T @ matrix
    torch.testing.assert_close(small, torch.eye(len(small)), atol=1e-5, rtol=0)
    assert not conv.bias.any()  # type: ignore[union-attr]


def test_other_starts_and_the_norms_that_keep_theirs() -> None:
    torch.manual_seed(0)
    net = nn.ModuleList([nn.Linear(100, 200), nn.Embedding(50, 100), ConditionalBatchNorm2d(3, 4)])
    start_weights(net, "normal")
    assert net[0].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert net[1].weight.std().item() == pytest.approx(0.02, rel=0.05)
    start_weights(net, "xavier")
    assert net[0].weight.var().item() == pytest.approx(2 / 300, rel=0.05)
    assert bool((net[2].gain.weight == 1).all())
    with pytest.raises(ValueError, match='init must be "orthogonal", "normal" or "xavier"'):
        start_weights(net, "ones")  # type: ignore[arg-type]
