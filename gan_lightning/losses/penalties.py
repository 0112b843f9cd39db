"""Penalties on the discriminator's gradient with respect to its images.

Each calls the discriminator itself, or any function of the images alone (for a conditional discriminator, with the
labels filled in), once, in float32 under any mixed precision: in bfloat16 these gradients have errors of several
percent. The function must be eager: autograd cannot differentiate twice through a compiled module. Batch norm in the
discriminator makes the gradient of one image depend on the others of its batch.

A discriminator that judges packs of images together (`gan_lightning.networks.packed.Packed`) has one input for each
pack: the penalties then take gradients with respect to all images of a pack, and means over packs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_images_learn = ContextVar("_images_learn", default=False)


@contextmanager
def through_images() -> Iterator[None]:
    """Let gradients of penalties reach the images themselves, within the context.

    An unrolled discriminator needs it: how it will change depends on the fakes by its penalties too.
    """
    before = _images_learn.set(True)
    try:
        yield
    finally:
        _images_learn.reset(before)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, target: float = 1.0, pack: int = 1
) -> Tensor:
    """Return E (‖∇D(x̂)‖₂ - target)², x̂ = x + α (G(z) - x), with one α ~ U(0, 1) for each image, or pack of images.

    The two-sided penalty of WGAN-GP (Gulrajani et al., 2017, arXiv 1704.00028, equation 3), without its factor λ.

    Args:
        critic: returns logits, (N,) or maps, for images; a map's logits are summed.
        real: real images, (N, C, H, W).
        fake: fakes of the same shape; no gradient reaches them.
        target: the gradient norm without a penalty.
        pack: number of consecutive images that each logit is for.

    Returns:
        A scalar, differentiable in the critic's parameters.

    Raises:
        ValueError: the shapes differ, packs do not fit, or the logits do not depend on the images.
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"real images {tuple(real.shape)} and fakes {tuple(fake.shape)} differ in shape: "
            f"the penalty is taken on the line between a real image and a fake"
        )
    # drawn for each image, so that processes share the draws, as all that are for images
    alpha = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    if pack > 1:
        alpha = _packs(alpha, pack)[:, :1].expand(-1, pack).reshape(alpha.shape)
    between = torch.lerp(real.float(), fake.float(), alpha)
    # the gradient of vector_norm is zero at zero; that of a square root would be NaN
    norms = torch.linalg.vector_norm(_packs(_image_gradients(critic, between), pack), dim=1)
    return (norms - target).square().mean()


def r1(critic: Callable[[Tensor], Tensor], real: Tensor, pack: int = 1) -> Tensor:
    """Return E ‖∇D(x)‖² at real images (Mescheder et al., 2018, arXiv 1801.04406, equation 9), without its factor γ/2.

    Args:
        critic: returns logits, (N,) or maps, for images; a map's logits are summed.
        real: real images, (N, C, H, W).
        pack: number of consecutive images that each logit is for.

    Returns:
        A scalar, differentiable in the critic's parameters.

    Raises:
        ValueError: the logits do not depend on the images, or packs do not fit.
    """
    return _packs(_image_gradients(critic, real), pack).square().sum(dim=1).mean()


def r2(critic: Callable[[Tensor], Tensor], fake: Tensor, pack: int = 1) -> Tensor:
    """Return E ‖∇D(G(z))‖², as `r1` but at fakes (equation 10 of the same paper); no gradient reaches the fakes."""
    return r1(critic, fake, pack)


def _packs(values: Tensor, pack: int) -> Tensor:
    """Return values of images (N, ...) as one row for each pack, (N / pack, pack · ...)."""
    if len(values) % pack:
        raise ValueError(f"{len(values)} images make no packs of {pack}: let the batch be a multiple of {pack}")
    return values.reshape(len(values) // pack, -1)


def _image_gradients(critic: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return the gradient of each image's logit with respect to that image, (N, C·H·W) in float32."""
    with torch.autocast(images.device.type, enabled=False):
        images = images.float()
        if not (_images_learn.get() and images.requires_grad):
            images = images.detach().requires_grad_()
        logits = critic(images)
        gradients = None
        if logits.requires_grad:
            # the gradient of the sum holds each image's own, since no logit depends on another image
            (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True, allow_unused=True)
    if gradients is None:
        raise ValueError(
            "the critic's logits do not depend on the images it was given: take the penalty outside torch.no_grad, "
            "of a critic that detaches nothing"
        )
    return gradients.flatten(1)
