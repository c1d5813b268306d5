"""AR: a process's filter answers its own patterns with nothing, before and after they are published."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.contract import published
from bench.core.rng import generator
from bench.core.types import Split
from methods.ar import AR, answers, recur
from support.toys import noise, toy_lab

NUMBERS = [10, 100]  # of classes
SIZE, IMAGES = 32, 300


@cache
def crafted(classes: int) -> tuple[Split, Tensor, Tensor]:
    """Images, their noise, and the coefficients (3,3,K,C) that the search finds for this poison."""
    images = F.interpolate(255 * noise(IMAGES, 3, 8, 8, seed=6), (SIZE, SIZE), mode="bilinear")
    clean = Split(images.to(torch.uint8), torch.arange(IMAGES) % classes)
    lab = toy_lab()
    lab.classes = classes
    taps = AR().search(classes, 3, lab)
    with pytest.MonkeyPatch.context() as patch:  # a search takes seconds
        patch.setattr(AR, "search", lambda *asked: taps)
        return clean, AR().craft(clean, lab), taps


def residuals(change: Tensor, taps: Tensor) -> Tensor:
    """What each process's filter leaves of each change, channel by channel, relative to its norm: (N,K)."""
    filters = taps.permute(2, 3, 0, 1).clone()
    filters[:, :, -1, -1] = -1
    left = [F.conv2d(change, f[:, None], groups=len(f)).flatten(1).norm(dim=1) for f in filters]
    return torch.stack(left, 1) / change.flatten(1).norm(dim=1, keepdim=True)


@pytest.mark.parametrize("classes", NUMBERS)
def test_the_right_filter_leaves_nothing_of_the_noise(classes: int) -> None:
    clean, delta, taps = crafted(classes)
    left = residuals(delta, taps)
    own = left.gather(1, clean.labels[:, None])
    assert own.amax() < 1e-5
    assert left.masked_fill(F.one_hot(clean.labels, classes).bool(), torch.inf).amin() > 0.01


@pytest.mark.parametrize("classes", NUMBERS)
def test_filters_tell_classes_by_what_is_published(classes: int) -> None:
    """And nothing by the images themselves."""
    clean, delta, taps = crafted(classes)
    found = published(AR().threat, clean.images, delta)
    told = residuals((found.float() - clean.images) / 255, taps).argmin(1)
    assert (told == clean.labels).double().mean() >= 0.99
    seen = residuals(found.float() / 255, taps).argmin(1)
    assert (seen == clean.labels).double().mean() < 0.3


@pytest.mark.parametrize("classes", NUMBERS)
def test_noise_has_norm_1_and_is_beyond_the_l_inf_ball(classes: int) -> None:
    """A process that diverges would make all images of its class black, or nan."""
    clean, delta, _ = crafted(classes)
    norms = torch.linalg.vector_norm(delta.double(), dim=(1, 2, 3))
    assert norms.tolist() == pytest.approx([1.0] * IMAGES, rel=1e-5)
    assert 15 < 255 * delta.abs().amax((1, 2, 3)).median() < 31
    change = (published(AR().threat, clean.images, delta).double() - clean.images) / 255
    assert 0.9 < torch.linalg.vector_norm(change, dim=(1, 2, 3)).amax() <= 1 + 1e-6
    assert len(delta.flatten(1).unique(dim=0)) == IMAGES  # each image has a draw of its own


def test_coefficients_sum_to_one_and_the_last_is_none() -> None:
    taps = crafted(10)[2]
    assert not taps[-1, -1].any()
    assert torch.allclose(taps.sum((0, 1)), torch.ones(10, 3), atol=1e-4)


@pytest.mark.parametrize(("classes", "least"), [(10, 10.0), (100, 3.0)])
def test_kept_processes_patterns_are_answered_by_the_filters_before_them(classes: int, least: float) -> None:
    """By the pattern of the search's last trial; another draw's answer is near it."""
    taps = crafted(classes)[2]
    field = torch.randn(36, 36, classes, 3, generator=generator(9))
    patterns = recur(field, taps)[4:, 4:].permute(2, 3, 0, 1)
    patterns /= torch.linalg.vector_norm(patterns, dim=(1, 2, 3), keepdim=True)
    lowest = torch.stack([answers(taps[:, :, :k], patterns[k]).amin() for k in range(1, classes)])
    assert lowest.median() > least and lowest.amin() > least / 2
    own = torch.stack([answers(taps[:, :, k : k + 1], patterns[k])[0] for k in range(classes)])
    assert own.amax() < 1e-2


def test_a_field_is_rewritten_pixel_by_pixel_in_the_order_of_reading() -> None:
    taps, field = noise(3, 3) / 4, noise(6, 7, seed=2)
    taps[-1, -1] = 0
    expected = field.clone()
    for i in range(2, 6):
        for j in range(2, 7):
            window = [(a, b) for a in range(3) for b in range(3)]
            expected[i, j] = sum(taps[a, b] * expected[i - 2 + a, j - 2 + b] for a, b in window)
    assert torch.allclose(recur(field.clone(), taps), expected)


def test_a_search_that_finds_too_few_says_so() -> None:
    """Also where nothing stays within the bound, or what is asked of filters is too much."""
    for value, found in ((AR(response=1e6, draws=2), 1), (AR(bound=1e-6, draws=2), 0)):
        with pytest.raises(ValueError, match=rf"{found} processes found in 2,048 draws, expected 4 whose"):
            value.search(4, 3, toy_lab())


def test_processes_that_diverge_are_no_stable_ones() -> None:
    """Whichever of the trials it is in, and where it is nan."""
    value, found = replace(AR(), draws=1), 0
    for taps, _ in value._stable(3, toy_lab().rng("coefficients")):
        found += 1
        field = torch.randn(36, 36, 20, 3, generator=generator(3))
        norms = recur(field, taps[:, :, None].expand(-1, -1, 20, -1))[4:, 4:].square().sum((0, 1, 3)).sqrt()
        assert norms.median() < 2 * value.bound
    assert found


def test_gray_images() -> None:
    images, labels, lab = crafted(10)[0].images[:40, :1], torch.arange(40) % 3, toy_lab()
    delta = AR().craft(Split(images, labels), lab)
    assert torch.equal(residuals(delta, AR().search(lab.classes, 1, lab)).argmin(1), labels)
