"""The callbacks that every run has without a word in its config: evaluation, samples, the best checkpoint.

Their arguments are the groups `evaluation`, `samples` and `best` of a config and of the command line.
"""

from collections.abc import Sequence
from typing import Any

import lightning as L
from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_info

from gan_lightning.callbacks import Evaluation, ModelCheckpoint, SampleGrid
from gan_lightning.evaluation import find_recipe
from gan_lightning.metrics import FrechetInceptionDistance

FID = "val/fid"

STANDARD_CALLBACKS: dict[str, tuple[type[L.Callback], dict[str, Any]]] = {
    "evaluation": (Evaluation, {}),
    "samples": (SampleGrid, {}),
    "best": (ModelCheckpoint, {"filename": "best", "monitor": FID, "enable_version_counter": False}),
}
"""The callbacks of every run by the key of their arguments, and where these differ from the class's defaults."""


def add_standard_callbacks(config: Namespace, defaults: Namespace) -> None:
    """Put the standard callbacks before the config's own.

    A callback of the same class in the config replaces a standard one. Of ModelCheckpoint there can be several: the one
    with the same file name replaces it.

    Raises:
        ValueError: a setting of a standard callback would have no effect, since it is replaced.
    """
    given = listed(config.trainer.callbacks)
    evaluates = bool(_evaluations(config))
    standard = []
    for group, (callback, _) in STANDARD_CALLBACKS.items():
        settings = config.pop(group)
        wanted = {
            "evaluation": settings.get("recipe") or settings.get("extractor"),
            "samples": settings.get("count"),
            # FID is of an evaluation; a model may log another metric itself
            "best": settings.get("monitor") and (evaluates or settings.monitor != FID),
        }[group]
        same = [each.init_args for each in given if each.class_path.endswith(f".{callback.__name__}")]
        if any(each.get("filename") == settings.get("filename") for each in same):
            changed = [name for name, value in vars(settings).items() if value != defaults[group].get(name)]
            if changed:
                raise ValueError(
                    f"{group}.{changed[0]} has no effect, since trainer.callbacks holds a {callback.__name__} of its "
                    "own: give the setting there, or take that callback out"
                )
        elif wanted:
            config[group] = Namespace(class_path=f"gan_lightning.callbacks.{callback.__name__}", init_args=settings)
            standard.append(config[group])
    config.trainer.callbacks = [*standard, *given]


def _evaluations(config: Namespace) -> list[Namespace]:
    """Return the settings of the callback Evaluation in the config, else of the standard one, if that is on."""
    given = [each.init_args for each in listed(config.trainer.callbacks) if each.class_path.endswith(".Evaluation")]
    if given:
        return given
    return [config.evaluation] if config.evaluation.recipe or config.evaluation.extractor else []


def follow_recipe(config: Namespace) -> None:
    """Evaluate by the recipe of the command line; let the data serve what the recipe compares with."""
    for settings in _evaluations(config) or ([] if config.recipe is None else [config.evaluation]):
        if config.download_weights:
            settings.download_weights = True
        if config.recipe is not None:
            settings.recipe, settings.extractor, settings.metrics = config.recipe, None, None
        if settings.recipe is None or "reference_split" not in config.data.init_args:
            continue
        recipe = find_recipe(settings.recipe)
        config.data.init_args.reference_split = recipe.split
        if recipe.num_real is not None:
            config.data.init_args.num_reference = recipe.num_real


def without_an_unmeasured_best(callbacks: Sequence[L.Callback], settings: Namespace) -> list[L.Callback]:
    """Leave out the standard ModelCheckpoint if it would monitor FID and the evaluation measures none.

    Args:
        callbacks: all callbacks of the run.
        settings: of the standard ModelCheckpoint.
    """
    evaluations = [each for each in callbacks if isinstance(each, Evaluation)]
    metrics = [metric for each in evaluations for metric in each.evaluator.metrics]
    standard = [
        each
        for each in callbacks
        if isinstance(each, ModelCheckpoint) and (each.monitor, each.filename) == (FID, settings.filename)
    ]
    if not standard or any(isinstance(metric, FrechetInceptionDistance) for metric in metrics):
        return list(callbacks)
    if metrics:
        rank_zero_info(
            f"no best.ckpt is kept: the recipe {evaluations[0].recipe.name} has no FID; name one of its metrics, "
            "such as --best.monitor val/kid"
        )
    return [each for each in callbacks if each not in standard]


def listed(value: Any) -> list[Any]:
    """Return a value that may be one or several as a list; None as an empty one."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
