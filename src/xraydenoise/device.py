"""What torch computes on, and in which precision it does so fast."""

from typing import Literal

import torch

Device = Literal["auto", "cpu", "cuda", "mps"]


def pick(device: Device) -> torch.device:
    """The torch device for `cpu`, `cuda`, `mps` (Apple), or `auto`: CUDA if there is one, else CPU.

    `auto` leaves MPS out, as results there differ a little from those of a CPU, and not every operation is known to it.
    Raises ValueError naming a device that torch does not have here.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device("cuda" if available["cuda"] else "cpu")
    if device not in available:
        raise ValueError(f"device: {device!r} is unknown; expected auto, {', '.join(available)}")
    if not available[device]:
        hint = "check the driver (nvidia-smi)" if device == "cuda" else "it needs macOS on Apple silicon"
        raise ValueError(f"device: {device}, but torch sees no {device.upper()} device; {hint}, or use auto or cpu")
    return torch.device(device)


def bf16_supported(device: torch.device) -> bool:
    """Whether bfloat16 is computed by the hardware: CUDA since Ampere, x86 with AVX512-BF16 or AMX. Elsewhere it is slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return device.type == "cpu" and bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
