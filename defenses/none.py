"""None: train on the published images as they are; the row that a defense is compared with.

No source.
Differs from the paper: nothing known.
"""

from __future__ import annotations

from bench.core.defense import Undefended

VARIANTS = {"none": Undefended()}
CONTROLS = ("none",)
