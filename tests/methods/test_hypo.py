"""HYPO: what it does to its surrogate, and that this one is robust."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.adversarial import Robust, attacked
from bench.core.pixels import to_float
from bench.core.rng import generator
from bench.core.types import Recipe
from methods.hypo import HYPO
from support.toys import toy_lab, toy_split, with_surrogate

FAINT = toy_split(128, 0, contrast=14)  # so that the budget suffices to repaint a class
X = to_float(FAINT.images)
RECIPE = Recipe(epochs=8, batch=16)
GROWN = replace(HYPO(), surrogate=RECIPE, steps=10, step=0.2, robust=Robust(2 / 255, 1 / 255, 2))


def loss(net: nn.Module, x: Tensor) -> float:
    with torch.no_grad():
        return float(F.cross_entropy(net(x), FAINT.labels))


def test_it_lowers_its_surrogates_loss_and_moves_no_prediction() -> None:
    net, delta = with_surrogate(GROWN, FAINT)
    assert loss(net, X + delta) < 0.5 * loss(net, X)
    with torch.no_grad():
        assert (net(X + delta).argmax(1) == FAINT.labels).float().mean() > 0.9


def test_a_robust_surrogate_loses_less_under_attack() -> None:
    """Than one that is trained as usual: both are attacked in the radius that one of them was trained in."""
    robust = Robust(radius=4 / 255, step=2 / 255, steps=4)
    hard = {"radius": robust.radius, "step": 1 / 255, "steps": 20}
    usual, trained = toy_lab().trained(FAINT, RECIPE), toy_lab().trained(FAINT, RECIPE, robust)
    at_usual, at_robust = (
        loss(net, attacked(net, X, FAINT.labels, generator(3), **hard)) for net in (usual, trained)
    )
    assert at_robust < 0.8 * at_usual


def test_without_a_radius_the_surrogate_is_trained_as_usual() -> None:
    one = toy_lab().trained(FAINT, RECIPE, Robust(radius=0.0))
    other = toy_lab().trained(FAINT, RECIPE)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_it_says_where_the_surrogate_does_not_follow() -> None:
    for value, reached in ((GROWN, True), (replace(GROWN, eps=0.1 / 255, surrogate=Recipe(epochs=1)), False)):
        lab = toy_lab()
        value.craft(FAINT, lab)
        assert ("unreached" in lab.facts) != reached, lab.facts
