"""Hook of MkDocs that adds the pages of the documentation that come from other files or are generated.

The README is the home page; other documents of the repository, docs/*.md, each model's page and the reference of all
packages follow. Links between these files work on the site as in the repository. No model is imported.
"""

import ast
import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from gan_lightning.cli.listing import list_of_models

ROOT = Path(__file__).parents[1]
DOCUMENTS = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
}
"""Documents outside docs/, and their places on the site."""
FIT = "gan-lightning fit --config {}"
INTERNAL = {"assets", "private"}  # parts of gan_lightning without a page

LINK = re.compile(r'(\]\()([^)\s]+)(\))|(<(?:a|img)\s[^>]*?(?:href|src)=")([^"]+)(")')
FENCE = re.compile(r"^(```.*?^```)", re.DOTALL | re.MULTILINE)
ADDRESS = re.compile(r"^(\w+:|#|//)")


@dataclass(frozen=True)
class Model:
    """A model of `gan_lightning.models.__all__`, described by its file and the configs.

    Args:
        name: name of the class.
        module: name of the file, in `gan_lightning.models`.
        title: the docstring's first line, which names the paper.
        year: year of the paper; "" if the docstring has none.
        paper: link to the paper in arXiv, or the conference of one that is not there; "" if the docstring has neither.
        members: public classes and functions of the file, the model first.
        configs: paths below configs/, without their suffix.
    """

    name: str
    module: str
    title: str
    year: str
    paper: str
    members: tuple[str, ...]
    configs: tuple[str, ...]

    @property
    def page(self) -> str:
        """Its place on the site."""
        return f"models/{self.module}.md"


def models() -> list[Model]:
    """Return all models, in the order of their names."""
    package = ROOT / "gan_lightning" / "models"
    return [
        describe(each.name, each.module, package / f"{each.module}.py", tuple(each.configs))
        for each in list_of_models()
    ]


def describe(name: str, module: str, file: Path, configs: tuple[str, ...]) -> Model:
    """Describe a model by its file."""
    tree = ast.parse(file.read_text())
    docstring = ast.get_docstring(tree) or ""
    public = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    ]
    title = " ".join(docstring.split("\n\n")[0].split()).rstrip(".")
    year = re.search(r"\b((?:19|20)\d\d)\b", docstring)
    number = re.search(r"arXiv\s+(\d{4}\.\d{4,5})", docstring)
    conference = re.search(r"\b(CVPR|ECCV|ICCV|ICLR|ICML|NeurIPS)\s+((?:19|20)\d\d)\b", docstring)
    paper = f"[{number[1]}](https://arxiv.org/abs/{number[1]})" if number else conference[0] if conference else ""
    members = (name, *(each for each in public if each != name))
    return Model(name, module, title, year[1] if year else "", paper, members, configs)


def captions() -> dict[str, str]:
    """Read the caption of each model's picture."""
    return yaml.safe_load((ROOT / "docs/pictures/captions.yaml").read_text())


def missing(model: Model) -> list[str]:
    """Return sentences about the missing parts of a model's page."""
    lacks = []
    if not model.configs:
        lacks.append(f"{model.name} has no config: write configs/{model.module}/digits.yaml")
    if not (ROOT / f"docs/pictures/{model.name}.png").is_file():
        lacks.append(f"{model.name} has no picture: save what it makes as docs/pictures/{model.name}.png")
    if not captions().get(model.name):
        lacks.append(f"{model.name}'s picture has no caption: say in docs/pictures/captions.yaml what it shows")
    if not model.paper:
        lacks.append(
            f"{model.name} names no paper: its file's docstring, gan_lightning/models/{model.module}.py, states the "
            "number of the paper in arXiv, or its conference and year"
        )
    return lacks


def model_page(model: Model) -> str:
    """Return a model's page: paper and objective, picture, configs with their commands, API."""
    caption = captions()[model.name]
    tabs = "\n\n".join(config_tab(config) for config in model.configs)
    members = "\n\n".join(f"::: gan_lightning.models.{model.module}.{name}" for name in model.members)
    return f"""# {model.name}

::: gan_lightning.models.{model.module}
    options: {{members: false, show_root_heading: false, show_root_toc_entry: false}}

![{model.name}](../pictures/{model.name}.png)

*{caption}*

Name it in a config as `gan_lightning.models.{model.name}`.

## Configs

{tabs}

## API

{members}
"""


