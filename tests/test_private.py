"""Private names of other packages: each still works as this library needs it, and none is used outside one file."""

import argparse
import ast
import functools
import importlib
import inspect
import signal
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonargparse
import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback, ModelCheckpoint
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

from gan_lightning import private
from toys import trainer

BATCHES = 5


class Model(L.LightningModule):
    """A line. `first` is logged in the first batch of a run, `each` in all."""

    def __init__(self, width: int = 1) -> None:
        super().__init__()
        self.line = nn.Linear(width, 1)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.log("each", float(batch_idx))
        if self.global_step == 0:
            self.log("first", 0.0)
        return self.line(batch).square().mean()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class TwoPlayers(Model):
    """Two optimizers step in each batch, and one of them is not counted."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        first, second = self.optimizers()  # type: ignore[misc]
        private.count_no_step(second)
        first.step()
        second.step()

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(self.parameters(), lr=0.1) for _ in range(2)]


class Rows(Logger):
    """Keeps what is logged: the step, and the names of the values."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int | None, set[str]]] = []

    name = version = "rows"  # type: ignore[assignment]

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.append((step, {*metrics} - {"epoch"}))


class Loader:
    """Five batches; keeps the states that it is given back."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    def __len__(self) -> int:
        return BATCHES

    def __iter__(self) -> Iterator[Tensor]:
        return iter(torch.ones(BATCHES, 2, 1))

    def state_dict(self) -> dict[str, int]:
        return {"at": 3}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.given.append(state)


def fit(model: L.LightningModule | None = None, **settings: Any) -> L.Trainer:
    run = trainer(**{"max_epochs": 1, "limit_val_batches": 0, "log_every_n_steps": 1} | settings)
    run.fit(model or Model(), Loader(), Loader())
    return run


def seen(hook: str, look: Callable[[L.Trainer], Any], **settings: Any) -> list[Any]:
    """Return the results of `look` on the trainer, in a hook of each batch."""
    found: list[Any] = []
    fit(callbacks=[LambdaCallback(**{hook: lambda run, *_: found.append(look(run))})], **settings)
    return found


# ---------------------------------------------------------------------- the trainer


def test_trainer_of() -> None:
    model = Model()
    assert private.trainer_of(model) is None
    run = fit(model)
    assert private.trainer_of(model) is run


def test_is_logging_due() -> None:
    rows = Rows()
    due = seen("on_train_batch_start", private.is_logging_due, logger=rows, log_every_n_steps=2)
    assert due == [False, True, False, True, False]
    assert [step for step, _ in rows.rows] == [1, 3]


def test_metrics_to_log() -> None:
    rows = Rows()
    names = seen("on_train_batch_end", lambda run: {*private.metrics_to_log(run)}, logger=rows, max_epochs=2)
    assert names == [names for _, names in rows.rows] == [*[{"each", "first"}] * BATCHES, *[{"each"}] * BATCHES]


@pytest.mark.parametrize("muted", [True, False])
def test_mute_and_unmute_signals(muted: bool) -> None:
    def mute(run: L.Trainer, *_: Any, stage: str) -> None:
        private.mute_signals(run)
        if not muted:
            private.unmute_signals(run)

    before = signal.getsignal(signal.SIGTERM)
    within: list[Any] = []
    look = LambdaCallback(setup=mute, on_train_start=lambda *_: within.append(signal.getsignal(signal.SIGTERM)))
    fit(callbacks=[look])
    assert (within == [before]) == muted


def test_count_no_step() -> None:
    assert fit(TwoPlayers()).global_step == BATCHES


# ---------------------------------------------------------------------- the loops of fit


def test_is_accumulating() -> None:
    waits = seen("on_train_batch_end", private.is_accumulating, accumulate_grad_batches=2)
    assert waits == [True, False, True, False, False]  # the last batch of an epoch steps in any case


def test_logged_steps() -> None:
    assert seen("on_train_batch_start", private.logged_steps, accumulate_grad_batches=2) == [0, 0, 1, 1, 2]


def test_set_logged_steps() -> None:
    rows = Rows()
    fit(logger=rows, callbacks=[LambdaCallback(on_train_start=lambda run, _: private.set_logged_steps(run, 70))])
    assert [step for step, _ in rows.rows] == [70, 71, 72, 73, 74]


def test_logged_steps_state() -> None:
    run = trainer()
    loop = run.fit_loop.epoch_loop
    loop.load_state_dict(loop.state_dict() | {"state_dict": private.logged_steps_state(7)})
    assert private.logged_steps(run) == 7


def test_is_evaluation_due() -> None:
    due = seen("on_train_batch_end", private.is_evaluation_due, limit_val_batches=1, val_check_interval=2)
    assert due == [False, True, False, True, False]


def test_end_data() -> None:
    assert seen("on_train_batch_end", lambda run: private.end_data(run) if run.global_step == 2 else 0) == [0, None]


def test_restore_loaders(tmp_path: Path) -> None:
    path = tmp_path / "between.ckpt"
    fit(callbacks=[LambdaCallback(on_train_epoch_end=lambda run, _: run.save_checkpoint(path))])
    given: list[Any] = []

    def restore(run: L.Trainer, *_: Any) -> None:
        loader: Any = run.train_dataloader
        given.append([*loader.given])
        private.restore_loaders(run)
        given.append([*loader.given])

    run = trainer(max_epochs=2, limit_val_batches=0, callbacks=[LambdaCallback(on_train_start=restore)])
    run.fit(Model(), Loader(), ckpt_path=path)
    assert given[-1] == [{"at": 3}]


def test_begin_with_evaluation() -> None:
    run = trainer()
    loop = run.fit_loop.epoch_loop.val_loop
    assert not loop.restarted_mid_evaluation
    private.begin_with_evaluation(run)
    assert loop.restarted_mid_evaluation


# ---------------------------------------------------------------------- the command line and callbacks


class _ParsedError(Exception):
    """Ends a command once its config is there."""


class Plain(LightningCLI):
    def before_instantiate_classes(self) -> None:
        raise _ParsedError(self.config.validate.model.width)


class Keeping(private.KeepsItsConfig, Plain):
    pass


@pytest.mark.parametrize(("kind", "width"), [(Plain, 9), (Keeping, 2)])
def test_keeps_its_config(kind: type[LightningCLI], width: int, tmp_path: Path) -> None:
    path = tmp_path / "other.ckpt"
    torch.save({"hyper_parameters": {"width": 9}}, path)
    args = ["validate", "--model.width=2", f"--ckpt_path={path}"]
    with warnings.catch_warnings(action="ignore"), pytest.raises(_ParsedError, match=f"^{width}$"):
        kind(Model, args=args)


class Choosy(private.SavesWhatIsMeasured, ModelCheckpoint):
    measured = False

    def is_measured(self, trainer: Any, metrics: Any) -> bool:
        assert "each" in metrics
        return self.measured


def test_saves_what_is_measured(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"enable_checkpointing": True, "limit_val_batches": 1}
    keeper = Choosy(tmp_path, monitor="val/missing")
    fit(callbacks=[keeper], **settings)
    assert not list(tmp_path.iterdir())
    keeper.measured = True
    with pytest.raises(MisconfigurationException, match="val/missing"):
        fit(callbacks=[keeper], **settings)
    keeper = Choosy(tmp_path, monitor="each")
    done = fit(callbacks=[keeper], **settings)
    keeper.measured = True
    keeper.save_if_best(done)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "given", [{"every_n_epochs": 3}, {"every_n_train_steps": 4}, {"train_time_interval": timedelta(minutes=5)}]
)
def test_saving_intervals(given: dict[str, Any]) -> None:
    none = {"every_n_train_steps": 0, "every_n_epochs": 0, "train_time_interval": None}
    assert private.saving_intervals(ModelCheckpoint(**given)) == none | given


# ---------------------------------------------------------------------- torch and argparse


def test_dispatch_mode() -> None:
    class Watch(private.DispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            called.append(function.overloadpacket)
            return function(*args, **(kwargs or {}))

    called: list[Any] = []
    with Watch():
        nn.Linear(2, 3)
    assert called.count(torch.ops.aten.empty) == 2
    torch.zeros(1)
    assert torch.ops.aten.zeros not in called


def test_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda call, *_, **__: lambda *given: call(*given) + 1)
    module = nn.Sequential(nn.Identity())
    module.compile()
    module[0].compile()
    one = torch.ones(1)
    assert module(one) == 3
    with private.uncompiled(module):
        assert module(one) == 1
    assert module(one) == 3


def test_any_sizes() -> None:
    halves = nn.Sequential(nn.Conv2d(1, 2, 4, stride=2, padding=1), nn.Conv2d(2, 2, 1))
    free = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    with private.any_sizes():
        program = torch.export.export(halves, (torch.ones(2, 1, 4, 6),), dynamic_shapes=[free])
    assert program.module()(torch.ones(1, 1, 2, 2)).shape == (1, 2, 1, 1)


def test_copy_all() -> None:
    sources = [torch.randn(2, 3), torch.tensor(7), torch.ones(4, dtype=torch.float64)]
    targets = [torch.zeros_like(source) for source in sources]
    private.copy_all(targets, sources)
    assert all(map(torch.equal, targets, sources))


def test_writes() -> None:
    tensor = torch.zeros(2)
    before = private.writes(tensor)
    assert before is not None
    tensor.add_(1)
    assert private.writes(tensor) == before + 1
    with torch.inference_mode():
        assert private.writes(torch.zeros(2)) is None


def test_module_versions() -> None:
    norm = nn.BatchNorm1d(2)
    assert private.module_versions(norm.state_dict())[""] == {"version": 2}
    old = OrderedDict((name, value) for name, value in norm.state_dict().items() if name != "num_batches_tracked")
    assert private.module_versions(old) is None
    for version in (1, 2):
        private.set_module_versions(old, {"": {"version": version}})
        missing = norm.load_state_dict(old, strict=False).missing_keys
        assert missing == ([] if version == 1 else ["num_batches_tracked"])


@pytest.mark.parametrize("fused", [True, False])
def test_unscales_in_step(fused: bool) -> None:
    weight = nn.Parameter(torch.ones(()))
    optimizer = torch.optim.Adam([weight], fused=fused)
    within: list[float] = []
    optimizer.register_step_pre_hook(lambda *_: within.append(float(weight.grad)))  # type: ignore[arg-type]
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    scaler.scale(weight * 1.0).backward()
    scaler.step(optimizer)
    assert within == [4.0 if fused else 1.0]
    assert private.unscales_in_step(optimizer) == fused


@pytest.mark.parametrize("kind", [argparse.ArgumentParser, jsonargparse.ArgumentParser])
def test_flags_of(kind: type[argparse.ArgumentParser]) -> None:
    parser = kind()
    parser.add_argument_group("a group").add_argument("--one", "-o")
    parser.add_argument("file", nargs="?")
    assert [flag for flag in private.flags_of(parser) if flag != "--help"] == ["--one"]


# ---------------------------------------------------------------------- nothing of the kind anywhere else

ROOT = Path(__file__).parents[1]
OWN = ("gan_lightning", "datamodules", "benchmarks")
FILES = [
    path for part in OWN for path in sorted((ROOT / part).rglob("*.py")) if path != ROOT / "gan_lightning/private.py"
]
DOCUMENTED = {"_replace", "_fields", "_asdict", "_make", "_exit"}  # of NamedTuple and os


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def _is_vars(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "vars"


def _of_self(node: ast.AST) -> bool:
    of_super = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
    return of_super or (isinstance(node, ast.Name) and node.id in ("self", "cls"))


def _defined(tree: ast.AST) -> set[str]:
    """Private names that code gives to functions, classes, variables and its own attributes."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _of_self(node.value):
            names.add(node.attr)
    return {name for name in names if _is_private(name)}


