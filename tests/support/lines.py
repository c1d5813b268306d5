"""Command lines that are drawn: each of its parts is known to be right or wrong."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.cli.main import main
from bench.results.rows import save
from support.cases import no_hang
from support.evidence import grid
from support.pictures import draw_images
from support.rows import keyed

LONG = "x" * 300
WHOLE = "/".join(["y" * 100] * 60)
NONSENSE = (
    "",
    " ",
    "nan",
    "-1",
    "1e999",
    "--",
    "\x1b[31m",
    "é" * 3,
    "\udcff",
    "a b",
    "9" * 400,
    "[]",
    "{",
    "%s",
)


class Option(NamedTuple):
    """An option with values that are right and ones that are wrong."""

    name: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    needed: bool = False  # whether it is on every line; a positional argument is


NOWHERE = ("", "/proc/x", "/dev/null", "/dev/null/x", LONG, WHOLE, "file", "file/x")
READ = ("", "/proc", "/dev/null", "gone", LONG, WHOLE, "~nosuchuser", "file")
SETTINGS = (
    Option(
        "--data",
        ("folder:quad",),
        (
            *(f"folder:{place}" for place in READ),
            *NONSENSE,
            "folder:",
            "glyfs",
            "parquet:gone",
            "folder:quad@0",
            "folder:quad@x",
            "folder:quad@99999999",
        ),
    ),
    Option(
        "--methods", ("random", "clean,random"), ("", ",", "emm", "random,,nope", "file:gone", "file:", LONG)
    ),
    Option(
        "--defenses",
        ("none", "none,iss-jpeg50"),
        ("", "iss-jpeg0", "iss-jpeg999", "at-0", LONG, "at-" + "9" * 60),
    ),
    Option("--limit", ("none", "100"), ("0", "-5", "1.5", "few", "1e3", *NONSENSE)),
    Option("--eps", ("8/255", "0.03"), ("0", "-1", "8", "8/0", "1e999", *NONSENSE)),
    Option("--seed", ("0", "7"), ("1.5", *NONSENSE[:3], "x", "9" * 400)),
    Option("--reps", ("1", "2"), ("0", "-1", "x", "99999999999", *NONSENSE)),
    Option("--poison-reps", ("1",), ("0", "1.5", "99999999999")),
    Option("--net", ("small", "conv5"), ("smal", "", LONG, "timm:", "timm:gone", *NONSENSE)),
    Option("--surrogate", ("small",), ("resnet-18", "timm:resnet18:drop_rate=1", *NONSENSE)),
    Option("--precision", ("fp32", "auto"), ("fp16", *NONSENSE)),
    Option("--share", ("1", "0.5", "0"), ("1.1", "-0.5", *NONSENSE)),
    Option("--imbalance", ("1",), ("0", "-3", "1e9", *NONSENSE)),
    Option("--profile", ("quick",), ("quik", *NONSENSE)),
    Option("--threads", ("1",), ("0", "-1", "100000", "x", "1.5")),
    Option("--workers", ("1", "2"), ("0", "-1", "100000", "x")),
    Option("--minutes", ("1",), ("-1", "nan", "inf", "x")),
    Option("--save-seconds", ("5",), ("-1", "nan", "x")),
    Option("--device", ("cpu",), ("gpu0", "cuda:99", *NONSENSE)),
    Option("--out", ("out",), (*NOWHERE, "cache", "cache/in")),
    Option("--cache", ("cache",), (*NOWHERE, "out")),
    Option("--plugins", (), READ),
    Option("--log", (), ("tensorbord", *NONSENSE)),
    Option("--config", (), READ),
    Option("--scheduler", (), ("tcp://x", "nowhere", *NONSENSE)),
    Option("--img-per-s", ("100",), ("0", "-1", "nan", "inf", "x")),
    Option(
        "--set",
        ("victim.epochs=2", "points=2", "mi.images=100", "mi.slices=4"),
        (
            "victim.epochs",
            "victim.epochs=0",
            "victim.lr=nan",
            "victim.lr=-1",
            "victim.batch=0",
            "victim.batch=1e9",
            "victim.batch=99999999999",
            "mi.rank=-1",
            "mi.neighbours=9999",
            "mi.images=0",
            "points=0",
            "nope=1",
            "=1",
            "victim.milestones=60,80",
            "random.eps=9",
            "random.=1",
            "..=1",
            "victim..epochs=1",
            *NONSENSE,
        ),
    ),
)
ALWAYS = ("--data", "--methods", "--defenses", "--out", "--cache", "--img-per-s")
OTHERS: dict[str, tuple[Option, ...]] = {  # an Option without a name is a positional argument
    "table": (Option("", ("run",), READ),),
    "report": (Option("", (), READ),),
    "leaderboard": (
        Option("", ("run",), READ),
        Option("--defenses", ("none", "cutout, none"), ("", ",", "nope", *NONSENSE[:3])),
    ),
    "compare": (
        Option("", ("em",), ("emm", *NONSENSE)),
        Option("", ("tap",), ("nope",)),
        Option("--out", ("run",), READ),
        Option("--metric", (), ("accurcy", *NONSENSE)),
    ),
    "check": (Option("", (), READ), Option("--write", ("base.json",), NOWHERE[2:], True)),
    "submission": (Option("", (), READ),),
    "claims": (Option("--rows", (), READ[3:]), Option("--out", ("claims",), NOWHERE)),
    "list": (Option("", ("tap", "small", "quick", "data"), NONSENSE), Option("--plugins", (), READ)),
    "conform": (Option("", (), READ),),
    "verify": (Option("", (), (*READ, *NONSENSE)), Option("--data", ("folder:quad",), ("folder:gone",))),
    "export": (Option("", ("random",), ("emm", "")), Option("", (), (*NOWHERE, "quad"))),
    "protect": (
        Option("", (), (*READ, "quad/gone")),
        Option("--method", ("random",), ("emm", "clean"), True),
        Option("--out", ("safe",), NOWHERE, True),
    ),
    "study": (Option("", (), NONSENSE), Option("--out", ("study",), NOWHERE)),
    "mi-check": (Option("--out", (), NOWHERE, True),),
    "completion": (Option("", (), NONSENSE),),
}


def workplace(place: Path) -> None:
    """Images, a run that is there already, and a file: what command lines name."""
    draw_images(place / "quad")
    (place / "run" / "rows").mkdir(parents=True)
    for row in grid():
        save(keyed(row), place / "run" / "rows")
    (place / "file").write_bytes(b"\x00")


def drawn(draw: np.random.Generator) -> tuple[list[str], bool]:
    """Draw a command line, and whether all of it is right; half of them are a run's."""

    def pick(option: Option, right: bool) -> list[str]:
        values = option.right if right else option.wrong
        value = values[draw.integers(len(values))]
        if not option.name:
            return [value]
        return (
            [f"{option.name}={value}"] if value.startswith("-") or draw.integers(2) else [option.name, value]
        )

    command = "run" if draw.integers(2) else [*OTHERS][draw.integers(len(OTHERS))]
    options = SETTINGS if command == "run" else OTHERS[command]
    wrong = draw.integers(len(options)) if draw.integers(5) else -1
    positional, named, right = list[str](), ["--dry-run"] if command == "run" else [], True
    for index, option in enumerate(options):
        needed = option.needed or not option.name or option.name in ALWAYS
        mistaken = index == wrong or (needed and not option.right)
        if mistaken or needed or (option.right and draw.integers(4) == 0):
            (named if option.name else positional).extend(pick(option, not mistaken))
            right = right and not mistaken
    return [
        command,
        *named,
        *(["--"] if any(p.startswith("-") for p in positional) else []),
        *positional,
    ], right


def line_case(argv: list[str], right: bool) -> str:
    """Run a command line in the current folder: what is wrong is refused in one line, and nothing else is."""
    out, err = io.StringIO(), io.StringIO()
    with no_hang(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(argv)
        except SystemExit as end:
            code = int(end.code or 0)
    said = err.getvalue().splitlines()
    assert not any(line.startswith("Traceback") for line in said), said
    assert code == (0 if right else 2), (code, said[-1:])
    if code == 2:
        told = [line for line in said if line.startswith("bench: ") or ": error: " in line]
        assert len(told) == 1 and (len(said) == 1 or said[0].startswith("usage: ")), said
        assert "\x1b" not in told[0]
    return "done" if right else "refused"
