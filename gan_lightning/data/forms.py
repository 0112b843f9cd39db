"""Forms of outputs: how images, voxels and so on become pictures for people, and files of their own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from gan_lightning.data import voxels
from gan_lightning.data.batches import Role
from gan_lightning.data.shading import shaded


def _no_check() -> None:
    return None


@dataclass(frozen=True)
class Form:
    """All that tools need to know of one kind of outputs.

    Args:
        render: converts outputs to pictures, float (N, C, H, W) in [-1, 1]; differentiable.
        writers: functions that write one output as a file, by its suffix without a dot; pictures of any output are
            written as .png.
        checks: functions that raise ModuleNotFoundError where a package for a suffix is missing.
    """

    render: Callable[[Tensor], Tensor]
    writers: Mapping[str, Callable[[Tensor, Path], None]] = field(default_factory=dict)
    checks: Mapping[str, Callable[[], None]] = field(default_factory=dict)

    def writer(self, suffix: str) -> Callable[[Tensor, Path], None]:
        """Return the function that writes one output as a file with this suffix, without a dot.

        Raises:
            ValueError: outputs of this form have no such files.
            ModuleNotFoundError: a package for them is missing.
        """
        if suffix not in self.writers:
            known = ", ".join(["png", *self.writers])
            raise ValueError(f"what this model makes cannot be written as .{suffix}: choose among {known}")
        self.checks.get(suffix, _no_check)()
        return self.writers[suffix]


IMAGES = Form(lambda images: images)
"""The form of images, which are pictures already."""
FORMS: Mapping[Role, Form] = {
    Role.IMAGE: IMAGES,
    Role.VOXELS: Form(shaded, voxels.WRITERS, {"obj": voxels.check_meshes, "ply": voxels.check_meshes}),
}
"""The forms by the roles of outputs."""
