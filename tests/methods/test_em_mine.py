"""EM with a penalty on mutual information: its bound, its critic, and what the penalty does."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.pgd import frozen
from bench.core.pixels import to_float
from bench.core.rng import generator
from bench.core.types import Recipe
from methods.em_mine import EMMine, bound, features
from support.toys import METHODS, small_net, toy_lab, toy_split

CLEAN = toy_split(96, 0)
N, D = 400, 3


def pairs(rho: float, n: int = N, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Standard normal x and y (n,D) with that correlation in each dimension."""
    x, e = torch.randn((2, n, D), generator=generator(seed))
    return x, rho * x + (1 - rho**2) ** 0.5 * e


def test_the_bound_is_its_double_loop() -> None:
    scores = torch.randn(7, 7, generator=generator(1)).double()
    pair = sum(float(scores[i, i]) for i in range(7)) / 7
    mismatched = [math.exp(float(scores[i, j])) for i in range(7) for j in range(7) if i != j]
    assert float(bound(scores)) == pytest.approx(pair - math.log(sum(mismatched) / len(mismatched)))


def test_the_bound_of_one_image_is_nothing_and_has_a_gradient() -> None:
    scores = torch.ones(1, 1, requires_grad=True)
    bound(scores).backward()  # type: ignore[no-untyped-call]
    assert float(bound(scores.detach())) == 0 and scores.grad is not None and not scores.grad.any()


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_a_critic_finds_what_gaussians_share_and_no_more(rho: float) -> None:
    """On pairs that it has not seen: at most -1/2 log(1 - rho^2) nats a dimension, up to chance."""
    value, truth = EMMine(critic_epochs=20, batch=100), -D / 2 * math.log(1 - rho**2)
    critic = value.taught(*pairs(rho, n=2000), generator(0))
    found = float(bound(critic(*pairs(rho, seed=1))))
    assert found <= truth + 0.15
    assert not rho or found > 0.3 * truth


def test_a_critic_is_that_of_its_seed_and_learns_no_more() -> None:
    value, shown = EMMine(critic_epochs=2), pairs(0.5)
    one, again, other = (value.taught(*shown, generator(seed)) for seed in (1, 1, 2))
    same = [torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True)]
    assert all(same) and not any(p.requires_grad for p in one.parameters())
    assert not torch.equal(one.f[0].weight, other.f[0].weight)


FAINT = toy_split(128, 0, contrast=14)


@cache
def trained() -> nn.Module:
    return frozen(toy_lab().trained(FAINT, Recipe(epochs=8, batch=16)))


def informed(weight: float) -> tuple[float, float]:
    """What a new critic finds in images that were perturbed with that weight, and the loss on them."""
    value = EMMine(weight=weight, steps=10, step=0.2, critic_epochs=20, batch=64, eps=16 / 255)
    net, delta = trained(), torch.zeros(FAINT.images.shape)
    value.perturb(net, FAINT, torch.arange(len(FAINT)), delta, toy_lab(), generator(5))
    before, after = features(net, FAINT, delta * 0, 64), features(net, FAINT, delta, 64)
    before, after = ((z - before.mean(0)) / before.std() for z in (before, after))
    critic = value.taught(before, after, generator(6))
    with torch.no_grad():
        loss = F.cross_entropy(net(to_float(FAINT.images) + delta), FAINT.labels)
    return float(bound(critic(before, after))), float(loss)


def test_the_penalty_costs_information_and_some_loss() -> None:
    (plain, loss), (penalised, higher) = informed(0.0), informed(10.0)
    assert penalised < 0.8 * plain
    assert higher > loss


def test_without_a_weight_it_is_em() -> None:
    """The critic draws nothing that EM draws."""
    mine, em = METHODS["em-mine"].value, METHODS["em"].value
    one = replace(mine, weight=0.0, batch=len(CLEAN)).craft(CLEAN, toy_lab())
    other = replace(em, batch=len(CLEAN)).craft(CLEAN, toy_lab())
    assert ((one - other).abs() < 1e-3).float().mean() > 0.99


def test_clean_and_perturbed_features_are_those_of_the_head() -> None:
    net = frozen(small_net())
    delta = torch.full(CLEAN.images.shape, 0.9)  # beyond white
    z = features(net, CLEAN, delta, 50)
    with torch.no_grad():
        assert torch.allclose(net.head(z), net((to_float(CLEAN.images) + delta).clamp(0, 1)), atol=1e-5)
