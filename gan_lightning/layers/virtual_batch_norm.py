"""Virtual batch normalisation: batch norm whose statistics come from a batch that never changes.

Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, "Improved Techniques for Training GANs", 2016, arXiv 1606.03498,
section 3.5.
"""

import torch
from torch import Tensor, nn

from gan_lightning.ranges import PositiveInt
from gan_lightning.recording import Network

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm
"""All batch-norm layers of torch."""


class VirtualBatchNorm(nn.Module):
    """Normalises each example by the statistics of a reference batch and of itself.

    The reference batch is the first R rows of the input, which are normalised by their own statistics. An example
    counts as one more row: the moments E x and E x² are (R · reference + own) / (R + 1), each over positions too.

    Args:
        norm: the batch norm to replace, of vectors or of maps. Its gain, bias and epsilon are kept; its running
            statistics are not needed.
        reference_size: R, the number of rows of the reference batch.
    """

    def __init__(self, norm: BatchNorm, reference_size: int) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.reference_size = reference_size

    def forward(self, x: Tensor) -> Tensor:
        """Map (R + N, C) or (R + N, C, H, W) to the same shape."""
        rows = self.reference_size
        with torch.autocast(x.device.type, enabled=False):
            values = x.float().flatten(2) if x.dim() > 2 else x.float()[:, :, None]  # (R + N, C, positions)
            # shifted by a shared mean, since E x² - (E x)² is exact only if the mean is small
            shift = values[:rows].mean(dim=(0, 2), keepdim=True)
            values = values - shift
            moments = torch.stack([values.mean(dim=2), values.square().mean(dim=2)])  # (2, R + N, C)
            reference = moments[:, :rows].mean(dim=1, keepdim=True)  # (2, 1, C)
            mixed = (rows * reference + moments[:, rows:]) / (rows + 1)
            mean, square = torch.cat([reference.expand(-1, rows, -1), mixed], dim=1)[..., None]  # (R + N, C, 1) each
            values = (values - mean) * (square - mean.square() + self.eps).rsqrt()
            if self.weight is not None:
                values = values * self.weight[:, None] + self.bias[:, None]
        return values.view(x.shape).to(x.dtype)


class VirtualBatchNormGenerator(Network):
    """A generator whose batch norms are replaced by virtual batch norms.

    Each image then depends only on its own latent, in training as in evaluation, and not on the rest of its batch.
    The reference batch is drawn once, by the constructor, and is in every checkpoint: the statistics follow from it and
    from the weights. Each forward pass computes the reference batch through the whole network too.

        generator:
          class_path: gan_lightning.layers.virtual_batch_norm.VirtualBatchNormGenerator
          init_args:
            generator:
              class_path: gan_lightning.networks.DCGANGenerator

    Args:
        generator: the generator, called with z or with z and labels, with `latent_dim` and `num_classes`; its batch
            norms are replaced in place.
        reference_size: number of rows of the reference batch, whose latents are standard normal and whose classes go
            in turn.

    Raises:
        ValueError: the generator has no batch norm.
    """

    def __init__(self, generator: nn.Module, reference_size: PositiveInt = 64) -> None:
        super().__init__()
        norms = [name for name, module in generator.named_modules() if isinstance(module, BatchNorm)]
        if not norms:
            raise ValueError(
                f"{type(generator).__name__} has no batch norm to replace: use it without virtual batch norm"
            )
        for name in norms:
            norm: BatchNorm = generator.get_submodule(name)  # type: ignore[assignment]
            generator.set_submodule(name, VirtualBatchNorm(norm, reference_size))
        self.generator = generator
        self.latent_dim: int = generator.latent_dim  # type: ignore[assignment]
        self.num_classes: int = getattr(generator, "num_classes", 0)
        self.reference: Tensor
        self.reference_labels: Tensor
        self.register_buffer("reference", torch.randn(reference_size, self.latent_dim))
        self.register_buffer("reference_labels", torch.arange(reference_size) % max(self.num_classes, 1))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) and labels int64 (N,) to images (N, C, H, W) in [-1, 1]."""
        together = torch.cat([self.reference.to(z.dtype), z])
        conditions = [] if labels is None else [torch.cat([self.reference_labels, labels])]
        return self.generator(together, *conditions)[len(self.reference) :]
