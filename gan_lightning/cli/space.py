"""What a sweep searches: a file in the public format of Weights & Biases' sweeps, whose keys are flags of `fit`."""

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import yaml

from gan_lightning.metrics.directions import good_direction

METHODS = ("bayes", "random", "grid")
GOALS = {"minimize": min, "maximize": max}
OTHERS = ("program", "command", "early_terminate", "project", "entity", "name", "description", "run_cap")
"""Further keys; from the fourth on, they are for the server of Weights & Biases alone."""
WANDB = "overlays/wandb"
_TAIL = 1e-9  # probability that is cut off on either side of a normal distribution


@dataclass(frozen=True)
class Parameter:
    """One of the settings that are searched.

    Args:
        flag: of `fit`, without the dashes.
        choose: chooses a value by a trial of optuna.
        values: all values, in order. None = they are not countable.
    """

    flag: str
    choose: Callable[[Any], Any]
    values: Sequence[Any] | None = None


@dataclass(frozen=True)
class Space:
    """A sweep, as its file says.

    Args:
        content: of the file.
        method: bayes, random or grid.
        metric: its name: val/fid, or fid.
        goal: minimize or maximize.
        parameters: that are searched.
        fixed: flags of every trial: those of `command`, and parameters of one value.
    """

    content: dict[str, Any]
    method: str
    metric: str
    goal: str
    parameters: Sequence[Parameter]
    fixed: Sequence[str]

    @property
    def base(self) -> list[str]:
        """The flags of the file's `command`, without its program, its `fit`, its placeholders and the overlay of W&B.

        Weights & Biases' agent needs that overlay; here whoever wants it gives it.
        """
        words = [str(word) for word in self.content.get("command") or []]
        start = words.index("fit") + 1 if "fit" in words else len(words)
        return [word for word in words[start:] if not word.startswith("${") and word != f"--config={WANDB}"]

    def grid(self) -> list[dict[str, Any]]:
        """All combinations, the last parameter changing fastest.

        Raises:
            ValueError: a parameter is not countable.
        """
        for parameter in self.parameters:
            if parameter.values is None:
                raise ValueError(
                    f"method: grid needs parameters that can be counted, and {parameter.flag} cannot: give it "
                    "`values`, or take method: random or bayes"
                )
        counted = [parameter.values or [] for parameter in self.parameters]
        return [
            dict(zip((parameter.flag for parameter in self.parameters), values, strict=True))
            for values in itertools.product(*counted)
        ]


def read_space(path: Path) -> Space:
    """Read a file in the format of Weights & Biases' sweeps.

    Raises:
        ValueError: it is none.
        FileNotFoundError: there is no such file.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML file: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("parameters"), dict) or not content["parameters"]:
        raise ValueError(f"{path} is no sweep: it needs the keys method, metric and parameters (see docs/sweeps.md)")
    stops = content.get("early_terminate")
    if stops is not None and (not isinstance(stops, dict) or stops.get("type") != "hyperband"):
        raise ValueError(f"{path}: early_terminate is {stops!r}: make its type hyperband, with min_iter and eta")
    unknown = content.keys() - {"method", "metric", "parameters", *OTHERS}
    if unknown:
        raise ValueError(f"{path}: there is no key {min(unknown, key=str)!r} in a sweep: take it out")
    method = content.get("method")
    if method not in METHODS:
        raise ValueError(f"{path}: method is {method!r}: make it one of {', '.join(METHODS)}")
    name, goal = _metric(path, content.get("metric"))
    parameters, fixed = [], []
    for flag, settings in content["parameters"].items():
        try:
            parameter = _parameter(str(flag), settings)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{path}: parameters.{flag}: {error}") from error
        if parameter.values is not None and len(parameter.values) == 1:
            fixed.append(as_flag(parameter.flag, parameter.values[0]))
        else:
            parameters.append(parameter)
    return Space(content, method, name, goal, parameters, fixed)


def _metric(path: Path, metric: Any) -> tuple[str, str]:
    """Return the name and the goal of a space's metric."""
    if not isinstance(metric, dict) or not isinstance(metric.get("name"), str):
        raise ValueError(f"{path}: metric needs a name, such as {{name: val/fid, goal: minimize}}")
    if "goal" not in metric and good_direction(metric["name"]) == "max":
        raise ValueError(
            f"{path}: metric has no goal, which means minimize, and high values of {metric['name']} are good: add "
            "goal: maximize"
        )
    goal = metric.get("goal", "minimize")
    if goal not in GOALS:
        raise ValueError(f"{path}: metric.goal is {goal!r}: make it minimize or maximize")
    return metric["name"], goal


