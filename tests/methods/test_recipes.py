"""Details of the published recipes that are easily lost: what is attacked, learnt from and kept, and when."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.core.adversarial import Robust
from bench.core.errors import BadInput
from bench.core.method import PERTURBING, Lab, Method
from bench.core.pixels import release, to_float
from bench.core.rng import generator
from bench.core.types import Augmentation, Recipe
from bench.experiment.overrides import change
from bench.experiment.registry import catalog
from bench.experiment.settings import PROFILES
from bench.nets import Net
from defenses.adversarial_training import AdversarialTraining
from methods.miue import MIUE
from support.toys import AUGMENTATION, CLASSES, METHODS, toy_lab, toy_split

CLEAN = toy_split(64, 0)
X = to_float(CLEAN.images)
FULL = catalog("methods").variants  # as published
CO_TRAINED = ["em", "em-class", "em-mine", "mi-ue", "mi-ue-cos", "mi-ue-at2"]  # with the perturbation
CLEAN_TRAINED = ["emax", "tap"]
ROBUST = ["hypo", "entf-push", "entf-pull"]  # trained adversarially
NEARBY = ["rem", "sem"]  # co-trained, with what lies near the perturbed images
ATTACKING = CO_TRAINED + CLEAN_TRAINED + ROBUST + NEARBY + ["aue", "aap"]
CROPPING = ["tap", *ROBUST]  # what is attacked, once a step
MINDING = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
STILL, MIRRORED = Augmentation(pad=0, flip=False), Augmentation(pad=0, flip=True)

BOUNDS = {"eps", "max_rounds", "max_passes", "draws"}  # the fields that are no paper's recipe but a run's
EM_NET = Recipe(  # its epochs are not used: rounds decide
    batch=512,
    lr=0.1,
    momentum=0.9,
    weight_decay=5e-4,
    nesterov=False,
    schedule="constant",
    milestones=(),
    final_lr=0.0,
    clip=5.0,
)
PLAIN_NET = replace(EM_NET, batch=128, clip=None)
MIUE_NET = Recipe(
    epochs=100,
    batch=128,
    lr=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    nesterov=False,
    schedule="cosine",
    milestones=(),
    final_lr=1e-6,
    clip=None,
)
EM_ONE: dict[str, object] = {  # an image
    "surrogate": EM_NET,
    "share": 10 * 512 / 50_000,
    "steps": 20,
    "step": 0.1,
    "stop_error": 0.01,
    "batch": 512,
    "augment": False,
}
MIUE_FULL: dict[str, object] = {
    "surrogate": MIUE_NET,
    "steps": 10,
    "first_step": 0.2 / 8,
    "last_step": 0.4 / 8,
    "temperature": 0.1,
    "distance": 0.1,
    "batch": 512,
    "augment": False,
}
ENTF: dict[str, object] = {
    "surrogate": replace(PLAIN_NET, epochs=100, schedule="steps", milestones=(0.75, 0.9)),
    "robust": Robust(radius=4 / 255, step=2 / 255, steps=10),
    "steps": 300,
    "step": 0.05,
    "batch": 512,
}
REM_FULL: dict[str, object] = {  # 13 epochs are 5,000 batches of CIFAR-10, nearly
    "surrogate": replace(PLAIN_NET, epochs=13, schedule="steps", milestones=(2000 / 5000, 4000 / 5000)),
    "robust": Robust(radius=4 / 255, step=0.8 / 255, steps=10),
    "steps": 10,
    "step": 1.6 / 8,
    "crops": 5,
    "batch": 128,
}
PUBLISHED: dict[str, dict[str, object]] = {
    "em": EM_ONE,
    "em-positive": EM_ONE,
    "em-gray": EM_ONE | {"moved": True},
    "em-mine": EM_ONE | {"weight": 0.1, "critic_epochs": 10, "critic_lr": 0.05},  # these are ours
    "shuffled": EM_ONE,
    "em-class": EM_ONE | {"steps": 1, "subset": 0.2, "stop_error": 0.1},
    "emax": {
        "surrogate": replace(EM_NET, epochs=60, schedule="cosine"),
        "steps": 20,
        "step": 0.1,
        "stop_error": 0.9,
        "batch": 512,
    },
    "tap": {
        "surrogate": Recipe(
            epochs=40,
            batch=128,
            lr=0.1,
            momentum=0.9,
            weight_decay=5e-4,
            nesterov=True,
            schedule="steps",
            milestones=(15 / 40, 25 / 40, 35 / 40),
            final_lr=0.0,
            clip=None,
        ),
        "steps": 250,
        "step": 0.05,
        "restarts": 8,
        "shift": 1,
        "batch": 512,
    },
    "hypo": {
        "surrogate": replace(PLAIN_NET, epochs=10, schedule="constant"),  # its drops come later
        "robust": Robust(radius=2 / 255, step=2 / 4 / 255, steps=10),
        "steps": 100,
        "step": 0.1,
        "batch": 256,
    },
    "rem": REM_FULL,
    "sem": REM_FULL,
    "aue": {
        "surrogate": replace(MIUE_NET, epochs=60),
        "strength": 0.6,
        "steps": 5,
        "step": 0.1,
        "batch": 128,
    },
    "aap": {
        "surrogate": replace(MIUE_NET, epochs=40, lr=0.5, warmup=10 / 40),
        "strength": 0.4,
        "steps": 250,
        "step": 2.5 / 250,
        "shift": 1,
        "batch": 128,
    },
    "entf-push": ENTF | {"way": "push"},
    "entf-pull": ENTF | {"way": "pull"},
    "mi-ue": MIUE_FULL,
    "mi-ue-cos": MIUE_FULL | {"distance": 0.0},
    "mi-ue-trunc": MIUE_FULL,
    "ar": {
        "radius": 1.0,
        "bound": 50.0,
        "trials": 3,
        "response": 10.0,
        "response_many": 3.0,
        "batch": 2048,  # no part of the recipe
    },
    "lsp": {"radius": (6 / 255) * (32 * 32 * 3) ** 0.5, "side": 4, "separation": 10.0},
    "cuda": {"blur": 0.3, "batch": 512},
    "ops": {"score": "code"},
    "ops-paper": {"score": "paper"},
    "region-4": {"side": 2},
    "region-16": {"side": 4},
    "region-64": {"side": 8},
    "tue-csd": {"epochs": 40, "steps": 20, "step": 0.8 / 8, "batch": 512, "augment": False},
    "pil": {
        "surrogate": replace(MIUE_NET, epochs=30, batch=512, lr=0.003, weight_decay=0.0, final_lr=0.0),
        "share": 0.9,
        "steps": 30,
        "step": (8 / 2550) / (8 / 255),
        "batch": 512,
        "augment": False,
    },
}


@dataclass
class Pass:
    """One look of a net at a batch."""

    x: Tensor  # (B,C,H,W) in [0,1]
    attacked: bool  # the images take gradients
    training: bool  # the net or any layer that minds is in training mode
    learnt: bool  # the weights take gradients


def watch_passes(monkeypatch: pytest.MonkeyPatch) -> list[Pass]:
    """Every pass through any net from now on."""
    seen: list[Pass] = []
    features = Net.features

    def watched(self: Net, x: Tensor) -> Tensor:
        training = self.training or any(m.training for m in self.modules() if isinstance(m, MINDING))
        learnt = torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())
        seen.append(Pass(x.detach().clone(), x.requires_grad, training, learnt))
        return features(self, x)

    monkeypatch.setattr(Net, "features", watched)
    return seen


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[Pass]:
    return watch_passes(monkeypatch)


@cache
def crafted(name: str) -> tuple[Tensor, list[Pass]]:
    """A method's delta of the toy images, and what its nets were shown."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        seen = watch_passes(monkeypatch)
        return endless(METHODS[name].value).craft(CLEAN, toy_lab()), seen


