"""What every method promises, and what each of them is for."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.conform.check import complaint
from bench.conform.methods import CLEAN, Crafted, MethodCase
from bench.conform.methods import METHOD as PROPERTIES
from bench.core.checkpoint import Checkpoint
from bench.core.contract import published
from bench.core.errors import BadInput
from bench.core.pgd import frozen
from bench.core.pixels import release, to_float
from bench.core.rng import generator
from bench.core.train import Trainer
from bench.core.types import Recipe, Split
from bench.data.poisons.values import Rounding, publish
from bench.experiment.overrides import change
from bench.experiment.registry import Plugin, catalog
from bench.experiment.settings import PROFILES
from methods.aue import AUE
from methods.em import EM, EMClass
from methods.miue import MIUE
from support.toys import (
    CLASSES,
    METHODS,
    delta_of,
    equal_weights,
    killed_at_every_save,
    noise,
    small_net,
    toy_lab,
    toy_split,
)

DECLARED = catalog("methods", declared=True)
FULL = catalog("methods").variants  # at their papers' sizes
PERTURBING = [name for name, plugin in METHODS.items() if plugin.value.threat.radius > 0]
BUDGETED = [name for name in PERTURBING if METHODS[name].value.threat.norm == "linf"]
READ: dict[str, tuple[str, Rounding]] = {  # a variant -> whose delta it is, and how that is read
    "em-positive": ("em", "positive"),
    "mi-ue-trunc": ("mi-ue", "truncate"),
}
ADDING = [name for name in PERTURBING if not METHODS[name].value.maps_images]  # the others make images anew
MAPPING = [name for name in PERTURBING if METHODS[name].value.maps_images]
STEPPING = [name for name, plugin in FULL.items() if hasattr(plugin.value, "steps")]


@cache
def case(name: str) -> MethodCase:
    """A method with its deltas of the toy images, each made once."""
    return MethodCase(METHODS[name], catalog("methods").get(name), DECLARED.get(name))


def crafted(name: str, seed: int = 1) -> Crafted:
    return case(name).crafted(seed)


GROWN = {
    "crops": 1,
    "surrogate.epochs": 8,
    "surrogate.batch": 16,
    "max_rounds": 20,
    "share": 0.25,
    "eps": 16 / 255,
}
FAINT = toy_split(128, 0, contrast=14)  # so that the budget suffices to repaint a class


class Attack(NamedTuple):
    """A method's surrogate in eval mode, and clean and perturbed images in [0,1]."""

    net: nn.Module
    x: Tensor
    z: Tensor

    def losses(self) -> tuple[float, float]:
        """The net's mean loss on clean and on perturbed images."""
        with torch.no_grad():
            one, other = (float(F.cross_entropy(self.net(v), FAINT.labels)) for v in (self.x, self.z))
        return one, other


@cache
def attack(name: str) -> Attack:
    """A method with time enough to do what it is for."""
    value, nets, lab = METHODS[name].value, [], toy_lab()
    for path, new in GROWN.items():
        with suppress(BadInput):  # it has no such field
            value = change(value, path, new, name)
    lab.build = lambda seed: nets.append(small_net(seed)) or nets[-1]  # type: ignore[func-returns-value]
    x = to_float(FAINT.images)
    z = (x + delta_of(value, FAINT, lab)).clamp(0, 1)
    return Attack(nets[-1].eval(), x, z)


@cache
def trained_on_faint() -> nn.Module:
    return toy_lab().trained(FAINT, Recipe(epochs=8, batch=16))


def targeted(**changed: int) -> Tensor:
    """Each image's loss towards its target after TAP, on one surrogate in eval mode, float32 (N,)."""
    net, lab = trained_on_faint(), toy_lab()
    lab.trained = lambda clean, recipe: net  # type: ignore[method-assign]
    tap = replace(METHODS["tap"].value, batch=len(FAINT), step=0.1, **changed)
    z = to_float(FAINT.images) + tap.craft(FAINT, lab)
    with torch.no_grad():
        return F.cross_entropy(frozen(net)(z), (FAINT.labels + tap.shift) % CLASSES, reduction="none")


# every method


@pytest.mark.parametrize("what", PROPERTIES)
def test_it_keeps_what_is_asked_of_all(method: Plugin, what: str) -> None:
    assert complaint(PROPERTIES[what], case(method.name)) is None


@pytest.mark.parametrize("name", [name for name in ADDING if name not in READ])
def test_perturbation_has_both_signs(name: str) -> None:
    """The reader of EM's official code, and its notebook, too, drop every negative value."""
    found = published(METHODS[name].value.threat, CLEAN.images, crafted(name).delta).int()
    assert (found > CLEAN.images).any() and (found < CLEAN.images).any()


