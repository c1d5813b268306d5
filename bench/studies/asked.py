"""What the user asked of a study, and what its grids say -> the arguments of the verb run, for each grid."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from bench.core.errors import BadInput
from bench.registry import KINDS, catalog
from bench.settings import Setting
from bench.studies.study import Options, Study
from bench.verbs import run

Values = dict[str, Any]


def grids_of(study: Study, args: argparse.Namespace) -> list[argparse.Namespace]:
    """Each grid's arguments; --set of a method or defense reaches the grids that have it.

    Victims are kept where the study measures them.

    Raises BadInput where the user and a grid both choose something.
    """
    keep = {"keep_victims": bool(study.measures or study.through_clean)}
    each = [_merged(grid, args) | keep for grid in study.grids()]
    plugins = [_plugins(values) for values in each]
    known = {f.name for f in fields(Setting)}
    for values, ours in zip(each, plugins, strict=True):
        elsewhere = set().union(*plugins) - ours - known
        given = [item for item in args.set if item.partition(".")[0] not in elsewhere]
        values["set"] = [*values["set"], *given]  # the user's come last and win
    return [argparse.Namespace(**values) for values in each]


def _merged(grid: Options, args: argparse.Namespace) -> Values:
    """What the grid says, and for the rest what the user does."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    run.configure(parser)
    values, defaults = (vars(parser.parse_args(options)) for options in (grid, ()))
    for name, default in defaults.items():
        given = getattr(args, name, default)
        if name == "set" or given == default:
            continue
        if values[name] not in (default, given):
            option = f"--{name.replace('_', '-')}"
            raise BadInput(f"{option} {given}: study {args.name} chooses it itself, here {values[name]}")
        values[name] = given
    return values


def _plugins(values: Values) -> set[str]:
    """Names of the grid's methods and defenses."""
    return {p.name for kind in KINDS for p in catalog(kind, values["plugins"]).choose(values[kind])}