def _taken(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Private names that code takes of another object, by lines: imported, as an attribute, or by `getattr`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            paths = [f"{getattr(node, 'module', None) or ''}.{each.name}" for each in node.names]
            if not paths[0].lstrip(".").startswith(OWN):
                yield from ((node.lineno, part) for path in paths for part in path.split(".") if _is_private(part))
        elif isinstance(node, ast.Attribute) and _is_private(node.attr) and not _of_self(node.value):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Call):
            named = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            of_dictionary = named in ("get", "pop") and _is_vars(getattr(node.func, "value", None))
            if named in ("getattr", "setattr", "hasattr", "delattr") or of_dictionary:
                texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
                yield from ((node.lineno, text) for text in texts if isinstance(text, str) and _is_private(text))
        elif isinstance(node, ast.Subscript) and _is_vars(node.value):
            text = node.slice.value if isinstance(node.slice, ast.Constant) else ""
            if isinstance(text, str) and _is_private(text):
                yield node.lineno, text


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def _own_names() -> set[str]:
    """Return the names of this project, without those that `private.py` takes from other packages."""
    taken = {name for _, name in _taken(_tree(ROOT / "gan_lightning/private.py"))}
    return DOCUMENTED | set().union(*(_defined(_tree(path)) for path in FILES)) - taken


