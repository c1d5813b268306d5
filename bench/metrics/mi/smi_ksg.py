"""smi-ksg: sliced MI by KSG-1 on a common code, the default; and smi-ksg-matched, theta = phi.

Estimand, null and interval are those of `bench.metrics.mi.sliced`. Matched slices see both features from one
direction; their value does not shrink with the rank, but is infinite where published features are a
function of the clean ones in a slice, as those of clean itself are. So there is none for clean, and the
gap of a method is taken against `random`. Where the estimate still grows with the number of images as
that of a deterministic map would, it is no estimate of anything and only a bound is given.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.metrics.mi import sliced as slices
from bench.metrics.mi.estimate import Estimate, begin
from bench.metrics.mi.ksg import Floats, ksg_of_rows
from bench.metrics.mi.limits import GROWTH
from bench.metrics.mi.sliced import MISettings

MATCHED = "smi-ksg-matched"


def smi_ksg(clean: Floats, published: Floats, seed: int, settings: MISettings | None = None) -> Estimate:
    """Of features (n,d) of the same images, nats, the null subtracted."""
    return _estimate(slices.ESTIMATOR, clean, published, seed, settings or MISettings())


def smi_ksg_matched(
    clean: Floats, published: Floats, seed: int, settings: MISettings | None = None
) -> Estimate:
    """Estimate the same from matched slices; ValueError where both features are equal."""
    if np.array_equal(clean, published):
        raise ValueError(
            f"{MATCHED}: clean and published features are equal, and MI of anything with itself is infinite "
            "in matched slices; expected features that differ: gaps are taken against random"
        )
    return _estimate(MATCHED, clean, published, seed, settings or MISettings())


def _estimate(name: str, clean: Floats, published: Floats, seed: int, settings: MISettings) -> Estimate:
    begun, k = begin(name, clean, published), settings.neighbours
    score = partial(ksg_of_rows, k=k)
    found = slices.sliced(clean, published, settings, seed, score, matched=name == MATCHED)
    doubt = None
    if found.growth > GROWTH:
        doubt = f"diverges: {found.growth:.2f} nats more for each e-fold of images"
    said = {"slices": settings.slices, "neighbours": k}
    return begun.end(found.nats, found.reach, found.null, found.rank, said, doubt)
