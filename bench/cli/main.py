"""The command line. Nothing heavy is imported before a command is chosen."""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from bench import cli
from bench.cli import config
from bench.core.errors import BadInput

SCRIPT = "ue-bench"  # the console script, which does the same


def parser(prog: str = "python -m bench") -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog=prog, description="Unlearnable examples: methods x defenses")
    chosen = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in cli.NAMES:
        one = _module(name)
        own = chosen.add_parser(name, help=one.ABOUT, description=one.ABOUT, allow_abbrev=False)
        one.configure(own)
        own.set_defaults(own=own)
    return top


def parsed(argv: Sequence[str], prog: str = "python -m bench") -> argparse.Namespace:
    """Parse a command line; the options of its --config come first, so that those given win. BadInput."""
    top, argv = parser(prog), [*argv]
    args = top.parse_args(argv)
    if getattr(args, "config", None) is None:
        return args
    own = config.arguments(config.read(args.config), args.own)
    return top.parse_args([argv[0], *own, *argv[1:]])


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"bench.cli.{command.replace('-', '_')}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Exit codes: 0 all is well, 1 cells failed, 2 bad input, 3 the disk is full, 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # whatever a name holds
    prog = Path(sys.argv[0]).stem
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # not the methods/ of where one stands
    try:
        return _run(sys.argv[1:] if argv is None else argv, SCRIPT if prog == SCRIPT else "python -m bench")
    except BadInput as error:
        return _stopped(str(error), 2)
    except KeyboardInterrupt:
        return _stopped("interrupted; the same command goes on where it stopped", 130)
    except OSError as error:  # of whatever path was given
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _stopped("the disk is full; all that was finished is saved, the same command goes on", 3)
        if error.filename is None:
            raise
        return _stopped(f"{error.filename}: {error.strerror}, expected a path that can be used", 2)


def _run(argv: Sequence[str], prog: str) -> int:
    args = parsed(argv, prog)
    if getattr(args, "print_config", False):
        print(config.written(args, args.own), end="")
        return 0
    for library in ("OMP", "OPENBLAS", "MKL"):  # or each worker would use all cores in numpy
        os.environ.setdefault(f"{library}_NUM_THREADS", str(max(getattr(args, "threads", 1), 1)))
    return int(_module(args.command).main(args))


def _stopped(why: str, code: int) -> int:
    print(f"bench: {why}", file=sys.stderr)
    return code