def test_only_one_file_takes_private_names_of_other_packages() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in [*FILES, ROOT / "train.py"]
        for line, name in _taken(_tree(path))
        if name not in _own_names()
    ]
    assert not found, "move what these lines take into gan_lightning/private.py, with a test here"


@pytest.mark.parametrize(
    "code",
    [
        "from torch.utils._pytree import tree_map",
        "from torch.nn.modules.batchnorm import _BatchNorm",
        "import torch._dynamo",
        "trainer._logger_connector.should_update_logs",
        "pl_module._trainer",
        "torch._foreach_mul_(a, b)",
        "getattr(parser, '_option_string_actions', {})",
        "vars(bar)['_main_progress_bar']",
        "vars(bar).get('_main_progress_bar')",
    ],
)
def test_the_check_finds(code: str) -> None:
    assert [name for _, name in _taken(ast.parse(code)) if name not in _own_names()]


def _code(kind: type) -> ast.AST | None:
    """Return the syntax tree of a class; None if it is not written in Python."""
    try:
        tree = _tree(Path(inspect.getfile(kind)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    return next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__), None)


@functools.cache
def _private_names_of(kind: type) -> frozenset[str]:
    """Return the names of a class, and those that its methods give to `self`."""
    code = _code(kind)
    return frozenset({name for name in vars(kind) if _is_private(name)} | (set() if code is None else _defined(code)))


