"""How methods look in the figures of depth, explain and strength: by one order."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from bench.report.figures.style import MethodStyle, styles_of

ORDER = ("clean", "em", "em-class", "emax", "mi-ue", "mi-ue-cos", "random", "tap")  # others come after
CONTROLS = frozenset({"clean", "random"})


def studied_styles(methods: Iterable[str], controls: Collection[str]) -> dict[str, MethodStyle]:
    """In the order given, and looking as in every other study."""
    names = [*methods]
    others = sorted({*names} - {*ORDER})
    everyone = styles_of([*ORDER, *others], CONTROLS | {*controls})
    return {name: everyone[name] for name in names}
