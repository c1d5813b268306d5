"""Published numbers: what the stored file must be, which verdict follows from which rows, what is written."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.cli.main import main
from bench.core.errors import BadInput
from bench.experiment.registry import KINDS, catalog
from bench.experiment.settings import PROFILES
from bench.report import formats
from bench.report.figures.style import style
from bench.results.aggregate import Mean
from bench.results.rows import Row, save
from bench.studies.claims.card import make
from bench.studies.claims.claim import COLUMNS, FOREIGN, Claim, claim_of, load
from bench.studies.claims.figures import scatter
from bench.studies.claims.judge import ClaimVerdict, JudgedClaim, OurNumber, judge, sign, why_not
from bench.studies.claims.nearness import SettingMatch, nearness
from bench.studies.claims.write import markdown
from support.rows import keyed, row

HOME = Path(__file__).parent.parent.parent
STORED = HOME / "bench" / "studies" / "claims" / "claims.csv"
CLAIMS = load(STORED)
EPS = 8 / 255
PLAIN = {  # a claim in text
    **dict.fromkeys(COLUMNS, ""),
    **{"id": "c", "source": "A et al., X 2026", "link": "arXiv", "where": "table 1", "data": "cifar10"},
    **{
        "images": "50000",
        "net": "resnet18",
        "surrogate": "resnet18",
        "epochs": "60",
        "method": "em",
        "defense": "none",
        "eps": "8/255",
    },
    **{"batch": "128", "lr": "0.1", "weight_decay": "0.0005", "schedule": "cosine", "clip": "0"},
    **{"metric": "test_acc", "published": "25", "confidence": "primary"},
}


RECIPE = {  # of that claim
    **{"batch": 128, "lr": 0.1, "weight_decay": 0.0005, "schedule": "cosine"},
    **{"milestones": [], "clip": None},
}


def claim(published: float, method: str = "em", defense: str = "none", **texts: str) -> Claim:
    own = {"id": f"{method}-{defense}", "method": method, "defense": defense, "published": f"{published}"}
    return claim_of({**PLAIN, **own, **texts}, "a claim")


def made(acc: float, method: str = "em", defense: str = "none", rep: int = 0, /, **inputs: Any) -> Row:
    """A row in percent, in a reduced setting unless inputs say otherwise.

    rep: of the poison; of clean, which is one poison, of the victim.
    """
    eps = 0.0 if method == "clean" else inputs.pop("eps", EPS)
    data = inputs.pop("data", "cifar10-jpeg75")
    of = {
        "data": {"train_images": inputs.pop("images", 9500)},
        "net": "resnet18-slim",
        "surrogate": "resnet18-slim",
        "victim": {"epochs": inputs.pop("epochs", 30), **RECIPE, **inputs.pop("recipe", {})},
        "method": {"name": method, "eps": eps},
    } | inputs
    of = json.loads(json.dumps(of))  # as it comes back from a file
    shared = {name: value for name, value in of.items() if name not in ("method", "defense")}
    setting = hashlib.sha256(repr((data, shared)).encode()).hexdigest()
    values = {"setting": setting, "data": data, "inputs": of, "control": method in ("clean", "random")}
    reps = (rep, 0) if method == "clean" else (0, rep)
    found = row(method, defense, *reps, test_acc=acc / 100, mi=acc / 2000, mi_gap=0.05 - acc / 2000, **values)
    return dataclasses.replace(found, key=hashlib.sha256(found.key.encode()).hexdigest())


def as_published(acc: float, method: str = "em", defense: str = "none", rep: int = 0, /, **other: Any) -> Row:
    """A row of the profile paper in the very setting of the claims above."""
    strength = {
        kind[:-1]: catalog(kind).get(name).at("paper").inputs
        for kind, name in zip(KINDS, (method, defense), strict=True)
    }
    size = {"data": "cifar10", "images": 47_500, "net": "resnet18", "surrogate": "resnet18", "epochs": 60}
    return dataclasses.replace(made(acc, method, defense, rep, **size | strength | other), profile="paper")


def repeated(acc: float, method: str, defense: str = "none") -> list[Row]:
    """Three poisons with a standard deviation of 1, so that the interval reaches 2.5 points."""
    return [made(acc + moved, method, defense, rep) for rep, moved in enumerate((-1, 0, 1))]


def only(claims: Sequence[Claim], rows: Iterable[Row]) -> JudgedClaim:
    """What became of the first claim."""
    return judge(claims, [*rows])[0]


def names(others: Iterable[OurNumber]) -> list[str]:
    return [other.claim.id for other in others]


# The stored file


def test_every_claim_has_a_source_and_known_names() -> None:
    assert len(CLAIMS) > 50
    for own in CLAIMS:
        assert own.source and own.link and own.where, own.id
        for kind in KINDS:
            name = getattr(own, kind[:-1])
            if name not in FOREIGN[kind]:
                assert catalog(kind).get(name).name == name


@pytest.mark.parametrize("kind", KINDS)
def test_foreign_names_are_used_and_are_no_plugins(kind: str) -> None:
    used = {getattr(own, kind[:-1]) for own in CLAIMS}
    for name in FOREIGN[kind]:
        assert name in used
        with pytest.raises(BadInput):
            catalog(kind).get(name)


def test_units_are_those_of_the_metric() -> None:
    for own in CLAIMS:
        assert 1 <= own.value <= 100 if own.metric == "test_acc" else -1 <= own.value <= 1, own.id
        assert (own.eps is None) == (own.method == "clean"), own.id


def test_what_one_paper_calls_ap_is_never_tap() -> None:
    with_ap = {own.source for own in CLAIMS if own.method == "ap"}
    assert with_ap and not any(own.method == "tap" for own in CLAIMS if own.source in with_ap)


def test_a_number_that_its_source_prints_for_two_methods_is_doubted() -> None:
    """As far as both are claims, or our notes say that they are printed."""
    noted = {("arXiv 2301.13838", "81.50"), ("arXiv 2603.03725", "85.99")}
    doubted = [own for own in CLAIMS if (own.link, own.published) in noted]
    assert doubted and all("slip" in own.note for own in doubted)
    for one, other in combinations(CLAIMS, 2):
        if (one.group, one.published) == (other.group, other.published):
            assert all("slip" in own.note or "about" in own.note for own in (one, other)), (one.id, other.id)


def test_what_was_read_in_a_note_is_second_hand() -> None:
    """Our notes hold of the MI-UE paper only what a reading note says, and what we computed from that."""
    of_paper = {own.confidence for own in CLAIMS if own.link == "arXiv 2603.03725"}
    assert of_paper == {"second-hand", "derived"}
    assert all(own.confidence != "primary" for own in CLAIMS if "read in a note" in own.note)


def test_how_a_number_is_known_is_beside_it() -> None:
    claims = [claim(20, confidence="second-hand"), claim(10, "tap")]
    text = markdown(make(claims, [*repeated(60, "em"), *repeated(30, "tap")]), has_figure=False)
    assert "| em | none | 20 | second-hand |" in text and "| tap | none | 10 | primary |" in text


def test_copied_gaps_are_clean_minus_the_copied_value() -> None:
    mi = {own.method: own.value for own in CLAIMS if own.metric == "mi"}
    gaps = {own.method: own.value for own in CLAIMS if own.metric == "mi_gap"}
    assert {*gaps} == {*mi} - {"clean"}
    for method, gap in gaps.items():
        assert gap == pytest.approx(mi["clean"] - mi[method], abs=1e-9)


def test_claims_come_back_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(formats.csv(map(dataclasses.asdict, CLAIMS), COLUMNS))
    assert load(path) == CLAIMS


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("published", "a lot", "published is 'a lot'"),
        ("published", "", "published"),
        ("metric", "accuracy", "test_acc"),
        ("confidence", "from memory", "second-hand"),
        ("source", "", "source is empty"),
        ("epochs", "many", "epochs is 'many'"),
    ],
)
def test_a_line_that_is_no_claim_is_refused(name: str, value: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        claim_of({**PLAIN, name: value}, "line 7")


@pytest.mark.parametrize("again", [{"id": "other"}, {"method": "tap"}])
def test_a_claim_that_is_there_twice_is_refused(tmp_path: Path, again: dict[str, str]) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(formats.csv([PLAIN, PLAIN | again], COLUMNS))
    with pytest.raises(BadInput, match="twice"):
        load(path)


# The setting


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, SettingMatch.SAME),
        ({"images": 9500}, SettingMatch.REDUCED),
        ({"images": 500_000}, SettingMatch.OTHER),
        ({"data": "cifar10-jpeg75"}, SettingMatch.REDUCED),
        ({"net": "resnet18-slim"}, SettingMatch.REDUCED),
        ({"net": "small"}, SettingMatch.OTHER),
        ({"epochs": 59}, SettingMatch.REDUCED),
        ({"epochs": 61}, SettingMatch.OTHER),
        ({"share": 0.8}, SettingMatch.OTHER),
        ({"prepare_test": True}, SettingMatch.OTHER),
        ({"net": "small", "epochs": 59}, SettingMatch.OTHER),
    ],
)
def test_the_farthest_difference_decides_the_setting(other: dict[str, Any], expected: SettingMatch) -> None:
    found = nearness(claim(25), as_published(25, **other))
    assert found.setting is expected
    assert bool(found.differs) == (expected is not SettingMatch.SAME)


def test_weaker_than_published_is_reduced() -> None:
    strength = catalog("methods").get("tap").at("paper").inputs
    weaker = strength | {"steps": strength["steps"] // 2}
    assert nearness(claim(8, "tap"), as_published(8, "tap")).setting is SettingMatch.SAME
    found = nearness(claim(8, "tap"), as_published(8, "tap", method=weaker))
    assert found.setting is SettingMatch.REDUCED and "steps" in found.differs[0]


def test_weaker_than_published_is_said_beside_other_differences() -> None:
    """By the profile's name alone, or exactly where that would say that all is as published."""
    strength = catalog("methods").get("tap").at("paper").inputs
    of = as_published(8, "tap", "none", method=strength | {"steps": 7}, epochs=30)
    for profile, said in (
        ("reference", "profile reference"),
        ("paperless", "paperless"),
        ("paper-em", "steps 7"),
    ):
        found = nearness(claim(8, "tap"), dataclasses.replace(of, profile=profile))
        assert found.setting is SettingMatch.REDUCED and len(found.differs) == 2
        assert said in found.differs[1]
    assert len(nearness(claim(8, "tap"), as_published(8, "tap", epochs=30)).differs) == 1


