"""Every hook of a method, a defense and a net is a piece: what it changes for all is restored and said."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from bench.cli.main import main
from bench.core.defense import Undefended
from bench.core.kit import Kit
from bench.core.method import Lab
from bench.core.types import Recipe, Split
from bench.experiment.cell import craft, run_cell
from bench.experiment.context import Cell, RunContext
from bench.experiment.isolation import QUIET, STATES
from bench.experiment.registry import Plugin
from bench.experiment.settings import Setting
from bench.nets import NETS
from bench.nets.body import Architecture, Body, Shape
from bench.results.rows import Row
from methods.uniform import Uniform
from support.commands import command
from support.toys import METHODS, toy_dataset

SETTING = Setting("toy", 64, "small", "small", Recipe(epochs=1, batch=16), points=1)
RANDOM = METHODS["random"]


def context(folder: Path) -> RunContext:
    return RunContext(toy_dataset(), SETTING, "quick", torch.device("cpu"), folder, {})


def row_of(folder: Path, value: Undefended, method: Plugin = RANDOM) -> Row:
    cell = Cell(method, Plugin("defenses", "mine", value, "code"), 0, 0)
    return run_cell(context(folder), cell, craft(context(folder), method, 0))


Act = Callable[[], Any]


@dataclass(frozen=True)
class Acting(Undefended):
    """Darkens in every hook, and acts in those that are named."""

    hooks: tuple[str, ...] = ()
    act: ClassVar[Act]
    prepares_tests: ClassVar[bool] = True

    def _at(self, hook: str) -> None:
        if hook in self.hooks:
            type(self).act()

    def prepare(self, images: Tensor) -> Tensor:
        self._at("prepare")
        return images - images // 8

    def purify(self, images: Tensor, labels: Tensor, kit: Kit) -> Tensor:
        self._at("purify")
        return images - images // 8

    def recipe(self, victim: Recipe) -> Recipe:
        self._at("recipe")
        return victim

    def begin(self, net: nn.Module, shown: Split, kit: Kit) -> None:
        self._at("begin")

    def finish(self, net: nn.Module, shown: Split, kit: Kit) -> None:
        self._at("finish")

    def augment(self, x: Tensor, rng: Generator) -> Tensor:
        self._at("augment")
        return x * 0.9

    def loss(self, net: nn.Module, x: Tensor, y: Tensor, rng: Generator, progress: float) -> Tensor:
        self._at("loss")
        return super().loss(net, x, y, rng, progress)


HOOKS = ("prepare", "purify", "recipe", "begin", "augment", "loss", "finish")


def more_threads() -> None:
    torch.set_num_threads(torch.get_num_threads() + 1)


def states() -> dict[str, Any]:
    return {name: state.read() for name, state in STATES.items() if name not in QUIET}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_defense_changes_nothing_for_others_in_any_hook(
    hook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Acting, "act", staticmethod(more_threads), raising=False)
    before = states()
    row = row_of(tmp_path, Acting((hook,)))
    assert states() == before and row.defense_facts["left_changed"] == "threads"


def test_all_that_a_plugin_left_changed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one piece leaves takes nothing from what another left."""
    acts = iter([more_threads, lambda: torch.set_default_dtype(torch.float64), more_threads])

    def act() -> None:
        next(acts)()

    monkeypatch.setattr(Acting, "act", staticmethod(act), raising=False)
    row = row_of(tmp_path, Acting(("purify", "begin", "finish")))
    assert row.defense_facts["left_changed"] == "threads, default dtype" and next(acts, None) is None


def draw() -> None:
    torch.rand(1), random.random(), np.random.rand()


@dataclass(frozen=True)
class Drawing(Undefended):
    """Draws from every global generator, and tells what came of it."""

    def finish(self, net: nn.Module, shown: Split, kit: Kit) -> None:
        kit.note(weights=sum(p.detach().double().sum().item() for p in net.parameters()))

    def augment(self, x: Tensor, rng: Generator) -> Tensor:
        return x * (1 - (torch.rand_like(x) * random.random() + np.random.rand()) / 2)


def test_a_defense_that_draws_globally_gives_the_same_whatever_ran_before(tmp_path: Path) -> None:
    found = []
    for folder in ("a", "b"):
        found.append(row_of(tmp_path / folder, Drawing()).defense_facts["weights"])
        draw()
    assert found[0] == found[1]


@dataclass(frozen=True)
class Publishing(Uniform):
    """Changes one state as it crafts and another as it publishes, and draws globally."""

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        more_threads()
        return super().craft(clean, lab)

    def publish(self, delta: Tensor) -> Tensor:
        torch.set_default_dtype(torch.float64)
        return delta * (0.5 + 0.5 * random.random())


def test_publishing_is_a_piece_of_its_own(tmp_path: Path) -> None:
    before, method = states(), Plugin("methods", "mine", Publishing(), "code")
    made = [craft(context(tmp_path / folder), method, 0) for folder in ("a", "b")]
    assert states() == before and torch.equal(made[0].images, made[1].images)
    assert made[0].manifest["facts"]["left_changed"] == "threads, default dtype"


def body(shape: Shape) -> Body:
    width = 2 + int(np.random.randint(1000))
    flat = nn.Sequential(nn.Flatten(), nn.Linear(shape.channels * shape.size**2, width))
    return Body(flat, width, "none")


def test_a_net_that_draws_globally_is_the_same_whatever_ran_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETS, "own", Architecture(body, 1))
    nets = []
    for _ in range(2):
        nets.append(context(tmp_path).build("own", 3).head.weight)
        draw()
    assert torch.equal(*nets)


def test_a_net_that_changes_what_all_share_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def meddling(shape: Shape) -> Body:
        more_threads()
        return body(shape)

    before = states()
    monkeypatch.setitem(NETS, "own", Architecture(meddling, 1))
    with pytest.raises(ValueError, match="net 'own' leaves threads changed as it is built"):
        context(tmp_path).build("own", 3)
    assert states() == before


LEFT = """
from dataclasses import dataclass
import torch
from methods.uniform import Uniform

@dataclass(frozen=True)
class Left(Uniform):
    def craft(self, clean, lab):
        torch.set_num_threads(torch.get_num_threads() + 1)
        return super().craft(clean, lab)

VARIANTS = {"left": Left()}
"""


def test_what_a_plugin_left_changed_is_under_the_tables(place: Path) -> None:
    (place / "mine" / "methods").mkdir(parents=True)
    (place / "mine" / "methods" / "left.py").write_text(LEFT, encoding="utf-8")
    assert main(command(place, "left,clean", "none", "--plugins", str(place / "mine"))) == 0
    said = (place / "out" / "accuracy.md").read_text(encoding="utf-8")
    line = "left (draft) left threads changed, which was restored"
    assert said.count(line) == said.count("which was restored") == 1
