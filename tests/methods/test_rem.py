"""REM and SEM: where losses are taken, what the net learns from, what is searched in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.adversarial import Robust, raised
from bench.core.augment import crop_flip
from bench.core.pgd import frozen
from bench.core.pixels import to_float
from bench.core.rng import generator
from bench.core.types import Augmentation
from bench.experiment.registry import catalog
from methods.rem import REM, SEM
from support.toys import AUGMENTATION, METHODS, noise, small_net, toy_lab, toy_split

CLEAN = toy_split(64, 0)
X, STILL = to_float(CLEAN.images), Augmentation(pad=0, flip=False)
FULL = catalog("methods").variants
BOTH = ["rem", "sem"]
Objective = Callable[[Tensor], Tensor]


def value_of(name: str, **changed: Any) -> REM:
    value = replace(METHODS[name].value, **changed)
    assert isinstance(value, REM)
    return value


@pytest.fixture
def objectives(monkeypatch: pytest.MonkeyPatch) -> list[Objective]:
    """What the attack loop was asked to lower, in the place of which it does nothing."""
    seen: list[Objective] = []

    def pgd(objective: Objective, x: Tensor, delta: Tensor, **how: float) -> Tensor:
        seen.append(objective)
        return delta

    monkeypatch.setattr("methods.rem.pgd", pgd)
    return seen


def gradient(objective: Objective, z: Tensor) -> Tensor:
    z = z.detach().requires_grad_()
    return torch.autograd.grad(objective(z), z)[0]


def test_rem_with_one_uniform_draw_in_the_place_of_its_attack_is_sem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside the search alone: the net still learns from attacked images."""
    rem, sem = (value_of(name) for name in BOTH)
    expected = sem.craft(CLEAN, toy_lab())

    def drawn(self: REM, net: nn.Module, x: Tensor, y: Tensor, rng: Generator) -> Tensor:
        return (x + (2 * torch.rand(x.shape, generator=rng) - 1) * 4 / 255).clamp(0, 1)

    assert not torch.allclose(rem.craft(CLEAN, toy_lab()), expected, atol=1e-3)
    monkeypatch.setattr(REM, "attacked", drawn)
    assert torch.allclose(rem.craft(CLEAN, toy_lab()), expected, atol=1e-6)


def test_rem_and_sem_differ_in_the_attack_inside_the_search_alone() -> None:
    rem, sem = (FULL[name].value for name in BOTH)
    assert vars(rem) == vars(sem) and (rem.inner, sem.inner) == (10, 0)
    assert SEM.craft is REM.craft and SEM.search is REM.search and rem.passes > 7 * sem.passes


@pytest.mark.parametrize("name", BOTH)
def test_what_lies_near_is_within_the_radius_and_worse_in_rem(name: str) -> None:
    by = Robust(radius=20 / 255, step=8 / 255, steps=4)
    net, near = frozen(small_net()), value_of(name, robust=by).attacked
    found = near(net, X, CLEAN.labels, generator(1))
    assert 18 / 255 < (found - X).abs().amax() <= 20 / 255 + 1e-6
    assert found.amin() >= 0 and found.amax() <= 1
    with torch.no_grad():
        before, after = (F.cross_entropy(net(z), CLEAN.labels, reduction="none") for z in (X, found))
    assert ((after > before).float().mean() > 0.9) == (name == "rem")


