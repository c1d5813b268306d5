"""MI of predicted classes: its ends, and that few images of many classes are no dependence."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.metrics.mi.labels import label_information

Labels = NDArray[np.int64]


def told(k: int, kept: float) -> float:
    """Of k equal classes, of which a share is kept and the others are drawn anew."""
    joint = np.full((k, k), (1 - kept) / k**2) + np.eye(k) * kept / k
    known = joint[joint > 0]
    return float(2 * np.log(k) + (known * np.log(known)).sum())


def drawn(k: int, n: int, kept: float, seed: int) -> tuple[Labels, Labels]:
    rng = np.random.default_rng(seed)
    clean, anew = rng.integers(k, size=(2, n))
    return clean, np.where(rng.random(n) < kept, clean, anew)


@pytest.mark.parametrize(("k", "n", "off"), [(10, 1000, 0.06), (10, 5000, 0.03), (100, 5000, 0.25)])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 1.0])
def test_it_is_near_the_truth(k: int, n: int, off: float, kept: float) -> None:
    found = np.mean([label_information(*drawn(k, n, kept, seed)) for seed in range(3)])
    assert found == pytest.approx(told(k, kept), abs=off)
    assert 0 <= found <= np.log(k) + 1e-9


def test_of_independent_classes_there_is_next_to_none_however_many() -> None:
    assert label_information(*drawn(100, 500, 0.0, 0)) < 0.2  # the plug-in estimate has 2.8 nats


def test_names_of_classes_do_not_matter() -> None:
    clean, published = drawn(10, 500, 0.5, 0)
    moved = label_information(clean, (published + 1) % 10)
    assert moved == pytest.approx(label_information(clean, published))


def test_one_class_for_all_says_nothing() -> None:
    clean = drawn(10, 500, 0.0, 0)[0]
    assert (
        label_information(clean, np.zeros_like(clean)) == label_information(np.zeros_like(clean), clean) == 0
    )
