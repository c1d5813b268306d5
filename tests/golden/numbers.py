"""Numbers of a small run: statistics that any processor reproduces within a tolerance, and every last bit."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bench.experiment.device import environment
from golden.inputs import hashed

GREY = 255.0  # grey levels of a pixel value of 1
THREADING = ("ATEN_", "DNNL_", "KMP_", "MKL_", "OMP_", "ONEDNN_", "OPENBLAS_")  # names that move last bits
KIND = ("cpu family", "model", "stepping", "cache size")  # lines of Linux's
QUANTILES = (0.05, 0.5, 0.95)
PATTERNS = 3  # of signs, that a tensor is projected on

Value = float | int | str | None


class Statistic(NamedTuple):
    """One number of a run."""

    value: Value
    tolerance: float = 0.0  # 0: equal everywhere, as counts, names and whole grey levels are
    unit: str = ""

    def rounded(self) -> Statistic:
        """With no more decimals than its tolerance asks for."""
        if not self.tolerance or not isinstance(self.value, float):
            return self
        return self._replace(value=round(self.value, 3 - math.floor(math.log10(self.tolerance))))

    def holds(self, other: Value) -> bool:
        """Whether another value is this one, within the tolerance."""
        if isinstance(self.value, float) and isinstance(other, float):
            return abs(self.value - other) <= self.tolerance  # false of nan
        return self.value == other and type(self.value) is type(other)


@dataclass
class Numbers:
    """What one small run gave."""

    statistics: dict[str, Statistic] = field(default_factory=dict)
    _bits: Any = field(default_factory=hashlib.sha256)

    @property
    def digest(self) -> str:
        """sha256 of all that was added, to the last bit: equal where the environment is."""
        return str(self._bits.hexdigest())

    def add(self, name: str, value: Value, tolerance: float = 0.0, unit: str = "") -> None:
        """A number; tolerance in its unit."""
        assert name not in self.statistics, f"{name} is said twice"
        self.statistics[name] = Statistic(value, tolerance, unit)
        self._bits.update(f"{name}\0{value!r}\0".encode())

    def same(self, name: str, *tensors: Tensor) -> None:
        """Whole numbers, which are equal everywhere: the beginning of their sha256."""
        seen = hashlib.sha256()
        for tensor in tensors:
            assert not tensor.is_floating_point()
            seen.update(repr(tuple(tensor.shape)).encode() + tensor.to(torch.int64).numpy().tobytes())
        self.add(name, seen.hexdigest()[:16], unit="(digest)")

    def tensor(
        self, name: str, x: Tensor, tolerance: float, unit: str = "", scale: float = 1.0, *, chaos: float = 5
    ) -> None:
        """Mean, deviation and projections on fixed signs of a tensor.

        tolerance: in the unit, that scale brings x to; of projections, chaos times as much. A projection has
        the deviation of x, whatever its size, and another value where x has the same ones in other places.
        """
        self._bits.update(x.contiguous().numpy().tobytes())
        flat = x.double().flatten() * scale
        self.add(f"mean of {name}", float(flat.mean()), tolerance, unit)
        self.add(f"deviation of {name}", float(flat.std(correction=0)), tolerance, unit)
        for pattern in range(PATTERNS):
            signs = 1.0 - 2.0 * (hashed(len(flat), 1000 + pattern) & 1)
            value = float(((flat - flat.mean()) * signs).sum() / len(flat) ** 0.5)
            self.add(f"projection {pattern} of {name}", value, chaos * tolerance, unit)

    def quantiles(self, name: str, x: Tensor, tolerance: float, unit: str = "", scale: float = 1.0) -> None:
        """Of a tensor whose values lie close to each other, or are equal everywhere."""
        flat = x.double().flatten() * scale
        for share, value in zip(QUANTILES, flat.quantile(flat.new_tensor(QUANTILES)).tolist(), strict=True):
            self.add(f"{share:.0%} quantile of {name}", value, tolerance, unit)


def moved(stored: Mapping[str, Statistic], found: Mapping[str, Statistic]) -> list[str]:
    """In words, every statistic of a run that is not the stored one, the furthest first."""
    said: list[tuple[float, str]] = []
    for name in {**stored, **found}:
        if name not in found or name not in stored:
            said.append((torch.inf, f"{name} is {'no longer' if name in stored else 'not yet'} among them"))
        elif not stored[name].holds(now := found[name].value):
            value, tolerance, unit = stored[name]
            words = " ".join(filter(None, (f"{name} {_text(value)} -> {_text(now)}", unit)))
            if isinstance(value, float) and isinstance(now, float):
                far = abs(value - now) / max(tolerance, 1e-300)
                said.append((far, f"{words} (tolerance {tolerance:g})"))
            else:
                said.append((torch.inf, words))
    return [words for _, words in sorted(said, key=lambda pair: -pair[0])]


def _text(value: Value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@cache
def surroundings() -> dict[str, str | int]:
    """What last bits depend on: processor and libraries."""
    found = environment(torch.device("cpu"))
    for aside in ("commit", "threads"):
        found.pop(aside, None)  # an installed suite has no commit
    chosen = {name: value for name, value in sorted(os.environ.items()) if name.startswith(THREADING)}
    return {**found, "kind": _kind(), "cores": _cores(), **chosen}


def _cores() -> int:
    """Those that this process may use: libraries make as many threads."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0


def _kind(info: Path = Path("/proc/cpuinfo")) -> str:
    """What tells processors of one name apart, as far as Linux says it: kernels are chosen by caches too."""
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    said = dict(line.split("\t", 1) for line in reversed(lines) if "\t" in line)
    return ", ".join(f"{name} {said[name].strip(chr(9) + ': ')}" for name in KIND if name in said)
