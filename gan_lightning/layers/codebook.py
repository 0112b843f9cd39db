"""A codebook of vectors, which learns by moving averages of what it stands for."""

import math

import torch
from torch import Tensor, nn


class Codebook(nn.Module):
    """K vectors e_i; a vector z is replaced by the nearest, and the gradient passes as if it had not been.

    The vectors learn by exponential moving averages (van den Oord et al. 2017, arXiv 1711.00937, appendix A.1): with
    n_i the number of vectors z of a batch whose nearest is e_i,

        N_i ← γ N_i + (1 - γ) n_i,     m_i ← γ m_i + (1 - γ) Σ z,     e_i = m_i / N̂_i           (equations 6 to 8)

    where N̂_i = (N_i + ε) / (N + K ε) · N, N = Σ N_i, smooths counts as the authors' code does.

    NOTE: N_i starts at 1 and m_i at e_i, so that a vector that nothing is near stays; the code starts both averages at
        0, without bias, which moves such vectors to 0.

    Args:
        size: K.
        dim: components of a vector.
        decay: γ.
        epsilon: ε.
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, size: int, dim: int, decay: float = 0.99, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.decay, self.epsilon = decay, epsilon
        bound = math.sqrt(3 / dim)  # variance 1/dim, as in the authors' code
        self.register_buffer("vectors", torch.empty(size, dim).uniform_(-bound, bound))
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", self.vectors.clone())

    def nearest(self, z: Tensor) -> Tensor:
        """Return the number of the vector nearest to each z (N, D, H, W), int64 (N, H, W)."""
        flat = z.detach().float().movedim(1, -1)
        squares = self.vectors.square().sum(1) - 2 * flat @ self.vectors.T  # |z|² is the same for all
        return squares.argmin(-1)

    def look_up(self, codes: Tensor) -> Tensor:
        """Return the vectors of codes int64 (N, H, W), as (N, D, H, W)."""
        return self.vectors[codes].movedim(-1, 1)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nearest vectors to z (N, D, H, W), with the gradient of z, and their codes int64 (N, H, W)."""
        codes = self.nearest(z)
        return z + (self.look_up(codes).to(z) - z).detach(), codes

    @torch.no_grad()
    def statistics(self, z: Tensor, codes: Tensor) -> Tensor:
        """Return n_i beside Σ z of each vector, float32 (K, 1 + D), for a batch."""
        flat, rows = z.detach().float().movedim(1, -1).flatten(0, -2), codes.flatten()
        ones = torch.cat([flat.new_ones(len(flat), 1), flat], dim=1)
        return flat.new_zeros(len(self.vectors), ones.shape[1]).index_add_(0, rows, ones)

    @torch.no_grad()
    def learn(self, statistics: Tensor) -> None:
        """Update the vectors by the statistics of a batch, over all processes."""
        self.counts.lerp_(statistics[:, 0], 1 - self.decay)
        self.sums.lerp_(statistics[:, 1:], 1 - self.decay)
        total = self.counts.sum()
        smooth = (self.counts + self.epsilon) / (total + len(self.counts) * self.epsilon) * total
        self.vectors.copy_(self.sums / smooth[:, None])


def perplexity(shares: Tensor) -> Tensor:
    """Return exp of the entropy of codes whose shares are given, (K,): how many of them are in use, 1 to K."""
    return torch.special.entr(shares).sum().exp()
