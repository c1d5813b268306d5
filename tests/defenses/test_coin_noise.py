"""Displaced pixels are scipy's, and noise is as wide as it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.rng import generator
from defenses.coin import Coin
from defenses.noise import Noise
from support.toys import noise, toy_dataset

COIN = Coin()


def test_pixels_come_from_where_scipy_takes_them() -> None:
    """Its mode "wrap", first order, at x + dx and y + dy, the same for all channels."""
    x = noise(3, 3, 9, 13)
    found = COIN.augment(x, generator(4))
    dy, dx = (4 * torch.rand(2, 3, 9, 13, generator=generator(4)) - 2).double().numpy()
    rows, columns = np.mgrid[:9, :13].astype(float)
    for i in range(3):
        for channel in range(3):
            places = [rows + dy[i], columns + dx[i]]
            expected = map_coordinates(x[i, channel].double().numpy(), places, order=1, mode="wrap")
            assert np.allclose(found[i, channel].numpy(), expected, atol=1e-4)


def test_flat_images_stay_and_no_two_images_move_alike() -> None:
    assert torch.allclose(COIN.augment(torch.full((2, 3, 8, 8), 0.3), generator(0)), torch.tensor(0.3))
    x = noise(1, 3, 8, 8).expand(2, 3, 8, 8)
    one, other = COIN.augment(x, generator(0))
    assert not torch.equal(one, other)


def spread(x: Tensor) -> Tensor:
    """Mean grey of each column of many images."""
    return x.mean((0, 1, 2))


def test_it_undoes_a_filter_that_tells_classes_apart() -> None:
    """Stripes as one kernel gives them, sharp or blurred: afterwards both are equally blurred."""
    sharp = (torch.arange(16) % 4 < 2).float().expand(200, 3, 16, 16).contiguous()
    blurred = (sharp + sharp.roll(1, 3) + sharp.roll(-1, 3)) / 3
    before = (sharp - blurred).abs().mean()
    after = (spread(COIN.augment(sharp, generator(0))) - spread(COIN.augment(blurred, generator(1)))).abs()
    assert after.mean() < 0.35 * before


def test_places_are_up_to_two_pixels_away() -> None:
    x = torch.zeros(500, 1, 16, 16)
    x[:, :, 8, 8] = 1
    reached = COIN.augment(x, generator(0)).amax((0, 1)).nonzero()
    assert reached.min() == 6 and reached.max() == 10
    assert abs(float(COIN.augment(x, generator(0)).sum((1, 2, 3)).mean()) - 1) < 0.05


def test_images_that_are_too_small_are_unsuited() -> None:
    assert COIN.unsuited(toy_dataset()) is None and "16 pixels" in str(Coin(reach=15).unsuited(toy_dataset()))
    with pytest.raises(BadInput, match="reach"):
        Coin(reach=0)


def test_noise_is_as_wide_as_it_says_and_drawn_anew() -> None:
    x, rng = torch.full((64, 3, 16, 16), 0.5), generator(0)
    once, again = (Noise().augment(x, rng) - x for _ in range(2))
    assert abs(float(once.std()) * 255 - 8) < 0.1 and abs(float(once.mean())) < 0.1 / 255
    assert abs(float((once * again).mean())) < 0.02 * float(once.var())


def test_noise_drowns_what_is_weaker() -> None:
    """A pattern of half its size is no longer told by its sign in one image."""
    sign = torch.randint(0, 2, (3, 16, 16), generator=generator(1)) * 2.0 - 1
    x = (0.5 + 4 / 255 * sign).expand(64, 3, 16, 16)
    agree = ((Noise().augment(x, generator(0)) > 0.5) == (sign > 0)).float().mean()
    assert 0.6 < agree < 0.75  # of a normal variable, 0.69
