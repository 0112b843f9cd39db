"""Lists of the library's contents, read from its files: nothing is imported, so that they come at once."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

from gan_lightning import shipped
from gan_lightning.cli import configs

_CLASS = re.compile(r"^model:\s*(?:\n\s+class_path:)?\s*gan_lightning\.models\.(\w+)", re.MULTILINE)


class Model(NamedTuple):
    """A model of the library.

    Args:
        name: of its class in `gan_lightning.models`.
        module: name of its file there.
        title: short name and title of its paper, the first line of its module.
        configs: names of the configs that train it, those for the embedded digits first.
    """

    name: str
    module: str
    title: str
    configs: list[str]


def list_of_models() -> list[Model]:
    """Return every model of the library, sorted by name."""
    folder = configs.PACKAGE / "models"
    trained_by: dict[str, list[str]] = {}
    for name in configs.names():
        found = _CLASS.search((configs.library() / f"{name}.yaml").read_text(encoding="utf-8"))
        if found is not None:
            trained_by.setdefault(found[1], []).append(name)
    models = [
        Model(
            alias.name,
            module := (statement.module or "").rpartition(".")[2],
            _title(folder / f"{module}.py"),
            sorted(trained_by.get(alias.name, []), key=lambda name: ("/" in name, "digits" not in name, name)),
        )
        for statement in ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    ]
    return sorted(models, key=lambda model: model.name.lower())


def _title(module: Path) -> str:
    return (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def models() -> None:
    """List the models with the titles of their papers, and the configs that train them."""
    for model in list_of_models():
        print(f"{model.name}\n  {model.title}\n  --config {', '.join(model.configs)}")
    print(f"trained models that come with the package, for all commands on models\n  {', '.join(shipped.names())}")
    overlays = [name for name in configs.names() if name.startswith(f"{configs.OVERLAYS}/")]
    print(f"stacked on any config by a second --config\n  --config {', '.join(overlays)}")
