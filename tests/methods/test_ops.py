"""OPS against its two scores as plain loops, and what every poison of it has."""

from __future__ import annotations

from itertools import product
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.core.contract import published
from bench.core.pixels import to_float
from bench.core.types import Split
from methods.ops import OPS
from support.toys import CLASSES, delta_of, noise, toy_lab, toy_split

Score = Literal["code", "paper"]
SCORES: tuple[Score, Score] = ("code", "paper")
SIZE = 6
CLEAN = Split((noise(60, 3, SIZE, SIZE, seed=5) * 255).to(torch.uint8), torch.arange(CLASSES).repeat(15))


def pixels(clean: Split, score: Score) -> list[tuple[int, tuple[int, ...]]]:
    """Place and colour of every class's pixel, as published."""
    value = OPS(score=score)
    found = published(value.threat, clean.images, delta_of(value, clean, toy_lab()))
    chosen = []
    for label in clean.labels.unique().tolist():
        own = clean.labels == label
        places = (found != clean.images).any(1).flatten(1)[own].any(0).nonzero()[:, 0]
        assert len(places) == 1, "one place for all images of a class"
        colours = found.flatten(2)[own][:, :, places[0]].unique(dim=0)
        assert len(colours) == 1, "one colour"
        chosen.append((int(places[0]), tuple(colours[0].tolist())))
    return chosen


def by_hand(x: Tensor, score: Score, taken: set[tuple[int, tuple[int, ...]]]) -> tuple[int, tuple[int, ...]]:
    """The best pair for a class's images (n,C,H,W), one candidate after the other."""
    best, highest = (0, (0,)), -1.0
    values = x.double().numpy()
    for place, colour in product(range(SIZE**2), product((0, 1), repeat=x.shape[1])):
        far = np.abs(values.reshape(*values.shape[:2], -1)[:, :, place] - np.array(colour))
        pair = place, tuple(255 * c for c in colour)
        now = far.mean() / far.std() if score == "code" else far.sum(1).mean() / far.sum(1).var()
        if now > highest and pair not in taken:
            best, highest = pair, float(now)
    return best


@pytest.mark.parametrize("score", SCORES)
def test_the_pixel_is_the_best_of_all_candidates(score: Score) -> None:
    taken: set[tuple[int, tuple[int, ...]]] = set()
    for label, found in enumerate(pixels(CLEAN, score)):
        assert found == by_hand(to_float(CLEAN.images[CLEAN.labels == label]), score, taken)
        taken.add(found)
    assert all(set(colour) <= {0, 255} for _, colour in taken)


def test_code_and_equation_choose_otherwise() -> None:
    code, paper = (pixels(CLEAN, score) for score in SCORES)
    assert all(one != other for one, other in zip(code, paper, strict=True))


@pytest.mark.parametrize("score", SCORES)
def test_no_pair_of_place_and_colour_serves_two_classes(score: Score) -> None:
    """Though all classes have the same images."""
    alike = Split(CLEAN.images[:15].repeat(CLASSES, 1, 1, 1), torch.arange(CLASSES).repeat_interleave(15))
    assert len({*pixels(alike, score)}) == CLASSES


@pytest.mark.parametrize("score", SCORES)
def test_a_pixel_that_has_the_colour_already_is_not_chosen(score: Score) -> None:
    """Zero by zero is no number, which the official code sorts above all others: nothing would be changed."""
    images = CLEAN.images.clone()
    images[:, :, 2, 3] = 0
    (place, colour), *_ = pixels(Split(images, CLEAN.labels), score)
    assert place == 2 * SIZE + 3 and 255 in colour  # equally far from it in all images


@pytest.mark.parametrize("score", SCORES)
def test_gray_images_and_classes_without_any(score: Score) -> None:
    clean = toy_split(20, 0, channels=1)
    clean = clean.take(clean.labels != 2)
    assert len(pixels(clean, score)) == CLASSES - 1