def test_a_profiles_strength_is_said_only_where_it_can_differ() -> None:
    as_papers = dataclasses.replace(as_published(8, "tap"), profile="reference")
    assert nearness(claim(8, "tap"), as_papers).setting is SettingMatch.SAME  # asked exactly
    clean = dataclasses.replace(as_published(94, "clean", epochs=30), profile="reference")
    assert len(nearness(claim(94, "clean", eps=""), clean).differs) == 1  # there is nothing to weaken


def test_a_parameter_that_is_off_in_a_row_differs_from_its_value() -> None:
    strength = catalog("methods").get("em").at("paper").inputs
    assert strength["surrogate"]["clip"] is not None
    without = strength | {"surrogate": strength["surrogate"] | {"clip": None}}
    found = nearness(claim(25), as_published(25, method=without))
    assert found.setting is SettingMatch.REDUCED and "clip None" in found.differs[0]
    older = {
        name: value for name, value in strength.items() if name != "augment"
    }  # from before the parameter
    assert nearness(claim(25), as_published(25, method=older)).setting is SettingMatch.SAME


@pytest.mark.parametrize(
    "name",
    ["net", "surrogate", "epochs", "images", "batch", "lr", "weight_decay", "schedule", "clip"],
)
def test_what_is_not_stated_is_not_the_same(name: str) -> None:
    found = nearness(claim(25, **{name: ""}), as_published(25))
    assert (found.setting, found.differs) == (SettingMatch.REDUCED, (f"{name.replace('_', ' ')} not stated",))


