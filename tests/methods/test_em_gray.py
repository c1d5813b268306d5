"""EM with gray augmentation: noise without colour, found on gray images that move below it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bench.core.pixels import luminance, release, to_float
from bench.core.rng import generator
from bench.core.types import Augmentation
from methods.em_gray import EMGray
from support.toys import METHODS, noise, toy_lab, toy_split, with_surrogate

CLEAN = toy_split(64, 0)
X = to_float(CLEAN.images)
STILL = Augmentation(pad=0, flip=False)


def left(delta: Tensor) -> float:
    """Share of a perturbation's energy that is left of it where images are made gray."""
    return float((luminance(X + delta) - luminance(X)).norm() / delta.norm())


def test_noise_is_the_same_in_all_channels_and_survives_gray() -> None:
    gray, em = (METHODS[name].value.craft(CLEAN, toy_lab()) for name in ("em-gray", "em"))
    assert (gray.amax(1) - gray.amin(1)).abs().max() < 1e-7
    assert left(gray) > 0.99 and left(em) < 0.9
    published = release(CLEAN.images, gray, METHODS["em-gray"].value.eps).int() - CLEAN.images.int()
    assert (published.amax(1) - published.amin(1)).max() == 0  # no image of the toys is near black or white


def test_luminance_is_that_of_the_standard() -> None:
    colours = torch.eye(3).reshape(3, 3, 1, 1)
    assert luminance(colours)[:, 0, 0, 0].tolist() == pytest.approx([0.299, 0.587, 0.114])
    for channels in (1, 2, 3):
        flat = noise(4, 1, 5, 5).expand(4, channels, 5, 5)
        assert torch.allclose(luminance(flat), flat, atol=1e-6) and luminance(flat).shape == flat.shape


@pytest.mark.parametrize("channels", [1, 3])
def test_a_step_is_the_sum_of_the_channels_signs(channels: int) -> None:
    """In grey levels 2.4 of three channels, and 0.8 of one."""

    class Bright(nn.Module):
        """Class 0 is bright, and class 1 is dark."""

        def forward(self, x: Tensor) -> Tensor:
            mean = x.mean((1, 2, 3))
            return torch.stack([mean, -mean], 1)

    x, y = torch.full((2, channels, 4, 4), 0.5), torch.tensor([0, 1])
    value = EMGray(steps=2)
    found = value._gray(Bright(), x, y, torch.zeros_like(x)) * 255
    expected = 2 * channels * 0.8
    assert found[0].unique().tolist() == pytest.approx([expected] * len(found[0].unique()), abs=1e-3)
    assert torch.allclose(found[0], -found[1])


def test_the_surrogate_learns_from_gray_images_that_move_below_noise_that_stays() -> None:
    value, lab, delta = EMGray(), toy_lab(), torch.zeros(len(CLEAN), 3, 16, 16)
    delta[:, :, 5, 7] = value.eps
    rows = torch.arange(len(CLEAN))
    with_noise = value.learnt(CLEAN, rows, delta, lab, generator(1))
    without = value.learnt(CLEAN, rows, delta * 0, lab, generator(1))
    assert torch.equal(with_noise.amax(1), with_noise.amin(1))
    assert torch.allclose(with_noise - without, delta, atol=1e-6)  # whatever the crop is
    assert not torch.equal(without, luminance(X))
    lab.augmentation = STILL
    assert torch.equal(value.learnt(CLEAN, rows, delta * 0, lab, generator(1)), luminance(X))


def test_smaller_profiles_move_noise_with_the_image() -> None:
    value, lab, delta = replace(EMGray(), moved=False, augment=True), toy_lab(), torch.zeros(64, 3, 16, 16)
    delta[:, :, 5, 7] = value.eps
    shown, plain = (value.learnt(CLEAN, torch.arange(64), d, lab, generator(1)) for d in (delta, delta * 0))
    places = ((shown - plain)[:, 0] > 0).nonzero()[:, 1:]
    assert len(places.unique(dim=0)) > 5


def test_it_lowers_its_surrogates_loss_on_gray_images() -> None:
    faint = toy_split(128, 0, contrast=14)
    value = METHODS["em-gray"].value
    value = replace(value, max_rounds=20, share=0.25, eps=16 / 255, moved=False, augment=True)
    value = replace(value, surrogate=replace(value.surrogate, batch=16))
    net, delta = with_surrogate(value, faint)
    x = to_float(faint.images)
    with torch.no_grad():
        clean, perturbed = (
            float(nn.functional.cross_entropy(net(luminance(z.clamp(0, 1))), faint.labels))
            for z in (x, x + delta)
        )
    assert perturbed < 0.9 * clean
