"""Every method on images of the default matrix, small: from images to a row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.core.types import Dataset, Recipe
from bench.data import load
from bench.experiment.cell import craft, run_cell
from bench.experiment.context import Cell, RunContext
from bench.experiment.registry import Plugin
from bench.experiment.settings import PROFILES
from bench.metrics.mi.settings import MISettings
from support.toys import DEFENSES, METHODS

DEFAULT = PROFILES["quick"].setting
TINY = replace(  # one repetition, and nets that are trained for two batches
    DEFAULT,
    net="small",
    surrogate="small",
    victim=Recipe(epochs=1, batch=32),
    mi=MISettings(images=64, slices=2),
    points=1,
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Draw a few of each class, and test on a few of what is drawn."""
    found = load("glyphs", root=None, limit=60, cache=tmp_path_factory.mktemp("drawn"))
    return replace(found, test=found.test.take(torch.arange(200)))


@pytest.mark.parametrize("plugin", METHODS.values(), ids=METHODS)
def test_each_method_gives_a_row_of_them(plugin: Plugin, drawn: Dataset, tmp_path: Path) -> None:
    said: list[str] = []
    method = replace(plugin, value=plugin.value.resolved(drawn, said.append))
    context = RunContext(drawn, TINY, "quick", torch.device("cpu"), tmp_path, {})
    row = run_cell(context, Cell(method, DEFENSES["none"], 0, 0), craft(context, method, 0))
    assert (row.status, row.data, row.method) == ("ok", "glyphs", method.name)
    assert 0 <= row.test_acc <= 1 and row.l2_p95 is not None and row.linf is not None  # type: ignore[operator]
    perturbs = method.value.threat.radius > 0
    assert (row.linf > 0, row.l2_p95 > 0) == (perturbs, perturbs)
