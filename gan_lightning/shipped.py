"""The trained models that come with the package: exports, each found by a short name wherever a model is named."""

from pathlib import Path

FOLDER = Path(__file__).parent / "assets" / "models"


def names() -> list[str]:
    """Return the names of the models."""
    return sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) if FOLDER.is_dir() else []


def find(path: str | Path) -> Path | None:
    """Return the folder of the model of that name. None = there is none, or there is a file or folder of this name."""
    return FOLDER / str(path) if str(path) in names() and not Path(path).exists() else None


def hint(path: str | Path) -> str:
    """Return the end of a sentence on a path that names no model: the models that come with the package."""
    if str(path) in names():
        return f"the model {path} that comes with the package, which this path hides, is {FOLDER / str(path)}"
    return f"these come with the package: {', '.join(names())}"