def test_controls_have_no_surrogate_to_state() -> None:
    found = nearness(claim(94, "clean", eps="", surrogate=""), as_published(94, "clean"))
    assert found.setting is SettingMatch.SAME


@pytest.mark.parametrize(
    ("name", "theirs"), [("batch", "512"), ("lr", "0.5"), ("weight_decay", "0.0001"), ("schedule", "steps")]
)
def test_another_recipe_is_not_the_same_setting(name: str, theirs: str) -> None:
    found = nearness(claim(25, **{name: theirs}), as_published(25))
    said = f"{name.replace('_', ' ')} {RECIPE[name]} against {theirs}"
    assert (found.setting, found.differs) == (SettingMatch.REDUCED, (said,))


@pytest.mark.parametrize(
    ("profile", "differs"),
    [
        ("paper-mi-ue-at", ()),
        ("paper-em-at", ("milestones 0.75 0.9 1 against 0.4 0.8", "clip 5.0 against 0.0")),
    ],
)
def test_a_recipe_is_the_same_if_its_milestones_and_clipping_are(
    profile: str, differs: tuple[str, ...]
) -> None:
    """EM and MI-UE train adversarially for as many epochs of as large steps, which fall at other times."""
    (own,) = (c for c in CLAIMS if c.id == "miue-c10-em-at-8")
    victim = dataclasses.asdict(PROFILES[profile].setting.victim)
    found = nearness(own, as_published(85, "em", "at-8", epochs=victim["epochs"], recipe=victim))
    assert found.differs == differs
    assert found.setting is (SettingMatch.REDUCED if differs else SettingMatch.SAME)


