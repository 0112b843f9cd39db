"""Batch norm, instance norm and dropout in a translator at inference."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, instance_norm
from torch.overrides import TorchFunctionMode

DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
"""All dropout layers of torch."""


def activate_dropout(network: nn.Module) -> None:
    """Put only the dropout layers in training mode."""
    for module in network.modules():
        if isinstance(module, DROPOUT):
            module.train()


class InstanceStatistics(TorchFunctionMode):
    """A context in which batch norm uses the statistics of each image separately.

    Batch norm in training mode does the same to a batch of one image. The context serves batches of any size, and
    leaves the running averages unchanged.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not batch_norm:
            return func(*args, **kwargs)
        given = inspect.signature(batch_norm).bind(*args, **kwargs)
        given.apply_defaults()
        how = given.arguments
        return instance_norm(how["input"], weight=how["weight"], bias=how["bias"], eps=how["eps"])


class SharedStatistics(TorchFunctionMode):
    """A context in which instance norm and layer norm use the statistics of a whole image for all parts of it.

    It intercepts each call of `torch.nn.functional.instance_norm`, in `nn.InstanceNorm2d` and within
    `InstanceStatistics`, and of `torch.std_mean`, in `LayerNorm2d`. Enter the context once for each pass of the
    network. Before `fix` is called, each pass adds its activations to the mean and variance of every layer, and is
    normalised by the result, so that deeper layers measure realistic inputs. After `fix`, the statistics are
    constant.

    After Chen et al., "Towards Ultra-Resolution Neural Style Transfer via Thumbnail Instance Normalization", 2022,
    arXiv 2103.11784.

    NOTE: that paper measures the image at a small size. Here parts at full size are measured, since a network knows
        textures of one size; on the same images they come nearer to the whole.
    """

    def __init__(self) -> None:
        super().__init__()
        self._layers: list[_Moments] = []
        self._reached = 0
        self._fixed = False

    def __enter__(self) -> "SharedStatistics":
        self._reached = 0
        return super().__enter__()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is instance_norm and kwargs.get("use_input_stats", True):
            return self._normalise(*args, **kwargs)
        if func is torch.std_mean:
            return self._std_mean(args[0])
        return func(*args, **kwargs)

    def __len__(self) -> int:
        """The number of layers with statistics."""
        return len(self._layers)

    def fix(self) -> None:
        """Stop measuring."""
        self._fixed = True

    def _normalise(
        self, images: Tensor, *, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5, **_: Any
    ) -> Tensor:
        moments = self._measured(images)
        return batch_norm(images, moments.mean, moments.variance, weight, bias, training=False, eps=eps)

    def _std_mean(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the unbiased deviation and the mean of all values, both (1, 1, 1, 1)."""
        moments = self._measured(images.reshape(1, 1, -1, images.shape[-1]))
        unbiased = moments.variance * moments.count / (moments.count - 1)
        return unbiased.sqrt().view(1, 1, 1, 1), moments.mean.view(1, 1, 1, 1)

    def _measured(self, images: Tensor) -> "_Moments":
        """Return the statistics of the layer that is reached, with those of these images (N, C, H, W) until `fix`."""
        if self._reached == len(self._layers):
            self._layers.append(_Moments())
        moments = self._layers[self._reached]
        self._reached += 1
        if not self._fixed:
            moments.add(images)
        return moments


class _Moments:
    """Mean and variance (C,) over all positions of all images (N, C, H, W) so far."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor = torch.zeros(())
        self.variance: Tensor = torch.zeros(())

    def add(self, images: Tensor) -> None:
        variance, mean = torch.var_mean(images.detach(), dim=(0, 2, 3), correction=0)
        share = images[:, 0].numel() / (self.count + images[:, 0].numel())
        self.count += images[:, 0].numel()
        if share == 1:
            self.mean, self.variance = mean, variance
            return
        away = mean - self.mean
        self.variance = self.variance + share * (variance - self.variance) + share * (1 - share) * away.square()
        self.mean = self.mean + share * away
