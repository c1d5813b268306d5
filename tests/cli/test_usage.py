"""Whoever mistypes sees the usage of the command at hand; shells complete what the parsers know."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import cli
from bench.cli.completion import SHELLS
from bench.cli.main import main, parser
from bench.experiment.registry import HOME
from support.commands import refused

NEEDED = {"table": ["DIR"], "leaderboard": ["DIR"], "report": ["DIR"], "compare": ["a", "b"]}
NEEDED |= {"check": ["--baseline", "FILE"], "export": ["tap", "--out", "DIR"], "verify": ["FILE"]}
NEEDED |= {"study": ["depth"], "completion": ["bash"], "protect": ["DIR", "--method", "tap", "--out", "D"]}


@pytest.mark.parametrize("command", cli.NAMES)
def test_an_unknown_option_shows_the_usage_of_its_command(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, *NEEDED.get(command, []), "--no-such-option"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"usage: python -m bench {command} ") and "COMMAND" not in said


def test_no_command_shows_the_usage_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("encoding", "seen"), [("ascii", b"\\u2026"), ("cp1252", b"\x85"), ("utf-8", b"\xe2\x80\xa6")]
)
def test_output_in_any_encoding_escapes(encoding: str, seen: bytes) -> None:
    """What is printed, as what is said of a mistake."""
    asked = [sys.executable, "-m", "bench", "list", "quick"]
    where = {"PYTHONIOENCODING": encoding, "COLUMNS": "80"}
    done = subprocess.run(asked, capture_output=True, env=os.environ | where, check=False)
    assert (done.returncode, done.stderr) == (0, b"") and seen in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_is_told_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in cli.NAMES) and "--defenses" in script and "ue-bench" in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    ask = "COMP_WORDS=(ue-bench run --defe); COMP_CWORD=2; _shtab_ue_bench; echo ${COMPREPLY[@]}"
    script = f"{capsys.readouterr().out}\n{ask}\n"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--defenses"]


def test_without_the_library_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert refused(["completion", "bash"], capsys).endswith("pip install 'ue-bench[completion]'")
    assert parser().parse_args(["completion", "zsh"]).shell == "zsh"


@pytest.mark.skipif(shutil.which("head") is None, reason="no head")
@pytest.mark.parametrize("asked", ["list", "list --json", "completion bash"])
def test_a_reader_that_ends_early_ends_the_command_in_silence(asked: str) -> None:
    if asked.startswith("completion"):
        pytest.importorskip("shtab")
    line = f"{sys.executable} -m bench {asked} | head -n 1"
    done = subprocess.run(["bash", "-c", line], cwd=HOME, capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1 and not done.stderr
