"""The commands, one light module each: ABOUT, configure(parser), main(args).

What is heavy to import is imported in main.
"""

NAMES = (  # in the order of --help
    *("run", "list", "table", "leaderboard", "compare", "report", "claims", "check"),
    *("submission", "export", "verify", "protect", "conform", "study", "mi-check", "completion"),
)
