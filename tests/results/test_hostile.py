"""Whatever is changed in a stored file is said in one line, or what is read is valid: never a traceback.

Each field in turn is of a wrong type, out of range, absent, or there twice.
"""

from __future__ import annotations

import copy
import csv
import io
import json
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

import pytest

from bench.cli import config
from bench.cli.claims import CLAIMS
from bench.core.errors import BadInput
from bench.data.poisons import manifest
from bench.metrics import METRICS
from bench.results import baseline, rows
from bench.studies.certificate import run as certificate
from bench.studies.claims import claim
from bench.studies.records import Records
from bench.studies.study import Record
from support.hostile import PATIENCE, SPECIAL, plant, said_by, within
from support.rows import keyed, row

ROOT = Path(__file__).parent.parent.parent
VALUES = (None, True, "", "x", "\x1b[2J\n", -1, 2.5, 10**30, -1e300, [], {}, [[]], {"a": [None]})
ODD = '"odd": 1e999'
TYPED = {  # kind -> fields that only some of VALUES may stand in, by what these are
    "row": {"test_acc": (None,), "poison_rep": (), "inputs.seed": (), "status": ("skipped",)},
    "manifest": {"eps": (), "l2": (None, 2.5, 10**30), "pool": (10**30,), "rows": (), "images": ()},
    "baseline": {"cells": (), "rules": (), "estimator": ("x", VALUES[4])},
}
Place = tuple[str | int, ...]


def places(value: Any, above: Place = ()) -> Iterator[Place]:
    """All fields, and of a list the first."""
    inner = (
        value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    )
    for name, part in inner:
        yield (*above, name)
        yield from places(part, (*above, name))


def changed(value: Any, place: Place, change: Callable[[Any, Any], None]) -> Any:
    """A copy in which change(object, name) was made at the place."""
    made = copy.deepcopy(value)
    inner = made
    for step in place[:-1]:
        inner = inner[step]
    change(inner, place[-1])
    return made


def texts(value: Any) -> Iterator[tuple[Place, Any, str]]:
    """The place, what stands there, and the JSON of all."""
    for place in places(value):
        for wrong in VALUES:
            yield place, wrong, json.dumps(changed(value, place, lambda o, n, w=wrong: o.__setitem__(n, w)))
        endless = json.dumps(changed(value, place, lambda o, n: o.__setitem__(n, "ENDLESS")))
        for number in ("-1e999", "NaN"):
            yield place, "infinite", endless.replace('"ENDLESS"', number)
        if isinstance(place[-1], str):
            yield place, "absent", json.dumps(changed(value, place, lambda o, n: o.__delitem__(n)))
            twice = json.dumps(changed(value, place, lambda o, n: o.__setitem__(f"TWICE{n}", o[n])))
            yield place, "twice", twice.replace(f'"TWICE{place[-1]}"', json.dumps(place[-1]))


def of_row() -> Any:
    own = keyed(
        row("em", test_acc=0.5, curve=[{"epoch": 1, "val_acc": 0.5, "test_acc": 0.5}], seeds={"base": 1})
    )
    return json.loads(json.dumps(asdict(own)))


def of_manifest() -> Any:
    data = {"name": "toy", "digest": "d" * 64, "limit": None}
    made = {
        "suite": manifest.SUITE,
        "kind": manifest.KIND,
        "schema": 1,
        "method": {"name": "em"},
        "eps": 0.03,
    }
    return made | {
        "l2": None,
        "data": data,
        "rows": [0, 2],
        "pool": 3,
        "images": ["a" * 64] * 2,
        "labels": [0, 1],
    }


def of_baseline() -> Any:
    return json.loads((ROOT / "bench/results/gate/glyphs.json").read_text())


LOADERS: dict[str, tuple[str, Callable[[], Any], Callable[[Path], Any]]] = {
    "row": ("a.json", of_row, rows.load),
    "manifest": ("manifest.json", of_manifest, lambda path: manifest.load(path.parent, "file:a")),
    "baseline": ("b.json", of_baseline, baseline.load),
}


@pytest.mark.parametrize("kind", LOADERS)
def test_every_field_of_json(tmp_path: Path, kind: str) -> None:
    name, make, load = LOADERS[kind]
    path, valid, count = tmp_path / name, make(), 0
    path.write_text(json.dumps(valid))
    assert load(path) is not None
    for place, wrong, text in texts(valid):
        path.write_text(text)
        said, count = "", count + 1
        try:
            load(path)
        except BadInput as error:
            said = str(error)
        assert "\n" not in said and "\x1b" not in said, (place, wrong)
        if wrong in ("infinite", "twice"):
            assert said, (place, wrong)
        allowed = TYPED[kind].get(".".join(map(str, place)))
        if allowed is not None and wrong != "absent":
            assert said or any(wrong == one and type(wrong) is type(one) for one in allowed), (place, wrong)
    assert count > 200 and [*tmp_path.iterdir()] == [path]