@dataclass
class Attack:
    """One call of the attack loop."""

    x: Tensor  # (B,C,H,W) in [0,1], what delta is added to
    start: Tensor  # delta
    eps: float
    step: float
    steps: int


Attacks = Callable[[str], list[Attack]]


@pytest.fixture
def attacks(monkeypatch: pytest.MonkeyPatch) -> Attacks:
    """(method) -> its calls of an attack loop that leaves a pattern which is no mirror image of itself."""
    seen: list[Attack] = []

    def fake(objective: object, x: Tensor, delta: Tensor, *, eps: float, step: float, steps: int) -> Tensor:
        seen.append(Attack(x.clone(), delta.clone(), eps, step, steps))
        return pattern(eps).expand(x.shape).clone()

    def watch(name: str) -> list[Attack]:
        monkeypatch.setattr(importlib.import_module(type(METHODS[name].value).__module__), "pgd", fake)
        return seen

    return watch


def pattern(eps: float) -> Tensor:
    """(1,1,1,W): eps on the left, -eps on the right."""
    half = X.shape[3] // 2
    return torch.cat([torch.full((half,), eps), torch.full((half,), -eps)]).view(1, 1, 1, -1)


def endless(value: Method, **fields: object) -> Method:
    """Without a stop by its error, and with these fields, as far as it has them."""
    never = 1.1 if type(value).__name__ == "EMax" else -1.0
    for path, new in {"stop_error": never, **fields}.items():
        with suppress(BadInput):  # it has no such field
            value = change(value, path, new, "it")
    return value


