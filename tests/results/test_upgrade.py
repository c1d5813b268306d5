"""Files of older schemas are read for ever, under the keys that the same commands have today."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.core.errors import BadInput
from bench.core.types import Augmentation, Recipe
from bench.experiment import keys
from bench.experiment.registry import Plugin, catalog
from bench.experiment.settings import Setting
from bench.results import baseline, upgrade
from bench.results.identity import key_of, record_name, shared
from bench.results.rewrite import rewrite
from bench.results.rows import SCHEMA, Row, load, load_all
from bench.studies.certificate import run as certificate
from support.toys import METHODS

DATA = Path(__file__).parent.parent / "data"
OLD = DATA / "schema-1"
SECOND = sorted((DATA / "schema-2" / "rows").glob("*.json"))
PATHS = {path.stem: path for path in sorted((OLD / "rows").glob("*.json"))}
ROWS = {name: load(path) for name, path in PATHS.items()}
RESULTS = Path(__file__).parent.parent.parent / "results"
DECIDED = ("key", "setting", "inputs", "schema")  # columns that the upgrade makes anew
BOUND, NUMBER = "e3f1d2b0cd05ddcf", "e3f1d2b0cd05ddcf-with-mi"  # the same cell before and after a bound of MI


def raw(name: str) -> dict[str, Any]:
    return dict(json.loads(PATHS[name].read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", PATHS)
def test_an_old_row_keeps_what_was_measured(name: str) -> None:
    old, row = raw(name), ROWS[name]
    for column, value in old.items():
        if column not in DECIDED:
            assert getattr(row, column) == value, column
    assert (row.schema, row.legacy_key) == (SCHEMA, old["key"])
    assert row.code == {kind: old["inputs"][kind]["code"] for kind in ("method", "defense")}
    assert row.key == key_of(row.inputs) and row.setting == key_of(shared(row.inputs))
    for kind in ("method", "defense"):
        given = {field: value for field, value in old["inputs"][kind].items() if field != "code"}
        assert given.items() <= row.inputs[kind].items()
    partial = {"share": 1.0, "drop_poisoned": False}
    rest = {field: value for field, value in shared(old["inputs"]).items() if field != "protocol"}
    assert {**shared(row.inputs), "revisions": 0} == {**partial, **rest, "revisions": 0}


def test_what_a_digest_stands_for_stays() -> None:
    """It was decided once, with code that is gone: the tables change for no reason."""
    ours = {(row.method, row.code["method"], row.inputs["method"].get("revision")) for row in ROWS.values()}
    assert ours >= {
        ("em", "2af02123d9c7bb83", 1),
        ("em", "5601d11d86f2889f", 1),
        ("em", "15f960b3ab9d009c", None),
        ("em-class", "5601d11d86f2889f", 1),
        ("em-positive", "5601d11d86f2889f", 1),
        ("emax", "e1cfbd8396a98862", 1),
        ("emax", "97e1e813d0e9157b", 1),
        ("tap", "2bc58b9e987f3405", 1),
        ("tap", "c1222858377c27e3", 1),
        ("mi-ue", "5210849ac1913520", 1),
        ("mi-ue", "cdf0c43195273191", 2),
        ("mi-ue-cos", "cdf0c43195273191", 2),
        ("mi-ue-trunc", "cdf0c43195273191", 2),
        ("file:mi-ue", "6ef97ede0f6e19fb", 1),
    }


def test_code_that_was_never_compared_stays_a_draft() -> None:
    drafts = {name: row for name, row in ROWS.items() if row.drafts}
    (row,) = drafts.values()
    assert row.drafts == ["method"] and row.inputs["method"]["draft"] == row.code["method"]
    old = raw("1edef034b2ff9ea0")
    old["inputs"]["defense"]["code"] = "0" * 16
    assert "revision" not in upgrade.row(old)["inputs"]["defense"]


def test_variants_that_published_otherwise_crafted_for_themselves() -> None:
    made = {row.method: row.inputs["method"] for row in ROWS.values()}
    assert {name: own["crafted_as"] for name, own in made.items()} == {name: name for name in made}
    said = {name: own["rounding"] for name, own in made.items() if "rounding" in own}
    assert said.pop("em-positive") == "positive" and said.pop("mi-ue-trunc") == "truncate"
    assert {*said} == {"em", "em-class", "mi-ue", "mi-ue-cos", "file:mi-ue"} and {*said.values()} == {
        "nearest"
    }


def test_a_number_and_a_bound_of_one_old_key_are_two_rows() -> None:
    number, bound = ROWS[NUMBER], ROWS[BOUND]
    assert number.legacy_key == bound.legacy_key and number.mi == 2.516 and bound.mi is None
    assert number.key != bound.key and number.setting != bound.setting
    assert [row.inputs["revisions"]["mi"] for row in (number, bound)] == [1, 2]
    rest = [{**row.inputs, "revisions": {**row.inputs["revisions"], "mi": 0}} for row in (number, bound)]
    assert rest[0] == rest[1]


def test_the_first_rows_get_the_columns_that_they_lack() -> None:
    first = [row for name, row in ROWS.items() if "control" not in raw(name)]
    assert {(row.method, row.control) for row in first} == {("em", False), ("clean", True)}
    for row in first:
        assert row.classes == 10 and row.mask is None and row.mi_low is None and row.stem is None
    old = {**raw("1edef034b2ff9ea0"), "data": "mine"}
    assert upgrade.row(old)["classes"] == 10  # as it says
    del old["classes"]
    assert "classes" not in upgrade.row(old)  # nobody knows: refused as lacking it


@pytest.mark.parametrize(
    "wrong", [{"inputs": 3}, {"inputs": {}}, {"key": None}, {"data": []}, {"mi": "high"}]
)
def test_what_is_no_old_row_is_refused_in_one_line(tmp_path: Path, wrong: dict[str, Any]) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(raw("1edef034b2ff9ea0") | wrong))
    with pytest.raises(BadInput, match=r"^a\.json(: | is not a row of schema 1: )[^\n]*$"):
        load(path)


@pytest.mark.parametrize("path", SECOND, ids=lambda path: path.stem)
def test_a_row_of_schema_2_keeps_all_it_says(path: Path) -> None:
    """Balanced accuracy was not measured, and all test sets had classes of one size."""
    old, row = json.loads(path.read_text(encoding="utf-8")), load(path)
    assert old["schema"] == 2 and "chance" not in old
    later = {name: value for columns in upgrade.SINCE.values() for name, value in columns.items()}
    assert asdict(row) == old | later | {"schema": SCHEMA, "balanced_acc": None, "chance": 1 / old["classes"]}


@pytest.mark.parametrize("wrong", [{"classes": None}, {"classes": 0}, {"classes": "10"}])
def test_what_is_no_row_of_schema_2_is_refused_in_one_line(tmp_path: Path, wrong: dict[str, Any]) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(json.loads(SECOND[0].read_text()) | wrong))
    with pytest.raises(BadInput, match=r"^a\.json(: classes is | is not a row of schema 2: )[^\n]*$"):
        load(path)


def test_rows_of_schema_2_are_rewritten_in_their_places(tmp_path: Path) -> None:
    shutil.copytree(DATA / "schema-2", tmp_path / "run")
    rows = load_all(tmp_path / "run" / "rows")
    assert rewrite(tmp_path / "run") == len(rows) == len(SECOND)
    files = sorted((tmp_path / "run" / "rows").iterdir())
    assert [path.name for path in files] == [path.name for path in SECOND]
    assert {json.loads(path.read_text())["schema"] for path in files} == {SCHEMA}
    assert load_all(tmp_path / "run" / "rows") == rows and rewrite(tmp_path / "run") == 0


# Keys


def asked_again(row: Row) -> keys.Identity:
    """What this code makes of the plugins, data and setting that a row names."""
    said = row.inputs
    victim = said["victim"] | {"milestones": tuple(said["victim"]["milestones"])}
    names = (
        "net",
        "surrogate",
        "precision",
        "seed",
        "eps",
        "prepare_test",
        "points",
        "share",
        "drop_poisoned",
    )
    setting = Setting(victim=Recipe(**victim), **{name: said[name] for name in names})
    data = {name: said["data"][name] for name in ("name", "digest", "limit", "resize")}
    split = range(said["data"]["train_images"])
    parts = {"train": split, "imbalance": 1.0, "augmentation": Augmentation(**said["data"]["augmentation"])}
    images = SimpleNamespace(**parts, **data)
    method, defense = (plugin(f"{kind}s", said[kind]) for kind in ("method", "defense"))
    return keys.cell(images, setting, method, defense, row.poison_rep, row.rep)  # type: ignore[arg-type]


def plugin(kind: str, inputs: dict[str, Any]) -> Plugin:
    """The suite's plugin of the name, with these parameters."""
    found = catalog(kind).get(inputs["name"])
    own = {name: value for name, value in inputs.items() if hasattr(found.value, name) and name != "revision"}
    if "surrogate" in own:
        own["surrogate"] = Recipe(**own["surrogate"] | {"milestones": tuple(own["surrogate"]["milestones"])})
    return replace(found, value=replace(found.value, **own))


