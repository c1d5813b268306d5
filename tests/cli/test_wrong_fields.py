"""Every field of what is read, made wrong, through every command that reads it.

A wrong file is refused in one line that names it, alike by all, or what it says may be true: never a
traceback, never a number out of what is no number, nothing written elsewhere.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from bench.cli import options
from bench.cli.claims import CLAIMS
from bench.cli.main import parsed as asked_by
from bench.experiment import cache
from bench.experiment.cache import Poison
from bench.experiment.cell import craft, run_cell
from bench.experiment.context import Cell, RunContext
from bench.results import baseline
from bench.results.identity import key_of
from bench.results.rows import Row, load_all, load_files, parsed, save
from bench.runner.session import open_grid
from support.commands import command
from support.hostile import NASTY, Said, files_of, said_by, wrong
from support.pictures import draw_images
from support.poisons import choice, exporting

OPEN = {  # columns in which a value of the right type is as good as any other
    *("data", "profile", "reason", "stem", "mi_estimator", "mi_reason", "mi_share", "finished", "rerun"),
    *("craft", "defense_facts", "seeds", "environment", "craft_environment", "legacy_key"),
}
MIXED = {"craft", "defense_facts", "environment", "craft_environment"}  # text and numbers beside each other
FEWER = MIXED | {"seeds", "code"}  # names that a row may lack
TOGETHER = 24  # rows of one folder


@pytest.fixture(scope="module")
def grid(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four cells, twice each, whose victims learned; far enough down for what climbs out of it."""
    place = tmp_path_factory.mktemp("hostile") / "a" / "b"
    place.mkdir(parents=True)
    (place / "quad").symlink_to(images / "quad")
    assert said_by(grid_of(place)).code == 0
    for row in load_all(place / "out" / "rows"):
        acc = {"clean": 0.9, "em": 0.4}[row.method] + 0.01 * row.rep
        learned = replace(row, test_acc=acc, balanced_acc=acc, class_acc=[acc] * row.classes, train_acc=0.95)
        where = learned.environment | {"commit": "c"}
        save(replace(learned, environment=where, craft_environment=where), place / "out" / "rows")
    baseline.save(baseline.make(load_all(place / "out" / "rows")), place / "baseline.json")
    return place


def grid_of(place: Path) -> list[str]:
    return command(place, "clean,em", "none,iss-gray", "--reps", "2")


def commands(place: Path) -> dict[str, list[str]]:
    out = str(place / "out")
    return {
        "table": ["table", out],
        "leaderboard": ["leaderboard", out],
        "report": ["report", out],
        "check": ["check", out, "--baseline", str(place / "baseline.json")],
        "claims": ["claims", "--rows", out, "--out", str(place / "claims")],
        "run": grid_of(place),
    }


