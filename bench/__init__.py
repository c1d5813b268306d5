"""A benchmark suite for unlearnable examples: methods that protect images crossed with defenses against them.

From Python: craft() protects images, evaluate() trains a victim on them, run() computes a grid as the command
line does, load_rows() reads what is stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import Published, craft, evaluate, load_rows, run

__version__ = "0.1.0"  # the one place: pyproject.toml takes it from here
__all__ = ["Published", "craft", "evaluate", "load_rows", "run"]


def __getattr__(name: str) -> Any:
    """Import the interface when it is used: the command line starts without torch."""
    if name not in __all__:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    from bench import api

    return getattr(api, name)
