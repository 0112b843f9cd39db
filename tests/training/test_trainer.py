"""The precision that the trainer chooses, its message about this, and the place where it is recorded."""

import json
import logging
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.plugins.precision import DoublePrecision

from gan_lightning.cli.training import main
from gan_lightning.training import trainer as trainer_module
from gan_lightning.training.checkpoint_io import AtomicCheckpointIO
from gan_lightning.training.devices import has_avx512, has_bfloat16_units
from gan_lightning.training.trainer import Trainer
from toys import ToyData, ToyGAN

CONFIGS = Path(__file__).parents[2] / "configs"
CPU = torch.device("cpu")
QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def pretend(patch: pytest.MonkeyPatch, vectors: str, limit: str | None, **units: bool) -> None:
    """Make torch report another CPU."""
    patch.setattr(torch.cpu, "get_capabilities", lambda: units)
    patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: vectors)
    patch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    patch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if limit:
        patch.setenv("ONEDNN_MAX_CPU_ISA", limit)


@pytest.mark.parametrize(
    ("vectors", "limit", "units", "wide", "fast"),
    [
        ("AVX512", None, {"avx512_bf16": True}, True, True),
        ("AVX512", None, {"amx_bf16": True}, True, True),
        ("AVX512", "AVX512_CORE_BF16", {"avx512_bf16": True, "amx_bf16": True}, True, True),
        ("AVX512", None, {"avx512_bf16": False, "amx_bf16": False}, True, False),
        ("AVX512", "AVX512_CORE", {"avx512_bf16": True}, True, False),
        ("AVX512", "AVX2", {"avx512_bf16": True}, False, False),
        ("AVX512", "avx2", {"avx512_bf16": True}, False, False),
        ("AVX2", None, {"avx512_bf16": True}, False, False),
        ("AVX2", None, {"avx2": True}, False, False),
        ("DEFAULT", None, {"architecture": True, "neon": True, "bf16": True}, False, False),
    ],
)
def test_the_cpu_s_units_decide(
    monkeypatch: pytest.MonkeyPatch, vectors: str, limit: str | None, units: Any, wide: bool, fast: bool
) -> None:
    pretend(monkeypatch, vectors, limit, **units)
    assert has_avx512() == wide
    assert has_bfloat16_units(CPU) == fast
    trainer = Trainer(**QUIET)
    assert trainer.precision == ("bf16-mixed" if fast else "32-true")
    assert trainer.precision_reason == f"the CPU has {'' if fast else 'no '}bfloat16 units: AVX-512 BF16 or AMX"


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_that_emulates_bfloat16_computes_in_float32(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native or including_emulation)
    assert has_bfloat16_units(torch.device("cuda")) == native
    assert not has_bfloat16_units(torch.device("mps"))


@pytest.mark.parametrize("fast", [True, False])
def test_networks_compute_with_what_was_chosen(monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    monkeypatch.setattr(trainer_module, "has_bfloat16_units", lambda _: fast)
    model, seen = ToyGAN(), []
    model.generator.register_forward_hook(lambda *arguments: seen.append(arguments[2].dtype))
    Trainer(**QUIET, max_epochs=1, num_sanity_val_steps=0).fit(model, ToyData())
    assert (torch.bfloat16 in seen) == fast


def test_the_choice_is_said_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "has_bfloat16_units", lambda _: False)
    # Lightning's loggers hand nothing on to the root's
    monkeypatch.setattr(logging.getLogger("lightning.pytorch"), "propagate", True)
    with caplog.at_level(logging.INFO):
        Trainer(**QUIET)
        said = [text for text in caplog.messages if text.startswith("precision")]
        assert said == ["precision: 32-true (the CPU has no bfloat16 units: AVX-512 BF16 or AMX)"]
        Trainer(**QUIET, precision="32-true")
        assert len([text for text in caplog.messages if text.startswith("precision")]) == 1


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "16-mixed"])
def test_bfloat16_on_a_cpu_without_units_is_warned_of(monkeypatch: pytest.MonkeyPatch, precision: Any) -> None:
    monkeypatch.setattr(trainer_module, "has_bfloat16_units", lambda _: False)
    with pytest.warns(UserWarning, match="no bfloat16 units .* 18 times as long .* set it to auto or 32-true"):
        assert Trainer(**QUIET, precision=precision).precision.startswith("bf16")
    monkeypatch.setattr(trainer_module, "has_bfloat16_units", lambda _: True)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*bfloat16 units")
        Trainer(**QUIET, precision=precision)


def test_what_is_stated_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "has_bfloat16_units", lambda _: True)
    for stated in ("32-true", 32, None):
        trainer = Trainer(**QUIET, precision=stated)
        assert (trainer.precision, trainer.precision_reason) == ("32-true", "stated")
    assert Trainer(**QUIET, plugins=[DoublePrecision()]).precision == "64-true"


def test_the_command_line_records_what_was_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trainer_module, "has_bfloat16_units", lambda _: True)
    small = ["--model.generator.width=4", "--model.discriminator.width=4", "--data.num_reference=1000"]
    lengths = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--trainer.check_val_every_n_epoch=1"]
    run = main(
        [
            "fit",
            f"--config={CONFIGS / 'quickstart.yaml'}",
            f"--trainer.default_root_dir={tmp_path}",
            "--validate_before_fit=false",
            "--trainer.accelerator=cpu",
            *small,
            *lengths,
        ]
    )
    assert run.trainer.precision == "bf16-mixed"
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["trainer"]["precision"] == "auto"
    (line,) = (tmp_path / "evaluations.jsonl").read_text().splitlines()
    assert json.loads(line)["settings"]["precision"] == "bf16-mixed"


def test_no_config_names_bfloat16() -> None:
    for path in sorted(CONFIGS.rglob("*.yaml")):
        stated = yaml.safe_load(path.read_text()).get("trainer", {}).get("precision", "auto")
        allowed = {"16-mixed"} if path.stem == "mixed-16" else {"auto", "32-true"}
        assert stated in allowed, f"{path}: precision: {stated}"
        assert "bf16" not in path.read_text(), path


@pytest.mark.parametrize("given", [None, [], [LightningEnvironment()], LightningEnvironment()])
def test_checkpoints_are_written_whole_and_with_a_hash(given: Any, tmp_path: Path) -> None:
    quiet = {"logger": False, "enable_progress_bar": False, "default_root_dir": tmp_path}
    assert type(Trainer(accelerator="cpu", plugins=given, **quiet).strategy.checkpoint_io) is AtomicCheckpointIO
    own = TorchCheckpointIO()
    assert Trainer(accelerator="cpu", plugins=[own], **quiet).strategy.checkpoint_io is own


def test_a_run_from_python_says_nothing_that_is_not_so(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        trainer = Trainer(accelerator="cpu", max_epochs=1, log_every_n_steps=1, default_root_dir=tmp_path)
        trainer.fit(ToyGAN(ema_half_life=100), ToyData())
    assert [str(each.message) for each in said] == []
