"""Losses that compare embeddings of matching and of other places."""

import torch
from torch import Tensor
from torch.nn import functional as F


def patch_nce(queries: Tensor, keys: Tensor, temperature: float = 0.07) -> Tensor:
    """The patchwise InfoNCE of CUT (Park et al. 2020, arXiv 2007.15651, equation 3), a cross-entropy.

    The target of each query v is the key v⁺ of its own place, and not the keys v⁻ of the other places of the same
    image:

        l(v, v⁺, v⁻) = -log[ exp(v·v⁺/τ) / (exp(v·v⁺/τ) + Σ exp(v·v⁻/τ)) ],   all of length 1

    As in the authors' code an embedding x is divided by ‖x‖ + 1e-7 and not by ‖x‖. With their initial weights some
    embeddings have a length of only about 1e-6, and become a tenth shorter than 1; those of trained networks get length
    1. An embedding of 0 stays 0.

    It is computed in float32 under any mixed precision. Keys get no gradient.

    Args:
        queries: embeddings of places of the fake image, (N, P, D).
        keys: embeddings of the same places of the source image, (N, P, D).
        temperature: τ.

    Returns:
        A scalar, the mean over places and images; log P if all keys are equal.
    """
    with torch.autocast(queries.device.type, enabled=False):
        queries, keys = _to_length_one(queries.float()), _to_length_one(keys.detach().float())
        logits = queries @ keys.transpose(1, 2) / temperature  # (N, P, P): each query against all keys of its image
        own = torch.arange(logits.shape[1], device=logits.device).expand(logits.shape[:2])
        return F.cross_entropy(logits.flatten(0, 1), own.flatten())


def _to_length_one(x: Tensor) -> Tensor:
    return x / (torch.linalg.vector_norm(x, dim=2, keepdim=True) + 1e-7)
