"""Region noise: the control of class-wise methods."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.core.types import Split
from bench.experiment.registry import catalog
from support.toys import noise, toy_lab

FULL = catalog("methods").variants
SIZE = 32
CLASSES = 10
CLEAN = Split((noise(40, 3, SIZE, SIZE) * 255).to(torch.uint8), torch.arange(CLASSES).repeat(4))


@pytest.mark.parametrize("regions", [4, 16, 64])
def test_each_region_of_a_class_has_one_colour_at_the_budget(regions: int) -> None:
    value, lab = FULL[f"region-{regions}"].value, toy_lab()
    lab.classes = CLASSES
    delta = value.craft(CLEAN, lab)
    cell = SIZE // value.side
    cells = delta.unfold(2, cell, cell).unfold(3, cell, cell).flatten(4)
    assert cells.shape[2] * cells.shape[3] == regions == value.side**2
    assert torch.equal(cells, cells[..., :1].expand_as(cells))
    assert torch.equal(delta.abs(), torch.full_like(delta, value.eps))


def test_two_classes_with_one_pattern_are_told() -> None:
    """Of one region there are 8 patterns, for 10 classes."""
    value, lab = replace(FULL["region-4"].value, side=1), toy_lab()
    lab.classes = CLASSES
    patterns = value.craft(CLEAN, lab).flatten(1).unique(dim=0)
    assert len(patterns) < CLASSES
    assert str(lab.facts["unreached"]).startswith(f"{len(patterns)} patterns for {CLASSES} classes")
    lab = toy_lab()
    lab.classes = CLASSES
    FULL["region-64"].value.craft(CLEAN, lab)
    assert "unreached" not in lab.facts
