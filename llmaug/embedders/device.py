"""The device that an embedder computes on."""

from __future__ import annotations

from llmaug.errors import ModelError


def require_device(device: str | None) -> None:
    """Raise `ModelError` for a device that this machine does not have."""
    if device is None or device == "cpu":
        return
    import torch

    try:
        kind, number = torch.device(device).type, torch.device(device).index or 0
    except RuntimeError:
        kind, number = "", 0
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "xpu": torch.xpu.device_count() if torch.xpu.is_available() else 0,
    }
    if kind not in there:
        raise ModelError(
            f"no device {device!r}: give cpu, cuda, cuda:1, mps or xpu, or leave it out"
        )
    if not there[kind]:
        gpu = {"cuda": "CUDA GPU", "mps": "Apple GPU", "xpu": "Intel GPU"}[kind]
        raise ModelError(f"no {gpu} on this machine; leave the device out or give cpu")
    if number >= there[kind]:
        raise ModelError(f"no {device} on this machine; the last one is {kind}:{there[kind] - 1}")
