"""The commands, one light module each: ABOUT, configure(parser), main(args).

What is heavy to import is imported in main.
"""

NAMES = (
    "run",
    "list",
    "table",
    "leaderboard",
    "compare",
    "report",
    "claims",
    "check",
    "submission",
    "export",
    "verify",
    "protect",
    "conform",
    "study",
    "mi-check",
    "completion",
)  # in the order of --help
