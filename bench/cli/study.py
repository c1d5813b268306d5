"""Answer one question by grids of its own and by measures of their victims."""

from __future__ import annotations

import argparse

from bench.cli import as_json, options
from bench.core.errors import BadInput
from bench.studies import NAMES, named


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help=f"which: {', '.join(NAMES)}")
    what = parser.add_argument_group("for all of its grids")
    options.images(what)
    options.crafting(what)
    options.victims(what)
    where = parser.add_argument_group("where and how")
    options.where(where, "results/studies/NAME-DATA")
    where.add_argument(
        "--kept",
        action="store_true",
        help="measure again in --out from kept features alone: no victim, no images (an estimator changed)",
    )
    options.before(parser)
    as_json.add(where)


def main(args: argparse.Namespace) -> int:
    from bench.experiment.declared import declare
    from bench.runner.request import check, varied

    if args.json and not args.dry_run:
        raise BadInput("--json prints the plan of --dry-run, expected that beside it")
    given = options.speed(args)
    request = options.request(args)
    for grid in varied(request, args.name, named(args.name, declare).grids()):
        check(grid)

    from bench.cli import dry_run
    from bench.studies import driver

    if args.dry_run:
        if args.kept:
            raise BadInput("--dry-run is for what has to be computed, and --kept trains nothing")
        each = varied(request, args.name, named(args.name).grids())
        return dry_run.run(each, given, place=driver.STUDIES / args.name, json=args.json)
    if args.kept:
        if args.out is None:
            raise BadInput("--kept goes on in a folder, expected --out DIR")
        return driver.again(args.name, args.out)
    return driver.run(args.name, request)
