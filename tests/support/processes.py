"""Processes that tests start."""

from __future__ import annotations

from typing import Any

CHILDREN: list[Any] = []  # those of this test
