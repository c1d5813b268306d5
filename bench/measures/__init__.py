"""Measures: what can be said of one poison as one net sees it.

Each is a function of a Subject, listed here by name; MI estimators are measures too. A row holds the
default estimate alone: studies keep their victims' weights and measure as much as they like later.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Value = float | int | str | bool | None
Measure = Callable[["Subject"], dict[str, Value]]


@dataclass(frozen=True)
class Subject:
    """The same n training images, clean and as published, and what one net makes of both; on the CPU."""

    clean: Tensor  # uint8 (n,C,H,W)
    published: Tensor  # uint8 (n,C,H,W)
    labels: Tensor  # int64 (n,)
    classes: int
    clean_features: Tensor  # float32 (n,d), the net in eval mode
    published_features: Tensor  # float32 (n,d)
    seed: int  # the same for all that is compared


# name -> module:function; the function returns what it measured with its main figure as "value",
# and raises ValueError, which says what was seen and what was expected, where there is none.
MEASURES: dict[str, str] = {
    "smi-ksg": "bench.measures.mi:smi_ksg",
    "smi-ksg-matched": "bench.measures.mi:smi_ksg_matched",
    "smi-hist": "bench.measures.mi:smi_hist",
    "gauss-cca": "bench.measures.mi:gauss_cca",
    "infonce": "bench.measures.mi:infonce",
    "cka": "bench.measures.mi:cka",
    "class-spread": "bench.measures.class_spread:class_spread",
    "separability": "bench.measures.separability:separability",
    "frequency": "bench.measures.frequency:frequency",
    "feature-distance": "bench.measures.feature_distance:feature_distance",
}


def measure(name: str) -> Measure:
    """The function behind a name; what it needs is imported now."""
    module, _, function = MEASURES[name].partition(":")
    found: Measure = getattr(importlib.import_module(module), function)
    return found
