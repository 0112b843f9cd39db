"""Feature matching: the discriminator's features of fakes should equal those of real images."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import l1_loss


def feature_matching(real: Tensor, fake: Tensor) -> Tensor:
    """‖E f(x) - E f(G(z))‖² (Salimans et al., 2016, arXiv 1606.03498, section 3.1).

    Args:
        real: features f(x) of real images, (N, F).
        fake: features f(G(z)) of fakes, (M, F), through which the generator learns.

    Returns:
        A scalar.

    NOTE: the authors' MNIST code takes the mean over features instead of the sum: this value divided by F.
    """
    return (real.float().mean(dim=0) - fake.float().mean(dim=0)).square().sum()


def layer_matching(real: Sequence[Sequence[Tensor]], fake: Sequence[Sequence[Tensor]]) -> Tensor:
    """E Σ_i 1/N_i ‖D_i(x) - D_i(G(s))‖₁, for images and fakes that belong together.

    This is equation 4 of pix2pixHD (Wang et al. 2017, arXiv 1711.11585): the sum over layers i of the mean absolute
    difference of their features, each image with its own fake. Over several scales, it is their mean.

    Args:
        real: features of real images, for each scale, layer by layer; no gradient flows through them.
        fake: features of the fakes, of the same shapes, through which the generator learns.

    Returns:
        A scalar, float32.

    NOTE: the mean over scales is the authors' code; equation 5 has the sum. For a discriminator of n features a scale,
        pix2pixHD's code multiplies by 4 / n, which is 1 for its own; SPADE's does not.
    """
    scales = [
        torch.stack([l1_loss(one.float(), other.detach().float()) for one, other in zip(ours, theirs, strict=True)])
        for ours, theirs in zip(fake, real, strict=True)
    ]
    return torch.stack([layers.sum() for layers in scales]).mean()