def test_stored_schedules_that_fall_in_steps_have_milestones() -> None:
    for own in CLAIMS:
        shares = [float(at) for at in (own.milestones or "").split()]
        assert bool(shares) == (own.schedule in ("steps", "halvings")), own.id
        assert shares == sorted(shares) and all(0 < at <= 1 for at in shares), own.id


def test_a_claim_is_judged_by_rows_of_its_recipe_however_many_others_there_are() -> None:
    theirs = {"lr": 0.5, "weight_decay": 0.0001}
    own = as_published(24, recipe=theirs)
    others = [as_published(60, "em", "none", rep) for rep in range(5)]
    found = only([claim(24, lr="0.5", weight_decay="0.0001")], [*others, own])
    assert found.near is not None and found.near.setting is SettingMatch.SAME
    assert (found.verdict, found.setting) == (ClaimVerdict.REPRODUCED, own.setting)


def test_of_settings_equally_near_the_one_that_differs_least_is_judged() -> None:
    near, far = {"epochs": 30}, {"epochs": 30, "images": 9500}
    rows = [as_published(60, "em", "none", rep, **far) for rep in range(5)]
    found = only([claim(25)], [*rows, as_published(40, **near)])
    assert found.near is not None and found.near.setting is SettingMatch.REDUCED
    assert found.ours is not None and found.ours.mean == pytest.approx(40)


@pytest.mark.parametrize(
    "row_of",
    [
        made(25, "tap"),
        made(25, "em", "cutout"),
        made(25, eps=4 / 255),
        made(25, data="cifar100"),
        made(25, net="small"),
        dataclasses.replace(made(25), status="failed", test_acc=None),
    ],
)
def test_rows_of_something_else_leave_a_claim_not_run(row_of: Row) -> None:
    found = only([claim(25)], [row_of])
    assert (found.verdict, found.ours) == (ClaimVerdict.NOT_RUN, None)


def test_the_nearest_setting_is_judged() -> None:
    found = only([claim(25)], [made(70), as_published(24), made(50, net="small")])
    assert found.near is not None and found.near.setting is SettingMatch.SAME
    assert found.ours is not None and found.ours.mean == pytest.approx(24)


# The same setting


@pytest.mark.parametrize(
    ("accuracies", "published", "expected"),
    [
        ((24,), 27, ClaimVerdict.REPRODUCED),
        ((24,), 27.1, ClaimVerdict.NOT_REPRODUCED),
        ((24,), 20.9, ClaimVerdict.NOT_REPRODUCED),
        ((20, 30), 34.9, ClaimVerdict.REPRODUCED),  # a mean of 25 with a standard error of 5
        ((20, 30), 35.1, ClaimVerdict.NOT_REPRODUCED),
        ((25, 25), 28, ClaimVerdict.REPRODUCED),
    ],
)
def test_reproduced_is_within_three_points_or_two_errors(
    accuracies: tuple[float, ...], published: float, expected: ClaimVerdict
) -> None:
    rows = [as_published(acc, "em", "none", rep) for rep, acc in enumerate(accuracies)]
    assert only([claim(published)], rows).verdict is expected


def test_mi_is_compared_by_order_in_any_setting() -> None:
    rows = [as_published(90, "clean"), as_published(24)]
    found = only([claim(0.6, metric="mi"), claim(0.7, "clean", metric="mi", eps="")], rows)
    assert found.near is not None and found.near.setting is SettingMatch.REDUCED


def test_mi_of_an_estimator_without_a_ceiling_is_not_compared() -> None:
    """Such values depend on how many dimensions features have: rows of earlier estimators."""
    rows = [as_published(90, "clean"), as_published(24)]
    earlier = [dataclasses.replace(own, mi_gap=None, mi_estimator="smi-ksg") for own in rows]
    claims = [claim(0.6, metric="mi"), claim(0.7, "clean", metric="mi", eps="")]
    assert only(claims, rows).verdict is ClaimVerdict.ONE_POISON
    found = only(claims, earlier)
    assert found.verdict is ClaimVerdict.NOT_RUN and "no ceiling" in why_not(found)


