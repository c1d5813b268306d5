"""What every method must keep."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.conform.check import (
    Properties,
    check_declared,
    check_profiles,
    expect,
    moved_streams,
    states_untouched,
)
from bench.conform.toys import (
    CLASSES,
    delta_of,
    killed_at_every_save,
    small_net,
    toy_dataset,
    toy_lab,
    toy_split,
)
from bench.core.checkpoint import Checkpoint
from bench.core.contract import check_classes, check_delta, check_published, published
from bench.core.method import Fact, Method, Withheld
from bench.core.train import accuracy
from bench.core.types import Split
from bench.experiment.registry import Plugin

CLEAN = toy_split(64, 0)
EPS = 0.02  # off the 8-bit grid, and below all defaults


@dataclass
class Crafted:
    """A delta of the toy images, and what could be seen of its making."""

    delta: Tensor
    lent: Split  # as the method left it
    facts: dict[str, Fact]
    ticks: list[float]


@dataclass
class MethodCase:
    """A method in a copy that runs in a second, in full, and as its file declares."""

    plugin: Plugin
    full: Plugin
    declared: Plugin
    kept: dict[int, Crafted] = field(default_factory=dict)

    @cached_property
    def value(self) -> Method:
        found: Method = self.plugin.value.resolved(toy_dataset(), lambda line: None)
        return found

    def crafted(self, seed: int = 1) -> Crafted:
        """Craft once for each seed."""
        if seed not in self.kept:
            self.kept[seed] = self.craft(seed)
        return self.kept[seed]

    def craft(
        self, seed: int = 1, checkpoint: Checkpoint | None = None, value: Method | None = None
    ) -> Crafted:
        """Craft anew, lent what the method declares that it needs and no more."""
        value, lab, ticks = value or self.value, toy_lab(seed, checkpoint), list[float]()
        lab.tick = lambda share, what: ticks.append(share)
        lent = CLEAN.clone()
        if "labels" not in value.needs:
            lent.labels.fill_(-1)
        lab.judge = partial(accuracy, split=lab.val)
        if "clean data" not in value.needs:
            lab.val = Withheld(lab.val.labels, self.plugin.name)
        lab.build = self._build
        delta = delta_of(value, lent, lab)
        return Crafted(delta, lent, lab.facts, ticks)

    def _build(self, seed: int) -> nn.Module:
        expect("surrogate" in self.value.needs, "it builds a net", "'surrogate' in its needs")
        return small_net(seed)

    @property
    def perturbs(self) -> bool:
        return self.value.threat.radius > 0


def keeps_the_contract(case: MethodCase) -> None:
    """Check that delta has the images' shape, float32, finite, within the budget, and is not empty."""
    delta = case.crafted().delta
    check_delta(delta, CLEAN.images, case.value.threat, case.plugin.name)
    expect(not delta.requires_grad, "delta requires gradients", "a tensor that is detached")


def publishes_within_the_budget(case: MethodCase) -> None:
    """Check that published images, rounded to uint8, are within the budget, too."""
    value, name = case.value, case.plugin.name
    delta = value.publish(case.crafted().delta)
    check_delta(delta, CLEAN.images, value.threat, name)
    check_published(published(value.threat, CLEAN.images, delta), CLEAN.images, value.threat, name)


def follows_eps(case: MethodCase) -> None:
    """Check that a smaller L-inf budget gives a smaller perturbation, whatever the paper's is."""
    if not case.perturbs or case.value.threat.norm != "linf":
        return
    value = replace(case.value, eps=EPS)
    worst = float(case.craft(value=value).delta.abs().amax())
    expect(
        0.1 * EPS < worst <= EPS + 1e-6, f"with eps {EPS} its largest |delta| is {worst:.5f}", f"up to {EPS}"
    )


