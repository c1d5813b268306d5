"""How near the circumstances of our rows are to those of a published number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from bench.results.rows import Row
from bench.results.select import bare, leaves, lesser
from bench.studies.claims.claim import Claim

WHOLE = 0.95  # of the published training images: the rest of ours is validation
PUBLISHED = "paper"  # in this profile, and in those named after it, plugins are at their papers' strength
RECIPE = ("batch", "lr", "weight_decay", "schedule", "milestones", "clip")  # of the victim, beside its epochs
SMOOTH = ("cosine", "constant")  # schedules without milestones
# Of a plugin's inputs: no strength; a claim's budget is its row's already
ASIDE = ("name", "crafted_as", "revision", "draft", "eps")


class SettingMatch(StrEnum):
    """How near a setting of ours is to a published one.

    same: data set, images, nets, recipe (epochs, batch, lr, weight decay, schedule with its milestones,
    clipping) and strength of method and defense as published; reduced: less of one, another recipe of no
    more epochs, or one is not stated; other: anything else.
    """

    SAME = "same"
    REDUCED = "reduced"
    OTHER = "other"


ORDER = [*SettingMatch]  # from the nearest
Difference = tuple[SettingMatch, str]


@dataclass(frozen=True)
class Nearness:
    """How near, and in what not."""

    setting: SettingMatch
    decisive: tuple[str, ...]  # what makes it no nearer
    beside: tuple[str, ...]  # differences that would leave it nearer

    @property
    def differs(self) -> tuple[str, ...]:
        return self.decisive + self.beside


def same_data(claim: Claim, row: Row) -> bool:
    """Whether a row is of the claim's data set, or of a copy of it."""
    return row.data == claim.data or lesser(row.data, claim.data)


def nearness(claim: Claim, row: Row) -> Nearness:
    """Of a row of the claim's data set, method and defense."""
    found = [*_differences(claim, row)]
    found += _strength(row, alone=not found)
    setting = max((kind for kind, _ in found), key=ORDER.index, default=SettingMatch.SAME)
    decisive, beside = ([text for kind, text in found if (kind is setting) == own] for own in (True, False))
    return Nearness(setting, tuple(decisive), tuple(beside))


def _differences(claim: Claim, row: Row) -> Iterator[Difference]:
    """Of all but the strength of method and defense."""
    if row.data != claim.data:
        yield SettingMatch.REDUCED, f"data {row.data}"
    images = row.inputs["data"]["train_images"]
    if claim.images is None:
        yield SettingMatch.REDUCED, "images not stated"
    elif images < WHOLE * claim.images:
        yield SettingMatch.REDUCED, f"{images} of {claim.images} images"
    elif images > claim.images:
        yield SettingMatch.OTHER, f"{images} images against {claim.images}"
    yield from _net("net", claim.net, row.inputs["net"])
    if not row.control:
        yield from _net("surrogate", claim.surrogate, row.inputs["surrogate"])
    epochs = row.inputs["victim"]["epochs"]
    if claim.epochs is None:
        yield SettingMatch.REDUCED, "epochs not stated"
    elif epochs != claim.epochs:
        kind = SettingMatch.REDUCED if epochs < claim.epochs else SettingMatch.OTHER
        yield kind, f"{epochs} epochs against {claim.epochs}"
    if row.inputs["share"] != 1 or row.inputs["drop_poisoned"]:
        yield SettingMatch.OTHER, "partly poisoned"
    if row.inputs["prepare_test"]:
        yield SettingMatch.OTHER, "the defense prepares test images"
    if claim.metric != "test_acc":
        if row.mi_gap is None:  # of an earlier estimator, whose value depends on the features' dimension
            yield SettingMatch.OTHER, f"MI by {row.mi_estimator}, which has no ceiling"
        yield SettingMatch.REDUCED, f"MI by {row.mi_estimator}"
    yield from _recipe(claim, row)


def _net(role: str, theirs: str | None, ours: str) -> Iterator[Difference]:
    if theirs is None:
        yield SettingMatch.REDUCED, f"{role} not stated"
    elif ours != theirs:
        kind = SettingMatch.REDUCED if lesser(ours, theirs) else SettingMatch.OTHER
        yield kind, f"{role} {ours}"


def _recipe(claim: Claim, row: Row) -> Iterator[Difference]:
    own, unknown = row.inputs["victim"], []
    own = own | {"milestones": " ".join(f"{at:g}" for at in own["milestones"]), "clip": own["clip"] or 0}
    for name in RECIPE:
        theirs, ours, said = getattr(claim, name), own[name], name.replace("_", " ")
        if name == "milestones" and (claim.schedule in SMOOTH or claim.schedule != own["schedule"]):
            continue  # there are none, or there is nothing to compare them with
        if theirs is None:
            unknown.append(said)
        elif ours != theirs:
            yield SettingMatch.REDUCED, f"{said} {ours} against {theirs}"
    if unknown:
        yield SettingMatch.REDUCED, f"{', '.join(unknown)} not stated"


def _strength(row: Row, *, alone: bool) -> Iterator[Difference]:
    """Of method and defense. Exact, which imports the plugins, only where the profile's name cannot tell.

    alone: whether nothing else differs.
    """
    as_papers = row.profile == PUBLISHED or lesser(row.profile, PUBLISHED)
    if alone or as_papers:
        if weaker := weakened(row):
            yield SettingMatch.REDUCED, weaker
    elif any(name not in ASIDE for kind in ("method", "defense") for name in row.inputs[kind]):
        yield SettingMatch.REDUCED, f"profile {row.profile}: methods and defenses at its strength"


def weakened(row: Row) -> str | None:
    """Which parameters of method and defense are not those of the papers; None where all are."""
    from bench.core.errors import BadInput
    from bench.experiment.registry import catalog

    said: list[str] = []
    for kind in ("method", "defense"):
        name = bare(getattr(row, kind))
        try:
            published = catalog(f"{kind}s").get(name).at(PUBLISHED).inputs
        except BadInput:
            return f"no {kind} {name} in this suite"
        own = leaves(
            row.inputs[kind]
        )  # None is a value of them; a parameter from after the row is not in them
        for parameter, value in leaves(json.loads(json.dumps(published))).items():
            if parameter not in ASIDE and own.get(parameter, value) != value:
                said.append(f"{kind} {parameter} {own[parameter]} against {value}")
    return ", ".join(said) or None