def lab_of(augmentation: Augmentation) -> Lab:
    lab = toy_lab()
    lab.augmentation = augmentation
    return lab


def distance(z: Tensor, images: Tensor) -> Tensor:
    """Largest difference of each z from the image that is nearest to it."""
    return (z[:, None] - images).abs().amax((2, 3, 4)).amin(1)


@pytest.mark.parametrize("name", PUBLISHED)
def test_defaults_are_the_published_settings(name: str) -> None:
    """All of them: the surrogate's whole recipe, too."""
    value, expected = FULL[name].value, dict(PUBLISHED[name])
    kept = [f.name for f in fields(value) if f.name not in BOUNDS and not f.metadata.get("publishing")]
    found = {kind: getattr(value, kind) for kind in kept}
    for kind in {"surrogate", "robust"} & found.keys():
        assert found.pop(kind) == expected.pop(kind)
    assert found == pytest.approx(expected)
    assert value.eps == (8 / 255 if value.threat.norm == "linf" else 1)


# what is attacked


@pytest.mark.parametrize("name", [*ATTACKING, "em-gray"])
def test_attacked_nets_are_in_eval_mode_and_do_not_learn(name: str) -> None:
    _, passes = crafted(name)
    attacked = [p for p in passes if p.attacked]
    assert attacked and not any(p.training or p.learnt for p in attacked)
    learnt = [p for p in passes if p.learnt]
    assert learnt and all(p.training for p in learnt)


@pytest.mark.parametrize("name", [*ATTACKING, "em-gray"])
def test_its_cost_is_that_of_its_loops(name: str, passes: list[Pass]) -> None:
    """In passes over the images, of training and of sign steps; rounds that never stop are all made."""
    value = endless(METHODS[name].value, share=0.5, subset=0.5)
    value.craft(CLEAN, toy_lab())
    learnt, attacked = (sum(len(p.x) for p in passes if getattr(p, of)) for of in ("learnt", "attacked"))
    assert value.passes == pytest.approx((learnt + PERTURBING * attacked) / len(CLEAN), rel=0.2)


@pytest.mark.parametrize("name", ["em", "em-class", "em-gray", "em-mine", "shuffled"])
def test_rounds_that_stop_by_their_error_are_expected_to(name: str) -> None:
    """However many are allowed, but for those that no error ends."""
    value: Any = FULL[name].value
    assert 13 <= value.expected <= 62
    assert replace(value, max_rounds=1000).passes == value.passes
    assert replace(value, max_rounds=5).expected == 5
    assert replace(value, stop_error=-1.0).expected == value.max_rounds
    assert FULL["em"].at("quick").value.expected == 44


@pytest.mark.parametrize("name", ATTACKING)
@pytest.mark.parametrize("budget", [8, 16])
def test_steps_scale_with_the_budget(name: str, budget: int, attacks: Attacks) -> None:
    """Radius and step hang on what was asked for, and no constant."""
    eps = budget / 255
    value, seen = endless(METHODS[name].value, eps=eps), attacks(name)
    value.craft(CLEAN, toy_lab())
    share = value.first_step if isinstance(value, MIUE) else value.step  # type: ignore[attr-defined]
    assert seen and {a.eps for a in seen} == {eps}
    assert all(a.step == pytest.approx(share * eps) for a in seen)


def blank_borders(z: Tensor) -> int:
    """How many images have a row or a column of zeros at their border, as only padding has."""
    edges = z[:, :, 0], z[:, :, -1], z[:, :, :, 0], z[:, :, :, -1]
    return int(torch.stack([~edge.flatten(1).any(1) for edge in edges]).any(0).sum())


@pytest.mark.parametrize("name", ATTACKING)
def test_who_attacks_cropped_images(name: str, passes: list[Pass]) -> None:
    """Adversarial training attacks them, too, and is left out here."""
    endless(METHODS[name].value, **{"robust.radius": 0.0}).craft(CLEAN, toy_lab())
    cropped = sum(blank_borders(p.x) for p in passes if p.attacked)
    assert (cropped > 0) == (name in CROPPING + NEARBY)


