"""Dependence between clean and published features, as measures: each estimator's figures in one dict.

"value" is None outside the certified range; then "at_least" stands for it and "bound" says why.
"""

from __future__ import annotations

from typing import Protocol

from bench.metrics import Measure, Subject, Value
from bench.metrics.mi import cka as alignment
from bench.metrics.mi import gauss_cca as correlations
from bench.metrics.mi import infonce as critic
from bench.metrics.mi import smi_hist as histogram
from bench.metrics.mi import smi_ksg as neighbours
from bench.metrics.mi.estimate import Estimate
from bench.metrics.mi.ksg import Floats


class Estimator(Protocol):
    """Features (n,d) of the same images, clean and published -> an estimate; ValueError where unusable."""

    def __call__(self, clean: Floats, published: Floats, seed: int, /) -> Estimate: ...


def figures(estimate: Estimate) -> dict[str, Value]:
    """Return what a record keeps of an estimate."""
    names = "value", "low", "high", "null", "at_least", "estimator", "n", "d", "rank"
    found: dict[str, Value] = {name: getattr(estimate, name) for name in names}
    return found | {"bound": estimate.reason, "seconds": round(estimate.seconds, 3), **estimate.settings}


def _measure(estimator: Estimator) -> Measure:
    def measured(subject: Subject) -> dict[str, Value]:
        features = subject.clean_features.numpy(), subject.published_features.numpy()
        return figures(estimator(*features, subject.seed))

    return measured


smi_ksg = _measure(neighbours.smi_ksg)
smi_ksg_matched = _measure(neighbours.smi_ksg_matched)
smi_hist = _measure(histogram.smi_hist)
gauss_cca = _measure(correlations.gauss_cca)
infonce = _measure(critic.infonce)
cka = _measure(alignment.cka)
