"""Every private name of another package that this library uses, behind a public one.

A private name can move in any release of its package. Each function and class here states the name and why no public
name serves. `tests/test_private.py` exercises each, so that an upgrade which moves a name fails there. It also refuses
private names of other packages anywhere else. Nothing here imports Lightning, so that networks, metrics and inference
can use this module too.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode


class DispatchMode(TorchDispatchMode):
    """Base of a context that sees every operator call below autograd, from torch's `torch.utils._python_dispatch`.

    The public `torch.overrides.TorchFunctionMode` does not see tensors that C++ code makes.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Let torch.compile see the operators, so that the first one does not import all of it, for a second."""
        return False


# ---------------------------------------------------------------------- torch: compiled modules


@contextmanager
def uncompiled(module: nn.Module) -> Iterator[None]:
    """Let calls of a module, and of its parts, run uncompiled within the context.

    It removes what `nn.Module.compile` has set, `_compiled_call_impl`, and sets it again. Nothing public undoes it.
    """
    compiled = [(part, part._compiled_call_impl) for part in module.modules()]
    for part, _ in compiled:
        part._compiled_call_impl = None
    try:
        yield
    finally:
        for part, implementation in compiled:
            part._compiled_call_impl = implementation


# ---------------------------------------------------------------------- Lightning: the trainer


def trainer_of(module: Any) -> Any:
    """Return the Trainer that a LightningModule is attached to, or None, as in a program that only generates.

    It reads Lightning's `LightningModule._trainer`. The public `trainer` raises an error if there is none.
    """
    return module._trainer


def is_logging_due(trainer: Any) -> bool:
    """Return whether Lightning will write the values that are logged in the current batch.

    It reads Lightning's `_LoggerConnector.should_update_logs`, which counts batches by a private counter and considers
    runs that are about to stop. `trainer.global_step` differs when gradients are accumulated.
    """
    return trainer._logger_connector.should_update_logs


def metrics_to_log(trainer: Any) -> dict[str, Any]:
    """Return the values of the ending batch that Lightning is about to write, by name.

    It reads Lightning's `_LoggerConnector.metrics`. The public `trainer.logged_metrics` also holds older values.
    """
    return trainer._logger_connector.metrics["log"]


def mute_signals(trainer: Any) -> None:
    """Keep Lightning from installing its signal handlers in this run.

    It shadows `_SignalConnector.register_signal_handlers`. No argument of the Trainer turns the handlers off.
    """
    vars(trainer._signal_connector)["register_signal_handlers"] = _do_nothing


def unmute_signals(trainer: Any) -> None:
    """Undo `mute_signals`."""
    vars(trainer._signal_connector).pop("register_signal_handlers", None)


def count_no_step(optimizer: Any) -> None:
    """Leave the steps of an optimizer out of `trainer.global_step`, which otherwise counts those of all optimizers.

    It replaces `LightningOptimizer._on_before_step` and `_on_after_step`, by which Lightning counts steps.

    Args:
        optimizer: the optimizer as `LightningModule.optimizers()` returns it.
    """
    optimizer._on_before_step = optimizer._on_after_step = _do_nothing


def count_step(optimizer: Any) -> None:
    """Count a step in `trainer.global_step` without one, for a batch on which no optimizer steps.

    It calls `LightningOptimizer._on_before_step` and `_on_after_step`, by which Lightning counts steps.

    Args:
        optimizer: the optimizer as `LightningModule.optimizers()` returns it.
    """
    optimizer._on_before_step()
    optimizer._on_after_step()


# ---------------------------------------------------------------------- Lightning: the loops of fit


def is_accumulating(trainer: Any) -> bool:
    """Return whether the next optimizer step waits for further batches.

    It calls Lightning's `_FitLoop._should_accumulate`, which considers an epoch's last batch and strategies that
    accumulate by themselves. Nothing public provides this.
    """
    return trainer.fit_loop._should_accumulate()


def logged_steps(trainer: Any) -> int:
    """Return the step at which Lightning logs. An evaluation is logged at the step of the batch before it.

    It reads `_TrainingEpochLoop._batches_that_stepped`. The public `trainer.global_step` counts optimizer steps.
    """
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def set_logged_steps(trainer: Any, steps: int) -> None:
    """Set the step that `logged_steps` returns."""
    trainer.fit_loop.epoch_loop._batches_that_stepped = steps


def logged_steps_state(steps: int) -> dict[str, Any]:
    """Return the state of `_TrainingEpochLoop` for a checkpoint, from which a resumed run takes `logged_steps`."""
    return {"_batches_that_stepped": steps}


def is_evaluation_due(trainer: Any) -> bool:
    """Return whether an evaluation follows the batch that has just ended.

    It calls Lightning's `_TrainingEpochLoop._should_check_val_fx`, which holds the rules of `val_check_interval` and
    `check_val_every_n_epoch`, with `_FitLoop._data_fetcher`.
    """
    return trainer.fit_loop.epoch_loop._should_check_val_fx(trainer.fit_loop._data_fetcher)


def set_epoch_length(trainer: Any, length: int) -> None:
    """Set the number of batches in the epoch, by Lightning's `_FitLoop._data_fetcher`."""
    trainer.fit_loop._data_fetcher.length = length


def end_data(trainer: Any) -> None:
    """End the epoch's data, by Lightning's `_FitLoop._data_fetcher`."""
    trainer.fit_loop._data_fetcher.done = True


