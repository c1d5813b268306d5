"""Our plasma is kornia's: the same values from the same draws, the same distribution of images."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from kornia.augmentation import RandomPlasmaBrightness, RandomPlasmaContrast
from kornia.contrib import diamond_square
from scipy.stats import ks_2samp
from torch import Tensor

from bench.core.rng import generator, global_rng
from defenses._plasma import brightness, contrast, plasma

ROUGH, STRONG = (0.3, 0.7), (0.5, 1.0)
N = 1500


@pytest.mark.parametrize("size", [3, 5, 8, 28, 32, 33, 64])
def test_same_draws_give_kornias_values(size: int) -> None:
    roughness = torch.linspace(0, 1, 7)
    theirs = diamond_square(
        (7, 1, size, size), roughness, random_fn=partial(torch.rand, generator=generator(5))
    )
    torch.manual_seed(5)
    assert torch.allclose(plasma(roughness, size), theirs[:, 0], atol=1e-6)


def test_plasma_stays_in_range_and_varies_between_maps() -> None:
    with global_rng(generator(0)):
        maps = plasma(torch.linspace(0, 1, 50), 32)
    assert maps.min() >= 0 and maps.max() <= 1
    assert len(maps.flatten(1).unique(dim=0)) == 50


def views(op: object, seed: int, level: float) -> Tensor:
    with global_rng(generator(seed)):
        views: Tensor = op(torch.full((N, 3, 16, 16), level))  # type: ignore[operator]
    return views


def told_apart(a: Tensor, b: Tensor, level: float) -> bool:
    """Whether share of images left alone, a pixel, its step to the next, or two channels' product differ."""
    same = [float((z == level).flatten(1).all(1).double().mean()) for z in (a, b)]
    if abs(same[0] - same[1]) > 0.06:
        return True
    looks = [
        lambda z: z[:, 0, 7, 6],
        lambda z: z[:, 1, 3, 4] - z[:, 1, 3, 5],
        lambda z: (z[:, 0, 9, 9] - level) * (z[:, 2, 9, 9] - level),
        lambda z: z.flatten(1).std(1),
    ]
    touched = [z[(z != level).flatten(1).any(1)] for z in (a, b)]
    return any(ks_2samp(look(touched[0]), look(touched[1])).pvalue < 1e-3 for look in looks)


CASES = {
    "brightness": (
        partial(brightness, roughness=ROUGH, intensity=STRONG, p=0.5),
        RandomPlasmaBrightness(roughness=ROUGH, intensity=STRONG, p=0.5),
        [partial(brightness, roughness=(0.1, 0.3), intensity=STRONG, p=0.5)],
    ),
    "contrast": (
        partial(contrast, roughness=ROUGH, p=0.5),
        RandomPlasmaContrast(roughness=ROUGH, p=0.5),
        [partial(contrast, roughness=(0.5, 0.9), p=0.5), partial(contrast, roughness=ROUGH, p=0.6)],
    ),
}
CASES["brightness"][2].append(partial(brightness, roughness=ROUGH, intensity=(0.3, 0.8), p=0.5))


@pytest.mark.parametrize("name", CASES)
def test_distribution_is_kornias(name: str) -> None:
    ours, theirs, others = CASES[name]
    level = 0.6
    reference = views(theirs, 1, level)
    assert not told_apart(views(ours, 2, level), reference, level)
    for other in others:  # what the test can see
        assert told_apart(views(other, 2, level), reference, level)