@pytest.mark.parametrize("name", READ)
def test_variant_is_published_as_the_official_reader_has_it(name: str) -> None:
    """Also where it is saved as a file and read with that rounding."""
    whose, rounding = READ[name]
    official = publish(CLEAN.images, crafted(whose).delta, "delta", "1", rounding)
    value = METHODS[name].value
    assert METHODS[name].crafted_as == whose and torch.equal(crafted(name).delta, crafted(whose).delta)
    found = release(CLEAN.images, value.publish(crafted(name).delta), value.eps)
    assert torch.equal(found, official)
    assert not torch.equal(found, release(CLEAN.images, crafted(whose).delta, METHODS[whose].value.eps))


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "resumed"])
def test_a_trained_surrogate_is_in_eval_mode(kept: bool, tmp_path: Path) -> None:
    lab = toy_lab(1, Checkpoint(tmp_path / "craft", 0.0))
    first = lab.trained(CLEAN, Recipe(epochs=1))
    net = lab.trained(CLEAN, Recipe(epochs=1)) if kept else first
    assert equal_weights(net, first) and not any(module.training for module in net.modules())


# profiles


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_change_fields_that_exist(method: Plugin, profile: str) -> None:
    plugin = catalog("methods").get(method.name)
    assert set(getattr(plugin.value, "PROFILES", {})) <= set(PROFILES)
    for path, value in getattr(plugin.value, "PROFILES", {}).get(profile, {}).items():
        assert change(plugin.value, path, str(value), plugin.name) == change(
            plugin.value, path, value, plugin.name
        ), f"{path} is ill-typed"
    assert plugin.at("paper") == plugin  # defaults are the papers'


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", STEPPING)
def test_profiles_leave_room_to_cross_the_ball(name: str, profile: str) -> None:
    value = FULL[name].at(profile).value
    reach = value.steps * value.step if hasattr(value, "step") else _reach_of_schedule(value)
    if hasattr(value, "max_rounds") or isinstance(value, MIUE | AUE):
        rounds = getattr(value, "max_rounds", None) or value.surrogate.epochs  # over which the delta persists
        assert reach * rounds >= 1
    else:  # one pass has to do
        assert reach >= 2
    if profile != "quick":  # there fewer, longer steps: minutes are what it has
        assert getattr(value, "step", None) == getattr(FULL[name].value, "step", None)


def _reach_of_schedule(value: MIUE) -> float:
    return value.steps * (value.first_step + value.last_step) / 2


# what each of them is for


@pytest.mark.parametrize("name", ["em", "em-class", "rem", "sem", "aue"])
def test_em_lowers_its_surrogates_loss(name: str) -> None:
    clean, perturbed = attack(name).losses()
    assert perturbed < 0.9 * clean


def test_emax_raises_its_surrogates_loss() -> None:
    clean, perturbed = attack("emax").losses()
    assert perturbed > clean + 1


@pytest.mark.parametrize("name", ["tap", "aap"])
def test_tap_moves_predictions_to_the_next_class(name: str) -> None:
    net, x, z = attack(name)
    assert (net(x).argmax(1) == FAINT.labels).float().mean() > 0.9
    assert (net(z).argmax(1) == (FAINT.labels + 1) % CLASSES).float().mean() > 0.5


def test_tap_with_more_steps_is_nearer_to_its_target() -> None:
    losses = [targeted(steps=steps).mean() for steps in (1, 4, 16)]
    assert losses[0] > losses[1] > losses[2]


def test_tap_keeps_each_images_best_restart() -> None:
    """With one restart more, no image is worse off, and some are better."""
    one, two = targeted(restarts=1), targeted(restarts=2)
    assert (two <= one + 1e-5).all() and two.mean() < one.mean()


@pytest.mark.parametrize("name", ["mi-ue", "mi-ue-cos", "mi-ue-at2"])
def test_miue_makes_a_classs_features_alike(name: str) -> None:
    net, x, z = attack(name)
    same = FAINT.labels[:, None] == FAINT.labels

    def cosines(images: Tensor) -> tuple[float, float]:
        """Within and across classes."""
        with torch.no_grad():
            unit = F.normalize(net.features(images))  # type: ignore[operator]
        similarity = unit @ unit.T
        return float(similarity[same].mean()), float(similarity[~same].mean())

    (within_x, across_x), (within_z, across_z) = cosines(x), cosines(z)
    assert 1 - within_z < 0.5 * (1 - within_x)  # random noise of this size leaves 0.98 of it
    assert across_z < 0.95 * across_x  # and 0.99 of that


