"""What this process computes with."""

from __future__ import annotations

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
