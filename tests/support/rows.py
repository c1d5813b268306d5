"""Hand-made rows."""

from __future__ import annotations

import hashlib
from typing import Any

from bench.results.rows import Row

SETTING, OTHER = "1" * 64, "2" * 64
INPUTS: dict[str, Any] = {
    "data": {"train_images": 4000},
    "net": "resnet18",
    "surrogate": "small",
    "victim": {"epochs": 30},
    "precision": "fp32",
    "seed": 7,
}


def row(method: str, defense: str = "none", rep: int = 0, poison_rep: int = 0, **values: Any) -> Row:
    """A hand-made row of glyphs; values are any other columns."""
    plain: dict[str, Any] = {"setting": SETTING, "data": "glyphs", "inputs": INPUTS} | values
    plain = {"classes": 10, "control": method in ("clean", "random")} | plain
    said = repr((plain["setting"], method, defense, rep, poison_rep, plain["inputs"]))
    return Row(
        key=hashlib.sha256(said.encode()).hexdigest(),
        synthetic=True,
        method=method,
        defense=defense,
        poison_rep=poison_rep,
        rep=rep,
        profile="quick",
        **plain,
    )