def are_todays(row: Row) -> bool:
    """Whether all that the row is of but its MI has the revision that it has in this code."""
    if row.drafts or row.method.startswith("file:"):
        return False
    plugins = [catalog(f"{kind}s").get(row.inputs[kind]["name"]) for kind in ("method", "defense")]
    made_as = {"method": plugins[0].crafted_as or plugins[0].name}
    return made_as["method"] == row.inputs["method"]["crafted_as"] and all(
        own.revision == row.inputs[kind]["revision"]
        for kind, own in zip(("method", "defense"), plugins, strict=True)
    )


STORED = [row for row in [*ROWS.values(), *load_all(RESULTS / "reference" / "rows")] if are_todays(row)]


def test_a_stored_row_has_the_key_that_its_command_has_today() -> None:
    methods = {row.method for row in STORED}
    assert methods >= {"clean", "random", "em", "emax", "tap", "mi-ue", "mi-ue-cos"} and len(STORED) > 100
    for row in STORED:
        again = json.loads(json.dumps(asked_again(row).inputs))
        old = {"mi": row.inputs["mi"]}  # of another estimator, in rows of before its revision 3
        again |= old | {"revisions": again["revisions"] | {"mi": row.inputs["revisions"]["mi"]}}
        assert again == row.inputs, row.rerun
        assert (key_of(again), key_of(shared(again))) == (row.key, row.setting)


