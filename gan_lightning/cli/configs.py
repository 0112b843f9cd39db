"""The configs that come with the library, by name: `quickstart`, `cyclegan/folder`, `overlays/wandb`."""

from collections.abc import Sequence
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
OVERLAYS = "overlays"


def library() -> Path:
    """Return the folder of the library's configs: within the package where that was installed, beside it in a clone."""
    installed = PACKAGE / "configs"
    return installed if installed.is_dir() else PACKAGE.parent / "configs"


def names() -> list[str]:
    """Return the names of the library's configs, sorted; those of overlays begin with `overlays/`."""
    folder = library()
    return sorted(str(path.relative_to(folder).with_suffix("").as_posix()) for path in folder.rglob("*.yaml"))


def find(given: str) -> Path | None:
    """Find a config of the library.

    Args:
        given: its name, or its path in a clone: `cyclegan/folder`, `configs/cyclegan/folder.yaml`.

    Returns:
        The path of its file. None = the library has no such config.
    """
    name = given.removeprefix("./").removeprefix("configs/").removesuffix(".yaml")
    return library() / f"{name}.yaml" if name in names() else None


def run_name(files: Sequence[str]) -> str | None:
    """Name a run after its config.

    Args:
        files: the config files of the command line, in order.

    Returns:
        `cyclegan-folder` for the library's `cyclegan/folder`, `my_gan` for a file my_gan.yaml of the user's; the first
        file that is no overlay counts. None = there is none.
    """
    for file in map(Path, files):
        if file.resolve().is_relative_to(library().resolve()):
            name = file.resolve().relative_to(library().resolve()).with_suffix("")
            if name.parts[0] != OVERLAYS:
                return "-".join(name.parts)
        elif OVERLAYS not in file.parts:
            return file.stem
    return None