def test_every_field_of_a_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is none is said, and measured again."""
    own = next(iter(METRICS)), "a" * 64, "b" * 64
    records, count = Records(tmp_path), 0
    records.save(Record(*own, {"value": 0.5, "n": 68, "censored": False}, None, 1.5))
    (path,) = tmp_path.iterdir()
    valid = json.loads(path.read_text())
    for place, wrong, text in texts(valid):
        path.write_text(text)
        caplog.clear()
        found, count = records.load(*own), count + 1
        if wrong in ("infinite", "twice"):
            assert found is None and f"{path.name} is not what was stored there" in caplog.text, place
        elif found is not None:
            assert (found.measure, found.net_row, found.poison_row) == own and found.seconds >= 0
            assert all(isinstance(value, bool | int | float | str | None) for value in found.values.values())
            assert all(isfinite(value) for value in found.values.values() if isinstance(value, float))
            if (place, wrong) != (("inputs", "features"), "absent"):  # as before features were kept
                assert place[0] == "schema" or place[1:2] in (("values",), ("reason",), ("seconds",)), place
    assert count > 200
    path.write_text(json.dumps(valid))
    caplog.clear()
    assert records.load(*own) is not None and records.load(own[0], own[2], own[1]) is None
    assert not caplog.text


READERS: dict[str, Callable[[Path], Any]] = {  # of files that no run's folder holds
    "manifest.json": lambda path: manifest.load(path.parent, "file:a"),
    "baseline.json": baseline.load,
    "claims.csv": claim.load,
    "certificate.csv": lambda path: certificate.load(path.parent),
    "run.yaml": config.read,
}
COMMANDS = {
    **{name: [name, "out"] for name in ("table", "leaderboard", "report", "check")},
    "claims": ["claims", "--rows", "out"],
    "run": ["run", "--out", "out", "--cache", "cache"],
    "study": ["study", "depth", "--out", "out", "--cache", "cache"],
}


SAYS = dict(zip(SPECIAL, ("FIFO", "folder", "device", "socket|device or address", "levels of"), strict=True))
SAYS |= {"large": "expected at most"}


@pytest.mark.parametrize("kind", SAYS)
def test_what_is_no_regular_file_of_some_size_is_refused_by_all(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alike, in one line, and never waited for."""
    monkeypatch.chdir(tmp_path)
    Path("out/rows").mkdir(parents=True)
    plant(Path("out/rows/a.json"), kind)
    lines = set()
    for argv in COMMANDS.values():
        said = said_by(argv, kind)
        assert said.refused and "a.json" in said.err and re.search(SAYS[kind], said.err, re.I), (argv, said)
        lines.add(said.err)
    assert len(lines) == 1 and not Path("cache").exists()
    for name, reader in READERS.items():
        plant(Path(name), kind)
        with within(PATIENCE), pytest.raises((BadInput, OSError), match=f"(?i){SAYS[kind]}") as refused:
            reader(Path(name))
        assert name in str(refused.value)


def of_csv(text: str) -> Iterator[tuple[str, str, str]]:
    """Column, wrong value, and the file of one line with it there; columns absent and there twice."""
    head, first, *_ = csv.reader(io.StringIO(text))
    for index, column in enumerate(head):
        for wrong in (
            "",
            "x",
            "-1",
            "2.5",
            "nan",
            "inf",
            "1e999",
            "9" * 40,
            "\x1b[2J\n",
            "=1+1",
            "[]",
            "true",
        ):
            yield column, wrong, _lines(head, [*first[:index], wrong, *first[index + 1 :]])
        yield column, "absent", _lines(head[:index] + head[index + 1 :], first[:index] + first[index + 1 :])
        yield column, "twice", _lines([*head, column], [*first, first[index]])


def _lines(*lines: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(lines)
    return out.getvalue()


COUNTED = {"images", "epochs", "batch", "lr", "weight_decay", "clip", "eps", "published"}


def test_every_field_of_claims(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    for column, wrong, text in of_csv(CLAIMS.read_text(encoding="utf-8")):
        path.write_text(text, encoding="utf-8", newline="")
        try:
            claim.load(path)
        except BadInput as error:
            assert "\n" not in str(error)
        else:
            assert wrong not in ("absent", "twice", "nan", "inf", "1e999") or column not in COUNTED, (
                column,
                wrong,
            )
            assert column not in COUNTED or wrong != "-1"


def test_every_field_of_a_certificate(tmp_path: Path) -> None:
    path = tmp_path / "certificate.csv"
    stored = (ROOT / "results" / "mi" / "certificate.csv").read_text(encoding="utf-8")
    for column, wrong, text in of_csv(stored):
        path.write_text(text, encoding="utf-8", newline="")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                certificate.load(tmp_path)
        except BadInput as error:
            assert "\n" not in str(error), (column, wrong)
        else:
            assert column != "verdict" or wrong == "twice", wrong
            assert column not in ("d", "n", "draws") or wrong not in ("x", "-1", "2.5"), (column, wrong)


def test_hidden_files_beside_rows_are_passed_over(tmp_path: Path) -> None:
    """As macOS and editors leave them beside what they copy and write."""
    own = keyed(row("em", test_acc=0.5))
    path = rows.save(own, tmp_path)
    (tmp_path / f"._{path.name}").write_bytes(b"\0\5\x16\7")
    (tmp_path / f".{path.name}").write_bytes(path.read_bytes())
    (tmp_path / f".#{path.name}").symlink_to("me@here.1:2")
    assert rows.load_all(tmp_path) == [own]
