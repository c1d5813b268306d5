"""Print what makes a shell complete ue-bench: source it, or put it where the shell looks."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from bench.cli.places import place

SHELLS = ("bash", "zsh")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def main(args: argparse.Namespace) -> int:
    from bench.cli.main import SCRIPT, parser
    from bench.core.errors import BadInput

    try:
        import shtab
    except ModuleNotFoundError:
        raise BadInput("completion needs shtab, expected after: pip install 'ue-bench[completion]'") from None
    top = parser(SCRIPT)
    for action in _actions(top):
        if action.type is place:
            action.complete = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(top, args.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """List the options and arguments of all commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for own in action.choices.values():
                yield from _actions(own)
        else:
            yield action