def as_flag(name: str, value: Any) -> str:
    """A setting as the command line takes it."""
    return f"--{name}={value if isinstance(value, str) else json.dumps(value)}"


def _parameter(flag: str, settings: Any) -> Parameter:
    if not isinstance(settings, dict):
        raise ValueError(f"it is {settings!r}: give value, values, or min and max")
    if "parameters" in settings:
        raise ValueError("parameters within parameters are not read: write the key with dots, as the flag has it")
    if "value" in settings:
        return Parameter(flag, lambda _: settings["value"], [settings["value"]])
    kind = settings.get("distribution")
    if "values" in settings:
        values = settings["values"]
        if not isinstance(values, list) or not values:
            raise ValueError(f"values is {values!r}: make it a list")
        if kind not in (None, "categorical") or "probabilities" in settings:
            raise ValueError("values are all equally probable: leave out distribution and probabilities")
        # optuna takes numbers, text, true, false and null alone
        names = [json.dumps(value) for value in values]
        return Parameter(flag, lambda trial: json.loads(trial.suggest_categorical(flag, names)), values)
    if kind is None:
        whole = all(isinstance(settings.get(name), int) for name in ("min", "max"))
        kind = "int_uniform" if whole else "uniform"
    return _distribution(flag, str(kind), settings)


def _distribution(flag: str, kind: str, settings: Mapping[str, Any]) -> Parameter:
    """A parameter by the name of its distribution.

    Raises:
        ValueError: there is no such distribution, or its limits are missing or wrong.
    """
    step = _number(settings, "q", 1.0) if kind.startswith("q_") else None
    if step is not None and step <= 0:
        raise ValueError(f"q is {step}: make it above 0")

    def rounded(value: float) -> float:
        return float(f"{value if step is None else round(value / step) * step:.6g}")

    plain = kind.removeprefix("q_")
    if plain in ("normal", "log_normal"):
        normal = NormalDist(_number(settings, "mu", 0.0), _number(settings, "sigma", 1.0))

        def drawn(trial: Any) -> float:
            value = normal.inv_cdf(trial.suggest_float(flag, _TAIL, 1 - _TAIL))
            return rounded(math.exp(value) if plain == "log_normal" else value)

        return Parameter(flag, drawn)
    low, high = _number(settings, "min"), _number(settings, "max")
    if low > high:
        raise ValueError(f"min is {low}, above max, {high}: exchange them")
    if kind == "int_uniform":
        first, last = int(low), int(high)
        return Parameter(flag, lambda trial: trial.suggest_int(flag, first, last), range(first, last + 1))
    if plain == "uniform":
        values = None if step is None else [rounded(low + i * step) for i in range(int((high - low) / step + 1e-9) + 1)]
        return Parameter(flag, lambda trial: rounded(trial.suggest_float(flag, low, high)), values)
    if plain in ("log_uniform", "inv_log_uniform"):  # the limits are exponents
        low, high = (math.exp(low), math.exp(high)) if plain == "log_uniform" else (math.exp(-high), math.exp(-low))
    elif plain not in ("log_uniform_values", "inv_log_uniform_values"):
        raise ValueError(
            f"there is no distribution {kind!r}: choose uniform, log_uniform_values, int_uniform, normal, log_normal, "
            "or one of these with q_ before it, or give values"
        )
    if low <= 0:
        raise ValueError(f"min is {low}: a logarithm needs it above 0")
    return Parameter(flag, lambda trial: rounded(trial.suggest_float(flag, low, high, log=True)))


def _number(settings: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = settings.get(name, default)
    if isinstance(value, str):  # YAML 1.1 takes 1e-4 for text
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}: make it a number")
    return value
