"""What the benchmarks share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from benchmarks.figures import Figures
from benchmarks.remote import Remote


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info.pop("node")  # a host's name
    machine_info["torch"] = torch.__version__


@pytest.fixture
def figures(benchmark: Any) -> Figures:
    return Figures(benchmark)


@pytest.fixture(scope="session")
def remotes() -> Iterator[tuple[Remote, Remote]]:
    """Two processes to compute in."""
    both = Remote(), Remote()
    yield both
    for remote in both:
        remote.close()
