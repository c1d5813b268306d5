"""Commands of tiny grids, what they leave, and how they are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.results.rows import Row, load_all

SMALL = {  # --set for each plugin that costs time
    "em": ("surrogate.batch=48", "steps=4", "step=0.5", "max_rounds=3"),
    "tap": ("surrogate.epochs=2", "surrogate.batch=48", "steps=10", "step=0.2", "restarts=1", "batch=96"),
    "mi-ue": ("surrogate.epochs=2", "surrogate.batch=48", "steps=4"),
    "at-8": ("steps=2", "longer=1"),
}
VICTIM = ("victim.epochs=2", "victim.batch=48", "mi.images=200", "mi.slices=4")


def command(
    place: Path, methods: str, defenses: str, *more: str, data: str = "quad", report: bool = False
) -> list[str]:
    """A tiny grid on place/quad, with place/cache and place/out; later arguments take the place of its own.

    Without the report at its end, which takes seconds.
    """
    chosen = [*methods.split(","), *defenses.split(",")]
    fields = [*VICTIM, *(f"{name}.{field}" for name in chosen for field in SMALL.get(name, ()))]
    theirs = {item.partition("=")[0] for item in more}
    sets = [part for field in fields if field.partition("=")[0] not in theirs for part in ("--set", field)]
    what = ["run", "--data", f"folder:{place / data}", "--limit", "none", "--workers", "1"]
    what += [] if report else ["--no-report"]
    where = ["--cache", str(place / "cache"), "--out", str(place / "out")]
    return [*what, "--methods", methods, "--defenses", defenses, *where, *sets, *more]


def rows_of(place: Path, out: str = "out") -> dict[tuple[str, str], Row]:
    """Rows by method and defense, which must be one each."""
    rows = load_all(place / out / "rows")
    found = {(row.method, row.defense): row for row in rows}
    assert len(found) == len(rows)
    return found


def plug(place: Path, kind: str, source: str) -> Path:
    """A --plugins folder with one file."""
    path = place / "plugins" / kind / "odd.py"
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    return place / "plugins"


def refused(asked: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that bad input gives."""
    capsys.readouterr()
    assert main(asked) == 2
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("bench: ") and not said.out
    return lines[0]


BAD = {
    "unknown method": (("--methods", "emm"), "unknown method 'emm'; did you mean 'em'?"),
    "unknown defense": (("--defenses", "cutot"), "unknown defense 'cutot'; did you mean 'cutout'?"),
    "a defense for a method": (("--methods", "cutout"), "unknown method 'cutout'"),
    "no method": (("--methods", ","), "no methods named"),
    "pattern out of range": (("--defenses", "iss-jpeg0"), "iss-jpeg0"),
    "radius 0": (("--defenses", "at-0"), "at-0"),
    "unknown data": (("--data", "glyfs"), "did you mean 'glyphs'?"),
    "unknown profile": (("--profile", "quik"), "did you mean 'quick'?"),
    "unknown net": (("--net", "smal"), "did you mean 'small'?"),
    "unknown surrogate": (("--surrogate", "resnet-18"), "did you mean 'resnet18'?"),
    "unknown precision": (("--precision", "fp16"), "did you mean 'bf16'?"),
    "unknown device": (("--device", "gpu0"), "--device gpu0"),
    "absent folder": (("--data", "folder:/nope"), "/nope/train is not a folder"),
    "absent parquet": (("--data", "parquet:/nope"), "/nope"),
    "absent plugins": (("--plugins", "/nope"), "--plugins /nope"),
    "limit too small": (("--limit", "4"), "4 training images are fewer than one batch"),
    "limit no number": (("--limit", "few"), "'few', expected int"),
    "eps 0": (("--eps", "0"), "eps is 0"),
    "eps negative": (("--eps", "-1"), "eps is -1"),
    "eps 8": (("--eps", "8"), "did you mean 8/255?"),
    "eps tiny": (("--eps", "0.001"), "below 1/255"),
    "eps huge": (("--eps", "2000"), "at most 1"),
    "eps nan": (("--eps", "nan"), "nan"),
    "eps over 0": (("--eps", "8/0"), "'8/0', expected float"),
    "reps 0": (("--reps", "0"), "reps is 0"),
    "poison reps 0": (("--poison-reps", "0"), "poison_reps is 0"),
    "threads 0": (("--threads", "0"), "--threads is 0"),
    "workers 0": (("--workers", "0"), "--workers is 0"),
}
