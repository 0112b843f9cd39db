"""What is done to gradients on their way back."""

from torch import Tensor


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """The tensor itself, whose gradient arrives multiplied by `factor` at whatever made it.

    With a factor of -λ it is the gradient reversal layer of Ganin & Lempitsky (2014, arXiv 1409.7495, section 3.1).
    """
    same = x.view_as(x)  # another node of the graph: other uses of x keep their gradient as it is
    if same.requires_grad:
        same.register_hook(lambda gradient: factor * gradient)
    return same