@pytest.mark.parametrize("crops", [1, 3])
def test_gradient_is_taken_where_the_loss_is_and_goes_back_through_the_crops(
    crops: int, objectives: list[Objective], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The official code multiplies the gradient at the attacked crop with the crop, for every draw of it."""
    net, y, away = frozen(small_net()), CLEAN.labels, noise(*X.shape, seed=3) / 10
    monkeypatch.setattr(REM, "attacked", lambda self, net, x, y, rng: x + away)
    value_of("rem", crops=crops).search(net, X, y, AUGMENTATION, rng := generator(5))
    state = rng.get_state()
    found = gradient(objectives[-1], X)

    rng.set_state(state)
    z = X.clone().requires_grad_()
    expected = torch.zeros_like(X)
    for _ in range(crops):
        crop = crop_flip(z, AUGMENTATION, rng)
        there = gradient(lambda a: F.cross_entropy(net(a), y, reduction="sum"), crop + away)
        expected += torch.autograd.grad((crop * there).sum(), z)[0]
    assert (found - expected).norm() < 1e-4 * expected.norm()
    at_the_image = gradient(lambda a: F.cross_entropy(net(a), y, reduction="sum"), X)
    assert (found - crops * at_the_image).norm() > 0.1 * expected.norm()


@pytest.mark.parametrize("name", BOTH)
def test_a_search_begins_anywhere_in_the_ball(name: str, objectives: list[Objective]) -> None:
    """And leaves nothing to the next one: no noise persists."""
    value, rng = value_of(name), generator(1)
    starts = [value.search(small_net(), X, CLEAN.labels, STILL, rng) / value.eps for _ in range(2)]
    assert not torch.allclose(*starts)
    for start in starts:
        assert start.abs().amax() <= 1 + 1e-3
        assert start.std() == pytest.approx(3**-0.5, rel=0.05)  # uniform in [-1, 1]


def learnt(value: REM, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """Images that a net learns from, without crops, in [0,1]."""
    seen: list[Tensor] = []

    def look(net: nn.Module, given: tuple[Tensor, ...]) -> None:
        if net.training:
            seen.append(given[0].detach().clone())

    def build(seed: int) -> nn.Module:
        net = small_net(seed)
        net.register_forward_pre_hook(look)
        return net

    lab = toy_lab()
    lab.augmentation, lab.build = STILL, build
    value.craft(CLEAN, lab)
    return torch.cat(seen)


@pytest.mark.parametrize("name", BOTH)
def test_the_net_learns_from_attacked_images_that_are_perturbed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = value_of(name)
    z = learnt(value, monkeypatch)
    away = (z[:, None] - X).abs().amax((2, 3, 4)).amin(1)
    assert len(z) == value.surrogate.epochs * len(X)  # the last, smaller batch, too
    assert away.amin() > value.eps and away.amax() <= value.eps + 4 / 255 + 1e-6
    alone = learnt(replace(value, robust=replace(value.robust, radius=0.0)), monkeypatch) * 255
    assert (alone - alone.round()).abs().amax() < 0.01  # as published: whole grey levels
    assert not torch.equal(alone.round(), (z * 255).round())


@pytest.mark.parametrize("name", BOTH)
def test_in_the_end_every_image_is_searched_with_the_final_net(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The official code's last pass drops the last batch: 80 of 50,000 images keep what was there before."""
    nets: list[Tensor] = []
    search = REM.search

    def watched(self: REM, net: nn.Module, x: Tensor, *rest: Any) -> Tensor:
        nets.append(torch.cat([p.flatten() for p in net.parameters()]))
        last = len(x) in (40, 24)
        return torch.full_like(x, 0.01 * len(x)) if last else search(self, net, x, *rest)

    monkeypatch.setattr(REM, "search", watched)
    value = value_of(name)
    assert (value.batch, value.surrogate.batch) == (40, 32)
    delta = value.craft(CLEAN, toy_lab())
    assert delta[:40].eq(0.4).all() and delta[40:].eq(0.24).all()
    assert torch.equal(nets[-1], nets[-2]) and not torch.equal(nets[-2], nets[-3])


@pytest.mark.parametrize("name", BOTH)
def test_the_nets_robust_loss_is_lower_on_what_is_published(name: str) -> None:
    faint = toy_split(128, 0, contrast=14)
    value, nets, lab = value_of(name, eps=16 / 255, crops=1, steps=4), list[nn.Module](), toy_lab()
    value = replace(value, surrogate=replace(value.surrogate, epochs=6, batch=16))
    lab.build = lambda seed: nets.append(small_net(seed)) or nets[-1]  # type: ignore[func-returns-value]
    delta, net, y, x = value.craft(faint, lab), frozen(nets[-1]), faint.labels, to_float(faint.images)
    hard = {"radius": 4 / 255, "step": 2 / 255, "steps": 4}
    clean, perturbed = (
        float(F.cross_entropy(net(raised(net, z, y, generator(1), **hard)), y)) for z in (x, x + delta)
    )
    assert perturbed < 0.7 * clean
