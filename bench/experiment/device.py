"""What this process computes with: device, precision, memory, and what is recorded of them."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import psutil
import torch
import torch.nn.functional as F

from bench import __version__ as suite_version
from bench.core.errors import BadInput
from bench.core.libraries import explained
from bench.core.rng import generator
from bench.experiment.fingerprint import HOME, LIBRARIES, Environment, own_code
from bench.experiment.settings import Precision
from bench.nets import build

MB = 2**20
TELLING = ("amx", "bf16")  # parts of names of instructions that decide how bf16 is computed
INSTRUCTIONS = ("amx_bf16", "avx512_bf16")  # without any, bfloat16 is slower than float32
TRIM, MAP = -1, -3  # of glibc's malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
AGREEING = 0.95  # least cosine of one batch's gradients in the two precisions; 0.988 where all is well


def device_of(name: str) -> torch.device:
    """Find a device by name: auto, or one of torch's; BadInput where there is none of that name.

    auto is the CPU where torch cannot use the GPU, which is said.
    """
    if name == "auto":
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            name = "cuda" if torch.cuda.is_available() else "cpu"
        for why in filter(None, (explained(str(each.message)) for each in said)):
            print(f"bench: computing on the CPU, since {why}", file=sys.stderr)
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        why = explained(str(error)) or str(error).splitlines()[0]
        raise BadInput(f"--device {name}: {why}") from None
    return device


def set_up(device: torch.device, threads: int) -> None:
    """Make torch ready to train in this process, or thread: the same work gives the same numbers."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # poisons drive losses to almost 0, and denormals are slow
    keep_freed_memory()
    if device.type == "cuda":
        if device.index is not None:
            torch.cuda.set_device(device)
        # equal bits: kernels that add in one order, and fp32 that is not rounded to TF32
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs time
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False


def keep_freed_memory() -> None:
    """Let what a step frees, up to 2 GB, serve the next one, where malloc is glibc's.

    Given back to the system and taken again, each page is cleared anew: 7 % of a run of `quick`.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(MAP, 32 * MB)  # the most that every version takes
        mallopt(TRIM, 2**31 - 1)


def decided(wanted: Precision, device: torch.device) -> Precision:
    """Decide on fp32 or bf16. auto: bf16 where the processor has instructions for it and computes the same.

    What decides is what the machine is, not how fast it was just now: a run that is taken up again must
    decide alike.
    """
    if wanted != "auto":
        return wanted
    return "bf16" if has_bf16(device) and agreement(device) >= AGREEING else "fp32"


def has_bf16(device: torch.device) -> bool:
    """Tell whether the device has instructions for bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in every version
    return device.type == "cpu" and any(able.get(name) for name in INSTRUCTIONS)


def agreement(device: torch.device) -> float:
    """Return the cosine between a small net's weight gradients in the two precisions."""
    x = torch.rand(64, 3, 32, 32, generator=generator(0)).to(device)
    y = (torch.arange(64) % 10).to(device)
    found = []
    for precision in ("fp32", "bf16"):
        net = build("small", channels=3, classes=10, size=32, precision=precision, seed=0, device=device)
        gradients = torch.autograd.grad(F.cross_entropy(net(x), y), [*net.parameters()])
        found.append(torch.cat([g.flatten() for g in gradients]))
    return float(F.cosine_similarity(found[0], found[1], dim=0))


def environment(device: torch.device) -> Environment:
    """Describe what may move the last bits of numbers: process and machine; never a path or a host name."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in every version
    used = [each for each, has in able.items() if has is True and any(part in each for part in TELLING)]
    return {
        "device": f"{device.type} {name}",
        # what torch makes use of: two processors round differently
        **{"processor": processor_name(), "capability": torch.backends.cpu.get_cpu_capability()},
        **({"instructions": " ".join(sorted(used)) or "none"} if able else {}),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
        "suite": suite_version,
        "code": own_code(),
        **({"commit": commit} if (commit := commit_of(HOME)) else {}),
    }


def processor_name(info: Path = Path("/proc/cpuinfo")) -> str:
    """Return the name that Linux has, or else Python."""
    with suppress(OSError):
        text = info.read_text(encoding="utf-8", errors="replace")
        if found := re.search(r"^model name[^:\n]*:[ \t]*(\S.*)$", text, re.M):
            return found[1].rstrip()
    return platform.processor() or platform.machine()


def commit_of(folder: Path) -> str | None:
    """Name the commit of a repository whose top the folder is, -dirty where files differ from it; else None.

    An installed suite may lie inside of somebody else's repository, whose commits say nothing of it.
    """
    try:
        top = _git(folder, "rev-parse", "--show-toplevel")
        if Path(top).resolve() != folder.resolve():
            return None
        return _git(folder, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *asked: str) -> str:
    command = ["git", "-C", str(folder), *asked]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


class Meter:
    """Peak memory of a piece of work."""

    peak_mb: float = 0.0


@contextmanager
def meter(device: torch.device) -> Iterator[Meter]:
    """Measure a with-block; memory is the device's where it has its own, else the process's."""
    measured = Meter()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with suppress(OSError):  # Linux; elsewhere, or where forbidden, the peak is that of the process so far
        Path("/proc/self/clear_refs").write_text("5")
    yield measured
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        measured.peak_mb = torch.cuda.max_memory_allocated(device) / MB
        return
    measured.peak_mb = _peak_mb()
    with suppress(OSError):  # Linux's VmHWM alone begins anew
        if found := re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text()):
            measured.peak_mb = int(found[1]) / 2**10


def _peak_mb() -> float:
    """Ask for the most memory that this process ever had."""
    peak: int | None = getattr(psutil.Process().memory_info(), "peak_wset", None)
    if peak is not None:  # Windows, which has no module resource
        return peak / MB
    import resource

    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB


def resident_mb() -> float:
    """Return the memory that this process takes now."""
    return float(psutil.Process().memory_info().rss / MB)
