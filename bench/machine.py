"""What this process computes with: its device, its libraries, its code."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version

import torch

from bench.core.errors import BadInput
from bench.facts import HOME, LIBRARIES, Environment


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


def environment(device: torch.device) -> Environment:
    """What is recorded beside the numbers but does not decide them."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    versions: Environment = {library: version(library) for library in LIBRARIES}
    return {
        "device": f"{device.type} {name}",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **versions,
        "commit": _commit(),
    }


def _commit() -> str:
    command = ["git", "-C", str(HOME), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
