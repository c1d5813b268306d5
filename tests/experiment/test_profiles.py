"""The profiles named after papers are the victims that these papers' official code trains."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from itertools import combinations

import pytest

from bench.cli.about import settable
from bench.core.train import lr_at
from bench.experiment.registry import Plugin, catalog
from bench.experiment.settings import PROFILES
from bench.runner.request import RunRequest, resolve


@dataclass(frozen=True)
class Published:
    """A recipe as its source has it; SGD with momentum 0.9 and batches of crops and flips in all of them."""

    epochs: int
    batch: int
    weight_decay: float
    lr: dict[float, float]  # after so many epochs
    clip: float | None = None
    reps: int = 1
    differs: str = ""  # what the text must say of the source, which is not ours


def cosine(epochs: int, lr: float, final: float = 0.0) -> dict[float, float]:
    return {0: lr, epochs / 2: (lr + final) / 2, epochs: final}


SOURCES = {
    # liuzrcc/ImageShortcutSqueezing main.py: 60 epochs, 100 under AT; madrys.py: x + step * Gaussian
    "paper": Published(60, 128, 5e-4, cosine(60, 0.1)),
    "paper-iss-at": Published(100, 128, 5e-4, cosine(100, 0.1), differs="Gaussian starts"),
    # HanxunH/Unlearnable-Examples configs/cifar10: cosine to 0, clip 5; AT: x0.1 at 75, 90, 100; its
    # madrys.py is that of ISS
    "paper-em": Published(60, 128, 5e-4, cosine(60, 0.1), clip=5),
    "paper-em-at": Published(
        100,
        128,
        5e-4,
        {0: 0.1, 74.9: 0.1, 75: 0.01, 89.9: 0.01, 90: 0.001, 99.9: 0.001, 100: 1e-4},
        clip=5,
        differs="Gaussian starts",
    ),
    # hala64/mi-ue evaluation_sl.py: cosine from 0.5 to 1e-6; evaluation_at.py: x0.1 at 40 and 80
    "paper-mi-ue": Published(200, 128, 1e-4, cosine(200, 0.5, 1e-6)),
    "paper-mi-ue-at": Published(
        100, 128, 5e-4, {0: 0.1, 39.9: 0.1, 40: 0.01, 79.9: 0.01, 80: 0.001, 100: 1e-3}
    ),
    # lhfowl/adversarial_poisons poison_evaluation/main.py: cosine(200), 5 runs
    "paper-tap": Published(200, 128, 5e-4, cosine(200, 0.1), reps=5),
    # lafeat/ueraser README: no schedule
    "paper-ueraser": Published(200, 128, 5e-4, {0: 0.1}, differs="loop has no schedule"),
    # lafeat/apbench train.py: x0.5 after 100, 200 and 300 epochs, of 200
    "paper-apbench": Published(
        200, 256, 5e-4, {0: 0.1, 99.9: 0.1, 100: 0.05, 199.9: 0.05}, differs="Gaussian starts"
    ),
}


def test_every_profile_of_a_paper_has_a_source() -> None:
    assert {name for name in PROFILES if name.startswith("paper")} == {*SOURCES}


@pytest.mark.parametrize("name", SOURCES)
def test_victims_are_trained_as_published(name: str) -> None:
    source, setting = SOURCES[name], PROFILES[name].setting
    victim = setting.victim
    sizes = (source.epochs, source.batch, source.weight_decay)
    assert (victim.epochs, victim.batch, victim.weight_decay) == sizes
    assert (victim.momentum, victim.nesterov, victim.clip) == (0.9, False, source.clip)
    for epoch, lr in source.lr.items():
        assert lr_at(victim, epoch / victim.epochs) == pytest.approx(lr, abs=1e-12), epoch
    assert (setting.data, setting.limit) == ("cifar10", None)
    assert setting.net == setting.surrogate == "resnet18"
    assert (setting.precision, setting.eps, setting.prepare_test, setting.share) == ("fp32", None, False, 1.0)
    assert setting.reps == source.reps


@pytest.mark.parametrize("name", SOURCES)
def test_one_option_asks_for_it(name: str) -> None:
    asked, plain = (resolve(RunRequest(profile=profile, defenses="all")) for profile in (name, "paper"))
    assert asked.setting == PROFILES[name].setting
    assert (asked.methods, asked.defenses) == (plain.methods, plain.defenses), "as published in all of them"


@pytest.mark.parametrize("name", SOURCES)
def test_its_text_says_whose_it_is_and_what_differs(name: str) -> None:
    profile = PROFILES[name]
    text, victim = str(profile), profile.setting.victim
    assert f"{victim.epochs} epochs of batch {victim.batch}, lr {victim.lr:g}" in text
    assert (victim.clip is not None) == ("clipped" in text)
    assert "official" in profile.shows and profile.hides in text
    assert SOURCES[name].differs in profile.hides


def test_the_text_tells_settings_apart() -> None:
    told = [replace(profile, takes="", shows="", hides="") for profile in PROFILES.values()]
    for one, other in combinations(told, 2):
        assert (str(one) == str(other)) == (one.setting == other.setting)


SHORTER = {
    "surrogate.epochs",
    "steps",
    "max_rounds",
    "max_passes",
    "restarts",
    "epochs",
    "robust.steps",
    "crops",
}
STATED = {  # field -> what the header says of its change
    "surrogate.batch": "smaller batches",
    "surrogate.lr": "lower (learning )?rate|learning rate for it",
    "batch": "smaller batches|compared with each other at once",
    "augment": "crop",
    "share": "fifths? of an epoch in each round",
    "step": "longer",
    "first_step": "longer, all alike",
    "last_step": "longer, all alike",
    "robust.step": "longer",
    "stop_error": "without a stop",
    "moved": "perturb images as they are",
}
SCALED = {type(plugin.value): plugin for plugin in catalog("methods").variants.values()}


@pytest.mark.parametrize("plugin", SCALED.values(), ids=lambda plugin: plugin.name)
def test_a_method_is_shortened_in_smaller_profiles_and_its_header_says_what_else(plugin: Plugin) -> None:
    """Never its budget, nor what is sought."""
    header = " ".join((sys.modules[type(plugin.value).__module__].__doc__ or "").split())
    full = {path: value for path, value, _ in settable(plugin.value)}
    for profile, changed in getattr(plugin.value, "PROFILES", {}).items():
        assert {*changed} <= SHORTER | {*STATED}
        for path in {*changed} & SHORTER:
            assert changed[path] < full[path], (profile, path)
        other = [path for path in {*changed} & {*STATED} if changed[path] != full[path]]
        for path in other:
            assert re.search(STATED[path], header), (profile, path)
        of_surrogate = {"surrogate.epochs": "epochs|rounds|passes", "steps": "steps", "epochs": "passes"}
        for path in {*changed} & {*of_surrogate}:
            assert re.search(f"(fewer|[0-9])[^.;]*({of_surrogate[path]})", header), (profile, path)
