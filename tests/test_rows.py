"""Rows survive the disk as they were, and what is no row of this suite is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench.core.files import write_atomically
from bench.rows import SCHEMA, Row, load, load_all, save

ROW = Row(
    key="0123456789abcdef" * 4,
    setting="fedcba9876543210" * 4,
    data="glyphs",
    synthetic=True,
    method="em",
    defense="none",
    poison_rep=0,
    rep=1,
    profile="quick",
    inputs={"net": "resnet18", "victim": {"epochs": 30, "milestones": [0.5, 0.75]}, "limit": None},
    test_acc=0.1 + 0.2,  # a float whose shortest text is long
    curve=[{"epoch": 1, "val_acc": 0.25, "test_acc": 1 / 3}],
    craft={"steps": 10, "loss": 0.5, "norm": "linf", "note": "Grüße\n", "found": None},
    environment={"device": "cpu", "threads": 2},
)


def test_load_of_save_is_the_row(tmp_path: Path) -> None:
    path = save(ROW, tmp_path)
    assert load(path) == ROW
    assert load_all(tmp_path) == [ROW]


def test_same_row_same_bytes(tmp_path: Path) -> None:
    before = save(ROW, tmp_path).read_bytes()
    assert save(load(save(ROW, tmp_path)), tmp_path).read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_never_written(tmp_path: Path, value: float) -> None:
    for row in (replace(ROW, mi=value), replace(ROW, curve=[{"val_acc": value}])):
        with pytest.raises(ValueError, match="JSON"):
            save(row, tmp_path)
    assert not list(tmp_path.iterdir())


def test_rows_come_in_the_order_of_their_keys(tmp_path: Path) -> None:
    rows = [replace(ROW, key=letter * 64) for letter in "cab"]
    for row in rows:
        save(row, tmp_path)
    assert [row.key[0] for row in load_all(tmp_path)] == ["a", "b", "c"]
    assert load_all(tmp_path / "absent") == []


@pytest.mark.parametrize("schema", [SCHEMA + 1, 0, None, "1"])
def test_another_schema_is_refused(tmp_path: Path, schema: object) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(asdict(ROW) | {"schema": schema}))
    with pytest.raises(
        ValueError, match=rf"a\.json has row schema {schema!r}, this suite reads 1 to {SCHEMA}"
    ):
        load(path)


def test_an_unknown_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(asdict(ROW) | {"accuracy": 1, "acc": 1}))
    with pytest.raises(ValueError, match=r"a\.json has unknown columns acc, accuracy"):
        load(path)


def test_rows_from_before_a_column_load(tmp_path: Path) -> None:
    values = asdict(ROW)
    del values["mi_low"], values["mi_high"], values["classes"]
    (tmp_path / "a.json").write_text(json.dumps(values))
    assert load_all(tmp_path) == [ROW]
    stored = load_all(Path(__file__).parent.parent / "results" / "cifar-cpu" / "rows")
    assert stored and all(row.mi is not None for row in stored)


def test_half_a_row_is_refused(tmp_path: Path) -> None:
    path = save(ROW, tmp_path)
    path.write_text(path.read_text()[:100])
    with pytest.raises(ValueError, match=f"{path.name} is not a row"):
        load_all(tmp_path)


def test_an_interrupted_write_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(ROW, tmp_path)

    def interrupted(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    for row in (replace(ROW, attempt=2), replace(ROW, key="f" * 64)):
        with pytest.raises(KeyboardInterrupt):
            save(row, tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    assert load(path) == ROW


def test_what_a_killed_write_left_is_no_row(tmp_path: Path) -> None:
    path = save(ROW, tmp_path)
    (tmp_path / f".{path.name}.123.tmp").write_text(path.read_text()[:99])
    assert load_all(tmp_path) == [ROW]


def test_text_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    write_atomically(path, "long ± text\n")
    write_atomically(path, "short\n")
    assert path.read_bytes() == b"short\n"
    assert list(tmp_path.iterdir()) == [path]
