"""Disentanglement: how far single components of latents, or straight cuts through them, control what images show.

Each measure compares latents with factors of their images, such as a class, an attribute or the thickness of a stroke.
None of them sees an image: they take numbers, so that any factor can be measured by any means.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from gan_lightning.metrics.base import TooFewSamplesError


def quantile_bins(values: Tensor, bins: int) -> Tensor:
    """Return the number of the quantile bin that each value lies in.

    Args:
        values: float (n, d); each column has its own bins. Equal values share a bin.
        bins: number of bins, 2 or more.

    Returns:
        int64 (n, d) in [0, bins).
    """
    steps = torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=values.device)[1:-1]
    columns = values.double().T.contiguous()
    edges = torch.stack([column.quantile(steps) for column in columns])
    return torch.searchsorted(edges, columns, right=True).T


def entropy(codes: Tensor) -> Tensor:
    """Return the entropy, in nats, of the relative frequencies of codes int64 (n,); float64 scalar."""
    shares = codes.bincount().double() / len(codes)
    return -torch.xlogy(shares, shares).sum()


def mutual_information(codes: Tensor, factor: Tensor) -> Tensor:
    """Return the mutual information, in nats, between each column of codes and a factor.

    NOTE: frequencies stand for probabilities, which adds about (a - 1)(b - 1) / 2n for a and b values.

    Args:
        codes: int64 (n, d), not negative.
        factor: int64 (n,), not negative.

    Returns:
        float64 (d,).
    """
    values = int(factor.max()) + 1
    joint = torch.stack([entropy(column * values + factor) for column in codes.T])
    return torch.stack([entropy(column) for column in codes.T]) + entropy(factor) - joint


def information_gaps(information: Tensor, entropies: Tensor) -> Tensor:
    """Return the mutual information gap of each factor, (I(z_1; v) - I(z_2; v)) / H(v).

    z_1 and z_2 are the components that tell most and second most of the factor v. The gap is 1 if one component alone
    tells all of it, and 0 if two tell equally much. Chen, Li, Grosse, Duvenaud, "Isolating Sources of Disentanglement
    in Variational Autoencoders", 2018, arXiv 1802.04942, equation 6: MIG is the mean over factors.

    NOTE: the paper takes q(z | x) of an encoder; here z is the latent that the image was made from.

    Args:
        information: I(z_j; v_k) in nats, float64 (components, factors), two components or more.
        entropies: H(v_k) in nats, float64 (factors,), positive.

    Returns:
        float64 (factors,) in [0, 1].
    """
    largest = information.topk(2, dim=0).values
    return (largest[0] - largest[1]) / entropies


def conditional_entropy(latents: Tensor, scores: Tensor, iterations: int = 10_000) -> float:
    """Return H(Y | X) in nats, Y a factor's two values and X the side of the best plane through the latents.

    Karras, Laine, Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019, arXiv
    1812.04948, section 4.2: X is the prediction of a linear support vector machine, fitted to the half of the latents
    whose images a classifier is surest of. The sum over factors, exponentiated, is the separability; 1 is the best.

    NOTE: the authors keep the surer half of all images. Here it is that of each side, since with one class of ten the
        surest are all images of other classes.

    Args:
        latents: float (n, d).
        scores: float (n,): the sign says Y, the magnitude how sure it is.
        iterations: of the fit, at most.

    Returns:
        0 if the plane separates the values, at most ln 2.

    Raises:
        TooFewSamplesError: all samples have the same value.
        ModuleNotFoundError: scikit-learn is missing.
    """
    fit = linear_classifier()
    sides = [(side * scores > 0).nonzero()[:, 0] for side in (1, -1)]
    if not all(map(len, sides)):
        raise TooFewSamplesError("all samples have the same value of the factor")
    surest = [side[scores[side].abs().argsort(descending=True, stable=True)][: -(-len(side) // 2)] for side in sides]
    kept = torch.cat(surest)
    positive = scores[kept] > 0
    side = fit(latents[kept].double(), positive, iterations)
    joint = entropy(2 * side.long() + positive.long())
    return max(0.0, float(joint - entropy(side.long())))


def linear_classifier() -> Callable[[Tensor, Tensor, int], Tensor]:
    """Return a function that fits a linear support vector machine and predicts the values it was fitted to.

    Raises:
        ModuleNotFoundError: scikit-learn is missing.
    """
    try:
        from sklearn.svm import LinearSVC  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'separability fits a support vector machine by scikit-learn: pip install "gan_lightning[disentangle]"'
        ) from error

    def fit(latents: Tensor, positive: Tensor, iterations: int) -> Tensor:
        machine = LinearSVC(dual=False, max_iter=iterations, random_state=0)
        machine.fit(latents.cpu().numpy(), positive.cpu().numpy())
        return torch.from_numpy(machine.predict(latents.cpu().numpy())).to(positive.device)

    return fit
