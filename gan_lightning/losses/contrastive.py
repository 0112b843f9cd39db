"""Losses that tell what belongs together from what does not."""

import torch
from torch import Tensor
from torch.nn import functional as F


def patch_nce(queries: Tensor, keys: Tensor, temperature: float = 0.07) -> Tensor:
    """The patchwise InfoNCE of CUT (Park et al. 2020, arXiv 2007.15651, equation 3), a cross-entropy.

    Each query v is to point the way of the key v⁺ of its own place, rather than of the keys v⁻ of the other places of
    the same image:

        l(v, v⁺, v⁻) = -log[ exp(v·v⁺/τ) / (exp(v·v⁺/τ) + Σ exp(v·v⁻/τ)) ],   all of length 1

    It is computed in float32 under any mixed precision. Keys get no gradient.

    Args:
        queries: embeddings of places of the image made, (N, P, D), of any length.
        keys: those of the same places of the source image, (N, P, D).
        temperature: τ.

    Returns:
        A scalar, the mean over places and images; log P where all keys are alike.
    """
    with torch.autocast(queries.device.type, enabled=False):
        queries, keys = F.normalize(queries.float(), dim=2), F.normalize(keys.detach().float(), dim=2)
        logits = queries @ keys.transpose(1, 2) / temperature  # (N, P, P): each query against all keys of its image
        own = torch.arange(logits.shape[1], device=logits.device).expand(logits.shape[:2])
        return F.cross_entropy(logits.flatten(0, 1), own.flatten())
