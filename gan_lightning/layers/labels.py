"""Label maps in networks: planes of classes and of boundaries, made on the device."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan_lightning.ranges import PositiveInt

_ENTRIES = 1024  # labels that can be kept


class LabelPlanes(nn.Module):
    """Converts label maps to planes: a class's plane is 1 on its pixels and 0 elsewhere.

    A label map is an image float (N, 1, H, W) in [-1, 1] in which class c has the 8-bit grey level c; or (N, 3, H, W),
    where the second and the third channel are the high and the low byte of each pixel's instance number.

    Args:
        num_classes: number of classes, at most 256.
        boundaries: add a plane that is 1 on each pixel with a neighbour (above, below, left or right) of another class
            or another instance, as in pix2pixHD (section 3.3).
    """

    def __init__(self, num_classes: PositiveInt, boundaries: bool = False) -> None:
        super().__init__()
        self.num_classes, self.boundaries = num_classes, boundaries
        self.labels: Tensor
        self.register_buffer("labels", torch.full((2, _ENTRIES), -1, dtype=torch.int32))  # codes, and their classes
        self.table = {level: level for level in range(num_classes)}

    @property
    def channels(self) -> int:
        """The number of planes."""
        return self.num_classes + self.boundaries

    @property
    def table(self) -> dict[int, int]:
        """The class of each label in files, by its code (see `gan_lightning.data.labels.LabelCodes`)."""
        codes, classes = self.labels.tolist()
        return {code: number for code, number in zip(codes, classes, strict=True) if number >= 0}

    @table.setter
    def table(self, table: Mapping[int, int]) -> None:
        self.labels.fill_(-1)
        self.labels[:, : len(table)] = torch.tensor([[*table], [*table.values()]])

    def forward(self, maps: Tensor) -> Tensor:
        """Convert label maps (N, 1 or 3, H, W) to planes, float32 (N, channels, H, W).

        Raises:
            ValueError: they have another number of channels.
        """
        if maps.dim() != 4 or maps.shape[1] not in (1, 3):
            raise ValueError(
                f"this network takes label maps of shape (N, 1, H, W), or (N, 3, H, W) with instances, not "
                f"{tuple(maps.shape)}: give the class of each pixel as a grey level, as datamodules.LabelFolder does, "
                "or resize or convert the images"
            )
        levels = levels_of(maps)
        classes = torch.arange(self.num_classes, device=maps.device)[:, None, None]
        planes = (levels[:, :1] == classes).float()
        return torch.cat([planes, boundaries(levels).float()], dim=1) if self.boundaries else planes


def levels_of(maps: Tensor) -> Tensor:
    """Convert images float (N, C, H, W) in [-1, 1] to their 8-bit levels, int64."""
    return ((maps.float() + 1) * 127.5).round().long()


def boundaries(levels: Tensor) -> Tensor:
    """Return which pixels have a neighbour with another value in any channel, bool (N, 1, H, W), of (N, C, H, W)."""
    down = (levels[:, :, 1:] != levels[:, :, :-1]).any(dim=1, keepdim=True)
    across = (levels[:, :, :, 1:] != levels[:, :, :, :-1]).any(dim=1, keepdim=True)
    pad = nn.functional.pad
    return pad(down, (0, 0, 1, 0)) | pad(down, (0, 0, 0, 1)) | pad(across, (1, 0)) | pad(across, (0, 1))