# Orders


def order_of(published: tuple[float, float], ours: tuple[float, float]) -> ClaimVerdict:
    names = "em", "tap"
    claims = [claim(value, name) for name, value in zip(names, published, strict=True)]
    rows = [one for name, acc in zip(names, ours, strict=True) for one in repeated(acc, name)]
    first, second = judge(claims, rows)
    assert first.verdict is second.verdict
    return first.verdict


@pytest.mark.parametrize(
    ("published", "ours", "expected"),
    [
        ((20, 10), (60, 30), ClaimVerdict.HOLDS),
        ((10, 20), (60, 30), ClaimVerdict.BROKEN),
        ((20, 10), (31, 30), ClaimVerdict.UNDECIDED),  # the intervals meet
        ((12, 10), (60, 30), ClaimVerdict.UNDECIDED),  # a tie has no order
        ((13, 10), (60, 30), ClaimVerdict.HOLDS),  # no tie any more
    ],
)
def test_order_follows_from_intervals_that_lie_apart(
    published: tuple[float, float], ours: tuple[float, float], expected: ClaimVerdict
) -> None:
    assert order_of(published, ours) is expected


def test_one_broken_pair_outweighs_those_that_agree() -> None:
    claims = [claim(95, "clean", eps=""), claim(20), claim(10, "tap")]
    rows = [*repeated(70, "clean"), *repeated(20, "em"), *repeated(30, "tap")]
    verdicts = {own.claim.id: own for own in judge(claims, rows)}
    assert verdicts["clean-none"].verdict is ClaimVerdict.HOLDS
    em = verdicts["em-none"]
    assert (em.verdict, names(em.agree), names(em.against)) == (
        ClaimVerdict.BROKEN,
        ["clean-none"],
        ["tap-none"],
    )
    (board,) = make(claims, rows).boards
    assert board.breakers == {"em x none": 1, "tap x none": 1}
    assert board.correlation.rho == pytest.approx(0.5)


@pytest.mark.parametrize("other", [{"source": "B"}, {"data": "cifar100"}, {"net": "vgg11"}, {"link": "b"}])
def test_only_one_sources_numbers_are_compared(other: dict[str, str]) -> None:
    found = only([claim(10), claim(20, "tap", **other)], [*repeated(60, "em"), *repeated(30, "tap")])
    assert (found.verdict, found.agree, found.against, found.open) == (ClaimVerdict.UNDECIDED, (), (), ())


def test_settings_of_ours_are_not_mixed() -> None:
    rows = [*repeated(60, "em"), made(30, "tap", epochs=20), made(31, "tap", "none", 1, epochs=20)]
    assert only([claim(10), claim(20, "tap")], rows).verdict is ClaimVerdict.UNDECIDED


def test_methods_of_two_threat_models_have_no_order_and_a_board_each() -> None:
    """Whatever is published beside what: a larger budget alone costs more accuracy."""
    claims = [claim(95, "clean", eps=""), claim(20), claim(10, "tap"), claim(30, "tap", "cutout")]
    l2 = {"craft": {"norm": "l2", "radius": 1.3}}
    other = [dataclasses.replace(own, **l2) for own in repeated(30, "tap")]
    rows = [*repeated(70, "clean"), *repeated(20, "em"), *other]
    claims = [dataclasses.replace(own, eps=None) for own in claims]
    found = {own.claim.id: own for own in judge(claims, rows)}
    em, tap, clean = (found[f"{name}-none"] for name in ("em", "tap", "clean"))
    assert (names(em.agree), names(em.against), names(em.open)) == (["clean-none"], [], [])
    assert (names(tap.agree), names(tap.against), names(tap.open)) == (["clean-none"], [], [])
    assert names(clean.agree) == ["em-none", "tap-none"]
    boards = make(claims, rows).boards
    assert [board.title.rpartition(", ")[2] for board in boards] == ["L-inf 8/255", "L2 1.3"]
    cells = [[own.claim.cell for own in board.judged] for board in boards]
    assert cells == [["clean x none", "em x none"], ["clean x none", "tap x none"]]


def test_a_claim_with_an_l_inf_budget_is_of_no_other_norm() -> None:
    """An L2 method has an L-inf budget of 1, and one of another norm may have any radius."""
    l2 = {"craft": {"norm": "l2", "radius": EPS}}
    assert only([claim(20)], [dataclasses.replace(own, **l2) for own in repeated(20, "em")]).verdict is (
        ClaimVerdict.NOT_RUN
    )


