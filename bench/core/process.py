"""This process among all that may write to a shared folder."""

from __future__ import annotations

import os
import platform


def own() -> str:
    """A name for temporary files: process ids alone repeat across the machines of a cluster."""
    return f"{platform.node()}-{os.getpid()}"
