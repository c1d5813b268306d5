"""The command line. Nothing heavy is imported before a command is chosen."""

from __future__ import annotations

import argparse
import importlib
import os
import select
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path
from types import ModuleType

from bench import cli
from bench.cli import config, places
from bench.cli.signals import stopping
from bench.core.errors import BadInput
from bench.core.files import is_full
from bench.core.libraries import explained
from bench.core.texts import printable

SCRIPT = "ue-bench"  # the console script, which does the same


def parser(prog: str = "python -m bench", commands: Sequence[str] = cli.NAMES) -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog=prog, description="Unlearnable examples: methods x defenses")
    chosen = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in commands:
        one = _module(name)
        about = (one.__doc__ or "").rstrip(".")
        own = chosen.add_parser(name, help=about, description=about, allow_abbrev=False)
        one.configure(own)
        own.set_defaults(own=own)
    return top


def parsed(argv: Sequence[str], prog: str = "python -m bench") -> argparse.Namespace:
    """Parse a command line; the options of its --config come first, so that those given win. BadInput."""
    top, argv = parser(prog, [argv[0]] if argv and argv[0] in cli.NAMES else cli.NAMES), [*argv]
    args, more = top.parse_known_args(argv)
    if more:
        args.own.error(f"unrecognized arguments: {' '.join(more)}")  # with the usage of the command alone
    places.check(args, args.own)
    if getattr(args, "config", None) is None:
        return args
    own = config.arguments(config.read(args.config), args.own)
    args = top.parse_args([argv[0], *own, *argv[1:]])
    places.check(args, args.own)
    return args


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"bench.cli.{command.replace('-', '_')}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Exit codes: 0 all is well, 1 cells failed, 2 bad input, 3 no room to write, 128 + N ended by signal N.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # stderr does so by itself
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with stopping():
            code = _main(argv)
            sys.stdout.flush()
            return code
    except BadInput as error:
        print(f"bench: {printable(error)}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        if not _is_unread():
            raise
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the interpreter flushes it as it ends
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt as stop:
        print("bench: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 128 + getattr(stop, "number", signal.SIGINT)
    except OSError as error:
        if not is_full(error) and error.filename is None:
            raise
        if not is_full(error):  # of whatever path was given
            print(f"bench: {printable(error.filename)}: {error.strerror}", file=sys.stderr)
            return 2
        where = f" {error.filename}" if error.filename else ""
        print(
            f"bench: cannot write{where} ({error.strerror or error}); what is in rows/ is whole, and "
            "the same command goes on from there once it can be written",
            file=sys.stderr,
        )
        return 3


def _is_unread() -> bool:
    """Whether whoever read what is printed has ended, as head has."""
    watched = select.poll()
    watched.register(sys.stdout.fileno(), 0)  # errors are told in any case
    return bool(watched.poll(0))


def said_twice(argv: Sequence[str]) -> list[str]:
    """List --seed, and fields of --set, that a command line has more than once."""
    seeds = [part.partition("=")[0] for part in argv if part.partition("=")[0] == "--seed"]
    items = [item for option, item in pairwise(argv) if option == "--set"]
    items += [part.removeprefix("--set=") for part in argv if part.startswith("--set=")]
    fields = [item.partition("=")[0] for item in items]
    options = {part.partition("=")[0] for part in argv}
    both = {f"--set {name}" for name in fields if f"--{name.replace('_', '-')}" in options}
    counted = Counter([*seeds, *(f"--set {name}" for name in fields)])
    return [*(name for name, n in counted.items() if n > 1), *sorted(both)]


def _main(argv: Sequence[str] | None) -> int:
    prog = Path(sys.argv[0]).stem
    home = str(Path(__file__).parent.parent.parent)
    if sys.path[:1] != [home]:  # not the methods/ of where one stands
        sys.path.insert(0, home)
    argv = sys.argv[1:] if argv is None else argv
    args = parsed(argv, SCRIPT if prog == SCRIPT else "python -m bench")
    if getattr(args, "print_config", False):
        print(config.written(args, args.own), end="")
        return 0
    for name in said_twice(argv):
        aside = sys.stderr if getattr(args, "json", False) else sys.stdout
        print(f"{printable(name)} is given twice; the last counts", file=aside)
    for library in ("OMP", "OPENBLAS", "MKL"):  # or each worker would use all cores in numpy
        os.environ.setdefault(f"{library}_NUM_THREADS", str(max(getattr(args, "threads", 1), 1)))
    try:
        return int(_module(args.command).main(args))
    except SystemExit as end:  # no command does it, so a plugin did, and nothing is done as it should be
        if isinstance(end.__context__, BrokenPipeError):  # or rich, whose reader has ended, as head does
            return 128 + signal.SIGPIPE
        *_, last = traceback.extract_tb(end.__traceback__)
        said = f"{last.filename}, line {last.lineno}, ended the program (SystemExit: {end})"
        raise BadInput(f"{said}; expected a plugin to return, or to raise another exception") from end
    except Exception as error:
        if why := explained(str(error)):
            raise BadInput(why) from error
        raise
