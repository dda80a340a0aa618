"""What a stage computes on."""

import torch


def pick(device: str) -> torch.device:
    """The torch device for `auto` (CUDA if there is one, else CPU), `cpu` or `cuda`. Raises ValueError for CUDA where there is none."""
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ValueError("machine.device: cuda, but torch sees no CUDA device; check the driver (nvidia-smi), or use auto or cpu")
    return torch.device("cuda" if available and device in ("auto", "cuda") else "cpu")


def bf16_supported(device: torch.device) -> bool:
    """Whether bfloat16 is computed by the hardware: CUDA since Ampere, x86 with AVX512-BF16 or AMX. Elsewhere it is slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
