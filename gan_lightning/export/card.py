"""The model card of an export: README.md and a picture of samples, as the Hugging Face Hub shows them.

Its front matter is YAML: library, task, licence, and the scores as the Hub's `model-index`. No path of the machine that
trained the model is written into it.
"""

import ast
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from gan_lightning.data import lines
from gan_lightning.data.batches import Role
from gan_lightning.export.files import CARD, Trained, is_export
from gan_lightning.inference import Translator
from gan_lightning.run_files import CONFIG, REPORTS

PICTURE = "samples.png"
SHOWN = 16  # samples in the picture
LARGEST_CARD = 1_000_000  # bytes of a card that is read
_OUTPUTS = {Role.IMAGE: ("images", "C, H, W"), Role.VOXELS: ("voxels", "1, X, Y, Z")}
_MODELS = Path(__file__).parents[1] / "models"


def write_card(folder: Path, trained: Trained, license: str, run: Path | None, note: str = "") -> None:
    """Write the card and its picture into a folder.

    Args:
        folder: the folder of the export.
        trained: the model.
        license: name of a licence, as the Hub knows it: mit, cc-by-4.0, ...
        run: the folder of the run that trained it, with its config.yaml, evaluations.jsonl and samples. None = it
            is not known.
        note: sentences on the origin of the weights.
    """
    pictured = _write_picture(folder / PICTURE, trained, run)
    (folder / CARD).write_text(card(trained, license, run, pictured, note), encoding="utf-8")


def card(trained: Trained, license: str, run: Path | None, pictured: bool = False, note: str = "") -> str:
    """Return the text of a card; see `write_card`."""
    translates = isinstance(trained.maker, Translator)
    task = "image-to-image" if translates else "unconditional-image-generation"
    scores = [] if run is None else list(scores_of(run, trained.images_seen))
    front: dict[str, Any] = {
        "library_name": "gan_lightning",
        "pipeline_tag": task,
        "license": license,
        "tags": ["gan", "pytorch", trained.name.lower()],
    }
    if scores:
        results = [
            {
                "task": {"type": task},
                "dataset": {"type": "image", "name": score["real"]},
                "metrics": [
                    {"type": metric, "name": f"{metric} ({score['recipe']})", "value": value["mean"]}
                    for metric, value in score["values"].items()
                ],
            }
            for score in scores
        ]
        front["model-index"] = [{"name": trained.name, "results": results}]
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        f"# {trained.name}",
        *paper_of(trained.model),
        *([f"![samples]({PICTURE})"] if pictured else []),
        f"## Use\n\n```python\nimport gan_lightning\n\n{_usage(trained)}\n```",
        f"## Training\n\n{' '.join(filter(None, (note.strip(), _training(trained, run))))}",
        f"## Scores\n\n{_table(scores)}",
    ]
    return "\n\n".join(parts) + "\n"


def paper_of(model: str) -> list[str]:
    """Return title and source of the paper of one of this library's models, from the docstring of its module."""
    package, _, module = model.rpartition(".")[0].rpartition(".")
    file = _MODELS / f"{module}.py"
    if package != "gan_lightning.models" or not file.is_file():
        return []
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return [" ".join(paragraph.split()) for paragraph in docstring.split("\n\n")[:2]]


def license_of(path: Path) -> str | None:
    """Return the licence that the model card of an export states. None = there is no card, or it states none."""
    file = (path if path.is_dir() else path.parent) / CARD
    if not is_export(path) or not file.is_file() or file.stat().st_size > LARGEST_CARD:
        return None
    try:
        _, front, _ = file.read_text(encoding="utf-8").split("---", 2)
        stated = yaml.safe_load(front)["license"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError):
        return None  # a card that somebody wrote in another form
    return " ".join(stated.split()) if isinstance(stated, str) and stated not in ("", "unknown") else None


def scores_of(run: Path, images_seen: int) -> Iterator[dict[str, Any]]:
    """Yield the newest complete evaluation by each recipe, of the state after that number of images."""
    found: dict[Any, dict[str, Any]] = {}
    if (run / REPORTS).is_file():
        for line in lines.read(run / REPORTS).splitlines():
            try:
                report = json.loads(line)
                settings = report["settings"]
                if settings["images_seen"] == images_seen and settings.get("complete", True):
                    {name: float(value["mean"]) for name, value in report["values"].items()}
                    found[report["recipe"], report["real"]] = report
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # a line that no evaluation wrote
    yield from found.values()


def _usage(trained: Trained) -> str:
    maker = trained.maker
    if isinstance(maker, Translator):
        network: Any = maker.network()
        ways = f"  # or one of {', '.join(maker.directions[1:])}" if len(maker.directions) > 1 else ""
        return (
            'translator = gan_lightning.load("FOLDER")  # or "hf://owner/name"\n'
            f"images = translator.translate(images){ways}  # float32 (N, {network.in_channels}, H, W) in [-1, 1]"
        )
    labels = f", labels=torch.arange(16) % {maker.num_classes}" if maker.num_classes else ""
    head = "import torch\n\n" if labels else ""
    name, axes = _OUTPUTS.get(maker.makes, ("outputs", "..."))
    return (
        f'{head}sampler = gan_lightning.load("FOLDER")  # or "hf://owner/name"\n'
        f"{name} = sampler.sample(16{labels}, seed=0)  # float32 (16, {axes}) in [-1, 1]"
    )


def _training(trained: Trained, run: Path | None) -> str:
    """Return what the run says of its data, without any path."""
    seen = (
        f"It has seen {trained.images_seen:,} images." if trained.images_seen else "The images seen are not recorded."
    )
    try:
        config = None if run is None else yaml.safe_load((run / CONFIG).read_text(encoding="utf-8"))
        data = config["data"]  # type: ignore[index]
        name = str(data["class_path"]).rpartition(".")[2]
        settings = {k: v for k, v in (data.get("init_args") or {}).items() if isinstance(v, bool | int | float)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return f"{seen} Its data are not recorded."
    stated = ", ".join(f"{key} {value}" for key, value in settings.items())
    return f"{seen} Data: {name}{f' ({stated})' if stated else ''}."


def _table(scores: list[dict[str, Any]]) -> str:
    if not scores:
        return "No evaluation of this state is recorded."
    rows = ["| metric | value | recipe | images | reference | features |", "|---|---|---|---|---|---|"]
    for score in scores:
        for metric, value in score["values"].items():
            cells = (
                metric,
                f"{value['mean']:.4g}",
                score["recipe"],
                score.get("num_fake", ""),
                f"{score['real']} ({score.get('num_real', '')})",
                score.get("extractor", ""),
            )
            rows.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    return "\n".join(rows)


def _write_picture(path: Path, trained: Trained, run: Path | None) -> bool:
    """Write samples of seed 0, or for a translator the newest picture of its run. Return whether there is one."""
    maker = trained.maker
    if isinstance(maker, Translator):
        newest = max(() if run is None else run.glob("samples/images-*.png"), default=None)
        if newest is not None:
            shutil.copyfile(newest, path)
        return newest is not None
    from gan_lightning.data.images import image_grid, write_png  # noqa: PLC0415 (imports torchvision)

    columns = maker.num_classes if 1 < maker.num_classes <= SHOWN else 4
    images = maker.render(maker.sample(columns * max(1, SHOWN // columns), seed=0))
    if images.dim() != 4 or images.shape[1] not in (1, 3, 4) or not images.isfinite().all():
        return False
    write_png(image_grid(images, columns), path)
    return True
