"""The information about a generator's latents in its images: the variational bound of InfoGAN.

Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel, 2016, arXiv 1606.03657, equation 5.
"""

import math

from torch import Tensor


def categorical_information(logits: Tensor, category: Tensor) -> Tensor:
    """Return E[log Q(c|x)] + H(c) of a category c that is drawn uniformly, in nats: at most log K.

    Args:
            logits: logits of Q, (N, K).
            category: c as one-hot vectors, (N, K).

        Returns:
            A scalar; 0 if Q has learnt nothing.
    """
    return (category * logits.log_softmax(dim=1)).sum(1).mean() + math.log(logits.shape[1])


def continuous_information(means: Tensor, codes: Tensor) -> Tensor:
    """Return E[log Q(c|x)] + H(c) of codes c uniform on [-1, 1], with Gaussians of variance 1 for Q, in nats.

    With this variance, that of the authors' code, the bound is loose: at most -0.23 nats a code.

    Args:
        means: means of Q, (N, C).
        codes: c, (N, C).

    Returns:
        A scalar: the sum over the codes.
    """
    log_q = -0.5 * ((codes - means).square() + math.log(2 * math.pi))
    return (log_q + math.log(2)).sum(1).mean()


def mutual_information(read: Tensor, category: Tensor, continuous: Tensor) -> dict[str, Tensor]:
    """Return the bounds of both kinds of codes, by name; a kind without codes has no entry.

    Args:
        read: Q's logits of the categories and means of the continuous codes, (N, K + C).
        category: the categorical code as one-hot vectors, (N, K).
        continuous: the continuous codes, (N, C).
    """
    logits, means = read.split([category.shape[1], continuous.shape[1]], dim=1)
    bounds = {}
    if category.shape[1]:
        bounds["categorical"] = categorical_information(logits, category)
    if continuous.shape[1]:
        bounds["continuous"] = continuous_information(means, continuous)
    return bounds
