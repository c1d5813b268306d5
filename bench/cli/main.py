"""The command line. Nothing heavy is imported before a command is chosen."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from bench import cli
from bench.core.errors import BadInput


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m bench", description="Unlearnable examples: methods x defenses"
    )
    chosen = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in cli.NAMES:
        one = _module(name)
        one.configure(chosen.add_parser(name, help=one.ABOUT, description=one.ABOUT, allow_abbrev=False))
    return top


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"bench.cli.{command.replace('-', '_')}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Exit codes: 0 all is well, 1 cells failed, 2 bad input, 130 interrupted."""
    args = parser().parse_args(argv)
    for library in ("OMP", "OPENBLAS", "MKL"):  # or each worker would use all cores in numpy
        os.environ.setdefault(f"{library}_NUM_THREADS", str(max(getattr(args, "threads", 1), 1)))
    try:
        return int(_module(args.command).main(args))
    except BadInput as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
