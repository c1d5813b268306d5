"""Purifiers learnt from leaked pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import Ridge as Oracle
from torch import Tensor, nn

from bench.core.errors import BadInput
from bench.core.kit import Kit
from bench.core.pixels import to_float
from bench.core.rng import generator
from bench.core.types import Recipe
from bench.experiment.cell import craft, run_cell
from bench.experiment.context import Cell, RunContext
from bench.experiment.registry import Plugin
from bench.experiment.settings import Setting
from defenses._purifiers import Patchwise, UNet, patches
from defenses.leak import Leak, Network, Ridge, solved
from support.toys import METHODS, SIZE, noise, toy_dataset, toy_kit, toy_split

LEAKS = 12
BATCHES = Recipe(epochs=1, batch=12, lr=3e-3, weight_decay=1e-2, optimiser="adamw")
PURIFIERS = [Ridge(leaks=LEAKS), Network(leaks=LEAKS, steps=150, training=BATCHES)]
DATA = toy_split(60, 0)


def smooth(n: int) -> Tensor:
    """uint8 images of a few large waves."""
    low = noise(n, 3, 3, 3)
    return F.interpolate(60 + 130 * low, (SIZE, SIZE), mode="bicubic").clamp(0, 255).round().to(torch.uint8)


def checks(images: Tensor) -> Tensor:
    """The same with a chequered pattern, whose sign is each image's own."""
    line = torch.arange(SIZE)
    board = 1 - 2 * ((line[:, None] + line) % 2)
    signs = 1 - 2 * torch.randint(0, 2, (len(images), 1, 1, 1), generator=generator(2))
    return (images.int() + 8 * signs * board).clamp(0, 255).to(torch.uint8)


def kit_of(before: Tensor, after: Tensor) -> Kit:
    kit = toy_kit(Leak(), DATA)
    kit.pairs = before[:LEAKS], after[:LEAKS]
    return kit


def error(one: Tensor, other: Tensor) -> float:
    """Mean square, grey levels."""
    return float((one.float() - other.float()).square().mean())


@pytest.mark.parametrize("value", PURIFIERS, ids=["ridge", "unet"])
def test_images_that_were_not_leaked_are_repaired(value: Leak) -> None:
    clean = smooth(40)
    published, labels = checks(clean), torch.zeros(40, dtype=torch.int64)
    kit = kit_of(clean, published)
    shown = value.purify(published, labels, kit)
    rest = slice(LEAKS, None)
    assert error(shown[rest], clean[rest]) < 0.15 * error(published[rest], clean[rest])
    assert 0 < float(kit.facts["mse_of_pairs_purified"] or 0) < 0.2 * float(kit.facts["mse_of_pairs"] or 0)


@pytest.mark.parametrize("value", PURIFIERS, ids=["ridge", "unet"])
def test_pairs_that_are_alike_teach_nothing(value: Leak) -> None:
    """As of the method clean: the purifier is the identity, to the last bit."""
    kit = kit_of(DATA.images, DATA.images)
    assert torch.equal(value.purify(DATA.images.clone(), DATA.labels, kit), DATA.images)
    assert kit.facts["mse_of_pairs"] == kit.facts["mse_of_pairs_purified"] == 0


@pytest.mark.parametrize("value", [Leak(), replace(PURIFIERS[0], leaks=0), replace(PURIFIERS[1], leaks=0)])
def test_without_pairs_the_images_stay_as_they_are(value: Leak) -> None:
    kit = toy_kit(value, DATA)
    assert torch.equal(value.purify(DATA.images.clone(), DATA.labels, kit), DATA.images)


def test_of_the_method_clean_a_purifier_is_the_control(tmp_path: Path) -> None:
    """Through the whole cell: pairs are of the images that are published."""
    setting = Setting(data="toy", limit=64, net="small", victim=Recipe(epochs=1, batch=32), points=1)
    context = RunContext(toy_dataset(), setting, "quick", torch.device("cpu"), tmp_path, {})
    rows = []
    for value in (Leak(), Ridge(leaks=9)):
        cell = Cell(METHODS["clean"], Plugin("defenses", "leak", value, "code"), 0, 0)
        rows.append(run_cell(context, cell, craft(context, cell.method, 0)))
    assert (rows[0].test_acc, rows[0].train_acc) == (rows[1].test_acc, rows[1].train_acc)
    assert rows[0].key != rows[1].key and rows[1].defense_facts["mse_of_pairs"] == 0


def test_the_regression_is_ridge_regression() -> None:
    """scikit-learn's, which takes the whole matrix, and penalises a sum; the constant is free."""
    x, wanted = noise(3, 1, 10, 10), noise(3, 1, 10, 10, seed=1) - 0.4
    left, right = Ridge(side=4)._moments(x, wanted)
    z = patches(x, 4)
    penalty = 1e-2 * float(left.diagonal()[:-1].mean())
    oracle = Oracle(alpha=penalty).fit(z.double().numpy(), patches(wanted, 4).double().numpy())
    weights = solved(left, right, 1e-2)
    assert torch.allclose(weights[:-1].T, torch.as_tensor(oracle.coef_), atol=1e-6)
    assert torch.allclose(weights[-1], torch.as_tensor(oracle.intercept_), atol=1e-6)


def test_overlapping_patches_are_averaged() -> None:
    x, side = noise(2, 3, 9, 9), 4
    n = 3 * side**2
    same = torch.cat([torch.eye(n), torch.zeros(1, n)])
    assert torch.allclose(Patchwise(same, side)(x), x, atol=1e-6)
    constant = torch.cat([torch.zeros(n, n), torch.full((1, n), 0.3)])
    assert torch.allclose(Patchwise(constant, side)(x), torch.full_like(x, 0.3), atol=1e-6)


def test_the_net_has_about_100_000_weights_and_begins_with_nothing() -> None:
    net = UNet(3)
    assert 90_000 < sum(p.numel() for p in net.parameters()) < 110_000
    for size in (16, 17, 30):
        assert not net(noise(2, 3, size, size)).any()
    nn.init.normal_(net.last.weight)
    x = noise(2, 3, 16, 16)
    assert torch.allclose(net(x)[1], net(x[1:])[0], atol=1e-5)  # images know nothing of each other


@pytest.mark.parametrize("value", PURIFIERS, ids=["ridge", "unet"])
def test_colours_leave_no_pixel_range(value: Leak) -> None:
    """A perturbation that clipping made smaller is not overdone."""
    clean = smooth(30) // 8 * 8
    published = (clean.int() - 40).clamp(0, 255).to(torch.uint8)
    shown = value.purify(published, torch.zeros(30, dtype=torch.int64), kit_of(clean, published))
    assert error(shown, clean) < 0.2 * error(published, clean)
    assert to_float(shown).amax() <= 1


def test_pairs_are_a_part_of_the_images() -> None:
    data = toy_dataset()
    assert Ridge(leaks=64).unsuited(data) == "toy has 64 training images, all of them would be leaked"
    assert Ridge(leaks=63).unsuited(data) is None and Network(leaks=63).unsuited(data) is None
    assert "patches have 17" in str(Ridge(leaks=3, side=17).unsuited(data))
    with pytest.raises(BadInput, match="12 images are offered, expected the 20 that were leaked"):
        Ridge(leaks=20).purify(DATA.images, DATA.labels, kit_of(DATA.images, DATA.images))
    with pytest.raises(BadInput, match="leaks is -1, expected 0 pairs or more"):
        Leak(leaks=-1)
