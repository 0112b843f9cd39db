"""CUT's embedding of a few places of feature maps.

Park, Efros, Zhang, Zhu, "Contrastive Learning for Unpaired Image-to-Image Translation", 2020, arXiv 2007.15651,
section 3 and appendix C.1.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gan_lightning.layers.initialisation import initialise
from gan_lightning.ranges import PositiveInt
from gan_lightning.recording import Network


class PatchSampler(Network):
    """For each feature map two linear layers, with ReLU between, on the features of a few places.

    With the channels of CUT's five layers (3, 128, 256, 256, 256) the defaults have the authors' 560,384 parameters.

    Args:
        channels: channels of each feature map.
        width: hidden units, and values of an embedding.
        patches: places that are drawn of each map; of a map with fewer, all.

    Raises:
        ValueError: there is no feature map.

    NOTE: the authors scale embeddings to length 1 here, and we in the loss, where they are float32.
    """

    def __init__(self, channels: Sequence[PositiveInt], width: PositiveInt = 256, patches: PositiveInt = 256) -> None:
        super().__init__()
        if not channels:
            raise ValueError("a patch sampler needs the channels of one feature map or more: name a layer")
        self.patches = patches
        self.embeddings = nn.ModuleList(
            [nn.Sequential(nn.Linear(c, width), nn.ReLU(inplace=True), nn.Linear(width, width)) for c in channels]
        )
        initialise(self, "xavier")

    def positions(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Different places of each map (N, C, H, W), the same for all images: int64 (P,) of row * W + column."""
        return [torch.randperm(x.shape[2] * x.shape[3], device=x.device)[: self.patches] for x in features]

    def forward(self, features: Sequence[Tensor], positions: Sequence[Tensor]) -> list[Tensor]:
        """Maps (N, C, H, W), and for each the places (P,) to look at, to embeddings (N, P, width)."""
        return [
            embed(x.flatten(2).index_select(2, places).transpose(1, 2))
            for embed, x, places in zip(self.embeddings, features, positions, strict=True)
        ]


SamplerFactory = Callable[[Sequence[int]], PatchSampler]
"""From the channels of each feature map to a sampler for them."""
