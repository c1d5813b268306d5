"""Hand-made rows with all that a report shows."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from bench.results import samples
from bench.results.rows import Row
from support.rows import completed

SETTING = "5e" * 32
EPS = 8 / 255


def row(method: str, defense: str = "none", rep: int = 0, acc: float | None = 0.5, **values: Any) -> Row:
    """A measured row, or one without numbers where acc is None."""
    key = values.get("setting", SETTING)[:4] + f"{method}/{defense}/{rep}".encode().hex().ljust(60, "0")
    inputs = {"data": {"digest": "d" * 64}, "method": {"name": method, "eps": EPS}}
    plain: dict[str, Any] = {"setting": SETTING, "data": "toy", "synthetic": True, "inputs": inputs}
    plain |= {"control": False, "classes": 10}
    if acc is not None:
        curve = [{"epoch": e, "val_acc": acc * e / 3, "test_acc": acc * (e % 3) / 3} for e in (1, 2, 3)]
        plain |= {"test_acc": acc, "train_acc": 0.9, "mi": acc / 10, "curve": curve, "peak_acc": acc}
        plain |= {"craft_seconds": 10 + 100 * acc, "linf": EPS, "published": digest(method)}
        plain |= {"environment": {"commit": "c0ffee", "device": "cpu"}, "rerun": f"run --methods {method}"}
    plain |= values
    cell = {"method": method, "defense": defense, "poison_rep": 0, "rep": rep}
    return completed(Row(key=key[:64], profile="p", **cell, **plain))


def digest(method: str) -> str:
    return method.encode().hex().ljust(64, "0")[:64]


TRACE = (
    'Traceback (most recent call last):\n  File "methods/em.py", line 3\nRuntimeError: <b>no</b> & nothing'
)


def grid() -> list[Row]:
    """Four methods under three defenses, two victims each; a failed, a skipped and a missing cell."""
    methods, defenses = ("clean", "em", "tap", "mi-ue"), ("none", "cutout", "iss-gray")
    rows = [
        row(m, d, rep, min(0.9 - 0.2 * i + 0.05 * j + 0.01 * rep, 1.0), control=m == "clean")
        for (i, m), (j, d), rep in product(enumerate(methods), enumerate(defenses), range(2))
        if (m, d) not in {("em", "cutout"), ("tap", "cutout"), ("mi-ue", "iss-gray")}
    ]
    rows.append(row("em", "cutout", acc=None, status="failed", reason=TRACE))
    return [*rows, row("tap", "cutout", acc=None, status="skipped", reason="images are gray")]


def sample(channels: int = 3, size: int = 8, seed: int = 0) -> samples.Sample:
    draws = np.random.default_rng(seed)
    clean = draws.integers(8, 240, (5, channels, size, size), dtype=np.uint8)
    moved = clean + draws.integers(0, 9, clean.shape, dtype=np.uint8)
    return samples.take(clean, moved, [3, 1, 4, 0, 2])


def keep_sample(run: Path, method: str) -> None:
    samples.save(sample(), samples.path_of(run / "gallery", method, digest(method)))
