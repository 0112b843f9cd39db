"""The vector and bfloat16 units of a device, as torch reports them."""

import os

import torch

# values of ONEDNN_MAX_CPU_ISA (https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html)
_NARROW = {"sse41", "avx", "avx2", "avx2_vnni", "avx2_vnni_2"}
_WITHOUT_BFLOAT16 = _NARROW | {"avx512_core", "avx512_core_vnni"}


def has_avx512() -> bool:
    """Return whether torch, and oneDNN for its convolutions, compute in vectors of 512 bits on this CPU.

    ATEN_CPU_CAPABILITY and ONEDNN_MAX_CPU_ISA can limit them to less.
    """
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and _onednn_limit() not in _NARROW


def has_bfloat16_units(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 faster than float32.

    CPUs do with AVX-512 BF16 or AMX, unless torch or oneDNN are limited to less. NVIDIA's GPUs do from compute
    capability 8 on, and so do all of AMD's that torch supports. For other devices the result is False, since it is not
    known.
    """
    if device.type == "cpu":
        reported = torch.cpu.get_capabilities()
        units = bool(reported.get("avx512_bf16") or reported.get("amx_bf16"))
        return units and has_avx512() and _onednn_limit() not in _WITHOUT_BFLOAT16
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    return False


def _onednn_limit() -> str:
    return os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "")).lower()
