"""Discretised mixtures of logistic distributions over the levels of pixels, with colours that depend on each other.

Salimans, Karpathy, Chen, Kingma, "PixelCNN++", 2017, arXiv 1701.05517, sections 2.1 and 2.2. A colour's value is the
nearest level to a draw from a mixture; the lowest and the highest level take all that lies beyond. All colours of a
pixel share the component, and the mean of a colour is moved by the values of those before it, linearly.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

LEAST = -7.0  # of log scales, as in the authors' code


def maps_of(colours: int, components: int) -> int:
    """Return the number of parameters of a pixel: a logit, means, log scales and dependences of each component."""
    return components * (1 + 2 * colours + colours * (colours - 1) // 2)


def split(output: Tensor, colours: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Split parameters (N, maps, ...) into logits (N, K, ...), means and log scales (N, C, K, ...) and dependences."""
    pairs = colours * (colours - 1) // 2
    components = output.shape[1] // (1 + 2 * colours + pairs)
    parts = output.float().unflatten(1, (-1, components))
    logits, means, scales, dependences = parts.split([1, colours, colours, pairs], dim=1)
    return logits[:, 0], means, scales.clamp_min(LEAST), dependences.tanh()


def moved(means: Tensor, dependences: Tensor, x: Tensor, colour: int) -> Tensor:
    """Return the means (N, K, ...) of a colour, given the values x (N, C, ...) of those before it, in [-1, 1]."""
    mean = means[:, colour]
    first = colour * (colour - 1) // 2
    for before in range(colour):
        mean = mean + dependences[:, first + before] * x[:, before, None]
    return mean


def nats_of_mixture(output: Tensor, values: Tensor, levels: int) -> Tensor:
    """Return -log p of each image, float32 (N,).

    p of a level is σ(a) - σ(b), a and b the ends of its interval in units of the scale; log(σ(a) - σ(b)) =
    log σ(a) + log σ(-b) + log(1 - e^(b - a)) is stable for any of them. NOTE: the authors' code takes the density where
    the difference is small.

    Args:
        output: parameters (N, maps, H, W).
        values: int64 (N, C, H, W), from 0 to levels - 1.
        levels: number of levels.
    """
    colours, half = values.shape[1], 1 / (levels - 1)
    logits, means, scales, dependences = split(output, colours)
    x = values.float() * (2 * half) - 1
    total = logits.log_softmax(1)
    for colour in range(colours):
        value, level = x[:, colour, None], values[:, colour, None]
        centred = value - moved(means, dependences, x, colour)
        inverse = (-scales[:, colour]).exp()
        upper, lower = inverse * (centred + half), inverse * (centred - half)
        inner = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(-2 * half * inverse))
        outer = torch.where(level == 0, F.logsigmoid(upper), F.logsigmoid(-lower))
        total = total + torch.where((level == 0) | (level == levels - 1), outer, inner)
    return -total.logsumexp(1).flatten(1).sum(1)


def draw_mixture(output: Tensor, noise: Tensor, values: Tensor, levels: int) -> None:
    """Draw the values of one pixel.

    Args:
        output: parameters (N, maps).
        noise: uniform numbers (N, 1 + C): one chooses the component, one a value of each colour.
        values: int64 (N, C), which are set.
        levels: number of levels.
    """
    colours = values.shape[1]
    logits, means, scales, dependences = split(output, colours)
    below = logits.softmax(1).cumsum(1)
    component = (below[:, :-1] <= noise[:, :1]).sum(1)[:, None]
    x = torch.zeros_like(noise[:, 1:])
    uniform = noise[:, 1:].clamp(1e-5, 1 - 1e-5)
    for colour in range(colours):
        mean = moved(means, dependences, x, colour).gather(1, component)[:, 0]
        scale = scales[:, colour].gather(1, component)[:, 0].exp()
        drawn = mean + scale * uniform[:, colour].logit()
        values[:, colour] = ((drawn + 1) * ((levels - 1) / 2)).round().clamp(0, levels - 1).long()
        x[:, colour] = values[:, colour] * (2 / (levels - 1)) - 1