def config_tab(config: str) -> str:
    """Return the text of a config, under the command that trains it."""
    text = (ROOT / f"configs/{config}.yaml").read_text().rstrip()
    body = f"```\n{FIT.format(config)}\n```\n\n```yaml\n{text}\n```"
    return f'=== "{config}"\n\n' + "\n".join(f"    {line}".rstrip() for line in body.splitlines())


def models_page(all_models: list[Model]) -> str:
    """Return the table of all models."""
    rows = [
        f"| [{model.name}]({model.module}.md) | {model.title} | "
        f"{model.paper} | {model.year} | " + ", ".join(f"`{config}`" for config in model.configs) + " |"
        for model in all_models
    ]
    head = "| model | paper | published | year | configs |\n|---|---|---|---|---|"
    return "# Models\n\n" + "\n".join([head, *rows]) + "\n"


def public_modules() -> list[str]:
    """Return the packages and modules that have a page of the reference: all of gan_lightning, and datamodules."""
    entries = [path for path in (ROOT / "gan_lightning").iterdir() if not path.name.startswith(("_", "."))]
    names = {
        path.stem
        for path in entries
        if (path.suffix == ".py" or (path / "__init__.py").is_file()) and path.stem not in INTERNAL
    }
    return ["datamodules", *(f"gan_lightning.{name}" for name in sorted(names))]


def reference_page(module: str, all_models: list[Model]) -> str:
    """Return a package's docstring and those of all its modules; models have pages of their own."""
    folder = ROOT / module.replace(".", "/")
    if module == "gan_lightning.models":
        listed = "\n".join(f"- [{model.name}](../{model.page}): {model.title}" for model in all_models)
        return f"# `{module}`\n\n{listed}\n"
    whole = "    options: {{members: {}, show_root_heading: false, show_root_toc_entry: false}}"
    if not folder.is_dir():
        return f"# `{module}`\n\n::: {module}\n{whole.format('null')}\n"
    inner = sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in folder.rglob("*.py")
        if path != folder / "__init__.py" and path.name != "__main__.py"
    )
    exported = ", ".join(
        f'<autoref optional identifier="{module}.{name}"><code>{name}</code></autoref>'
        for name in exports(folder / "__init__.py")
    )
    short = f"In configs and imports, write `{module}.NAME` for: {exported}.\n\n" if exported else ""
    parts = [f"## `{name}`\n\n::: {name}\n{whole.format('null')}" for name in inner]
    return f"# `{module}`\n\n::: {module}\n{whole.format('false')}\n\n{short}" + "\n\n".join(parts) + "\n"


def exports(file: Path) -> list[str]:
    """Return the names of `__all__`, or none if the file has no such list."""
    for node in ast.parse(file.read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                return sorted(ast.literal_eval(node.value), key=str.lower)
    return []


def outside_code(change: Callable[[str], str], markdown: str) -> str:
    """Apply a change to all Markdown outside fenced blocks."""
    return "".join(part if part.startswith("```") else change(part) for part in FENCE.split(markdown))


def place_of(target: str, source: str) -> tuple[str, str]:
    """Return the file of the repository that a link in another file points to, and the anchor with its #."""
    path, mark, anchor = target.partition("#")
    return normpath(f"{PurePosixPath(source).parent}/{path}"), mark + anchor


def linked_files(source: str) -> Iterator[str]:
    """Yield files of the repository that a document links to, except pages and pictures of docs/."""
    targets: list[str] = []

    def note(text: str) -> str:
        targets.extend(match[2] or match[5] for match in LINK.finditer(text))
        return text

    outside_code(note, (ROOT / source).read_text())
    for target in targets:
        path, _ = place_of(target, source)
        if not ADDRESS.match(target) and path not in DOCUMENTS and not path.startswith(("docs/", "..")):
            yield path


def rewritten(markdown: str, source: str, page: str) -> str:
    """Convert a document's links from its place in the repository to its place on the site.

    A link to a folder, which is not a page, becomes text.
    """

    def link(match: re.Match[str]) -> str:
        before, target, after = match.groups()[:3] if match[2] else match.groups()[3:]
        if ADDRESS.match(target):
            return match[0]
        path, anchor = place_of(target, source)
        elsewhere = path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}"
        to = (DOCUMENTS | notebooks()).get(path, elsewhere)
        return before + relpath(to, PurePosixPath(page).parent) + anchor + after

    def links(text: str) -> str:
        text = re.sub(
            r"(?<!!)\[([^]]*)\]\(([^)\s#]+)\)",
            lambda match: match[1] if (ROOT / place_of(match[2], source)[0]).is_dir() else match[0],
            text,
        )
        return LINK.sub(link, text)

    return outside_code(links, markdown)