def test_em_crops_what_it_learns_from_after_it_is_perturbed(passes: list[Pass]) -> None:
    """Noise that is added to a cropped image shows on the padding, too."""
    value = endless(METHODS["em"].value, augment=True)
    value.craft(CLEAN, lab_of(AUGMENTATION))
    learnt = torch.cat([p.x for p in passes if p.learnt])
    shifts = [(r, c) for r in range(-2, 3) for c in range(-2, 3)]
    blank = 0
    for z in learnt[len(CLEAN) :]:  # the first images are not perturbed yet
        zeros = (z == 0).all(0)
        rows, columns = zeros.all(1), zeros.all(0)
        assert torch.equal(zeros, rows[:, None] | columns)
        blank += bool(zeros.any())
    assert blank > len(learnt[len(CLEAN) :]) / len(shifts)


def test_miue_mirrors_images_and_not_their_perturbation(passes: list[Pass], attacks: Attacks) -> None:
    """Both orientations of an image are learnt, and attacked, with one delta."""
    value = replace(METHODS["mi-ue"].value, eps=8 / 255)
    attacked = attacks("mi-ue")
    value.craft(CLEAN, lab_of(MIRRORED))
    learnt = torch.cat([p.x for p in passes if p.learnt])[len(CLEAN) :]  # from the second round on
    for clean in (learnt - pattern(value.eps), torch.cat([a.x for a in attacked])):
        direct, mirrored = distance(clean, X), distance(clean, X.flip(3))
        assert torch.minimum(direct, mirrored).amax() < 1e-6
        assert (direct < 1e-6).any() and (mirrored < 1e-6).any()


# where attacks start, and what they see


@pytest.mark.parametrize("name", [*CO_TRAINED, "emax", "hypo"])
def test_the_first_attack_starts_at_the_image_itself(name: str, attacks: Attacks) -> None:
    seen = attacks(name)
    endless(METHODS[name].value, batch=len(CLEAN), subset=1.0).craft(CLEAN, toy_lab())
    assert not seen[0].start.any()


