"""How methods look in the figures of depth, explain and strength."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from bench.report.figures.style import MethodStyle, styles_of


def studied_styles(methods: Iterable[str], controls: Collection[str]) -> dict[str, MethodStyle]:
    """Style methods, in the order given."""
    return styles_of(methods, controls)
