"""The defense shows what AUE's surrogate is shown, and what it takes away is a patch at one place."""

from __future__ import annotations

import pytest
import torch

from bench.core.errors import BadInput
from bench.core.pixels import to_float
from bench.core.rng import generator
from bench.core.strong import Strong
from bench.experiment.registry import catalog
from defenses.strong import StrongViews
from support.toys import toy_split

X = to_float(toy_split(48, 0).images)


def test_it_is_the_augmentation_of_aue() -> None:
    aue = catalog("methods").get("aue").value
    theirs = Strong(aue.strength, flip=False)
    assert torch.equal(StrongViews().augment(X, generator(1)), theirs.augment(X, generator(1)))


def test_it_mirrors_nothing() -> None:
    """Of images that are dark on the left and bright on the right, all views are so."""
    x = torch.linspace(0.1, 0.9, 16).expand(200, 3, 16, 16)
    views = StrongViews().augment(x, generator(0)).mean((1, 2))
    assert (views[:, -1] >= views[:, 0] - 1e-6).all()
    assert (StrongViews(flip=True).augment(x, generator(0)).mean((1, 2)).diff().mean(1) < 0).any()


def test_a_pixel_at_a_fixed_place_moves_about() -> None:
    x = torch.zeros(300, 3, 16, 16)
    x[:, :, 4, 4] = 1
    views = StrongViews().augment(x, generator(0)).mean(1)
    places = views.flatten(1).argmax(1).unique()
    assert len(places) > 40


def test_strength_0_is_refused() -> None:
    with pytest.raises(BadInput, match="strength 0"):
        StrongViews(strength=0.0)