def test_old_and_new_revisions_are_no_repetitions() -> None:
    assert not any(row.method in ("em-class", "em-positive", "mi-ue-trunc") for row in STORED)
    assert METHODS["em-class"].revision == METHODS["mi-ue"].revision == 2


# Folders


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy of the old rows, some under other names, and records."""
    shutil.copytree(OLD, tmp_path / "run")
    for number, path in enumerate(sorted((tmp_path / "run" / "rows").iterdir())[:5]):
        path.rename(path.with_name(f"{number}.json"))
    return tmp_path / "run"


def test_a_folder_of_old_rows_is_read_as_it_is(run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*.*")}
    assert {row.key: row for row in load_all(run / "rows")} == {row.key: row for row in ROWS.values()}
    assert {path: path.read_bytes() for path in run.rglob("*.*")} == before


def test_a_rewritten_folder_holds_the_same_under_new_names(run: Path) -> None:
    rows, records = load_all(run / "rows"), len([*(run / "records").iterdir()])
    assert rewrite(run) == len(rows) + records and len(rows) == len(PATHS)
    assert load_all(run / "rows") == rows
    names = {path.name for path in (run / "rows").iterdir()}
    assert names == {f"{row.key[:16]}.json" for row in rows} and len(names) == len(PATHS)
    for path in (run / "rows").iterdir():
        assert json.loads(path.read_text())["schema"] == SCHEMA
    before = {path: path.read_bytes() for path in run.rglob("*.*")}
    assert rewrite(run) == 0
    assert {path: path.read_bytes() for path in run.rglob("*.*")} == before


def test_records_follow_their_rows(run: Path) -> None:
    old = [json.loads(path.read_text()) for path in (run / "records").iterdir()]
    lost = old[0] | {"inputs": old[0]["inputs"] | {"poison": "0" * 64}}  # of no row that is here
    (run / "records" / "lost.json").write_text(json.dumps(lost))
    (run / "records" / "torn.json").write_text('{"inputs"')
    rewrite(run)
    keys_now = {row.legacy_key: row.key for row in ROWS.values()}
    for stored in old:
        pair = [keys_now[stored["inputs"][name]] for name in ("net", "poison")]
        inputs = {"measure": stored["inputs"]["measure"], "net": pair[0], "poison": pair[1]}
        now = json.loads((run / "records" / record_name(inputs)).read_text())
        assert now["schema"] == upgrade.SCHEMA and now["inputs"] == inputs | {"images": 5000, "revision": 1}
        assert now["record"] == stored["record"] | {"net_row": pair[0], "poison_row": pair[1]}
    left = {"lost.json", "torn.json"}
    assert len([*(run / "records").iterdir()]) == len(old) + len(left)
    assert all((run / "records" / name).exists() for name in left)


def test_of_two_old_rows_of_one_key_the_later_counts_and_none_is_lost(tmp_path: Path) -> None:
    """Two digests of one revision: the same cell, computed twice."""
    folder = tmp_path / "rows"
    folder.mkdir()
    for name, code, finished in (("a", "2af02123d9c7bb83", "2026-01"), ("b", "5601d11d86f2889f", "2026-02")):
        values = raw("26c9381358de28d1") | {"finished": finished}
        values["inputs"]["method"]["code"] = code
        (folder / f"{name}.json").write_text(json.dumps(values))
    (row,) = load_all(folder)
    assert row.finished == "2026-02" and rewrite(tmp_path) == 1 and load_all(folder) == [row]
    assert {path.name for path in folder.iterdir()} == {"a.json", f"{row.key[:16]}.json"}


@pytest.mark.parametrize("place", ["another name", "the name of the key"])
def test_a_failed_row_never_takes_the_place_of_a_number(tmp_path: Path, place: str) -> None:
    """Whichever of the two was computed later, and wherever the number lies."""
    folder = tmp_path / "rows"
    folder.mkdir()
    good = raw("26c9381358de28d1") | {"finished": "2026-01"}
    (folder / "a.json").write_text(json.dumps(good))
    if place == "the name of the key":
        assert rewrite(tmp_path) == 1
    bad = raw("26c9381358de28d1") | {"finished": "2026-02", "status": "failed", "reason": "no memory"}
    bad |= {"test_acc": None}
    (folder / "b.json").write_text(json.dumps(bad))
    for _ in range(2):
        (row,) = load_all(folder)
        assert row.status == "ok" and row.test_acc == good["test_acc"]
        rewrite(tmp_path)
    assert len([*folder.iterdir()]) == 2


# Other files


def test_an_old_baseline_is_read_as_todays(tmp_path: Path) -> None:
    old = json.loads((OLD / "baseline.json").read_text())
    found = baseline.load(OLD / "baseline.json")
    assert found.schema == upgrade.SCHEMA and found.code == old["code"]
    assert found.methods["em"]["revision"] == 1 and found.methods["em"]["rounding"] == "nearest"
    assert found.setting["share"] == 1.0 and found.setting["revisions"]["mi"] == 2
    baseline.save(found, tmp_path / "b.json")
    assert baseline.load(tmp_path / "b.json") == found
    now = json.loads((tmp_path / "b.json").read_text())
    for name in ("cells", "rules", "environment", "estimator", "code"):
        assert now[name] == old[name]


def test_old_lines_of_the_certificate_count(tmp_path: Path) -> None:
    for code, version in (("c40a71ec9c75", (1, 1)), ("0" * 12, (0, 0))):
        text = (OLD / "certificate.csv").read_text().replace("c40a71ec9c75", code)
        (tmp_path / "certificate.csv").write_text(text)
        lines = certificate.load(tmp_path)
        assert {(line.revision, line.cases, line.libraries) for line in lines} == {(*version, None)}
        assert len(lines) == 3 and lines[0].mean == 0.002667887376428686