def has_its_form(case: MethodCase) -> None:
    """Check that a class has one pattern if it is class-wise, and each image its own if it is not."""
    value, delta = case.value, case.crafted().delta
    if value.maps_images or not case.perturbs:
        return
    if value.form == "class-wise":
        found = published(value.threat, CLEAN.images, delta)
        check_classes(found, CLEAN.images, CLEAN.labels, "abcd"[:CLASSES], case.plugin.name)
    one, other = delta[CLEAN.labels == 0][:2]
    expect(
        torch.equal(one, other) == (value.form == "class-wise"),
        f"two images of a class have {'one' if torch.equal(one, other) else 'another'} perturbation",
        f"what its form says, {value.form}",
    )


def leaves_what_it_is_lent(case: MethodCase) -> None:
    """Check that images and labels are not changed in place."""
    lent = case.crafted().lent
    expect(torch.equal(CLEAN.images, lent.images), "it changed the images it was lent", "a delta beside them")
    labels = CLEAN.labels if "labels" in case.value.needs else torch.full_like(CLEAN.labels, -1)
    expect(torch.equal(labels, lent.labels), "it changed the labels it was lent", "labels as they were")


def repeats_itself(case: MethodCase) -> None:
    """Check that the same seed gives the same bits, whatever global generators do."""
    first = case.crafted().delta
    moved_streams()
    again = case.craft().delta
    expect(
        torch.equal(first, again),
        f"two runs of one seed differ in {_differing(first, again)}",
        "the same bits",
    )


def follows_the_seed(case: MethodCase) -> None:
    """Check that another seed gives another delta, unless the method says that nothing is drawn."""
    if not case.perturbs:
        return
    same = torch.equal(case.crafted().delta, case.crafted(2).delta)
    seen = "another seed gives the same delta" if same else "another seed gives another delta"
    expect(same != case.value.seeded, seen, f"what it declares: seeded is {case.value.seeded}")


def leaves_global_states(case: MethodCase) -> None:
    """Check that it neither draws from global generators nor changes threads, dtypes and the like."""
    with states_untouched("craft()"):
        case.craft()


def resumes(case: MethodCase) -> None:
    """Check that stopped at every checkpoint it comes to the same bits and facts, and leaves no file."""
    whole = case.crafted()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "craft"
        again, kills = killed_at_every_save(lambda checkpoint: case.craft(1, checkpoint), path)
        Checkpoint(path).clear()
        left = [own.name for own in Path(folder).iterdir()]
    same = torch.equal(whole.delta, again.delta)
    expect(
        same, f"stopped {kills} times, it differs in {_differing(whole.delta, again.delta)}", "the same bits"
    )
    expect(whole.facts == again.facts, f"stopped {kills} times, it notes {again.facts}", f"{whole.facts}")
    expect(not left, f"checkpoints are left: {', '.join(left)}", "parts of its own checkpoint alone")
    trains = hasattr(case.value, "surrogate")
    expect(
        kills >= 2 or not trains, f"it trains a net and saves {kills} times", "to be saved again and again"
    )


def ticks_shares(case: MethodCase) -> None:
    """Check that progress is told as shares in [0,1] that do not fall and end at 1."""
    crafted = case.crafted()
    ticks = crafted.ticks
    expect(
        all(0 <= share <= 1 for share in ticks),
        f"it ticks from {min(ticks, default=0):g} to {max(ticks, default=0):g}",
        "shares in [0,1]",
    )
    expect(ticks == sorted(ticks), "its ticks fall", "shares that rise")
    done = not ticks or ticks[-1] == 1 or crafted.facts.get("stop") == "error"
    expect(done, f"its last tick is {(ticks or [0])[-1]:g}", "1")


def _differing(one: Tensor, other: Tensor) -> str:
    return f"{int((one != other).flatten(1).any(1).sum())} of {len(one)} images"


METHOD: Properties[MethodCase] = {
    "contract": keeps_the_contract,
    "budget": publishes_within_the_budget,
    "eps": follows_eps,
    "form": has_its_form,
    "lent": leaves_what_it_is_lent,
    "determinism": repeats_itself,
    "seed": follows_the_seed,
    "global states": leaves_global_states,
    "resume": resumes,
    "progress": ticks_shares,
    "profiles": lambda case: check_profiles(case.full),
    "declared": lambda case: check_declared(case.full, case.declared),
}
