"""What this process computes with."""

from __future__ import annotations

import os

import torch

from bench.core.errors import BadInput


def device_of(name: str) -> torch.device:
    """auto, or a device of torch's; BadInput where there is none of that name."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BadInput(f"--device {name}: {str(error).splitlines()[0]}") from None
    return device


def set_up(device: torch.device, threads: int) -> None:
    """Make torch ready to train in this process, or thread: the same work gives the same numbers."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # poisons drive losses to almost 0, and denormals are slow
    if device.type == "cuda":
        if device.index is not None:
            torch.cuda.set_device(device)
        _repeatable()


def _repeatable() -> None:
    """On a GPU equal bits take kernels that add in one order, and fp32 that is not rounded to TF32."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs time
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
