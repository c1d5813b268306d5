"""LSP against scikit-learn, and what its noise is for: classes that a linear model tells apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.core.contract import published
from bench.core.types import Split
from bench.experiment.overrides import change
from bench.experiment.registry import catalog
from methods.lsp import LSP, clusters
from support.toys import noise, toy_dataset, toy_lab

CLASSES, EACH, SIZE = 10, 30, 32


def split(labels: Tensor) -> Split:
    """Photograph-like values, few of them at black or white."""
    images = 20 + 215 * noise(len(labels), 3, SIZE, SIZE, seed=4)
    return Split(images.to(torch.uint8), labels)


def crafted(clean: Split, seed: int = 1) -> Tensor:
    lab = toy_lab(seed)
    lab.classes = CLASSES
    return LSP().craft(clean, lab)


CLEAN = split(torch.arange(CLASSES).repeat(EACH))
DELTA = crafted(CLEAN)
CHANGE = (published(LSP().threat, CLEAN.images, DELTA).float() - CLEAN.images) / 255


def nearest(points: Tensor, labels: Tensor) -> Tensor:
    """The class whose mean is nearest to each point."""
    means = torch.stack([points[labels == label].mean(0) for label in range(CLASSES)])
    return torch.cdist(points, means).argmin(1)


def test_clusters_are_those_of_the_official_call() -> None:
    """Seed 1, 5,000 points: as its authors' code draws them."""
    points, of = clusters(500, CLASSES, 48, 10.0, 1)
    assert points.shape == (5000, 48)
    assert points[0, :4].tolist() == pytest.approx([-8.612293, -4.449517, 3.219396, -22.489649], abs=1e-5)
    assert of[:10].tolist() == [2, 1, 0, 9, 9, 4, 7, 4, 6, 6]
    assert torch.bincount(torch.from_numpy(of)).tolist() == [500] * CLASSES


@pytest.mark.parametrize("change", [DELTA, CHANGE], ids=["crafted", "published"])
def test_the_nearest_mean_tells_every_class(change: Tensor) -> None:
    assert torch.equal(nearest(change.flatten(1), CLEAN.labels), CLEAN.labels)


def test_noise_is_patches_of_one_norm_and_no_two_images_share_it() -> None:
    cells = DELTA.unfold(2, 8, 8).unfold(3, 8, 8).flatten(4)
    assert torch.equal(cells, cells[..., :1].expand_as(cells))
    norms = torch.linalg.vector_norm(DELTA, dim=(1, 2, 3))
    assert norms.tolist() == pytest.approx([1.30412] * len(CLEAN), rel=1e-4)
    assert len(DELTA.flatten(1).unique(dim=0)) == len(CLEAN)


def test_published_images_are_not_darker() -> None:
    """The official code cuts them to uint8: by half a grey level on average."""
    assert abs(float(255 * CHANGE.mean() - 255 * DELTA.mean())) < 0.05
    cut = ((CLEAN.images / 255 + DELTA).clamp(0, 1) * 255).floor() - CLEAN.images
    assert float(cut.mean() - 255 * DELTA.mean()) == pytest.approx(-0.5, abs=0.1)


def test_it_is_beyond_the_l_inf_ball_of_other_methods() -> None:
    """And beyond the 6/255 that its paper names, which are the root of the mean square."""
    largest = 255 * DELTA.abs().amax((1, 2, 3))
    assert 9.5 < largest.median() < 11.5 and largest.amax() < 17
    norms = torch.linalg.vector_norm(CHANGE.double(), dim=(1, 2, 3))
    assert 1.2 < norms.amax() <= LSP().radius + 1e-6
    assert float(255 * DELTA.square().mean().sqrt()) == pytest.approx(6, abs=1e-3)


def test_classes_of_unequal_size_get_their_own_clusters() -> None:
    clean = split(torch.cat([torch.zeros(55), torch.arange(CLASSES).repeat(3)]).long())
    delta = crafted(clean)
    assert torch.equal(nearest(delta.flatten(1), clean.labels), clean.labels)
    assert len(delta.flatten(1).unique(dim=0)) == len(clean)


@pytest.mark.parametrize(("name", "radius"), [("lsp", 0.652), ("ar", 0.5)])
def test_a_radius_of_another_size_is_said(name: str, radius: float) -> None:
    """The same root mean square on 16x16 pixels in colour, which are a quarter of 32x32; nothing on these."""
    value: Any = catalog("methods").get(name).value
    small, said = toy_dataset(), list[str]()
    assert small.train.images[0].numel() == 768
    assert value.resolved(small, said.append) == value  # no key changes
    (line,) = said
    assert line.startswith(f"{name}: ") and "768" in line
    chosen = float(line.partition(f"--set {name}.radius=")[2])
    assert chosen == pytest.approx(radius, rel=1e-3)
    own = change(value, "radius", chosen, name)  # who sets it has decided
    assert own.resolved(small, said.append) == own and len(said) == 1
    usual = replace(small, train=split(torch.zeros(2, dtype=torch.int64)))
    assert value.resolved(usual, said.append) == value and len(said) == 1


def test_gray_images() -> None:
    clean = Split(CLEAN.images[:, :1], CLEAN.labels)
    assert torch.equal(nearest(crafted(clean).flatten(1), clean.labels), clean.labels)
