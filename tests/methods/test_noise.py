"""Controls: random changes of each threat model, and noise that is another image's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.core.contract import published
from bench.core.pixels import to_float
from bench.core.types import Split
from bench.experiment.registry import catalog
from methods.em import EM
from support.toys import METHODS, delta_of, toy_lab, toy_split

CLEAN = toy_split(64, 0)
FULL = catalog("methods").variants


def test_signs_are_the_whole_budget_both_ways() -> None:
    delta = FULL["random-signed"].value.craft(CLEAN, toy_lab())
    assert torch.equal(delta.abs(), torch.full_like(delta, 8 / 255))
    assert float((delta > 0).double().mean()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("name", "radius"), [("random-l2", 1.3041), ("random-l2-unit", 1.0)])
def test_l2_noise_has_one_norm(name: str, radius: float) -> None:
    delta = FULL[name].value.craft(CLEAN, toy_lab()).double()
    norms = torch.linalg.vector_norm(delta, dim=(1, 2, 3))
    assert norms.tolist() == pytest.approx([radius] * len(CLEAN), rel=1e-4)
    assert len(delta.flatten(1).unique(dim=0)) == len(CLEAN)


@pytest.mark.parametrize(
    ("name", "like"), [("random-l2", "lsp"), ("random-l2-unit", "ar"), ("random-l0", "ops")]
)
def test_a_control_has_its_methods_threat_model(name: str, like: str) -> None:
    assert FULL[name].value.threat == FULL[like].value.threat and FULL[name].control


def test_l0_changes_one_pixel_to_a_corner_of_the_colours() -> None:
    value = FULL["random-l0"].value
    found = published(value.threat, CLEAN.images, delta_of(value, CLEAN, toy_lab()))
    changed = (found != CLEAN.images).any(1)
    assert (changed.flatten(1).sum(1) == 1).all()
    colours = found.permute(0, 2, 3, 1)[changed]
    assert set(colours.flatten().tolist()) == {0, 255} and len(colours.unique(dim=0)) == 8
    assert len({tuple(place[1:]) for place in changed.nonzero().tolist()}) > 30  # each image at its own


def test_shuffled_noise_is_anothers_of_the_same_class() -> None:
    value = METHODS["shuffled"].value
    delta = value.craft(CLEAN, toy_lab())
    own = EM(**{name: getattr(value, name) for name in vars(value)}).craft(CLEAN, toy_lab())
    whose = (delta[:, None] == own).flatten(2).all(2)
    assert (whose.sum(1) == 1).all() and (whose.sum(0) == 1).all()  # each has one's, and nobody's is lost
    giver = whose.double().argmax(1)
    assert torch.equal(CLEAN.labels[giver], CLEAN.labels)
    assert (giver != torch.arange(len(CLEAN))).all()


def test_a_class_of_one_image_keeps_its_noise() -> None:
    value = replace(METHODS["shuffled"].value, max_rounds=1)
    labels = CLEAN.labels.clone().fill_(0)
    labels[5] = 1
    clean = Split(CLEAN.images, labels)
    own = EM(**{name: getattr(value, name) for name in vars(value)}).craft(clean, toy_lab())
    assert torch.equal(value.craft(clean, toy_lab())[5], own[5])


def test_one_pixel_of_gray_images() -> None:
    clean = toy_split(16, 0, channels=1)
    images = FULL["random-l0"].value.craft(clean, toy_lab())
    assert ((images != to_float(clean.images)).flatten(1).sum(1) <= 1).all()
