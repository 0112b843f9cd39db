"""The vector and bfloat16 units of a device, as torch reports them."""

import os

import torch

# values of ONEDNN_MAX_CPU_ISA (https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html)
_NARROW = {"sse41", "avx", "avx2", "avx2_vnni", "avx2_vnni_2"}
_WITHOUT_BFLOAT16 = _NARROW | {"avx512_core", "avx512_core_vnni"}


def has_avx512() -> bool:
    """Whether torch, and oneDNN for its convolutions, compute in vectors of 512 bits on this CPU.

    Both can be held to less, by ATEN_CPU_CAPABILITY and ONEDNN_MAX_CPU_ISA.
    """
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and _onednn_limit() not in _NARROW


def has_bfloat16_units(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 faster than float32.

    CPUs do with AVX-512 BF16 or AMX, unless torch or oneDNN are held to less; NVIDIA's GPUs from compute capability 8
    on, and all of AMD's that torch runs on. Of other devices it is not known here.
    """
    if device.type == "cpu":
        told = torch.cpu.get_capabilities()
        units = bool(told.get("avx512_bf16") or told.get("amx_bf16"))
        return units and has_avx512() and _onednn_limit() not in _WITHOUT_BFLOAT16
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    return False


def _onednn_limit() -> str:
    return os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "")).lower()