@pytest.mark.parametrize("name", MAPPING)
def test_a_map_of_a_class_does_the_same_to_the_same_image(name: str) -> None:
    """A method that makes images anew does with each what it does with its copies, if it is class-wise."""
    own = (CLEAN.labels == 0).nonzero()[:, 0]
    images = CLEAN.images.clone()
    images[own[1]] = images[own[0]]
    delta = delta_of(METHODS[name].value, Split(images, CLEAN.labels), toy_lab())
    same = torch.equal(delta[own[0]], delta[own[1]])
    assert same == (METHODS[name].value.form == "class-wise")


# EM's rounds


class Linear(nn.Module):
    """The cheapest net."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 8 * 8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.flatten(1))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("batch", "n"), [(512, 50_000), (512, 5000), (64, 1900), (128, 9500), (32, 64)])
def test_em_trains_its_share_of_an_epoch_in_a_round(
    batch: int, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10 batches of 512 are a tenth of an epoch of 50,000 images, and 2.5 epochs of 2,000."""
    trained: list[int] = []
    counted = lambda rows, progress: trained.append(1)  # noqa: E731
    monkeypatch.setattr(Trainer, "learner", lambda self, loss, rngs, steady: counted)
    monkeypatch.setattr(EM, "perturb", lambda *arguments: None)
    em = EM(max_rounds=2, stop_error=-1.0, batch=5000)
    lab = toy_lab()
    lab.build = lambda seed: Linear()
    lab.val = toy_split(8, 0, size=8)
    em = replace(em, surrogate=replace(em.surrogate, batch=batch))
    clean = Split(torch.zeros(n, 3, 8, 8, dtype=torch.uint8), torch.zeros(n, dtype=torch.int64))
    em.craft(clean, lab)
    per_round = len(trained) / 2
    assert abs(per_round - max(1, em.share * n / batch)) <= 0.5  # rounded, at least one
    if (batch, n) == (512, 50_000):
        assert per_round == 10


def test_em_on_augmented_images_resumes_where_it_was(tmp_path: Path) -> None:
    em = replace(METHODS["em"].value, augment=True)
    whole = em.craft(CLEAN, toy_lab())
    resumed, kills = killed_at_every_save(lambda c: em.craft(CLEAN, toy_lab(1, c)), tmp_path / "craft")
    assert kills >= 2
    assert torch.equal(resumed, whole)
    assert not torch.equal(whole, crafted("em").delta)


def test_em_stops_at_its_error_and_says_so() -> None:
    lab, em = toy_lab(), METHODS["em"].value
    replace(em, stop_error=1.0).craft(CLEAN, lab)
    assert (lab.facts["rounds"], lab.facts["stop"]) == (0, "error")
    lab = toy_lab()
    replace(em, stop_error=-1.0).craft(CLEAN, lab)
    assert (lab.facts["rounds"], lab.facts["stop"]) == (em.max_rounds, "max_rounds")


@pytest.mark.parametrize(("name", "at"), [("em", 0.4), ("em-class", 0.5), ("emax", 0.5)])
def test_first_error_beyond_the_stop_ends_it(name: str, at: float) -> None:
    """The error is that of the last net on the images as they are then perturbed."""
    value, lab, errors, nets = METHODS[name].value, toy_lab(), [], []
    for path, new in (GROWN | {"max_passes": 40, "step": 0.02, "stop_error": at, "subset": 1.0}).items():
        with suppress(BadInput):
            value = change(value, path, new, name)
    lab.build = lambda seed: nets.append(small_net(seed)) or nets[-1]  # type: ignore[func-returns-value]
    lab.tick = lambda share, what: errors.append(float(what.split()[-1])) if "error" in what else None
    z = (to_float(FAINT.images) + value.craft(FAINT, lab)).clamp(0, 1)
    with torch.no_grad():
        wrong = (frozen(nets[-1])(z).argmax(1) != FAINT.labels).double().mean()
    assert lab.facts["error"] == pytest.approx(float(wrong), abs=0.02)
    assert lab.facts["stop"] == "error" and len(errors) > 1
    beyond = [error >= at if name == "emax" else error <= at for error in errors]
    assert beyond == [False] * (len(errors) - 1) + [True]


def test_class_patterns_move_after_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the mean of that batch's updates, each of which starts where the batch before has led."""
    starts: list[float] = []

    def descend(self: EMClass, net: nn.Module, clean: Split, rows: Tensor, start: Tensor) -> Tensor:
        starts.append(float(start.amax()))
        return start + 1e-3

    monkeypatch.setattr(EMClass, "descend", descend)
    delta = torch.zeros(CLASSES, 3, 16, 16)
    EMClass(batch=16).perturb(nn.Identity(), CLEAN, torch.arange(len(CLEAN)), delta, toy_lab(), generator(0))
    assert starts == pytest.approx([0, 1e-3, 2e-3, 3e-3])
    assert torch.allclose(delta, torch.full_like(delta, 4e-3))