@pytest.fixture
def elsewhere(grid: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where one stands, and all around a run's folder, nothing is written."""
    here = grid / "here"
    here.mkdir(exist_ok=True)
    monkeypatch.chdir(here)
    own = [grid / name for name in ("out", "claims", "cache")]
    before = files_of(grid.parent.parent) - files_of(*own)
    yield
    made = files_of(grid.parent.parent) - files_of(*own) - before - {*map(str, own)}
    assert not made


def alike(place: Path, path: Path, case: object, number: int) -> Said:
    """What check, the fastest, says; where it refuses the file, another, each in its turn, says the same."""
    asked = commands(place)
    first = said_by(asked.pop("check"), case)
    if first.refused and path.name in first.err:
        name = [*asked][number % len(asked)]
        other = said_by(asked[name], case)
        assert other.refused and other.err == first.err, (case, name, other)
    return first


def in_the_place_of(row: Row, text: str, number: int) -> Row:
    """A row of what is accepted, as another repetition."""
    found = parsed(text.encode(), "a row")
    inputs = row.inputs | {"rep": number}
    return replace(found, rep=number, inputs=inputs, key=key_of(inputs))


@pytest.mark.usefixtures("elsewhere")
def test_every_field_of_a_row(grid: Path) -> None:
    rows = grid / "out" / "rows"
    path, row = next((p, r) for p, r in load_files(rows).items() if (r.method, r.defense) == ("em", "none"))
    whole, accepted, cases = path.read_text(), list[tuple[str, str, str]](), 0
    for where, what, text in wrong(json.loads(whole)):
        path.write_text(text)
        said, cases = alike(grid, path, (where, what), cases), cases + 1
        if said.refused and path.name in said.err:
            continue
        assert said.refused or said.code in (0, 1), (where, what, said)  # or not comparable with the baseline
        accepted.append((where, what, text))
        column = where.partition(".")[0]
        allowed = {"out of range": OPEN, "another type": MIXED, "absent": FEWER}
        assert column in allowed.get(what, ()), (where, what)
    path.write_text(whole)
    assert cases > 900 and len(accepted) < cases / 8
    for number in range(0, len(accepted), TOGETHER):
        some = accepted[number : number + TOGETHER]
        made = [save(in_the_place_of(row, text, 10 + i), rows) for i, (*_, text) in enumerate(some)]
        for name, argv in commands(grid).items():
            said = said_by(argv, (number, [case[:2] for case in some]))
            assert said.refused or said.code in (0, 1), (name, some, said)
            assert "nan" not in said.out and "infinite" not in said.out, (name, some, said)
        for one in made:
            one.unlink()


@pytest.mark.usefixtures("elsewhere")
def test_every_field_of_a_baseline(grid: Path) -> None:
    path, cases = grid / "baseline.json", 0
    whole = path.read_text()
    for where, what, text in wrong(json.loads(whole)):
        path.write_text(text)
        said, cases = said_by(commands(grid)["check"], (where, what)), cases + 1
        if said.refused:
            assert "baseline" in said.err, (where, what, said)
            continue
        assert said.code in (0, 1) and "nan" not in said.out, (where, what, said)
        column, *below = where.split(".")
        allowed = {
            "out of range": column == "environment",
            "another type": column == "environment",
            "absent": column in ("environment", "code", "rules") or below[-1] in ("revision", "mi", "mi_gap"),
        }
        assert allowed.get(what), (where, what)
    path.write_text(whole)
    assert cases > 400


CELLS = {  # of a line of claims, by what is wrong
    "another type": "x",
    "out of range": "-1e300",
    "infinite": "1e999",
    "no number": "nan",
    "nasty": NASTY,
    "a formula": "=1+1",
}
NUMBERS = ("images", "epochs", "batch", "lr", "weight_decay", "clip", "eps", "published")


def lines(*of: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(of)
    return out.getvalue()


def of_claims() -> Iterator[tuple[str, str, str]]:
    head, first, *_ = csv.reader(io.StringIO(CLAIMS.read_text(encoding="utf-8")))
    for index, column in enumerate(head):
        for what, cell in CELLS.items():
            yield column, what, lines(head, [*first[:index], cell, *first[index + 1 :]])
        yield column, "absent", lines(*(line[:index] + line[index + 1 :] for line in (head, first)))
        yield column, "twice", lines([*head, column], [*first, first[index]])


@pytest.mark.usefixtures("elsewhere")
def test_every_field_of_a_claim(grid: Path) -> None:
    path, cases = grid / "here" / "claims.csv", 0
    argv = [*commands(grid)["claims"], "--claims", str(path)]
    for column, what, text in of_claims():
        path.write_text(text, encoding="utf-8", newline="")
        said, cases = said_by(argv, (column, what)), cases + 1
        if said.refused:
            assert path.name in said.err, (column, what, said)
            continue
        assert said.code == 0 and what not in ("absent", "twice"), (column, what, said)
        assert column not in NUMBERS, (column, what, said)
    path.unlink()
    assert cases > 150


SAID = ("suite", "kind", "method.name", "data.name", "data.digest")  # whose manifest it is, and of what


@pytest.mark.usefixtures("elsewhere")
def test_every_field_of_a_manifest(tmp_path: Path) -> None:
    """That lies beside published images, here few; what nobody reads in it is for people."""
    draw_images(tmp_path / "quad", train=10, test=2)
    exported, small = tmp_path / "exported", ["--set", "em.surrogate.batch=8"]
    assert said_by(exporting(tmp_path, exported, "em", *small)).code == 0
    path, cases = exported / "manifest.json", 0
    where = ["--dry-run", "--img-per-s", "1000", "--set", "victim.batch=8", "--set", "mi.images=36"]
    planned = command(tmp_path, f"file:{exported}", "none", *where)
    assert said_by(["verify", str(exported), *choice(tmp_path)]).code == said_by(planned).code == 0
    whole = path.read_text()
    read = {*SAID, "schema", "eps", "l2", "data.limit", "pool"}
    read |= {name for each in ("rows", "images", "labels") for name in (each, f"{each}.0")}
    for where, what, text in wrong(json.loads(whole)):
        path.write_text(text)
        audited, cases = said_by(["verify", str(exported), *choice(tmp_path)], (where, what)), cases + 1
        both = where in read or audited.code == 2  # to look at all images once more takes its time
        for said in (audited, said_by(planned, (where, what)) if both else audited):
            assert said.code == 0 or (said.code == 2 and len(said.err.splitlines()) == 1), (where, what, said)
            assert not said.err or "manifest" in said.err or "exported" in said.err, (where, what, said)
        if audited.code == 0:
            assert what not in ("infinite", "twice"), (where, what)
            assert where not in read or where in SAID or (what, where) == ("absent", "labels"), (where, what)
    path.write_text(whole)
    assert cases > 100


def kept_by(context: RunContext, cell: Cell) -> dict[Path, Callable[[], Poison]]:
    """Folders of the cache with a manifest, and who looks into them."""
    poison = craft(context, cell.method, 0)
    folder = context.poison_folder(cell.method, 0)
    run_cell(context, cell, poison)
    (shown,) = folder.glob("prepared-*")
    images = (255 - poison.images).clone()
    return {
        shown: lambda: cache.prepared(shown, lambda: (images, {"made": "again"})),
        folder: lambda: craft(context, cell.method, 0),  # the last: what was prepared goes with a poison
    }


@pytest.mark.usefixtures("elsewhere")
def test_every_field_of_what_is_cached(grid: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is changed, it is said, and what was changed is in no result."""
    asked = open_grid(options.request(asked_by(grid_of(grid))), Console(file=io.StringIO()))
    cell = next(c for c in asked.cells if (c.method.name, c.defense.name) == ("em", "iss-gray"))
    cases = 0
    for folder, look in kept_by(asked.context, cell).items():
        whole = (folder / "manifest.json").read_text()
        found = cache.load(folder)
        assert found is not None
        for where, what, text in wrong(json.loads(whole)):
            (folder / "manifest.json").write_text(text)
            caplog.clear()
            again, cases = look(), cases + 1
            assert "is not what was stored there" in caplog.text, (where, what)
            assert "prepared" in folder.name or torch.equal(again.images, found.images), (where, what)
            assert again.manifest.get("distances") == found.manifest.get("distances"), (where, what)
    assert cases > 200