def _private_names_in(kind: type) -> set[str]:
    """Return the names of `self` that a class of ours uses or overrides, in its own lines."""
    code = _code(kind)
    assert code is not None
    used = {node.attr for node in ast.walk(code) if isinstance(node, ast.Attribute) and _of_self(node.value)}
    return {name for name in used if _is_private(name)} | _defined(code)


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in OWN


@pytest.mark.parametrize(
    ("kind", "name"),
    [(LightningCLI, "_set_seed"), (L.LightningModule, "_trainer"), (nn.Module, "_load_from_state_dict")],
)
def test_the_check_knows_methods_and_attributes(kind: type, name: str) -> None:
    assert name in _private_names_of(kind)
    assert "_parse_ckpt_path" in _private_names_in(private.KeepsItsConfig)


def test_no_class_uses_or_overrides_private_names_of_its_foreign_bases() -> None:
    found = set()
    for path in FILES:
        if path.stem in ("__init__", "__main__"):
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for kind in vars(importlib.import_module(name)).values():
            if not inspect.isclass(kind) or kind.__module__ != name or kind.__qualname__ != kind.__name__:
                continue
            if _code(kind) is None:  # made by another package while it ran, under the name of our module
                continue
            foreign = [base for base in kind.__mro__[1:-1] if not _is_ours(base)]
            taken = set().union(*map(_private_names_of, foreign)) if foreign else set()
            if taken:
                found |= {f"{name}.{kind.__name__}: {each}" for each in _private_names_in(kind) & taken}
    assert not found, "rename what is ours, or move what is of another package into gan_lightning/private.py"