def test_a_broken_pair_is_named_where_the_other_number_was_reproduced_elsewhere() -> None:
    claims = [claim(10), claim(40, "tap")]
    rows = [*repeated(60, "em"), *repeated(30, "tap"), as_published(40, "tap")]
    card = make(claims, rows)
    em, tap = card.judged
    assert (em.verdict, tap.verdict) == (ClaimVerdict.BROKEN, ClaimVerdict.REPRODUCED)
    ((high, low),) = card.boards[0].breaks
    assert (high.claim, low.claim) == (tap.claim, em.claim)
    assert high.ours.mean == pytest.approx(30)  # the one beside em's, not the one that was reproduced


def victims(acc: float, method: str, defense: str = "none", poison_rep: int = 0) -> list[Row]:
    """Three victims of one poison."""
    one = made(acc, method, defense)
    return [
        dataclasses.replace(one, key=f"{one.key}-{poison_rep}-{rep}", rep=rep, poison_rep=poison_rep)
        for rep in range(3)
    ]


def test_one_poison_decides_no_order_however_many_victims_it_has() -> None:
    claims = [claim(20), claim(10, "tap")]
    rows = [*victims(60, "em"), *victims(30, "tap"), *repeated(70, "clean")]
    found = only(claims, rows)
    assert found.verdict is ClaimVerdict.ONE_POISON and names(found.open) == ["tap-none"]
    assert found.ours is not None and (found.ours.n, found.ours.low) == (1, None)
    card = make(claims, rows)
    assert "One poison a method: no order." in markdown(card, has_figure=False)
    two = [*rows, *victims(61, "em", poison_rep=1)]  # the other side has one
    assert only(claims, two).verdict is ClaimVerdict.ONE_POISON
    assert only(claims[:1], rows).verdict is ClaimVerdict.UNDECIDED  # there is no other claim
    both = [*two, *victims(30.5, "tap", poison_rep=1)]
    assert only(claims, both).verdict is ClaimVerdict.HOLDS


def test_equal_methods_rarely_get_an_order() -> None:
    """Poisons differ by 1.5 points and victims of one poison by 0.5, of which the latter decides nothing."""
    draw, claims = random.Random(0), [claim(20), claim(10, "tap")]

    def decided(poisons: int) -> bool:
        rows = [
            dataclasses.replace(own, test_acc=0.5 + (of_poison + draw.gauss(0, 0.5)) / 100)
            for method in ("em", "tap")
            for poison_rep in range(poisons)
            for of_poison in [draw.gauss(0, 1.5)]
            for own in victims(50, method, poison_rep=poison_rep)
        ]
        return only(claims, rows).verdict in (ClaimVerdict.HOLDS, ClaimVerdict.BROKEN)

    for poisons in (1, 2, 4):
        assert sum(decided(poisons) for _ in range(60)) <= 3


def test_a_victim_that_did_not_learn_is_in_no_order() -> None:
    """Its accuracy says nothing of its poison, nor does one beside a clean victim that did not learn."""
    claims = [claim(20), claim(10, "tap")]
    asleep = [dataclasses.replace(own, train_acc=0.12) for own in repeated(11, "em")]
    em, tap = judge(claims, [*asleep, *repeated(30, "tap")])
    assert (em.verdict, tap.verdict) == (ClaimVerdict.DID_NOT_LEARN, ClaimVerdict.UNDECIDED)
    assert "| 11.0‡ [8.5, 13.5] |" in markdown(make(claims, [*asleep]), has_figure=False)
    beside = [*repeated(60, "em"), *repeated(30, "tap"), *repeated(25, "clean")]
    assert {own.verdict for own in judge(claims, beside)} == {ClaimVerdict.DID_NOT_LEARN}


def test_intervals_end_where_accuracies_do() -> None:
    found = only([claim(20)], [made(0.5), made(20, "em", "none", 1)])
    assert found.ours is not None and (found.ours.low, found.ours.high) == (0, 100)


@pytest.mark.parametrize(
    ("low", "high", "published", "expected"),
    [
        (0.1, 0.9, 0.8, ClaimVerdict.HOLDS),
        (-0.9, -0.1, 0.8, ClaimVerdict.BROKEN),
        (-0.9, -0.1, -0.8, ClaimVerdict.HOLDS),
        (-0.1, 0.9, 0.8, ClaimVerdict.UNDECIDED),
        (None, None, 0.8, ClaimVerdict.UNDECIDED),
    ],
)
def test_a_correlation_holds_by_its_sign(
    low: float | None, high: float | None, published: float, expected: ClaimVerdict
) -> None:
    assert sign(published, Mean(0.5, 9, low, high)) is expected


