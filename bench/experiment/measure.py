"""What is measured beside accuracy and MI: the published images and memory."""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import torch
from kornia.metrics import ssim
from torch import Tensor

from bench.core.pixels import GRID, to_float

BATCH = 500
MB = 2**20


def distances(clean: Tensor, published: Tensor) -> dict[str, float | None]:
    """L-inf, L2, L0, PSNR and SSIM of published against clean images, uint8 (N,C,H,W).

    Pixels in [0,1]; L2 is a mean over images, L0 the mean share of pixels changed in any channel,
    PSNR in dB from the mean squared error of all images (None where nothing changed), SSIM a mean
    over images with a Gaussian window of 11 pixels (Wang et al., IEEE TIP 2004).
    """
    linf, squared, l2, l0, similar = 0.0, 0.0, 0.0, 0.0, 0.0
    for before, after in zip(clean.split(BATCH), published.split(BATCH), strict=True):
        x, z = to_float(before), to_float(after)
        change = z - x
        linf = max(linf, int((after.int() - before.int()).abs().amax()) / GRID)
        squares = change.square().flatten(1).sum(1).double()
        squared, l2 = squared + float(squares.sum()), l2 + float(squares.sqrt().sum())
        l0 += float((before != after).any(1).double().mean((1, 2)).sum())
        similar += float(ssim(x, z, 11).double().mean((1, 2, 3)).sum())
    n, mse = len(clean), squared / clean.numel()
    psnr = -10 * float(torch.tensor(mse, dtype=torch.float64).log10()) if mse else None
    return {"linf": linf, "l2": l2 / n, "l0": l0 / n, "psnr": psnr, "ssim": similar / n}


class Meter:
    """Peak memory of a piece of work."""

    peak_mb: float = 0.0


@contextmanager
def meter(device: torch.device) -> Iterator[Meter]:
    """Measure a with-block; memory is the device's where it has its own, else the process's."""
    measured = Meter()
    _reset_peak(device)
    yield measured
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    measured.peak_mb = _peak_mb(device)


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with suppress(OSError):  # Linux; elsewhere, or where forbidden, the peak is that of the process so far
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb(device: torch.device) -> float:
    """The process's is Linux's VmHWM, which alone begins anew; psutil knows no peak."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MB
    with suppress(OSError):
        if found := re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text()):
            return int(found[1]) / 2**10
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB


def resident_mb() -> float:
    """Memory of this process now."""
    return float(psutil.Process().memory_info().rss / MB)
