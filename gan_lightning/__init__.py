"""Generative adversarial networks on PyTorch Lightning 2."""

from typing import Any

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """Import `load` when it is first used: `import gan_lightning` does not wait for torch."""
    if name == "load":
        from gan_lightning.export import load  # noqa: PLC0415

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
