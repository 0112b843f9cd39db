"""Penalties on the discriminator's gradient with respect to its images.

Each calls the discriminator itself, or any function of the images alone (for a conditional discriminator, with the
labels filled in), once, in float32 under any mixed precision: in bfloat16 these gradients have errors of several
percent. The function must be eager: autograd cannot differentiate twice through a compiled module. Batch norm in the
discriminator makes the gradient of one image depend on the others of its batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, target: float = 1.0) -> Tensor:
    """Return E (‖∇D(x̂)‖₂ - target)², x̂ = x + α (G(z) - x), with one α ~ U(0, 1) for each image.

    The two-sided penalty of WGAN-GP (Gulrajani et al., 2017, arXiv 1704.00028, equation 3), without its factor λ.

    Args:
        critic: returns logits, (N,) or maps, for images; a map's logits are summed.
        real: real images, (N, C, H, W).
        fake: fakes of the same shape; no gradient reaches them.
        target: the gradient norm without a penalty.

    Returns:
        A scalar, differentiable in the critic's parameters.

    Raises:
        ValueError: the shapes differ, or the logits do not depend on the images.
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"real images {tuple(real.shape)} and fakes {tuple(fake.shape)} differ in shape: "
            f"the penalty is taken on the line between a real image and a fake"
        )
    alpha = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    between = torch.lerp(real.float(), fake.float(), alpha)
    # the gradient of vector_norm is zero at zero; that of a square root would be NaN
    norms = torch.linalg.vector_norm(_image_gradients(critic, between), dim=1)
    return (norms - target).square().mean()


def r1(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Return E ‖∇D(x)‖² at real images (Mescheder et al., 2018, arXiv 1801.04406, equation 9), without its factor γ/2.

    Args:
        critic: returns logits, (N,) or maps, for images; a map's logits are summed.
        real: real images, (N, C, H, W).

    Returns:
        A scalar, differentiable in the critic's parameters.

    Raises:
        ValueError: the logits do not depend on the images.
    """
    return _image_gradients(critic, real).square().sum(dim=1).mean()


def r2(critic: Callable[[Tensor], Tensor], fake: Tensor) -> Tensor:
    """Return E ‖∇D(G(z))‖², as `r1` but at fakes (equation 10 of the same paper); no gradient reaches the fakes."""
    return r1(critic, fake)


def _image_gradients(critic: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return the gradient of each image's logit with respect to that image, (N, C·H·W) in float32."""
    with torch.autocast(images.device.type, enabled=False):
        images = images.detach().float().requires_grad_()
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
