"""What a cell is said to cost: passes over its images, of the epochs that its defense trains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.experiment.context import Cell, RunContext
from bench.experiment.registry import catalog
from bench.experiment.settings import PROFILES
from bench.runner import grid
from bench.runner.estimate import effort
from bench.runner.jobs import Job
from support.toys import METHODS, toy_dataset

EPOCHS = PROFILES["quick"].setting.victim.epochs
IMAGES = 64  # of the toy data set
PASSES = {  # epochs, and what each costs
    "none": (EPOCHS, 1.0),
    "at-8": (round(1.7 * EPOCHS), 1.7),  # one sign step
    "dfr-random": (1, 1.0),
    "simclr": (40, 3.0),
}


@pytest.mark.parametrize("name", PASSES)
def test_a_cell_costs_the_epochs_of_its_defense(name: str, tmp_path: Path) -> None:
    defense = catalog("defenses").get(name).at("quick")
    context = RunContext(toy_dataset(), PROFILES["quick"].setting, "quick", torch.device("cpu"), tmp_path, {})
    epochs, each = PASSES[name]
    for times in (1, 2):  # whatever the victim's recipe is
        victim = replace(context.setting.victim, epochs=times * EPOCHS)
        longer = replace(context, setting=replace(context.setting, victim=victim))
        cell = Cell(METHODS["random"], defense, 0, 0)
        recipe = defense.value.recipe(victim)
        assert recipe.epochs == pytest.approx(epochs * (times if name in ("none", "at-8") else 1), abs=1)
        assert grid.cost(longer, cell) == pytest.approx(recipe.epochs * each)
        found = effort(longer, Job(cell.method, 0, cell, grid.cost(longer, cell)))
        assert found.images == pytest.approx(recipe.epochs * each * IMAGES)
        assert found.training == recipe.epochs * -(-IMAGES // recipe.batch)
        assert found.signs == (found.training if name == "at-8" else 0)
