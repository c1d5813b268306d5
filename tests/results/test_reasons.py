"""Of a failure the first line of its exception is shown; the whole stays in the row."""

from __future__ import annotations

import pytest

from bench.results.select import reason_of
from support.rows import row

TRACE = "Traceback (most recent call last):\n  File x, line 3\n    craft()\n"
FIRST = "ValueError: a layer does not fit:"
MORE = f"{FIRST}\n  expected 3\nbut there are 4\n\n  in net 'own'"
REASONS = {
    "one line": (f"{TRACE}{FIRST}", FIRST),
    "several lines": (TRACE + MORE, FIRST),
    "behind a sentence": (f"crafting em failed\n{TRACE}{MORE}", FIRST),
    "of a chain the last": (f"{TRACE}KeyError: 'a'\n\nDuring the handling:\n\n{TRACE}{MORE}", FIRST),
    "a module's own": (f"{TRACE}own.errors.Panic: torn\nbacktrace:\n  0: x", "own.errors.Panic: torn"),
    "a sentence": ("gray images have no colours", "gray images have no colours"),
}


@pytest.mark.parametrize("case", REASONS)
def test_the_first_line_of_an_exception_is_shown(case: str) -> None:
    reason, shown = REASONS[case]
    failed = row("em", status="failed", reason=reason)
    assert reason_of(failed, "test_acc") == shown and failed.reason == reason
