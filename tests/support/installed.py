"""A fresh environment: the wheel of this checkout in a venv, beside the libraries of the tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from filelock import FileLock

from support.pages import ROOT

SOURCES = ("bench", "methods", "defenses", "pyproject.toml", "README.md", "LICENSE")
NO_NETWORK = ("--no-deps", "--no-index", "--no-cache-dir", "--disable-pip-version-check", "--quiet")


def fresh_environment(place: Path) -> Path:
    """Make the venv in a folder, once for all processes that share it."""
    with FileLock(place / "lock"):
        if not (place / "ready").exists():
            _install(place / ".venv", str(_wheel(place)))
            (place / "ready").touch()
    return place / ".venv"


def editable_environment(place: Path) -> Path:
    """Make a venv in a folder as the line in README does: the sources stay where they are."""
    _copy(place)
    _install(place / ".venv", "--no-build-isolation", "-e", str(place / "sources"))
    return place / ".venv"


def _copy(place: Path) -> None:
    for name in SOURCES:
        source, copy = ROOT / name, place / "sources" / name
        copy.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)


def _wheel(place: Path) -> Path:
    _copy(place)
    _pip("wheel", *NO_NETWORK, "--no-build-isolation", "--wheel-dir", str(place), str(place / "sources"))
    (wheel,) = place.glob("*.whl")
    return wheel


def _install(venv: Path, *what: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    libraries = venv / "libraries"  # all that is installed here but the suite, as tox has it
    libraries.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not re.match(r"(__editable__\W*)?(bench|methods|defenses|ue_bench.*)$", entry.name):
            (libraries / entry.name).symlink_to(entry)
    (packages / "libraries.pth").write_text(f"{libraries}\n")
    _pip("--python", str(venv), "install", *NO_NETWORK, *what)


def _outside() -> dict[str, str]:
    """Take over this environment, but for the way to the checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _pip(*arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stdout + done.stderr


def follow(line: str, folder: Path) -> str:
    """Run a line of a page in a folder with .venv, as in a terminal; gives what it prints."""
    environment = _outside() | {
        "PATH": f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "MPLCONFIGDIR": str((folder / ".venv").resolve()),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
    }
    done = subprocess.run(
        ["bash", "-euc", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert not done.returncode, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout
