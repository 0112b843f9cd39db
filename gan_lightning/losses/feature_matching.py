"""Feature matching: the generator's mean features should equal those of real images."""

from torch import Tensor


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
