"""CUT's embedding of some places of feature maps.

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
    """Two linear layers for each feature map, with ReLU between, on the features of some places.

    With the channels of CUT's five layers (3, 128, 256, 256, 256) the defaults have the authors' 560,384 parameters.

    Args:
        channels: channels of each feature map.
        width: number of hidden units, and of values of an embedding.
        patches: number of places that are drawn from each map; all, if the map has fewer.

    Raises:
        ValueError: there is no feature map.

    NOTE: the authors normalise embeddings to length 1 in this network; here the loss does it, in float32.
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
        """Draw different places of each map (N, C, H, W), the same for all images: int64 (P,) of row * W + column."""
        return [torch.randperm(x.shape[2] * x.shape[3], device=x.device)[: self.patches] for x in features]

    def forward(self, features: Sequence[Tensor], positions: Sequence[Tensor]) -> list[Tensor]:
        """Map feature maps (N, C, H, W), and the places (P,) for each, to embeddings (N, P, width)."""
        return [
            embed(x.flatten(2).index_select(2, places).transpose(1, 2))
            for embed, x, places in zip(self.embeddings, features, positions, strict=True)
        ]


SamplerFactory = Callable[[Sequence[int]], PatchSampler]
"""Makes a sampler from the channels of each feature map."""
