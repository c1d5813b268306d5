"""Command lines that are drawn: what is wrong is refused in one line, and nothing else is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench import cli
from support import lines


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("lines"))
    lines.workplace(Path())
    yield
    os.chdir(before)


@pytest.mark.parametrize("number", range(60))
def test_a_drawn_command_line_ends_as_it_should(number: int, place: None) -> None:
    lines.line_case(*lines.drawn(np.random.default_rng([1, number])))


def test_every_command_and_option_of_a_run_is_drawn() -> None:
    from bench.cli.main import parser

    assert {"run", *lines.OTHERS} == {*cli.NAMES}
    drawn = {option.name for option in lines.SETTINGS}
    (commands,) = (action.choices for action in parser()._actions if action.dest == "command")
    known = {action.option_strings[-1] for action in commands["run"]._actions if action.nargs != 0}  # type: ignore[index]
    assert known - drawn == {
        *("--data-root", "--columns", "--test-split", "--purified", "--reference"),
        *(f"--tls-{name}" for name in ("ca-file", "cert", "key")),
    }
