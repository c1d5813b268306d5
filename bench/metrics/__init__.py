"""Measures: what can be said of one poison as one net sees it.

Each is a function of a Subject, listed here by name; MI estimators are measures too. A row holds the
default estimate alone: studies keep their victims' weights and measure as much as they like later.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # settings of MI are read before torch is there
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


@dataclass(frozen=True)
class Metric:
    """A measure by name."""

    # module:function, which returns what it measured with its main figure as "value", and raises ValueError,
    # which says what was seen and what was expected, where there is none; of those in mi/ an Estimator
    place: str
    revision: int  # raised by whoever changes what it returns
    of_images: bool = False  # whether it looks at the images, not at what a net makes of them


METRICS: dict[str, Metric] = {
    "smi-noisy": Metric("bench.metrics.mi.smi_noisy:smi_noisy", revision=1),
    "smi-hist": Metric("bench.metrics.mi.smi_hist:smi_hist", revision=1),
    "gauss-cca": Metric("bench.metrics.mi.gauss_cca:gauss_cca", revision=1),
    "infonce": Metric("bench.metrics.mi.infonce:infonce", revision=1),
    "cka": Metric("bench.metrics.mi.cka:cka", revision=1),
    "class-spread": Metric("bench.metrics.class_spread:class_spread", revision=3),
    "separability": Metric("bench.metrics.separability:separability", revision=1, of_images=True),
    "frequency": Metric("bench.metrics.frequency:frequency", revision=1, of_images=True),
    "feature-distance": Metric("bench.metrics.feature_distance:feature_distance", revision=1),
}


def measure(name: str) -> Measure:
    """Return the function behind a name; what it needs is imported now."""
    module, _, function = METRICS[name].place.partition(":")
    found = getattr(importlib.import_module(module), function)

    def of_features(subject: Subject) -> dict[str, Value]:
        features = subject.clean_features.numpy(), subject.published_features.numpy()
        figures: dict[str, Value] = found(*features, subject.seed).figures
        return figures

    return of_features if module.startswith(f"{__name__}.mi.") else found