def test_a_correlation_is_of_methods_without_controls() -> None:
    (stored,) = [own for own in CLAIMS if own.id == "miue-c10-spearman"]
    accuracies = {"clean": 90, "random": 89, "em": 30, "tap": 20, "mi-ue": 10}
    found = only([stored], [made(acc, name) for name, acc in accuracies.items()])
    assert found.ours is not None and (found.ours.mean, found.ours.n) == (pytest.approx(1), 3)
    assert found.verdict is ClaimVerdict.UNDECIDED  # three methods have no interval


def test_a_correlation_counts_variants_of_a_method_once() -> None:
    (stored,) = [own for own in CLAIMS if own.id == "miue-c10-spearman"]
    accuracies = {"clean": 90, "em": 30, "emax": 25, "tap": 20, "mi-ue": 10}
    variants = {"em-class": 29, "mi-ue-cos": 11, "mi-ue-trunc": 12}
    alone = only([stored], [made(acc, name) for name, acc in accuracies.items()])
    found = only([stored], [made(acc, name) for name, acc in (accuracies | variants).items()])
    assert found.ours == alone.ours and alone.ours is not None and alone.ours.n == 4
    weaker = made(60, "em", "none", method={"name": "em", "eps": EPS, "steps": 1})
    again = only([stored], [weaker, *(made(acc, name) for name, acc in accuracies.items())])
    assert again.ours is not None and again.ours.n == 4  # one of two plugins of a name
    del accuracies["em"]
    orphans = only([stored], [made(acc, name) for name, acc in (accuracies | variants).items()])
    assert orphans.ours is not None and orphans.ours.n == 4  # em-class stands for its family


# All claims


def all_rows(seed: int = 0, noise: float = 2.0) -> list[Row]:
    """Rows for whatever a source says of CIFAR-10, near three quarters of it; undefended ones repeated."""
    draw, cells = random.Random(seed), {}
    for own in CLAIMS:
        if own.data == "cifar10" and own.metric == "test_acc" and own.method not in FOREIGN["methods"]:
            cells.setdefault((own.method, own.defense), own.value)
    return [
        made(min(99, max(1, 5 + 0.75 * value + draw.gauss(0, noise))), *cell, rep)
        for cell, value in cells.items()
        for rep in range(3 if cell[1] == "none" else 1)
    ]


@pytest.mark.parametrize("rows", [[], all_rows(), all_rows(1, noise=30)])
def test_every_claim_gets_one_verdict_that_suits_its_setting(rows: list[Row]) -> None:
    judged = judge(CLAIMS, rows)
    assert [own.claim for own in judged] == CLAIMS
    absolute = {ClaimVerdict.REPRODUCED, ClaimVerdict.NOT_REPRODUCED}
    for own in judged:
        idle = own.verdict is ClaimVerdict.NOT_RUN
        assert idle == (own.ours is None) == (own.near is None or own.near.setting is SettingMatch.OTHER)
        assert own.verdict not in absolute  # the copy is never the same setting
        for side in ("agree", "against", "open"):
            for name in names(getattr(own, side)):
                (other,) = (one for one in judged if one.claim.id == name)
                assert own.claim.id in names(getattr(other, side))


def test_order_of_rows_does_not_matter() -> None:
    rows = all_rows()
    first = markdown(make(CLAIMS, rows), has_figure=True)
    random.Random(0).shuffle(rows)
    assert markdown(make(CLAIMS, rows), has_figure=True) == first


def test_every_claim_is_in_the_markdown_once() -> None:
    text = markdown(make(CLAIMS, all_rows()), has_figure=True)
    body = text.split("## What the words mean")[0]
    listed = [line for line in body.splitlines() if line.startswith("| ") and ":--" not in line]
    idle = sum(len(line.split("|")[3].split(";")) for line in listed if line.count("|") == 4) - 1
    run = sum(line.count("|") == 10 and not line.startswith("| method") for line in listed)
    assert idle + run == len(CLAIMS)


# What is written


