"""What a method declares of its images is what is measured of them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bench.core.contract import check_classes, check_delta, check_published, published, sizes
from bench.core.pixels import GRID
from bench.core.rng import generator
from bench.core.threat import Threat
from support.toys import noise

IMAGES = torch.randint(0, 256, (12, 3, 8, 8), generator=generator(0)).to(torch.uint8)
THREATS = [
    *(Threat("linf", eps / GRID) for eps in (1, 8, 16)),
    *(Threat("l2", radius) for radius in (0.2, 1.0, 1.3)),
    *(Threat("l0", count) for count in (1, 3)),
    Threat("unbounded"),
]


def of_size(threat: Threat) -> Tensor:
    """Draw deltas that are as large as a threat model admits."""
    delta = noise(*IMAGES.shape) * 2 - 1
    if threat.norm == "l2":
        return delta * (threat.radius / delta.flatten(1).norm(dim=1))[:, None, None, None]
    if threat.norm == "l0":
        kept = torch.zeros(64)
        kept[: int(threat.radius)] = 1
        return delta * kept.view(8, 8)
    return delta * threat.radius


@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_what_is_published_is_within_the_radius_after_rounding(threat: Threat) -> None:
    delta, before = of_size(threat), IMAGES.clone()
    kept = delta.clone()
    found = published(threat, IMAGES, delta)
    assert found.dtype == torch.uint8 and torch.equal(IMAGES, before) and torch.equal(delta, kept)
    change = (found.int() - IMAGES.int()) / GRID
    assert (sizes(threat, change) <= threat.radius + 1e-6).all()
    check_published(found, IMAGES, threat, "mine")
    whole = ((IMAGES / GRID + delta).clamp(0, 1) * GRID - IMAGES) / GRID
    assert change.norm() > 0.95 * whole.norm()  # nor is it much smaller than it may be


@pytest.mark.parametrize("threat", [t for t in THREATS if t.norm != "unbounded"], ids=str)
def test_what_is_beyond_the_radius_is_refused_by_measurement(threat: Threat) -> None:
    beyond = Threat(threat.norm, 2 * threat.radius)
    with pytest.raises(ValueError, match=r"'mine' went to .* its budget is"):
        check_delta(of_size(beyond), IMAGES, threat, "mine")
    images = torch.full_like(IMAGES, 128)  # nothing is cut
    found = published(beyond, images, of_size(beyond))
    with pytest.raises(ValueError, match=rf"'mine' declares {threat}.*12 of 12 images"):
        check_published(found, images, threat, "mine")


@pytest.mark.parametrize("threat", THREATS, ids=str)
@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
def test_no_threat_model_admits_what_is_empty_or_not_finite(threat: Threat, value: float) -> None:
    with pytest.raises(ValueError, match=r"nan or infinite|left every image as it was"):
        check_delta(torch.full(IMAGES.shape, value), IMAGES, threat, "mine")


def test_sizes_are_in_the_units_of_the_radius() -> None:
    change = torch.zeros(1, 3, 4, 4)
    change[0, 0, 0, 0], change[0, 1, 0, 0], change[0, 0, 2, 3] = 0.3, -0.4, 0.1
    expected = {"linf": 0.4, "l2": math.sqrt(0.26), "l0": 2, "unbounded": 0.4}
    for norm, size in expected.items():
        assert float(sizes(Threat(norm), change)) == pytest.approx(size)  # type: ignore[arg-type]


def test_names_of_threat_models() -> None:
    named = [
        Threat("l2", 1.3),
        Threat("unbounded"),
        Threat("l0", 1),
        Threat("linf", 8 / 255),
        Threat("l0", 2),
    ]
    said = [str(threat) for threat in sorted(named, key=lambda threat: threat.order)]
    assert said == ["L-inf 8/255", "L2 1.3", "L0 1 pixel", "L0 2 pixels", "unbounded"]


def test_one_pattern_a_class_is_measured() -> None:
    images = torch.full((6, 1, 2, 2), 9, dtype=torch.uint8)
    labels, names = torch.tensor([0, 0, 0, 1, 1, 1]), ("cat", "dog")
    found = images + 5
    images[0], found[0] = 254, 255  # cut at white
    check_classes(found, images, labels, names, "mine")
    found[4, 0, 1, 1] -= 8
    with pytest.raises(ValueError, match=r"'mine' is class-wise.*class dog.*8/255 apart"):
        check_classes(found, images, labels, names, "mine")
