"""What a recipe says of the optimiser and of the learning rate."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench.core.errors import BadInput
from bench.core.recipe import recipes
from bench.core.sgd import SGD
from bench.core.train import Trainer, lr_at
from bench.core.types import Recipe
from bench.nets import NETS
from bench.results.identity import parameters
from bench.runner.request import Options, Resolved, RunRequest, resolve
from support.toys import noise


def test_the_learning_rate_rises_from_0_to_that_of_the_schedule() -> None:
    recipe = Recipe(lr=0.4, warmup=0.1)
    rates = [lr_at(recipe, at) for at in (0.0, 0.05, 0.0999)]
    assert rates == pytest.approx([0.0, 0.2, 0.3996])
    for at in (0.1, 0.5, 0.99):
        assert lr_at(recipe, at) == lr_at(replace(recipe, warmup=0.0), at)
    with pytest.raises(BadInput, match="warmup is 1"):
        Recipe(warmup=1)


@pytest.mark.parametrize("changed", [{}, {"nesterov": True}, {"momentum": 0.0}, {"weight_decay": 0.0}])
def test_sgd_is_torchs_and_goes_on_from_its_state(changed: dict[str, Any]) -> None:
    """To the last bit, with a layer that is never used too."""
    own = {"momentum": 0.9, "nesterov": False, "weight_decay": 5e-4} | changed
    torch.manual_seed(0)
    ours = nn.ModuleList([nn.Linear(12, 6), nn.Linear(6, 4), nn.Linear(3, 3)])
    theirs = copy.deepcopy(ours)
    one: Any = SGD(ours.parameters(), 0.1, **own)
    other = torch.optim.SGD(theirs.parameters(), 0.1, **own, fused=True)
    for seed in range(6):
        x, y = noise(8, 12, seed=seed), torch.arange(8) % 4
        for net, optimiser in ((ours, one), (theirs, other)):
            optimiser.param_groups[0]["lr"] = 0.1 / (1 + seed)
            optimiser.zero_grad(set_to_none=True)
            F.cross_entropy(net[1](net[0](x)), y).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        if seed % 2:
            state, one = one.state_dict(), SGD(ours.parameters(), 0.1, **own)
            kept = state if seed > 1 else other.state_dict()  # the latter as checkpoints of before have it
            one.load_state_dict(copy.deepcopy(kept))
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


def test_adamw_is_torchs_with_the_recipes_rate_and_decay() -> None:
    recipe = Recipe(lr=3e-3, weight_decay=0.03, optimiser="adamw", schedule="constant")
    torch.manual_seed(0)
    ours = nn.Linear(12, 4)
    theirs = copy.deepcopy(ours)
    trainer = Trainer(ours, recipe)
    torchs = torch.optim.AdamW(theirs.parameters(), lr=3e-3, weight_decay=0.03)
    for seed in range(3):
        x, y = noise(8, 12, seed=seed), torch.arange(8) % 4
        trainer.step(F.cross_entropy(ours(x), y), 0.5)
        torchs.zero_grad()
        F.cross_entropy(theirs(x), y).backward()  # type: ignore[no-untyped-call]
        torchs.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_what_a_recipe_got_later_is_in_keys_only_where_it_is_asked_for() -> None:
    assert {"optimiser", "warmup"}.isdisjoint(parameters(Recipe()))
    assert parameters(Recipe(optimiser="adamw"))["optimiser"] == "adamw"


def test_a_net_brings_its_recipe_and_what_is_asked_for_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"optimiser": "adamw", "lr": 5e-4}
    monkeypatch.setitem(NETS, "small", NETS["small"]._replace(recipe=wanted))
    monkeypatch.setattr("bench.runner.request.declare", lambda name: __import__(name, fromlist=["NETS"]))
    plain = resolve(RunRequest(methods="tap", defenses="none"))
    asked = Options(net="small", surrogate="small")
    found = resolve(RunRequest(methods="tap", defenses="none", options=asked, overrides=("victim.lr=0.01",)))
    assert found.setting.victim == replace(plain.setting.victim, optimiser="adamw", lr=0.01)
    tap = found.methods[0].value
    assert tap.surrogate == replace(plain.methods[0].value.surrogate, **wanted)  # type: ignore[arg-type]


def _of_vit(monkeypatch: pytest.MonkeyPatch, *overrides: str, **options: str) -> Resolved:
    """With a recipe that the net small brings, and what is named so."""
    wanted = {"optimiser": "adamw", "lr": 5e-4}
    monkeypatch.setitem(NETS, "small", NETS["small"]._replace(recipe=wanted))
    monkeypatch.setattr("bench.runner.request.declare", lambda name: __import__(name, fromlist=["NETS"]))
    asked = Options(**options)  # type: ignore[arg-type]
    return resolve(RunRequest(methods="tap,pil", defenses="finetune,op", options=asked, overrides=overrides))


def test_a_net_decides_no_recipe_of_another_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """The surrogate's is that of methods, the victim's that of the nets that defenses train like it."""
    for options, adamw in (
        ({"net": "small"}, {"finetune.prior"}),
        ({"surrogate": "small"}, {"tap.surrogate"}),
    ):
        found = _of_vit(monkeypatch, **options)
        plugins = {plugin.name: plugin.value for plugin in (*found.methods, *found.defenses)}
        used = {
            f"{name}.{field}": own for name, value in plugins.items() for field, own in recipes(value).items()
        }
        assert {name for name, own in used.items() if own.optimiser == "adamw"} == adamw
        assert {"pil.surrogate", "op.linear"} <= {*used}


def test_what_follows_from_a_field_does_however_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    by_option = _of_vit(monkeypatch, net="small", surrogate="small", eps="4/255")
    by_set = _of_vit(monkeypatch, "net=small", "surrogate=small", "eps=4/255")
    assert by_option.setting == by_set.setting and by_set.setting.victim.optimiser == "adamw"
    for one, other in zip(by_option.methods, by_set.methods, strict=True):
        assert one.inputs == other.inputs and other.value.eps == pytest.approx(4 / 255)