def run(*options: str | Path) -> int:
    return main(["claims", "--claims", str(STORED), *map(str, options)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("run")
    (found / "rows").mkdir()
    for one in all_rows():
        if one.method in ("clean", "tap"):  # two panels: a card of all takes seconds to draw
            save(keyed(one), found / "rows")
    return found


def test_the_card_is_the_same_from_another_process_which_needs_no_torch(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "import sys; from bench.cli.main import main; code = main(sys.argv[1:])\n"
    code += "assert 'torch' not in sys.modules; sys.exit(code)"
    asked = [sys.executable, "-c", code, "claims", "--claims", STORED, "--rows", folder, "--out", "a"]
    path = {"PYTHONPATH": str(HOME)}
    subprocess.run([*map(str, asked)], check=True, stdout=subprocess.DEVNULL, env=os.environ | path)
    assert run("--rows", folder / "rows", "--rows", folder, "--out", "b") == 0
    names = {"card.csv", "card.md", "card.png", "card.svg"}
    assert {path.name for path in Path("a").iterdir()} == names
    for name in names:
        content = Path("a", name).read_bytes()
        assert content == Path("b", name).read_bytes()
        assert str(folder).encode() not in content
    table = pd.read_csv("a/card.csv", keep_default_na=False)
    assert [*table["id"]] == [own.id for own in CLAIMS]
    assert {*table["verdict"]} <= {verdict.value for verdict in ClaimVerdict}
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(f"{len(CLAIMS)} claims: ") for line in lines)
    assert max(map(len, lines[:-1])) <= 80


def test_a_line_says_how_its_number_is_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole in card.csv; in card.md what the lines of one setting share."""
    monkeypatch.chdir(tmp_path)
    shared = "--profile reference --data parquet:DIR/cifar10-jpeg75"
    commands = {
        name: f"python -m bench run --methods {name} --defenses none {shared} --set {name}.steps=3"
        for name in ("em", "tap")
    }
    Path("run", "rows").mkdir(parents=True)
    for name, command in commands.items():
        save(keyed(dataclasses.replace(made(20, name), rerun=command)), Path("run", "rows"))
    assert run("--rows", "run", "--out", "out") == 0
    table = pd.read_csv("out/card.csv").set_index("id")
    assert table["again"]["miue-c10-em"] == commands["em"]
    said = Path("out/card.md").read_text(encoding="utf-8")
    assert f"    python -m bench run --methods METHOD --defenses DEFENSE {shared}\n" in said


def test_the_stored_card_is_what_the_command_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the page on it has its counts."""
    monkeypatch.chdir(HOME)
    assert main(["claims", "--out", str(tmp_path)]) == 0
    for name in ("card.md", "card.csv"):
        assert (tmp_path / name).read_bytes() == Path("results", "claims", name).read_bytes(), name
    (counts,) = re.findall(r"^\*\*(\d+ claims: .+)\.\*\*$", (tmp_path / "card.md").read_text(), re.M)
    assert counts in " ".join(Path("docs", "claims.md").read_text(encoding="utf-8").split())


def test_without_rows_nothing_was_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "card.png").write_text("of an earlier call")
    assert run("--out", "out") == 0
    assert {path.name for path in Path("out").iterdir()} == {"card.csv", "card.md"}
    assert {*pd.read_csv("out/card.csv")["verdict"]} == {"not run"}


def test_a_row_of_several_folders_counts_as_in_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, acc in (("first", 0.2), ("second", 0.6)):
        Path(name, "rows").mkdir(parents=True)
        save(keyed(dataclasses.replace(made(20), test_acc=acc)), Path(name, "rows"))
    assert run("--rows", "first", "--rows", "second", "--out", "out") == 0
    table = pd.read_csv("out/card.csv").set_index("id")
    assert table["ours"]["miue-c10-em"] == pytest.approx(20) and table["n"]["miue-c10-em"] == 1


@pytest.mark.parametrize("wrong", [("--rows", "absent"), ("--claims", "absent.csv")])
def test_what_is_not_there_is_refused(
    wrong: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*wrong, "--out", "out") == 2
    assert "absent" in capsys.readouterr().err and not Path("out").exists()


def test_no_word_of_the_figure_hides_another_or_is_cut() -> None:
    with style():
        figure = scatter([own for own in make(CLAIMS, all_rows()).boards if own.comparable])
        figure.draw_without_rendering()
    edge = figure.bbox
    for axes in figure.axes:
        boxes = [note.get_window_extent() for note in axes.texts if note.get_text()]
        for box in boxes:
            assert edge.x0 <= box.x0 and box.x1 <= edge.x1 and edge.y0 <= box.y0 and box.y1 <= edge.y1
        assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
