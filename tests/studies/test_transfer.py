"""The study of transfer: one surrogate, one poison for all victims, findings from the rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.nets import NETS
from bench.results.rows import Row, load_all
from bench.runner.request import RunRequest, resolve, varied
from bench.studies.transfer.study import METHODS, STUDY, VICTIMS, cells_of
from support.rows import INPUTS, row

STORED = Path(__file__).parents[2] / "results" / "studies" / "transfer-glyphs"
FELL = {"resnet18-slim": 0.6, "vgg-slim": 0.4, "vit-slim": 0.1}  # net -> points that em costs


def made(net: str, method: str, acc: float, rep: int = 0, **values: object) -> Row:
    """MI loses as large a share as accuracy loses points. rep: of the poison; of clean, of the victim."""
    reps = (rep, 0) if method == "clean" else (0, rep)
    known = {"test_acc": acc, "train_acc": 0.95, "mi": 0.8 * acc, "mi_gap": 0.8 * (0.9 - acc)}
    known |= {"mi_share": 0.9 - acc} | values
    return row(method, "none", *reps, inputs=INPUTS | {"net": net}, setting=net, **known)


def all_rows(rep: int = 0) -> list[Row]:
    rows = [made(net, "clean", 0.9, rep) for net in FELL]
    rows += [made(net, "random", 0.88, rep) for net in FELL]
    return rows + [made(net, "em", 0.9 - fell + 0.02 * rep, rep) for net, fell in FELL.items()]


def test_victims_are_of_all_families_and_meet_the_same_poisons() -> None:
    asked = [resolve(grid) for grid in varied(RunRequest(), "transfer", STUDY.grids())]
    assert [one.setting.net for one in asked] == [*VICTIMS] and {*VICTIMS} <= {*NETS}
    assert len({(NETS[name].body.func) for name in VICTIMS}) == len(VICTIMS)  # type: ignore[attr-defined]
    for one in asked:
        assert [m.name for m in one.methods] == [*METHODS] and [d.name for d in one.defenses] == ["none"]
        assert one.setting.surrogate == asked[0].setting.surrogate and one.methods == asked[0].methods
    assert {one.setting.victim.epochs for one in asked} == {32}  # 14 are few for a transformer
    assert {one.setting.net for one in asked if one.setting.victim.lr == 0.01} == {"vgg-slim"}
    optimisers = {one.setting.net: one.setting.victim.optimiser for one in asked}
    assert {net for net, name in optimisers.items() if name == "adamw"} == {"vit-slim"}


def test_costs_are_shares_of_what_clean_has_in_the_same_net() -> None:
    cells = cells_of([*all_rows(), *all_rows(1)]).set_index(["net", "method"])
    for net, fell in FELL.items():
        em = cells.loc[net, "em"]
        assert em["accuracy"] == pytest.approx(0.91 - fell) and (em["n"], em["poisons"]) == (2, 2)
        assert em["accuracy_gap"] == pytest.approx(fell - 0.01)
        assert em["accuracy_lost"] == pytest.approx((fell - 0.01) / 0.8)
        assert em["mi_gap"] == pytest.approx(0.8 * (fell - 0.01)) and em["mi_share"] == pytest.approx(
            fell - 0.01
        )
        assert em["accuracy_low"] < em["accuracy"] < em["accuracy_high"]
    assert [*dict.fromkeys(cells.index.get_level_values("method"))] == ["clean", "random", "em"]


def test_one_table_has_accuracies_and_mi_and_the_text_says_where_a_poison_holds() -> None:
    found = STUDY.analyse(all_rows(), [])
    assert "| em" in found.text and "30.0 (60.0)" in found.text and "80.0 (10.0)" in found.text
    assert "`em`: from 12.5 % in vit-slim to 75.0 % in resnet18-slim, over 3 nets" in found.text
    assert "`random` (control)" in found.text and "One poison a method: no order" in found.text
    assert found.shown is not None
    assert [*found.shown.columns] == ["%", *FELL] and "60.0" not in found.shown.to_string()
    assert len(found.tables["transfer"]) == 3 * len(FELL)


def test_a_victim_that_did_not_learn_costs_a_poison_nothing() -> None:
    rows = [
        replace(r, train_acc=0.1) if (r.setting, r.method) == ("vgg-slim", "em") else r for r in all_rows()
    ]
    found = STUDY.analyse(rows, [])
    em = cells_of(rows).set_index(["net", "method"]).loc["vgg-slim", "em"]
    assert em["accuracy"] == pytest.approx(0.5) and pd.isna(em["accuracy_lost"])
    assert em["mi_share"] == pytest.approx(0.4)
    assert "50.0‡" in found.text and "are compared with nothing: em in vgg-slim" in found.text
    assert "over 2 nets" in found.text


def test_what_is_lacking_is_said_and_is_no_number() -> None:
    rows = all_rows()
    lost = replace(rows[-1], status="failed", reason="Traceback\nValueError: broke", test_acc=None, mi=None)
    unknown = replace(rows[-2], mi_share=None)
    found = STUDY.analyse([*rows[:-2], unknown, lost], [])
    assert "vit-slim, em: failed, ValueError: broke" in found.text and "50.0 |" in found.text
    cells = cells_of([*rows[:-2], unknown, lost]).set_index(["net", "method"])
    assert pd.isna(cells.loc["vit-slim", "em"]["accuracy"]) and pd.isna(
        cells.loc["vgg-slim", "em"]["mi_share"]
    )


def test_transfer_of_nothing_is_no_error() -> None:
    found = STUDY.analyse([], [])
    assert found.figures == {} and "no rows" in found.text


def test_the_stored_study_follows_from_its_rows_and_every_net_learned() -> None:
    rows = load_all(STORED / "rows")
    cells = cells_of(rows)
    found = STUDY.analyse(rows, [])
    assert found.text.strip() in (STORED / "README.md").read_text(encoding="utf-8")
    assert STUDY.analyse(rows[::-1], []).text == found.text
    stored = pd.read_csv(STORED / "transfer.csv")
    for column in ("accuracy", "accuracy_lost", "mi_share"):
        assert stored[column].tolist() == pytest.approx(cells[column].tolist()), column
    assert len(cells) == len(METHODS) * len(VICTIMS) == len(rows) and not cells["doubt"].any()
    assert cells[cells["method"] == "clean"]["accuracy"].min() > 0.6
