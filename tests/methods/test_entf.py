"""EntF: whose centroids features are moved from or to, and how far."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bench.core.adversarial import Robust
from bench.core.pgd import frozen
from bench.core.pixels import to_float
from bench.core.types import Recipe, Split
from methods.entf import EntF, class_centroids, others
from support.toys import CLASSES, noise, small_net, toy_lab, toy_split, with_surrogate

FAINT = toy_split(128, 0, contrast=14)
X, LABELS = to_float(FAINT.images), FAINT.labels
GROWN = replace(
    EntF(), surrogate=Recipe(epochs=8, batch=16), robust=Robust(2 / 255, 1 / 255, 2), steps=20, step=0.2
)


def apart(z: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (N,) to the own centroid and to the nearest other one, image by image."""
    own, other = [], []
    for one, label in zip(z, LABELS.tolist(), strict=True):
        distances = [float((one - centroid).norm()) for centroid in centroids]
        own.append(distances.pop(label))
        other.append(min(distances))
    return torch.tensor(own), torch.tensor(other)


@pytest.mark.parametrize("way", ["push", "pull"])
def test_features_go_where_the_name_says(way: str) -> None:
    net, delta = with_surrogate(replace(GROWN, way=way), FAINT)
    centroids = class_centroids(frozen(net), FAINT, CLASSES, 50)
    with torch.no_grad():
        (own, other), (own_z, other_z) = (apart(net.features(x), centroids) for x in (X, X + delta))
    if way == "push":
        assert own_z.mean() > 1.5 * own.mean()
    else:
        assert other_z.mean() < 0.8 * other.mean()
    assert (other_z < own_z).float().mean() > (other < own).float().mean() + 0.3


def test_centroids_are_means_of_a_classs_clean_features() -> None:
    net = frozen(small_net())
    with torch.no_grad():
        z = net.features(X)
    means = torch.stack([z[label == LABELS].mean(0) for label in range(CLASSES)])
    assert torch.allclose(class_centroids(net, FAINT, CLASSES, 50), means, atol=1e-5)


def test_a_class_without_images_attracts_nobody() -> None:
    some = Split(FAINT.images[LABELS != 2], LABELS[LABELS != 2])
    centroids = class_centroids(frozen(small_net()), some, CLASSES, 50)
    z = centroids[some.labels] + noise(len(some), centroids.shape[1])
    near = others(z, some.labels, centroids).argmin(1)
    assert not ((near == 2) | (near == some.labels)).any()


CENTROIDS = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 30.0]])


def test_no_image_is_pulled_to_its_own_centroid_however_far_the_others_are() -> None:
    """The official code takes 1 for the distance to the own one: less than the mean square of any other."""
    z, y = torch.tensor([[1.0, 0.0], [0.5, 9.0]], requires_grad=True), torch.tensor([0, 0])
    EntF(way="pull").objective(z, y, CENTROIDS).backward()
    assert z.grad is not None
    assert torch.equal(-z.grad, 2 * (CENTROIDS[[1, 1]] - z.detach()))  # the steepest way down


def test_whom_an_image_is_pulled_to_follows_its_features() -> None:
    for place, near in (([9.0, 1.0], 1), ([0.0, 25.0], 2)):
        z = torch.tensor([place], requires_grad=True)
        EntF(way="pull").objective(z, torch.tensor([0]), CENTROIDS).backward()
        assert z.grad is not None and torch.equal(-z.grad, 2 * (CENTROIDS[[near]] - z.detach()))


def test_push_knows_the_own_centroid_alone() -> None:
    z, y = torch.tensor([[9.0, 1.0]], requires_grad=True), torch.tensor([0])
    EntF().objective(z, y, CENTROIDS).backward()
    assert z.grad is not None and torch.equal(-z.grad, 2 * z.detach())


def test_it_says_where_features_stay_where_they_are() -> None:
    for eps, reached in ((8 / 255, True), (0.1 / 255, False)):
        lab = toy_lab()
        replace(GROWN, eps=eps).craft(FAINT, lab)
        assert ("unreached" in lab.facts) != reached, lab.facts
