"""The base of generators with a space of styles w (Karras, Laine, Aila 2018, arXiv 1812.04948), and their mapping."""

import math
from abc import abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_lightning.layers import EqualisedLinear, check_labels, check_latent, check_no_labels, pixel_norm
from gan_lightning.networks.base import Generator
from gan_lightning.ranges import NonNegativeInt, PositiveFloat, PositiveInt, Share
from gan_lightning.recording import Network

Noise = Literal["fresh", "fixed", "none"]
"""A generator's own noise: drawn for each image, the maps that the generator keeps, or none."""


class Mapping(Network):
    """Maps z, and an embedding of the class, both with a mean square of 1, to w: linear layers with LeakyReLU 0.2.

    NOTE: z and the embedding are normalised apart, as in StyleGAN2's later code; StyleGAN's normalises them together.

    Args:
        latent_dim: length of z.
        style_dim: length of w, and of all layers between.
        layers: number of layers.
        lr_multiplier: factor on the speed with which the layers learn.
        num_classes: number of classes to condition on; 0 = none.
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 512,
        style_dim: PositiveInt = 512,
        layers: PositiveInt = 8,
        lr_multiplier: PositiveFloat = 0.01,
        num_classes: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.embedding = nn.Embedding(num_classes, latent_dim) if num_classes else None
        inputs = [2 * latent_dim if num_classes else latent_dim, *[style_dim] * (layers - 1)]
        self.layers = nn.ModuleList(EqualisedLinear(n, style_dim, math.sqrt(2), lr_multiplier) for n in inputs)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim), and labels int64 (N,) if there are classes, to w (N, style_dim)."""
        check_latent(z, self.latent_dim)
        w = pixel_norm(z)
        if self.embedding is None:
            check_no_labels(labels)
        else:
            w = torch.cat([w, pixel_norm(self.embedding(check_labels(labels, self.num_classes)))], dim=1)
        for layer in self.layers:
            w = F.leaky_relu(layer(w), 0.2)
        return w


class StyledGenerator(Generator):
    """A generator in two parts: a mapping of z to styles w, and a synthesis of an image from a style for each layer.

    A subclass sets `mapping`, a module such as `Mapping`, and `num_styles`, and defines `synthesis`.

    In training mode, a call follows the mean of w, and mixes styles (section 3.1): with the probability `style_mixing`,
    all layers from a random one on get the styles of other latents.

    NOTE: one number is drawn for a batch, as in the authors' code: all of its images are mixed at the same layer.
    NOTE: the mean of w follows each call in training mode, so once a step if both turns share their fakes; in the
        authors' code each turn is a call.

    Args:
        style_dim: length of w.
        style_mixing: probability that a batch is mixed, in training mode.
        mean_decay: share of the running mean of w that a batch keeps.
        base: the arguments of a further base.
    """

    num_styles: int
    """Number of layers that take a style."""
    mapping: nn.Module
    mean_style: Tensor
    """Running mean of w (style_dim,): a buffer, which the averaged weights carry as well."""

    def __init__(
        self, style_dim: PositiveInt, style_mixing: Share = 0.9, mean_decay: Share = 0.995, **base: Any
    ) -> None:
        super().__init__(**base)
        self.style_dim, self.style_mixing, self.mean_decay = style_dim, style_mixing, mean_decay
        self.register_buffer("mean_style", torch.zeros(style_dim))

    @property
    def styles_in_use(self) -> int:
        """The number of styles that reach the image, from the first on: fewer while a generator grows."""
        return self.num_styles

    @abstractmethod
    def synthesis(self, w: Tensor, noise: Noise = "fresh") -> Tensor:
        """Make images (N, C, H, W) in [-1, 1] from styles w: (N, style_dim), or one a layer (N, num_styles, style_dim).

        Args:
            w: the styles; `each_layer` gives both kinds one form.
            noise: "fresh" noise for each image, the "fixed" maps of the generator, or "none".
        """

    def each_layer(self, w: Tensor) -> Tensor:
        """Return styles (N, style_dim) or (N, num_styles, style_dim) as one for each layer.

        Raises:
            ValueError: they have another shape.
        """
        if w.dim() == 2 and w.shape[1] == self.style_dim:
            return w.unsqueeze(1).expand(-1, self.num_styles, -1)
        if w.shape[1:] != (self.num_styles, self.style_dim):
            raise ValueError(
                f"this generator takes styles of shape (N, {self.style_dim}), or (N, {self.num_styles}, "
                f"{self.style_dim}) with one for each layer, not {tuple(w.shape)}"
            )
        return w

    def styles(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return a style for each layer (N, num_styles, style_dim); in training mode, with mixing and the mean of w."""
        w = self.mapping(z, labels)
        if not self.training:
            return self.each_layer(w)
        with torch.no_grad():
            self.mean_style.lerp_(w.float().mean(dim=0), 1 - self.mean_decay)
        if self.style_mixing == 0 or self.styles_in_use == 1:
            return self.each_layer(w)
        # without a branch that waits for the device: the first layer of the other styles, or one behind the last
        first = torch.randint(1, self.styles_in_use, (), device=z.device)
        first = torch.where(torch.rand((), device=z.device) < self.style_mixing, first, self.num_styles)
        others = torch.arange(self.num_styles, device=z.device) >= first
        mixed = self.each_layer(self.mapping(torch.randn_like(z), labels))
        return torch.where(others[:, None], mixed, self.each_layer(w))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim), and labels int64 (N,) if there are classes, to images (N, C, H, W) in [-1, 1]."""
        return self.synthesis(self.styles(z, labels))
