"""What a process is set up with."""

from __future__ import annotations

import platform
import resource
import sys
from types import SimpleNamespace

import pytest
import torch

from bench.experiment import device
from bench.experiment.device import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have their own ways")
def test_memory_that_a_step_frees_serves_the_next() -> None:
    def step() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        kept = [torch.ones(4 * 2**20) for _ in range(8)]  # 16 MB each
        del kept
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    keep_freed_memory()
    pages = 8 * 16 * 2**20 // resource.getpagesize()
    assert [step() for _ in range(8)][-1] < pages / 10  # the first ones make room


def test_the_peak_is_known_where_there_is_no_module_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, whose processes know it by another name."""
    known = SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=3 * device.MB))
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setattr("psutil.Process", lambda: known)
    monkeypatch.setattr(device.Path, "read_text", lambda self: "")
    with device.meter(torch.device("cpu")) as used:
        pass
    assert used.peak_mb == 3