def documents() -> dict[str, str]:
    """Return the place on the site of each document of the repository."""
    return DOCUMENTS | {f"docs/{path.name}": path.name for path in sorted((ROOT / "docs").glob("*.md"))}


def notebooks() -> dict[str, str]:
    """Return the place on the site of each notebook."""
    paths = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
    return {f"docs/notebooks/{path.name}": f"notebooks/{path.stem}.md" for path in paths}


def notebook_pages(document: str, place: str) -> dict[str, str | bytes]:
    """Convert a notebook to a page: its text, its code, and the stored output and pictures of the code."""
    pictures: dict[str, str | bytes] = {}
    parts = []
    for cell in json.loads((ROOT / document).read_text())["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            if "text" in output:
                parts.append(f"```text\n{''.join(output['text']).rstrip()}\n```")
            if "image/png" in output.get("data", {}):
                picture = f"{place.removesuffix('.md')}-{len(pictures) + 1}.png"
                pictures[picture] = b64decode("".join(output["data"]["image/png"]))
                parts.append(f"![Output]({PurePosixPath(picture).name})")
    title, text = "\n\n".join(parts).split("\n", 1)
    link = f"[The notebook]({PurePosixPath(document).name}), to open in Jupyter."
    return {place: f"{title}\n\n{link}\n{text}\n"} | pictures


def title(document: str) -> str:
    """Return the first heading."""
    heading = re.search(r"^# (.+)$", (ROOT / document).read_text(), re.MULTILINE)
    if not heading:
        raise PluginError(f"{document} has no heading: begin it with one, as the navigation shows it")
    return heading[1]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the navigation; a new document of docs/, model or package needs no entry."""
    results = ["results.md", "published.md", "benchmarks.md"]
    guides = [path for document, path in documents().items() if document.startswith("docs/") and path not in results]
    config.nav = [
        {"Home": "index.md"},
        {"Guides": [*notebooks().values(), *sorted(guides)]},
        {"Models": ["models/index.md", *({model.name: model.page} for model in models())]},
        {"Results": results},
        {"Reference": [{module: f"reference/{module}.md"} for module in public_modules()]},
        {"Project": ["contributing.md", "changelog.md", "security.md"]},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/.

    Raises:
        PluginError: a part of a model's page is missing.
    """
    all_models = models()
    lacks = [sentence for model in all_models for sentence in missing(model)]
    if lacks:
        raise PluginError("; ".join(lacks))
    pages: dict[str, str | bytes] = {place: (ROOT / document).read_text() for document, place in DOCUMENTS.items()}
    for document, place in notebooks().items():
        pages |= notebook_pages(document, place)
    pages |= {model.page: model_page(model) for model in all_models}
    pages |= {f"reference/{module}.md": reference_page(module, all_models) for module in public_modules()}
    pages["models/index.md"] = models_page(all_models)
    for place, content in pages.items():
        files.append(File.generated(config, place, content=content))
    linked = {path for document in documents() for path in linked_files(document) if (ROOT / path).is_file()}
    for path in sorted(linked):
        files.append(File.generated(config, f"files/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Convert the links of the repository's documents to those of the site."""
    for document, place in documents().items():
        if place == page.file.src_uri:
            return rewritten(markdown, document, place)
    return markdown
