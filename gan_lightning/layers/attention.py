"""Self-attention between all positions of a map."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """y = γ o(x) + x, where o(x) at each position is a mixture of values of all positions; γ starts at 0.

    Zhang, Goodfellow, Metaxas, Odena, "Self-Attention Generative Adversarial Networks", 2018, arXiv 1805.08318,
    section 3. With s_ij = f(x_i)ᵀ g(x_j) and the softmax β over the positions i,

        β_j,i = exp(s_ij) / sum_i exp(s_ij),    o_j = v(sum_i β_j,i h(x_i)),    y_j = γ o_j + x_j    (equations 1 to 3)

    f, g, h and v are 1×1 convolutions without bias.

    NOTE: as in the authors' code, f and g have an eighth of the channels and h has a half; and f(x) and h(x) are halved
        in height and width by their maxima, so that a position attends to a quarter of all. The paper has an eighth
        for all three and no halving.

    Args:
        channels: channels of the maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.query = nn.Conv2d(channels, inner, 1, bias=False)  # g
        self.key = nn.Conv2d(channels, inner, 1, bias=False)  # f
        self.value = nn.Conv2d(channels, max(1, channels // 2), 1, bias=False)  # h
        self.output = nn.Conv2d(max(1, channels // 2), channels, 1, bias=False)  # v
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W), with even H and W, to the same shape."""
        # plain products, since a fused kernel cannot be differentiated twice, as R1 needs
        query = self.query(x).flatten(2).transpose(1, 2)  # (N, H · W, channels / 8)
        key = F.max_pool2d(self.key(x), 2).flatten(2)  # (N, channels / 8, H · W / 4)
        value = F.max_pool2d(self.value(x), 2).flatten(2)  # (N, channels / 2, H · W / 4)
        mixed = torch.bmm(value, torch.bmm(query, key).softmax(dim=2).transpose(1, 2))  # (N, channels / 2, H · W)
        return x + self.gamma * self.output(mixed.unflatten(2, x.shape[2:]))
