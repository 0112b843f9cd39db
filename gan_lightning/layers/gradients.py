"""Changes of gradients in the backward pass."""

from torch import Tensor


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """Return x unchanged, but multiply its gradient by `factor` in the backward pass.

    With a factor of -λ it is the gradient reversal layer of Ganin & Lempitsky (2014, arXiv 1409.7495, section 3.1).
    """
    same = x.view_as(x)  # a separate node of the graph: other uses of x keep their gradient
    if same.requires_grad:
        same.register_hook(lambda gradient: factor * gradient)
    return same