@pytest.mark.parametrize("name", ["tap", "entf-push", "entf-pull"])
def test_a_gaussian_start_is_cut_to_the_ball(name: str, attacks: Attacks) -> None:
    """Of deviation eps: a third of the values lie on the bounds, where a uniform start has none."""
    seen = attacks(name)
    value = METHODS[name].value
    value.craft(CLEAN, lab_of(STILL))
    assert len(seen) == getattr(value, "restarts", 1) * -(-len(CLEAN) // value.batch)
    for start in (a.start / value.eps for a in seen):
        assert start.abs().amax() <= 1 + 1e-3
        on_bounds = (start.abs() > 1 - 1e-3).float().mean()
        assert float(on_bounds) == pytest.approx(0.317, abs=0.02)  # beyond one deviation
        assert float(start.std()) == pytest.approx(0.718, abs=0.02)
        assert float(start.mean()) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("name", CROPPING)
@pytest.mark.parametrize("augmentation", [AUGMENTATION, MIRRORED], ids=["crop", "flip"])
def test_crops_and_flips_are_drawn_anew_at_every_step(
    augmentation: Augmentation, name: str, passes: list[Pass]
) -> None:
    still = {"robust.radius": 0.0}  # its attacks would be among those that are seen
    value: Any = endless(METHODS[name].value, batch=len(CLEAN), restarts=1, steps=4, **still)
    value.craft(CLEAN, lab_of(augmentation))
    attacked = [p.x for p in passes if p.attacked]
    assert len(attacked) == value.steps
    for one, next_ in pairwise(attacked):
        moved = (next_ - one).abs().amax((1, 2, 3)) > 2 * value.eps + 1e-6  # further than the attack can
        assert moved.float().mean() > 0.3


# what is learnt from


@pytest.mark.parametrize("name", CO_TRAINED)
def test_co_trained_surrogates_learn_from_perturbed_images(name: str) -> None:
    away = torch.cat([distance(p.x, X) for p in crafted(name)[1] if p.learnt])
    later = away[len(away) // 2 :]
    assert later.amin() > 0 and later.amax() <= METHODS[name].value.eps + 1e-6


@pytest.mark.parametrize("name", CLEAN_TRAINED)
def test_other_surrogates_learn_from_clean_images(name: str, passes: list[Pass]) -> None:
    endless(METHODS[name].value, steps=1, restarts=1, max_passes=1).craft(CLEAN, lab_of(STILL))
    assert max(distance(p.x, X).amax() for p in passes if p.learnt) < 1e-6


@pytest.mark.parametrize("name", ROBUST)
def test_robust_surrogates_learn_from_the_border_of_their_ball(name: str, passes: list[Pass]) -> None:
    """Of clean images, in the radius that is the surrogate's and not the budget's."""
    value: Any = endless(METHODS[name].value, steps=1, **{"robust.radius": 5 / 255, "robust.step": 4 / 255})
    value.craft(CLEAN, lab_of(STILL))
    away = torch.cat([distance(p.x, X) for p in passes if p.learnt])
    assert away.amin() > 0.9 * 5 / 255 and away.amax() <= 5 / 255 + 1e-6


# what is kept


@pytest.mark.parametrize("name", [*CO_TRAINED, "emax"])
def test_a_perturbation_grows_from_round_to_round(name: str) -> None:
    once = 0.1  # of eps
    fields = {"steps": 1, "step": once, "first_step": once, "last_step": once, "surrogate.epochs": 3}
    value = endless(METHODS[name].value, max_rounds=3, max_passes=3, **fields)
    reach = value.craft(CLEAN, toy_lab()).abs().amax() / value.eps
    # class-wise patterns move by a mean of steps
    assert reach > (1.1 if name == "em-class" else 1.9) * once


@pytest.mark.parametrize(("radius", "step"), [(2, 1.6), (4, 1.6), (4, 0.5)])
def test_miues_robust_surrogate_learns_at_steps_from_the_perturbed_image(
    radius: int, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No random start, steps in grey levels of 255 though the official code does not divide them: a first
    step alone does not cross the ball, and two do.
    """
    value: Any = catalog("methods").get(f"mi-ue-at{radius}").value
    value = endless(value, **{"surrogate.epochs": 1, "robust.steps": 1, "robust.step": step / 255})
    with monkeypatch.context() as patched:
        seen = watch_passes(patched)
        value.craft(CLEAN, lab_of(STILL))
    away = torch.cat([distance(p.x, X) for p in seen if p.learnt]) * 255
    assert away.max().item() == away.min().item() == pytest.approx(min(step, radius), abs=1e-3)


def test_an_undivided_step_leads_to_the_corners_of_the_ball(passes: list[Pass]) -> None:
    """As the official code has it: what is learnt is a sign pattern of the whole radius."""
    value = catalog("methods").get("mi-ue-at4").value
    value = endless(value, **{"surrogate.epochs": 1, "robust.step": 1.6, "robust.steps": 3})
    value.craft(CLEAN, lab_of(STILL))
    learnt = torch.cat([p.x for p in passes if p.learnt])
    nearest = X[(learnt[:, None] - X).abs().amax((2, 3, 4)).argmin(1)]
    inside = (nearest > 4 / 255) & (nearest < 1 - 4 / 255)
    assert ((learnt - nearest).abs()[inside] * 255 - 4).abs().max() < 1e-3


@pytest.mark.parametrize("radius", [2, 4])
def test_miue_against_a_robust_surrogate_differs_in_that_alone(radius: int) -> None:
    value, plain = catalog("methods").get(f"mi-ue-at{radius}").value, FULL["mi-ue"].value
    own = {f.name for f in fields(value)} - {f.name for f in fields(plain)}
    assert own == {"robust"} and value.robust == Robust(radius / 255, 1.6 / 255, 10)
    assert all(getattr(value, f.name) == getattr(plain, f.name) for f in fields(plain))


def test_miues_step_grows_linearly_towards_its_last(attacks: Attacks) -> None:
    seen = attacks("mi-ue")
    value = endless(FULL["mi-ue"].value, **{"surrogate.epochs": 3, "surrogate.batch": 32})
    value.craft(CLEAN, toy_lab())
    assert [255 * a.step for a in seen] == pytest.approx([0.2, 0.2 + 0.2 / 3, 0.2 + 0.4 / 3])
    assert all(len(a.x) == len(CLEAN) and a.steps == 10 for a in seen)  # compared in batches of their own
    assert not seen[0].start.any() and seen[1].start.any()


def test_miue_compares_features_and_not_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    widths: list[int] = []

    def objective(self: MIUE, z: Tensor, same: Tensor) -> Tensor:
        widths.append(z.shape[1])
        return z.sum()

    monkeypatch.setattr(MIUE, "objective", objective)
    METHODS["mi-ue"].value.craft(CLEAN, lab := toy_lab())
    assert set(widths) == {lab.net().head.in_features} != {CLASSES}  # type: ignore[union-attr]


def test_of_taps_restarts_each_image_keeps_its_best() -> None:
    value, nets = replace(METHODS["tap"].value, batch=len(CLEAN)), []
    lab = lab_of(STILL)
    build = lab.build
    lab.build = lambda seed: nets.append(build(seed)) or nets[-1]  # type: ignore[func-returns-value]
    target = (CLEAN.labels + value.shift) % CLASSES

    def losses(restarts: int) -> Tensor:
        z = X + replace(value, restarts=restarts).craft(CLEAN, lab)
        with torch.no_grad():
            return nn.functional.cross_entropy(nets[-1].eval()(z), target, reduction="none")

    one, three = losses(1), losses(3)  # the first restart is the same
    assert (three <= one + 1e-4).all() and (three < one - 1e-4).any()


def test_emax_stops_at_its_error_and_says_so() -> None:
    for stop, expected in ((0.0, (0, "error")), (1.1, (2, "max_passes"))):
        lab = toy_lab()
        replace(METHODS["emax"].value, stop_error=stop, max_passes=2).craft(CLEAN, lab)
        assert (lab.facts["passes"], lab.facts["stop"]) == expected


@pytest.mark.parametrize("name", [*ATTACKING, "random"])
def test_rounding_leaves_the_perturbation(name: str) -> None:
    """Most of it is larger than half a grey level: a budget in other units is not."""
    delta, _ = crafted(name)
    published = release(CLEAN.images, delta, METHODS[name].value.eps)
    left = (published.float() - CLEAN.images).norm() / 255
    assert left > 0.8 * delta.norm()


@pytest.mark.parametrize("name", ["em", "em-gray", "emax", "hypo", "aap"])
def test_a_method_crafts_each_image_alone(name: str) -> None:
    """Whatever is attacked beside it, where no crops and views are drawn, which are drawn by the batch."""
    value, still = METHODS[name].value, {"moved": False, "strength": 0.0}
    few, many = (endless(value, batch=size, max_rounds=1, max_passes=1, **still) for size in (8, 64))
    one, other = few.craft(CLEAN, lab_of(STILL)), many.craft(CLEAN, lab_of(STILL))
    assert one.any() and ((one - other).abs() < 1e-3).float().mean() > 0.99


# adversarial training


class Flat(nn.Module):
    """A net that images do not move, so that attacked images are where the attack began."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(CLASSES))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen.append(x.detach().clone())
        return x.flatten(1)[:, :CLASSES] * 0 + self.bias


@pytest.mark.parametrize("levels", [2, 4, 8])
def test_adversarial_training_begins_anywhere_in_its_ball(levels: int) -> None:
    radius, net, rng = levels / 255, Flat().train(), generator(0)
    for _ in range(2):
        AdversarialTraining(radius=radius).loss(net, X, CLEAN.labels, rng, 0.0)
    first, second = ((z - X) / radius for z in net.seen)
    assert not torch.allclose(first, second)
    for start in (first, second):
        assert start.abs().amax() <= 1 + 1e-3
        assert start.std() == pytest.approx(3**-0.5, rel=0.05)  # uniform in [-1, 1]


def test_a_warm_up_ends_in_methods_that_alternate() -> None:
    """A surrogate whose rate rises from 0 learns all the same."""
    value = endless(METHODS["em"].value, max_rounds=4)
    warm = replace(value, surrogate=replace(value.surrogate, warmup=0.25))
    still = replace(value, surrogate=replace(value.surrogate, lr=1e-12))
    one, other = (each.craft(CLEAN, toy_lab()) for each in (warm, still))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("profile", PROFILES)
def test_steps_of_every_profile_reach_the_radius_of_what_the_surrogate_learns(profile: str) -> None:
    """Of adversarial examples; whose step and number are the profile's."""
    for name, plugin in FULL.items():
        robust = getattr(plugin.at(profile).value, "robust", None)
        if isinstance(robust, Robust) and robust.radius <= 8 / 255:
            assert robust.steps * robust.step >= robust.radius * (1 - 1e-6), name
    at = catalog("methods").get("mi-ue-at8").at(profile).value.robust
    assert at.steps * at.step >= at.radius
