"""Options that several commands share: what to work on, how to craft, and where."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from bench.cli.places import place
from bench.core.errors import BadInput

if TYPE_CHECKING:
    from bench.runner.request import RunRequest


Options = argparse._ActionsContainer  # a parser, or a group of its options


def images(to: Options) -> None:
    to.add_argument(
        "--data", help="data set: glyphs, cifar10, cifar100, svhn, folder:DIR[@SIZE] and others, see list"
    )
    to.add_argument("--limit", metavar="N", help="class-balanced subset of the training images; none: all")
    to.add_argument(
        "--imbalance",
        metavar="R",
        help="long-tailed training images: R of the first class for one of the last (default: 1, as is)",
    )
    to.add_argument("--columns", metavar="IMAGE,LABEL", help="of parquet files (default: the usual names)")
    to.add_argument("--test-split", metavar="NAME", help="parquet files to test on (default: test)")
    to.add_argument(
        "--allow-duplicates",
        action="store_true",
        help="even if over 1 %% of test images are in training",
    )
    to.add_argument("--data-root", type=place, metavar="DIR", help="where cifar10, cifar100, svhn lie")


def crafting(to: Options, profile: str = "quick") -> None:
    to.add_argument(
        "--profile", default=profile, help=f"preset of everything that can be set (default: {profile})"
    )
    to.add_argument("--surrogate", metavar="NET", help="the methods' net")
    to.add_argument("--precision", help="fp32, bf16, or auto: bf16 where the processor has it")
    to.add_argument("--eps", help="L-inf budget for all methods, such as 8/255 (default: each method's own)")
    to.add_argument("--seed", help="base of all random streams")
    to.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="any field of the profile (victim.epochs=5) or of a plugin (tap.steps=100)",
    )


def victims(to: Options) -> None:
    to.add_argument("--reps", metavar="V", help="victims for each poison")
    to.add_argument("--poison-reps", metavar="P", help="poisons for each method")
    to.add_argument("--reference", metavar="N", help="clean images for the defenses that use some")
    to.add_argument(
        "--prepare-test",
        action="store_true",
        help="defenses that prepare images once prepare test images too",
    )


def ranked(
    to: Options, about: str = "the set to rank over, names with commas (default: all in the rows)"
) -> None:
    to.add_argument("--defenses", metavar="NAMES", help=about)


def mix_threats(to: Options) -> None:
    to.add_argument(
        "--mix-threats",
        action="store_true",
        help="methods of several threat models beside each other (default: those of one alone)",
    )


def names_of(text: str | None) -> list[str] | None:
    """Split --defenses; None where it was not given."""
    names = None if text is None else [*filter(None, map(str.strip, text.split(",")))]
    if names == []:
        raise BadInput("--defenses names none, expected names with commas between")
    return names


def machine(to: Options) -> None:
    to.add_argument("--plugins", type=place, metavar="DIR", help="with further methods/, defenses/, nets/")
    to.add_argument("--cache", type=place, metavar="DIR", help="poisons and checkpoints; default: the user's")
    to.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1")
    to.add_argument("--threads", type=int, default=1, metavar="N", help="threads per process (default: 1)")
    to.add_argument("--save-seconds", type=float, default=30.0, metavar="S", help="between checkpoints")


def where(to: Options, out: str) -> None:
    """Add what computes a grid and where its rows go. out: the folder where none is given."""
    to.add_argument("--out", type=place, metavar="DIR", help=f"default: {out}")
    machine(to)
    to.add_argument("--workers", type=int, metavar="N", help="processes; default: CPU cores, or GPUs")
    to.add_argument("--minutes", type=float, metavar="M", help="start no job that will not fit")


def before(parser: argparse.ArgumentParser) -> None:
    """Add what only says what would be computed."""
    to = parser.add_argument_group("before computing")
    to.add_argument(
        "--dry-run", action="store_true", help="only show cells, steps and hours, from 20 timed steps"
    )
    to.add_argument(
        "--img-per-s", type=float, metavar="X", help="with --dry-run: a worker's images/s, in place of timing"
    )


def speed(args: argparse.Namespace) -> float | None:
    """Read the speed that a dry run goes by; BadInput where it is none, or nothing asks for it."""
    given: float | None = args.img_per_s
    if given is not None and not args.dry_run:
        raise BadInput(f"--img-per-s {given:g} is for --dry-run alone, which is not asked for")
    if given is not None and not 0 < given < math.inf:
        raise BadInput(f"--img-per-s is {given:g}, expected above 0")
    return given


def checked(args: argparse.Namespace) -> RunRequest:
    """Read what the options ask for; BadInput, before torch is imported, where it cannot be had."""
    from bench.runner.request import check

    read = request(args)
    check(read)
    return read


def request(args: argparse.Namespace) -> RunRequest:
    """Read all that the options ask for; what has no option, or is not given, is as by default."""
    from dataclasses import fields

    from bench.data.rules import Reading
    from bench.runner.request import Machine, Options, RunRequest, Where

    def made(kind: type[Any], **more: Any) -> Any:
        given = {f.name: getattr(args, f.name, None) for f in fields(kind)} | more
        return kind(**{name: value for name, value in given.items() if value is not None})

    kinds = {"options": Options, "where": Where, "machine": Machine, "reading": Reading}
    groups = {name: made(kind) for name, kind in kinds.items()}
    folder = getattr(args, "purified", None)
    more = {} if folder is None else {"defenses": f"{args.defenses},purified:{_place(folder)}"}
    read: RunRequest = made(RunRequest, overrides=tuple(args.overrides), **groups, **more)
    return read


def _place(folder: str) -> str:
    """Check the folder of --purified, which stands among names with commas between."""
    if "," in folder:
        raise BadInput(f"--purified {folder} has a comma, which separates names, expected none")
    return folder
