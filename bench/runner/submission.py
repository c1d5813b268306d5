"""What rows that somebody submits must keep to, beside their schema and keys, which load() checks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path

from bench.core.errors import BadInput
from bench.experiment.declared import declare
from bench.experiment.keys import REVISIONS
from bench.experiment.registry import KINDS, catalog
from bench.experiment.settings import PLACE
from bench.results.rows import Row, finished_run, path_of

GOLDEN = Path("tests", "golden")  # in a checkout
ROUTES = ("--plugins", "--scheduler", "--config", "--log", "--tls")  # options that no stored command has
CATALOG = cache(partial(catalog, declared=True))
TOLERANCE = 0.05  # of accuracy: what victims' seeds do in small settings


def gathered(places: Sequence[Path]) -> dict[Path, list[Row]]:
    """Load the rows of runs' folders, or of files in their rows/, by the run; BadInput where one is none."""
    asked: dict[Path, set[str]] = {}
    for place in places:
        run = place if place.is_dir() else place.parent.parent
        asked.setdefault(run, set()).update([] if place.is_dir() else [place.name])
    found = {}
    for run, names in asked.items():
        rows = {path_of(row.key, run / "rows").name: row for row in finished_run(run)}
        if missing := sorted(names - rows.keys()):
            raise BadInput(f"{run / 'rows' / missing[0]} is no row that counts, expected one file for a key")
        found[run] = [row for name, row in rows.items() if name in names or not names]
    return found


def complaints(run: Path, rows: Sequence[Row], golden: Path = GOLDEN) -> Iterator[str]:
    """Say what keeps rows from being accepted, each complaint once. golden: where golden numbers lie."""
    if not (run / "README.md").is_file():
        yield f"{run}: no README.md, expected some sentences on what it shows and what it does not"
    others = [path.name for path in (run / "rows").iterdir() if path.suffix != ".json" or path.name[0] == "."]
    for name in others:
        yield f"{run}/rows: {name} is no row, expected nothing else there"
    if not rows:
        yield f"{run}/rows: no rows"
    found: dict[str, list[str]] = {}
    for row in rows:
        for said in _of_row(row, golden):
            found.setdefault(said, []).append(row.key)
    for said, keys in found.items():
        beside = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        yield f"{run}/rows/{keys[0][:16]}.json{beside}: {said}"


def _of_row(row: Row, golden: Path) -> Iterator[str]:
    for kind in KINDS:
        own = row.inputs[kind.removesuffix("s")]
        revision = None if "draft" in own else own.get("revision")
        yield from _of_plugin(kind, own["name"], revision, golden)
    seen = dict(row.inputs["revisions"])
    nets = declare("bench.nets")
    today = REVISIONS | {part: _net(nets, row.inputs.get(part)) for part in ("net", "surrogate")}
    for part, revision in seen.items():
        if today.get(part) != revision:
            yield f"revision {revision} of {part}, expected today's, {today.get(part)}"
    for part in row.inputs.get("drafts", {}):
        yield f"{part} {row.inputs[part]} is a draft, expected a net of the suite; submit it first"
    if row.status == "ok" and row.rerun is None:
        yield "no command that computes it again"


def _net(nets: object, name: object) -> int | None:
    try:
        found: int | None = nets.architecture(str(name)).revision  # type: ignore[attr-defined]
        return found
    except BadInput:
        return None


def _of_plugin(kind: str, name: str, revision: int | None, golden: Path) -> Iterator[str]:
    what = f"{kind.removesuffix('s')} {name}"
    if revision is None:
        yield f"{what} is a draft, expected a plugin of the suite; submit it first"
        return
    known = CATALOG(kind)
    try:
        value = known.get(name).value
    except BadInput:
        yield f"{what} is not in the suite, expected one of `list`"
        return
    today = vars(type(value)).get("revision")
    if today != revision:
        yield f"revision {revision} of {what}, expected today's, {today}"
        return
    family = [other for other, own in known.variants.items() if type(own.value) is type(value)]
    recorded = "|".join(map(re.escape, (name, *family)))
    form = re.compile(rf"({recorded})-r{revision}(\+.*)?\.json")
    if not any(form.fullmatch(file.name) for file in golden.iterdir()):
        yield f"no golden numbers of {what} at revision {revision} in {golden}"


def chosen(rows: Sequence[Row], data: str | None) -> tuple[Row, list[str]] | None:
    """Choose the cheapest row that can be computed again here, and the arguments of `run` that do.

    data: in the place of a data set in a folder of the submitter's. None: there is no such row.
    """
    timed = [row for row in rows if row.status == "ok" and row.rerun]
    for row in sorted(timed, key=lambda row: ((row.craft_seconds or 0) + (row.train_seconds or 0), row.key)):
        words = shlex.split(row.rerun or "")
        if words[:4] != ["python", "-m", "bench", "run"] or any(word.startswith(ROUTES) for word in words):
            said = f"its command is {row.rerun!r}, expected `python -m bench run` without {', '.join(ROUTES)}"
            raise BadInput(f"row {row.key[:16]}: {said}")
        words = words[4:] if data is None else [*words[4:], "--data", data]
        if data is not None or not any(PLACE in word for word in words):
            return row, words
    return None


def compared(row: Row, again: Sequence[Row]) -> tuple[bool, str]:
    """Say whether a row that was computed again agrees with the submitted one, and how far it is."""
    name, own = f"{row.method} x {row.defense}", {new.key: new for new in again}.get(row.key)
    if own is None:
        return False, f"{name}: its command gives other inputs, and so another key, expected {row.key[:16]}"
    if own.test_acc is None or row.test_acc is None:
        return False, f"{name}: {own.status} here, {own.reason}"
    said = f"{name}: {100 * own.test_acc:.1f} % here, {100 * row.test_acc:.1f} % submitted"
    if abs(own.test_acc - row.test_acc) > TOLERANCE:
        return False, f"{said}, expected within {100 * TOLERANCE:g} points"
    return True, said
