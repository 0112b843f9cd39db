"""Penalties on the discriminator's gradient with respect to its images.

Each takes the discriminator itself, or any function of the images alone (where it is conditional: with the labels
filled in), and calls it once, in float32 under any mixed precision: in bfloat16 these gradients are off by percents.
Give it eager: autograd cannot differentiate twice through a compiled module. Batch norm in the discriminator ties
the images of a batch together, and the gradient of one image is then not its own.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, target: float = 1.0) -> Tensor:
    """E (‖∇D(x̂)‖₂ - target)², x̂ = x + α (G(z) - x), one α ~ U(0, 1) an image.

    The two-sided penalty of WGAN-GP (Gulrajani et al., 2017, arXiv 1704.00028, equation 3), without its factor λ.

    Args:
        critic: gives logits, (N,) or maps, for images; a map's logits are summed.
        real: real images, (N, C, H, W).
        fake: as many fakes of the same shape; no gradient reaches them.
        target: the norm that costs nothing.

    Returns:
        A scalar, differentiable in the critic's parameters.

    Raises:
        ValueError: where the shapes differ, or where the logits do not depend on the images.
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"real images {tuple(real.shape)} and fakes {tuple(fake.shape)} differ in shape: "
            f"the penalty is taken on the line between a real image and a fake"
        )
    alpha = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    between = torch.lerp(real.float(), fake.float(), alpha)
    # vector_norm's gradient at zero is zero, where a square root's would be NaN
    norms = torch.linalg.vector_norm(_image_gradients(critic, between), dim=1)
    return (norms - target).square().mean()


def r1(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """E ‖∇D(x)‖² at real images (Mescheder et al., 2018, arXiv 1801.04406, equation 9), without its factor γ/2.

    Args:
        critic: gives logits, (N,) or maps, for images; a map's logits are summed.
        real: real images, (N, C, H, W).

    Returns:
        A scalar, differentiable in the critic's parameters.

    Raises:
        ValueError: where the logits do not depend on the images.
    """
    return _image_gradients(critic, real).square().sum(dim=1).mean()


def r2(critic: Callable[[Tensor], Tensor], fake: Tensor) -> Tensor:
    """E ‖∇D(G(z))‖², as `r1` but at fakes (equation 10 of the same paper); no gradient reaches the fakes."""
    return r1(critic, fake)


def _image_gradients(critic: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The gradient of each image's logit with respect to that image, (N, C·H·W) in float32."""
    with torch.autocast(images.device.type, enabled=False):
        images = images.detach().float().requires_grad_()
        logits = critic(images)
        gradients = None
        if logits.requires_grad:
            # the sum's gradient holds every image's own, as no logit depends on another image
            (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True, allow_unused=True)
    if gradients is None:
        raise ValueError(
            "the critic's logits do not depend on the images it was given: take the penalty outside torch.no_grad, "
            "of a critic that detaches nothing"
        )
    return gradients.flatten(1)