def restore_loaders(trainer: Any) -> None:
    """Restore the states of the training loaders from a checkpoint, where Lightning has not.

    Lightning drops these states between two epochs. This does what `_FitLoop._load_combined_loader_states` does within
    an epoch, by `_combined_loader_states_to_load`, `_combined_loader` and `CombinedLoader._load_state_dicts`.
    """
    fit = trainer.fit_loop
    if fit._combined_loader_states_to_load and fit._combined_loader is not None:
        fit._combined_loader._load_state_dicts(fit._combined_loader_states_to_load)


def begin_with_evaluation(trainer: Any) -> None:
    """Let a resumed run begin with the evaluation before which its checkpoint was written.

    It sets Lightning's `_EvaluationLoop._restart_stage`, which Lightning infers from counts that are equal in both
    cases.
    """
    trainer.fit_loop.epoch_loop.val_loop._restart_stage = "restarted_mid_evaluation"  # a constant of RestartStage


# ---------------------------------------------------------------------- Lightning: command line and callbacks


class KeepsItsConfig:
    """Base, before LightningCLI, of a command line whose config does not change with a checkpoint.

    It replaces `LightningCLI._parse_ckpt_path`, which lets the hyperparameters of `--ckpt_path` override the config. No
    argument turns that off.
    """

    def _parse_ckpt_path(self) -> None:
        pass


class SavesWhatIsMeasured:
    """Base, before Lightning's ModelCheckpoint, of a callback that can skip an evaluation.

    It replaces `ModelCheckpoint._save_topk_checkpoint`, which raises an error if the monitored metric is missing,
    and calls `_monitor_candidates`. The public hooks around it also save `last.ckpt`.
    """

    def is_measured(self, trainer: Any, metrics: Mapping[str, Tensor]) -> bool:
        """Return False to skip this evaluation; True to rank the checkpoint, or to raise Lightning's error."""
        raise NotImplementedError

    def save_if_best(self, trainer: Any) -> None:
        """Rank the weights by the newest evaluation, which Lightning does for evaluations within `fit` only."""
        self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))  # type: ignore[attr-defined]

    def _save_topk_checkpoint(self, trainer: Any, monitor_candidates: dict[str, Tensor]) -> None:
        if self.is_measured(trainer, monitor_candidates):
            super()._save_topk_checkpoint(trainer, monitor_candidates)  # type: ignore[misc]


def saving_intervals(checkpoint: Any) -> dict[str, Any]:
    """Return the intervals at which Lightning's ModelCheckpoint saves, by the names of its arguments.

    It reads `_every_n_train_steps`, `_every_n_epochs` and `_train_time_interval`. Only the second has a public name.
    """
    return {
        "every_n_train_steps": checkpoint._every_n_train_steps,
        "every_n_epochs": checkpoint._every_n_epochs,
        "train_time_interval": checkpoint._train_time_interval,
    }


# ---------------------------------------------------------------------- torch


def any_sizes() -> AbstractContextManager[None]:
    """Return a context in which torch.export keeps free sizes free, also where they become 1 inside of the network.

    It sets `torch.fx.experimental._config.backed_size_oblivious`. Otherwise a graph of pix2pix's network, whose lowest
    map has 1×1 pixels at its own size, refuses just that size. The public `torch.export.Dim` states sizes of inputs.
    """
    from torch.fx.experimental import _config  # noqa: PLC0415 (torch imports it when it exports)

    return _config.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]


def copy_all(targets: list[Tensor], sources: list[Tensor]) -> None:
    """Copy tensors to others of the same shapes, all in one call.

    It is torch's `_foreach_copy_`. A loop over `Tensor.copy_` needs a call for each, which takes as long as a small
    step.
    """
    torch._foreach_copy_(targets, sources)


def writes(tensor: Tensor) -> int | None:
    """Return how many times a tensor was written to in place, or None for tensors made in inference mode.

    It reads torch's `Tensor._version`, which torch documents for autograd but gives no public name.
    """
    return None if tensor.is_inference() else tensor._version


def module_versions(state_dict: Any) -> Any:
    """Return the versions of the modules in a state dictionary, or None if it has none.

    It reads the attribute `_metadata`, by which torch migrates weights of older modules. Nothing public reads it.
    """
    return getattr(state_dict, "_metadata", None)


def set_module_versions(state_dict: Any, versions: Any) -> None:
    """Set the versions that `module_versions` reads.

    Args:
        state_dict: an OrderedDict, since plain dictionaries have no attributes.
        versions: the result of `module_versions`.
    """
    state_dict._metadata = versions


def unscales_in_step(optimizer: Optimizer) -> bool:
    """Return whether an optimizer unscales fp16 gradients inside its step, as fused optimizers do.

    It reads torch's `_step_supports_amp_scaling`, which GradScaler uses. The public setting `fused` differs for
    optimizers of other packages.
    """
    return getattr(optimizer, "_step_supports_amp_scaling", False)


# ---------------------------------------------------------------------- argparse


def flags_of(parser: Any) -> list[str]:
    """Return the long flags of a parser.

    It reads argparse's `ArgumentParser._option_string_actions`. Nothing public lists flags.
    """
    return [flag for flag in parser._option_string_actions if flag.startswith("--")]


def _do_nothing() -> None:
    pass
