"""Settings outside of their bounds are refused before anything runs; what is given twice is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.api import run
from bench.cli.main import main, parsed
from bench.core.errors import BadInput
from bench.runner.memory import cores
from support.commands import refused

BAD: dict[str, tuple[list[str], str]] = {
    "milestones in epochs": (["--set", "victim.milestones=60,80"], "milestone is 60, expected a share"),
    "milestone 0": (["--set", "victim.milestones=0"], "milestone is 0, expected a share"),
    "a negative last rate": (["--set", "victim.final_lr=-0.1"], "rates are 0.03 to -0.1"),
    "a rate beyond all": (["--set", "victim.lr=1e9"], "expected 0 to 100"),
    "no workers": (["--workers", "0"], "--workers is 0, expected 1 to 1024"),
    "too many workers": (["--workers", "100000"], "--workers is 100000, expected 1 to 1024"),
    "too many threads": (["--threads", "100000"], "--threads is 100000, expected 1 to 1024"),
    "no threads": (["--threads", "0"], "--threads is 0, expected 1 to 1024"),
    "minutes": (["--minutes", "-1"], "--minutes is -1.0, expected 0 or more"),
    "neighbours": (["--set", "mi.neighbours=9999"], "fewer neighbours than images"),
    "neighbours of few images": (["--limit", "60", "--set", "mi.neighbours=80", "--set", "victim.batch=8"],
                                 "mi.neighbours is 80, expected at most 14 with the 60 images"),
    "a rank that no estimate has": (["--set", "mi.rank=-1"], "rank"),
    "slices": (["--set", "mi.slices=10000000"], "at most 100000 slices"),
    "reps": (["--reps", "0"], "reps is 0, expected 1 to"),
    "poison reps": (["--poison-reps", "-3"], "poison_reps is -3, expected 1 to"),
    "out is the cache": (["--out", "cache"], "--out cache is in the cache"),
    "out in the cache": (["--out", "cache/x/../y"], "is in the cache"),
    "an empty out": (["--out", ""], "--out is empty, expected a path"),
    "an empty cache": (["--cache", ""], "--cache is empty, expected a path"),
    "no plugins": (["--plugins="], "--plugins is empty, expected a path"),
    "out where no file can be": (["--out", "/proc/x"], "cannot write to /proc/x"),
    "a cache where no file can be": (["--cache", "/proc/x"], "cannot write to /proc/x"),
    "out below a file": (["--out", "/dev/null/x"], "cannot write to /dev/null/x"),
    "too long a name": (["--out", "x" * 300], "File name too long"),
    "too long a path": (["--cache", "/".join(["y" * 100] * 60)], "File name too long"),
    "a user that does not exist": (["--data", "folder:~nosuchuser/x"], "~nosuchuser"),
    "the home of nobody": (["--out", "~nosuchuser/x"], "--out is ~nosuchuser/x, expected a path: there"),
    "a cache of nobody": (["--cache", "~nosuchuser"], "there is no such user"),
    "a null byte": (["--plugins", "a\0b"], "--plugins has a null byte, expected a path"),
    "-- for a value": (["--eps=--"], "--eps is --, expected a value"),
    "a log nobody keeps, of a dry run": (["--dry-run", "--log", "tensorbord"], "tensorbord"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_out_of_bounds_is_refused_before_anything_runs(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    more, said = BAD[case]
    out = [] if "--out" in more else ["--out", "out"]
    assert main(["run", "--methods", "clean", "--defenses", "none", "--cache", "cache", *out, *more]) == 2
    line = capsys.readouterr().err
    assert line.startswith("bench: ") and said in line and line.count("\n") == 1
    assert not [*tmp_path.iterdir()]


COMMANDS = {  # each with all its paths empty but one
    "table": [""],
    "leaderboard": [""],
    "report": [""],
    "compare": ["em", "tap", "--out", ""],
    "claims": ["--out", ""],
    "check": ["", "--write", "base.json"],
    "submission": ["run", ""],
    "export": ["tap", ""],
    "verify": ["p.npy", "--cache", ""],
    "protect": ["photos", "--method", "tap", "--out", ""],
    "conform": [""],
    "study": ["depth", "--out", ""],
    "mi-check": ["--out", ""],
    "list": ["--plugins", ""],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_path_is_not_the_current_folder(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "is empty, expected a path" in refused([command, *COMMANDS[command]], capsys)
    assert not [*tmp_path.iterdir()]


def test_an_empty_path_in_a_file_of_options_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text("out: ''\n")
    said = refused(["run", "--config", str(tmp_path / "run.yaml")], capsys)
    assert "--out is empty, expected a path" in said
    with pytest.raises(BadInput, match="--cache is empty"):
        run({"cache": ""})


def test_options_that_nest_without_end_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text(f"out: {'[' * 9000}")
    assert "run.yaml cannot be read" in refused(["run", "--config", str(tmp_path / "run.yaml")], capsys)


def test_repetitions_that_a_study_sets_are_said_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["study", "reference", "--reps", "7", "--dry-run", "--out", "out", "--cache", "cache"]
    assert "--reps 7: study reference chooses it itself, here " in refused(asked, capsys)
    assert not [*tmp_path.iterdir()]


def test_a_path_may_begin_with_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which shells leave as it is behind a sign of equality."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parsed(["run", "--out=~/runs"]).out == tmp_path / "runs"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--seed", "9" * 400], "seed has 400 digits, expected at most 18"),
        (["--log", ""], "--log names nothing, expected some of tensorboard, wandb, mlflow"),
        (["--log", " , "], "--log names nothing"),
    ],
)
def test_what_no_row_can_hold_and_empty_names_are_refused(
    given: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [
        "--cache",
        str(tmp_path / "cache"),
        "--out",
        str(tmp_path / "out"),
        "--dry-run",
        "--img-per-s",
        "9",
    ]
    assert said in refused(["run", "--methods", "clean", "--defenses", "none", *where, *given], capsys)


@pytest.mark.parametrize(
    ("twice", "said"),
    [
        (["--seed", "1", "--seed", "2"], "--seed is given twice; the last counts"),
        (["--seed=1", "--seed", "2"], "--seed is given twice; the last counts"),
        (["--set", "points=1", "--set", "points=2"], "--set points is given twice; the last counts"),
        (["--set=points=1", "--set=points=2"], "--set points is given twice; the last counts"),
        (["--seed", "1", "--set", "seed=2"], "--set seed is given twice; the last counts"),
        (["--set", "points=1", "--set", "reps=2"], ""),
    ],
)
def test_what_is_given_twice_is_said(
    twice: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out"), "--workers", "0"]
    assert main(["run", *where, *twice]) == 2
    assert (said in capsys.readouterr().out.splitlines()) == bool(said)


@pytest.mark.parametrize(
    ("text", "most"), [("100000 100000\n", 1), ("50000 100000\n", 1), ("max 100000\n", None), ("junk", None)]
)
def test_a_containers_quota_counts_as_its_cores(text: str, most: int | None, tmp_path: Path) -> None:
    free = cores(tmp_path)
    (tmp_path / "cpu.max").write_text(text)
    assert cores(tmp_path) == (free if most is None else most)
