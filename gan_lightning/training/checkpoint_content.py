"""The contents of a checkpoint, checked before anything uses them.

A checkpoint may come from anywhere. Its contents are copied into fresh containers of plain data, and kinds and ranges
are checked. Paths that callbacks stored are only used if they name a file in the checkpoint's own folder.
"""

import math
import os
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import torch
from packaging.version import InvalidVersion, Version
from torch import Tensor, nn
from torch.optim import Optimizer

from gan_lightning import private

OLDEST_LIGHTNING = Version("2.0")  # Lightning would rewrite the contents of older files after the checks
LARGEST_COUNT = 2**63 - 1
LONGEST = 1e10  # seconds that a run may have taken: 300 years
MOST_ITEMS = 1_000_000  # a checkpoint of CycleGAN has 7,000
MOST_CHARACTERS = 64_000_000
DEEPEST = 64  # levels of nested containers

COUNTERS = ("batches_seen", "images_seen", "images_at_last_update")
_PATHS = ("best_model_path", "kth_best_model_path", "last_model_path")
_HOW = {"foreach", "fused", "capturable", "differentiable"}


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says why."""


@contextmanager
def about(path: Any) -> Iterator[None]:
    """Name the file in the messages of errors, which begin with a verb in this module.

    Args:
        path: path of the file; None = it is not known.

    Raises:
        CheckpointError: the same error, with its subject.
    """
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"the checkpoint{'' if path is None else f' {path}'} {error}") from error


def checked_content(content: Any, folder: Path | None) -> dict[str, Any]:
    """Return a checkpoint's content in fresh containers, if a run may have written it.

    Args:
        content: the content of the file, as it was read.
        folder: the folder of the file. None = it is not local, and no path in the content is used.

    Raises:
        CheckpointError: no run has written it. The message begins with a verb, so that callers can put the file's name
            first.
    """
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise CheckpointError("is not a checkpoint of gan_lightning: give one that `gan-lightning fit` wrote")
    if "state_dict" not in content and content and all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(
            "holds weights alone, but a checkpoint also has the model's arguments and the run's state: give one that "
            "`gan-lightning fit` wrote"
        )
    for key, missing in (
        ("state_dict", "no weights"),
        ("pytorch-lightning_version", "no version of Lightning"),
        ("hyper_parameters", "no arguments of its model"),
        ("gan_lightning", "no counters of this project"),
    ):
        if key not in content:
            raise CheckpointError(
                f"is not a checkpoint of gan_lightning, since there is {missing} in it (key {key!r}): give one that "
                "`gan-lightning fit` wrote"
            )
    copies = _Copy()
    plain: dict[str, Any] = copies.of(content)
    _check_version(plain["pytorch-lightning_version"])
    _check_weights(plain["state_dict"])
    versions = copies.of(private.module_versions(content["state_dict"]))  # of modules, as torch records them
    if versions is not None:
        _need(_is_dict(versions) and all(map(_is_dict, versions.values())), "state_dict", "it has no versions")
        plain["state_dict"] = OrderedDict(plain["state_dict"])
        private.set_module_versions(plain["state_dict"], versions)
    _need(
        isinstance(plain["hyper_parameters"], dict) and isinstance(plain["hyper_parameters"].get("_class_path"), str),
        "hyper_parameters",
        "it does not name a model's class",
    )
    _check_run(plain["gan_lightning"])
    for key in ("epoch", "global_step"):
        _need(_is_count(plain.get(key, 0)), key, "it is not a count")
    _need(_is_tree_of_counts(plain.get("loops", {}), top=True), "loops", "it holds more than counts")
    _check_optimizers(plain.get("optimizer_states", []))
    schedules = plain.get("lr_schedulers", [])
    _need(isinstance(schedules, list) and all(map(_is_dict, schedules)), "lr_schedulers", "it is not a list of states")
    _check_scaler(plain.get("MixedPrecision"))
    callbacks = plain.get("callbacks", {})
    _need(_is_dict(callbacks) and all(map(_is_dict, callbacks.values())), "callbacks", "it does not hold their states")
    plain.pop("hparams_type", None)  # the name of a class
    for key in ("callbacks", "state_dict", "hyper_parameters", "loops"):
        _need(all(isinstance(name, str) for name in plain.get(key, {})), key, "its names are not text")
    for name, state in callbacks.items():
        callbacks[name] = _confined(state, folder, name)
    return plain


def _need(condition: bool, key: str, problem: str) -> None:
    if not condition:
        raise CheckpointError(
            f"holds under {key!r} a value that no run writes ({problem}): give a checkpoint that `gan-lightning "
            "fit` wrote"
        )


class _Copy:
    """Copies plain data and tensors; refuses anything else, and content of excessive size."""

    def __init__(self) -> None:
        self._items = 0
        self._characters = 0

    def of(self, value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 (one for each kind of value)
        """Return a copy of containers with the same tensors.

        Raises:
            CheckpointError: the value is not plain data, is nested too deep, or has too many items, where an item
                counts each time it appears.
        """
        self._items += 1
        if self._items > MOST_ITEMS or self._characters > MOST_CHARACTERS or depth > DEEPEST:
            raise CheckpointError(
                "holds more than any checkpoint needs, or nests it deeper: give one that `gan-lightning fit` wrote"
            )
        kind = type(value)
        if value is None or kind in (bool, float):
            return value
        if kind is int:
            _need(-(2**64) < value < 2**64, "a number", "it has more than 64 bits")
            return value
        if kind in (str, bytes):
            self._characters += len(value)
            return value
        if kind in (Tensor, nn.Parameter):
            return _check_tensor(value)
        if kind in (torch.dtype, torch.device, torch.Size, complex):
            return value
        if isinstance(value, dict):  # the attributes that an OrderedDict may carry are dropped
            return {self.of(key, depth + 1): self.of(item, depth + 1) for key, item in dict.items(value)}
        if kind in (list, tuple, set):
            return kind(self.of(item, depth + 1) for item in value)
        if any(kind is each for each in torch.serialization.get_safe_globals()):
            return value  # the program that loads the file has declared the class safe
        raise CheckpointError(f"holds a {kind.__name__}, which is neither plain data nor a tensor")


def _check_tensor(tensor: Tensor) -> Tensor:
    """Return the tensor, if it is an ordinary one, and not larger than its storage."""
    ordinary = tensor.layout is torch.strided and not tensor.is_meta and not tensor.is_quantized
    if not ordinary or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointError(
            f"holds a tensor of shape {tuple(tensor.shape)} without the numbers for it: give a checkpoint that "
            "`gan-lightning fit` wrote"
        )
    return tensor.detach()


def _check_version(version: Any) -> None:
    try:
        old = Version(version) < OLDEST_LIGHTNING
    except (InvalidVersion, TypeError) as error:
        raise CheckpointError(
            f"names {str(version)[:40]!r} as the version of Lightning: give a checkpoint that `gan-lightning fit` wrote"
        ) from error
    if old:
        raise CheckpointError(
            f"was written by Lightning {version}, before there was a gan_lightning: give a checkpoint that "
            "`gan-lightning fit` wrote"
        )


def _check_weights(weights: Any) -> None:
    _need(_is_dict(weights) and len(weights) > 0, "state_dict", "there are no weights")
    _need(all(isinstance(value, Tensor) for value in weights.values()), "state_dict", "not all of it are tensors")


def _check_run(run: Any) -> None:
    _need(_is_dict(run), "gan_lightning", "it is not a dictionary")
    for name in COUNTERS:
        _need(_is_count(run.get(name)), "gan_lightning", f"{name} is not a count")
    _need(
        run["images_at_last_update"] <= run["images_seen"] and run["batches_seen"] <= run["images_seen"],
        "gan_lightning",
        "its counts contradict each other",
    )
    names = run.get("class_names", [])
    _need(
        isinstance(names, list) and all(isinstance(name, str) for name in names),
        "gan_lightning",
        "its class_names are not text",
    )
    if "text" in run:
        _check_text(run["text"])
    if "standing" in run:
        _check_standing(run)
    turns = run.get("turns", {})
    _need(_is_dict(turns) and all(map(_is_count, turns.values())), "gan_lightning", "its turns are not counts")
    processes, state = run.get("processes", [{}]), run.get("resume_state", {})
    _need(
        _is_dict(state)
        and isinstance(processes, list)
        and len(processes) > 0
        and all(_is_dict(each) and "random" in each for each in (processes if "processes" in run else [state])),
        "gan_lightning",
        "it does not hold the random states",
    )


def _check_text(text: Any) -> None:
    sentences, codes = (text.get("sentences"), text.get("codes")) if _is_dict(text) else (None, None)
    _need(
        isinstance(sentences, list)
        and all(isinstance(each, str) for each in sentences)
        and isinstance(codes, Tensor)
        and codes.dim() == 2
        and codes.dtype in (torch.float32, torch.int64)
        and len(codes) == len(sentences)
        and _is_dict(text.get("coder")),
        "gan_lightning",
        "its captions are not sentences, with a code for each and their coder",
    )


def _check_standing(run: dict[Any, Any]) -> None:
    """Check the position of a run in its epochs, evaluations and logs."""
    where, row, terms = run["standing"], run.get("row"), run.get("terms")
    _need(
        _is_dict(where)
        and all(_is_count(where.get(name)) for name in ("epoch", "batch", "logged"))
        and where["batch"] <= run["batches_seen"]
        and isinstance(where.get("due"), bool)
        and ("length" not in where or _is_count(where["length"]))
        and isinstance(run.get("evaluated_at"), int)
        and (run.get("rows") is None or _is_count(run["rows"]))
        and isinstance(terms, dict)
        and all(isinstance(value, Tensor) for value in terms.values()),
        "gan_lightning",
        "it does not hold the run's position",
    )
    _need(
        row is None
        or (
            isinstance(row, tuple | list)
            and len(row) == 2
            and _is_count(row[0])
            and _is_dict(row[1])
            and all(isinstance(key, str) and isinstance(value, int | float) for key, value in row[1].items())
        ),
        "gan_lightning",
        "its row of logs is invalid",
    )


def _check_optimizers(states: Any) -> None:
    _need(isinstance(states, list), "optimizer_states", "it is not a list")
    for state in states:
        groups = state.get("param_groups") if _is_dict(state) else None
        _need(
            isinstance(groups, list)
            and all(_is_dict(group) and isinstance(group.get("params"), list) for group in groups)
            and all(isinstance(number, int) for group in groups for number in group["params"])
            and all(value.numel() == 1 for group in groups for value in group.values() if isinstance(value, Tensor))
            and _is_dict(state.get("state"))
            and all(isinstance(key, int) and _is_dict(value) for key, value in state["state"].items()),
            "optimizer_states",
            "no optimizer has such a state",
        )
        steps = [value["step"] for value in state["state"].values() if "step" in value]
        _need(
            len(steps) in (0, len(state["state"])) and all(step is not None and _is_score(step) for step in steps),
            "optimizer_states",
            "it does not count its steps",
        )


def _check_scaler(scales: Any) -> None:
    """Check the state of fp16's loss scaler: five numbers."""
    names = torch.amp.GradScaler("cpu").state_dict()
    _need(
        scales is None or (_is_dict(scales) and all(isinstance(scales.get(name), int | float) for name in names)),
        "MixedPrecision",
        "it is not the state of a loss scaler",
    )


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT


def _is_tree_of_counts(value: Any, top: bool = False) -> bool:
    if isinstance(value, dict):
        return all(map(_is_tree_of_counts, value.values()))
    if isinstance(value, list):
        return not top and all(map(_is_tree_of_counts, value))
    return not top and (value is None or isinstance(value, bool | str) or _is_count(value) or _is_share(value))


def _is_share(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _confined(state: dict[Any, Any], folder: Path | None, name: str) -> dict[Any, Any]:
    """Return a callback's state in which each path that it may write to or remove lies in the checkpoint's own folder.

    Lightning's ModelCheckpoint removes the paths in its state at the next save, even folders. Only the name of each
    path is kept, and only if the folder has such a file. A run that was moved therefore finds its best checkpoint.
    """
    kept = dict(state)
    if kept.get("dirpath") is not None:
        _need(isinstance(kept["dirpath"], str), "callbacks", f"the folder of {name} is not text")
        if folder is None:
            kept["dirpath"] = ""
        elif os.path.realpath(kept["dirpath"]) == os.path.realpath(folder):
            folder = Path(kept["dirpath"])  # as the callback itself writes it
        else:
            kept["dirpath"] = str(folder)

    def found(path: Any) -> str:
        _need(path is None or isinstance(path, str), "callbacks", f"a path of {name} is not text")
        file = None if not path or folder is None else folder / path.replace("\\", "/").rpartition("/")[2]
        usable = file is not None and file.suffix == ".ckpt" and file.is_file() and not file.is_symlink()
        return str(file) if usable else ""

    for key in _PATHS:
        if key in kept:
            kept[key] = found(kept[key])
    if "best_k_models" in kept:
        best = kept["best_k_models"]
        _need(
            _is_dict(best) and all(map(_is_score, best.values())), "callbacks", f"the scores of {name} are not numbers"
        )
        best = {file: score for path, score in best.items() if (file := found(path))}
        if kept.get("kth_best_model_path") not in best:
            best = {}
            kept.pop("kth_best_model_path", None)
            kept.pop("kth_value", None)
        kept["best_k_models"] = best
    for key in ("best_model_score", "current_score", "kth_value"):
        _need(_is_score(kept.get(key)), "callbacks", f"{key} of {name} is not a number")
    return kept


def _is_score(value: Any) -> bool:
    return value is None or isinstance(value, int | float) or (isinstance(value, Tensor) and value.numel() == 1)


def check_progress(given: Mapping[str, Any], live: Mapping[str, Any]) -> None:
    """Compare a loop's counts in a checkpoint with those of the loop itself.

    Args:
        given: the loop's part of the checkpoint's `loops`.
        live: the loop's own `state_dict`.

    Raises:
        CheckpointError: a count is missing, of another kind, or unknown.
    """
    _need(isinstance(given, Mapping), "loops", "it is not the state of a loop")
    for key, value in live.items():
        if not key.endswith("state_dict"):
            _need(_alike(given.get(key), value), "loops", f"{key} does not have its counts")
        else:
            state = given.get(key, {})
            _need(isinstance(state, Mapping), "loops", f"{key} is not a state")
            right = all(_is_count(state.get(name, 0)) for name, count in value.items() if _is_count(count))
            _need(right, "loops", f"{key} does not have its counts")


def _alike(given: Any, live: Any) -> bool:
    if isinstance(live, Mapping):
        return (
            isinstance(given, Mapping) and given.keys() == live.keys() and all(_alike(given[k], live[k]) for k in live)
        )
    return type(given) is type(live) or (live is None and _is_count(given))


def check_callbacks(given: Mapping[str, Any], callbacks: Sequence[Any]) -> None:
    """Compare the states of Lightning's callbacks in a checkpoint with those of the callbacks themselves.

    Args:
        given: the checkpoint's `callbacks`.
        callbacks: the trainer's callbacks.

    Raises:
        CheckpointError: a state is incomplete, so that Lightning could not read it.
    """
    for callback in callbacks:
        state = given.get(callback.state_key)
        if state and type(callback).__module__.startswith(("lightning.", "pytorch_lightning.")):
            optional = {"kth_best_model_path", "kth_value"}
            live = callback.state_dict()
            missing = live.keys() - state.keys() - optional
            _need(not missing, "callbacks", f"{callback.state_key} has no {', '.join(sorted(missing))}")
            right = all(_resembles(state[name], value) for name, value in live.items() if name in state)
            _need(right, "callbacks", f"the state of {callback.state_key} has other kinds of values")
            elapsed = state["time_elapsed"].values() if "time_elapsed" in live else ()  # the Timer's
            right = all(_is_score(seconds) and 0 <= float(seconds or 0) <= LONGEST for seconds in elapsed)
            _need(right, "callbacks", f"the state of {callback.state_key} has times that no run takes")


def _resembles(given: Any, live: Any) -> bool:
    if isinstance(live, Mapping):
        return isinstance(given, Mapping) and all(_resembles(given[key], live[key]) for key in live if key in given)
    if isinstance(live, int | float | Tensor):
        return _is_score(given)
    return live is None or given is None or isinstance(given, type(live))


def check_optimizers(given: Sequence[Any], optimizers: Sequence[Optimizer]) -> None:
    """Compare the states of optimizers in a checkpoint with the optimizers that are to load them.

    Args:
        given: the checkpoint's `optimizer_states`.
        optimizers: the model's optimizers, in their order.

    Raises:
        CheckpointError: their number differs, or one of them has other parameters.
    """

    def sizes(groups: Sequence[Any]) -> list[int]:
        return [len(group["params"]) for group in groups]

    then, now = ([sizes(o["param_groups"]) for o in given], [sizes(o.param_groups) for o in optimizers])
    if then != now:
        raise CheckpointError(
            f"holds optimizers of other networks ({str(then)[:100]} parameters in their groups, but the model has "
            f"{now}): give the config that it was trained with"
        )


def check_optimizer(optimizer: Optimizer) -> None:
    """Compare the state that an optimizer has loaded with the state that it makes itself in a parameter's first step.

    Its way of computing (`fused`, `foreach` ...) depends on this machine, and stays as it was constructed.

    Raises:
        CheckpointError: a value is missing, or of another kind, range or shape.
    """
    key = "optimizer_states"
    for group in optimizer.param_groups:
        group.update({name: optimizer.defaults[name] for name in _HOW & optimizer.defaults.keys()})
        for name, default in optimizer.defaults.items():
            _need(name in group, key, f"there is no {name}")
            right = _is_setting(group[name], default) and (name != "betas" or max(map(float, group[name])) <= 1)
            _need(right, key, f"{name} is {str(group[name])[:40]}")
        fresh, shape = _first_state(optimizer, group)
        for parameter in group["params"]:
            state = optimizer.state.get(parameter) or {}
            for name, value in fresh.items() if state else ():
                _need(name in state, key, f"a parameter has no {name}")
                given, right = state[name], True
                if isinstance(value, Tensor):
                    expected = parameter.shape if value.shape == shape else value.shape
                    right = isinstance(given, Tensor) and given.shape == expected
                elif value is not None:
                    right = isinstance(given, int | float)
                _need(right, key, f"{name} does not fit its parameter")
                _need(name != "step" or 1 <= float(given) < LARGEST_COUNT, key, "it has not stepped")


def _is_setting(value: Any, default: Any) -> bool:
    """Return whether an optimizer's setting is of its default's kind, and in the range of such numbers."""
    if isinstance(default, bool) or default is None:
        return value is None or isinstance(value, bool)
    if isinstance(default, tuple | list):
        same = isinstance(value, tuple | list) and len(value) == len(default)
        return same and all(_is_setting(each, 0.0) for each in value)
    if isinstance(default, int | float | Tensor):
        return value is not None and _is_score(value) and math.isfinite(float(value)) and float(value) >= 0
    return True


def _first_state(optimizer: Optimizer, group: dict[str, Any]) -> tuple[dict[str, Any], torch.Size]:
    """Return the state of a parameter after one step of a copy of the optimizer, and the parameter's shape.

    The state is empty if the optimizer does not permit such a trial.
    """
    probe = nn.Parameter(torch.zeros(2, 3, device=group["params"][0].device))
    probe.grad = torch.zeros_like(probe)
    trial = copy(optimizer)
    trial.param_groups, trial.state = [{**group, "params": [probe]}], defaultdict(dict)
    try:
        type(optimizer).step(trial)
    except Exception:  # an optimizer that needs a closure, or the whole network
        return {}, probe.shape
    return dict(trial.state[probe]), probe.shape
