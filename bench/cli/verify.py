"""verify: the audit of a poison."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.cli import options

ABOUT = "audit a poison that was made elsewhere, against the clean images where --data names them"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="PATH", help="our export, a folder of PNGs, .npy, .pt, .pth or .safetensors"
    )
    options.images(parser)
    options.crafting(parser)
    options.data_root(parser)
    parser.add_argument("--cache", type=Path, metavar="DIR", help="of drawn and downloaded data sets")


def main(args: argparse.Namespace) -> int:
    from bench.core.errors import BadInput

    if "," in args.path:
        raise BadInput(f"verify: {args.path} has a comma, which separates names; expected a path without")
    args.methods = f"file:{args.path}"
    if args.data and args.limit is None:
        args.limit = "none"  # as far as the data set goes, not as far as a profile
    asked = options.checked(args)

    from bench.cli import audit

    return audit.run(asked)
