"""PIL: what is taken away from an image is what a linear net takes for its class."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.pixels import to_float
from bench.core.rng import generator
from bench.core.types import Recipe
from bench.experiment.registry import catalog
from methods import pil
from methods.pil import PIL
from support.toys import AUGMENTATION, CLASSES, METHODS, noise, toy_lab, toy_split

CLEAN = toy_split(128, 0, contrast=14)
X = to_float(CLEAN.images)
GROWN = replace(PIL(), surrogate=Recipe(epochs=8, batch=16, lr=0.01, weight_decay=0.0))


def watched(monkeypatch: object = None) -> tuple[nn.Module, Tensor]:
    """The linear net and the delta of a poison that had time enough."""
    nets: list[nn.Module] = []
    real, pil.frozen = pil.frozen, lambda net: nets.append(real(net)) or nets[-1]  # type: ignore
    try:
        delta = GROWN.craft(CLEAN, toy_lab())
    finally:
        pil.frozen = real
    return nets[0], delta


NET, DELTA = watched()


def told(z: Tensor) -> float:
    """Share of what the net takes for its class."""
    return float((NET(z).argmax(1) == CLEAN.labels).double().mean())


def test_the_noise_that_is_subtracted_is_its_class_to_the_net() -> None:
    """Added, it would be another method: the sign is easily lost."""
    assert told(-DELTA) == 1.0  # x minus what is published
    assert told(DELTA) < 0.2


def test_what_is_left_tells_the_net_less() -> None:
    with torch.no_grad():
        before, after = (F.cross_entropy(NET(z), CLEAN.labels) for z in (X, X + DELTA))
    assert after > before and told(X + DELTA) < told(X)


def test_the_net_is_linear_and_without_bias() -> None:
    x, y = noise(5, 3, 16, 16), noise(5, 3, 16, 16, seed=2)
    assert torch.allclose(NET(2 * x - y), 2 * NET(x) - NET(y), atol=1e-4)
    assert not NET(torch.zeros_like(x)).any()


def test_objective_is_the_sum_of_its_two_parts() -> None:
    z, noised, y = noise(6, 3, 16, 16), noise(6, 3, 16, 16, seed=2) - 0.5, torch.arange(6) % CLASSES
    with torch.no_grad():
        own = -(NET(noised).softmax(1).log()[torch.arange(6), y]).sum()
        unsure = -(NET(z).softmax(1) * CLASSES).log().sum() / CLASSES
        assert torch.allclose(GROWN.objective(NET, z, noised, y), 0.9 * own + 0.1 * unsure, atol=1e-4)


def test_the_surrogate_is_its_own() -> None:
    """No net of the setting's has a part in it, and its images are neither cropped nor mirrored."""
    lab = toy_lab()
    lab.build = None  # type: ignore[assignment]
    assert METHODS["pil"].value.craft(CLEAN, lab).any()
    assert catalog("methods").get("pil").value.needs == ("labels",)


def test_a_net_that_learnt_nothing_is_told() -> None:
    told_of = []
    for surrogate in (GROWN.surrogate, replace(GROWN.surrogate, lr=1e-9)):
        lab = toy_lab()
        replace(GROWN, surrogate=surrogate, steps=1).craft(CLEAN, lab)
        told_of.append("unreached" in lab.facts)
    assert told_of == [False, True]


def test_noise_that_the_net_does_not_take_for_its_class_is_told() -> None:
    lab = toy_lab()
    replace(GROWN, steps=1, step=1e-6).craft(CLEAN, lab)  # what it starts at
    assert "of the noise for its class" in str(lab.facts["unreached"])


def test_an_image_and_its_noise_are_cropped_alike() -> None:
    one, two = pil.alike(X, X, AUGMENTATION, generator(1))
    assert torch.equal(one, two) and not torch.equal(one, X)
    moving = replace(GROWN, augment=True, surrogate=replace(GROWN.surrogate, epochs=2))
    assert not torch.equal(
        moving.craft(CLEAN, toy_lab()), replace(moving, augment=False).craft(CLEAN, toy_lab())
    )