@pytest.mark.parametrize("subset", [0.2, 0.5, 1.0])
def test_class_patterns_are_searched_on_the_same_share_of_each_class(subset: float) -> None:
    """Drawn by the poison's seed, though the images may be sorted by class; the same in every round."""
    by_class = CLEAN.take(CLEAN.labels.argsort())
    first, again, other = (EMClass(subset=subset).searched(by_class, toy_lab(seed)) for seed in (1, 1, 2))
    counts = by_class.labels.bincount()
    assert torch.equal(by_class.labels[first].bincount(), (subset * counts).ceil().long())
    assert len(first.unique()) == len(first)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert not torch.equal(first, first.sort().values)  # no batch is of one class alone


@pytest.mark.parametrize("name", [name for name, p in METHODS.items() if hasattr(p.value, "surrogate")])
def test_surrogates_clean_accuracy_is_noted(name: str) -> None:
    accuracy = crafted(name).facts["surrogate_val_acc"]
    assert isinstance(accuracy, float) and 0 <= accuracy <= 1


# MI-UE's step


def test_miues_step_goes_from_its_first_towards_its_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the official recipe 0.2/255 in the first of 100 rounds and 0.398/255 in the last."""
    steps: list[float] = []

    def attack_none(objective: object, x: Tensor, delta: Tensor, **how: float) -> Tensor:
        steps.append(how["step"] * 255)
        return delta

    monkeypatch.setattr("methods.miue.pgd", attack_none)
    monkeypatch.setattr(Trainer, "learner", lambda *arguments, **how: lambda rows, progress: None)
    MIUE().craft(CLEAN, toy_lab())
    assert len(steps) == 100 and (steps[0], steps[-1]) == pytest.approx((0.2, 0.398))
    assert [b - a for a, b in pairwise(steps)] == pytest.approx([0.002] * 99)


# MI-UE's objective


LABELS = torch.arange(CLASSES).repeat_interleave(3)
SAME = LABELS[:, None] == LABELS


def naive(z: Tensor, labels: Tensor, temperature: float, weight: float) -> float:
    """The objective as its docstring has it, image by image."""
    total = 0.0
    for i in range(len(z)):
        own = everything = spread = 0.0
        for j in range(len(z)):
            term = math.exp(float(F.cosine_similarity(z[i], z[j], dim=0)) / temperature)
            everything += term
            if labels[i] == labels[j]:
                own += term
                spread += float((z[i] - z[j]).norm()) / z.shape[1]
        total += -math.log(own / everything) + weight * math.log1p(spread)
    return total / len(z)


@pytest.mark.parametrize("weight", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_objective_is_the_double_loop(weight: float, temperature: float) -> None:
    z = noise(12, 20, seed=3).double() - 0.3
    found = MIUE(distance=weight, temperature=temperature).objective(z, SAME)
    assert float(found) == pytest.approx(naive(z, LABELS, temperature, weight), rel=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_objective_of_collapsed_and_orthogonal_classes(weight: float) -> None:
    z = torch.eye(CLASSES, 10)[LABELS]
    found = float(MIUE(distance=weight).objective(z, SAME))
    assert found == pytest.approx(math.log1p((CLASSES - 1) * math.exp(-10)), abs=1e-4)


@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_objective_where_all_features_are_equal(weight: float) -> None:
    found = float(MIUE(distance=weight).objective(torch.ones(12, 10), SAME))
    assert found == pytest.approx(math.log(CLASSES), abs=1e-3)


def test_distance_counts_where_directions_agree() -> None:
    """Two features of one class, one twice as long: cosine sees no difference."""
    z, same = torch.tensor([[3.0, 4.0], [6.0, 8.0]]), torch.ones(2, 2, dtype=torch.bool)
    assert float(MIUE(distance=0.0).objective(z, same)) == pytest.approx(0, abs=1e-6)
    assert float(MIUE(distance=0.1).objective(z, same)) == pytest.approx(0.1 * math.log1p(5 / 2), rel=1e-4)


def test_variants_of_miue_differ_in_the_distance_alone() -> None:
    near, far = FULL["mi-ue"].value, FULL["mi-ue-cos"].value
    assert (near.distance, far.distance) == (0.1, 0.0)
    assert replace(near, distance=0.0) == far


@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_objective_has_a_gradient_where_features_coincide(weight: float) -> None:
    z = torch.ones(6, 5, requires_grad=True)
    MIUE(distance=weight).objective(z, SAME[:6, :6]).backward()
    assert z.grad is not None and z.grad.isfinite().all()
