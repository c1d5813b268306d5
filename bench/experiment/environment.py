"""What is recorded beside the numbers: it does not decide them, but may move their last bits."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

from bench.experiment.fingerprint import HOME, LIBRARIES, Environment

TELLING = ("amx", "bf16")  # parts of names of instructions that decide how bf16 is computed


def environment(device: torch.device) -> Environment:
    """Of this process on this machine; never a path or a host name."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": f"{device.type} {name}",
        **_processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
        "commit": _commit(),
    }


def _processor() -> dict[str, str]:
    """Its name, and what torch makes use of: two processors round differently."""
    said = {"processor": processor_name(), "capability": torch.backends.cpu.get_cpu_capability()}
    able = getattr(torch.cpu, "get_capabilities", None)  # not in every version
    if able is not None:
        found = sorted(name for name, has in able().items() if has is True and _telling(name))
        said["instructions"] = " ".join(found) or "none"
    return said


def _telling(name: str) -> bool:
    return any(part in name for part in TELLING)


def processor_name(info: Path = Path("/proc/cpuinfo")) -> str:
    """As Linux has it, or else as Python has it."""
    try:
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(filter(None, named), "") or platform.processor() or platform.machine()


def _commit() -> str:
    command = ["git", "-C", str(HOME), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
