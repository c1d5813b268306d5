"""Workers are started as there is memory for them, and what one needs is known before."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from rich.console import Console

from bench.core.types import Recipe
from bench.experiment.context import RunContext
from bench.experiment.settings import Setting
from bench.runner import memory
from bench.runner.backends.local import seated
from bench.runner.request import Machine
from bench.runner.session import workers_to_start
from support.toys import METHODS, toy_dataset


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    return RunContext(toy_dataset(), Setting(), "quick", torch.device("cpu"), tmp_path, {})


def test_kept_bytes_are_those_of_one_image(context: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    for net in ("small", "resnet18-slim"):
        one = memory.kept_bytes(context, net)
        monkeypatch.setattr(memory, "KEPT", 8)
        eight = memory.kept_bytes(context, net)
        assert one == pytest.approx(eight, rel=0.05)  # what does not grow with the batch is small
        size = 3 * context.data.size**2 * 4
        assert 2 * size < one < 500 * size


def test_largest_batch_is_anybodys(context: RunContext) -> None:
    em = METHODS["em"].value
    victim, own = Recipe(batch=1), replace(em, batch=3)
    for setting, value, expected in (
        (Setting(victim=Recipe(batch=10**6)), em, 10**6),
        (Setting(victim=victim), replace(em, batch=5000), 5000),
        (Setting(victim=victim), replace(own, surrogate=replace(em.surrogate, batch=700)), 700),
    ):
        method = replace(METHODS["em"], value=value)
        assert memory.largest_batch(replace(context, setting=setting), [METHODS["clean"], method]) == expected


def test_where_no_number_is_asked_for_there_is_a_worker_for_each_core(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as the container has, see cores()."""
    monkeypatch.setattr("bench.runner.session.cores", lambda: 3)
    monkeypatch.setattr(memory, "available_mb", lambda: inf)
    for asked, started in ((None, 3), (2, 2)):
        assert workers_to_start(Machine(workers=asked), context, [], Console(quiet=True)) == started


@pytest.mark.parametrize(("free", "expected"), [(inf, 4), (8000.0, 4), (3999.0, 3), (999.0, 1), (1.0, 1)])
def test_workers_fit_into_memory(
    context: RunContext, free: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_mb", lambda: free)
    monkeypatch.setattr(memory, "needed_mb", lambda context, methods: 1000.0)
    workers, said = memory.affordable(context, [], 4)
    assert workers == expected
    assert (said is None) == (expected == 4)


def test_more_images_and_larger_batches_need_more(context: RunContext) -> None:
    em = METHODS["em"]
    plain = memory.needed_mb(context, [em])
    heavy = replace(em, value=replace(em.value, batch=100 * em.value.batch))
    assert memory.needed_mb(context, [heavy]) > plain + 1
    assert torch.is_grad_enabled()


def test_what_a_container_says_is_read(tmp_path: Path) -> None:
    (tmp_path / "memory.current").write_text(f"{2 * 2**20}\n")
    (tmp_path / "memory.stat").write_text(f"anon 9\ninactive_file {2**20}\nactive_file 7\n")
    for limit, expected in (
        ("max", inf),
        (str(5 * 2**20), 4),
    ):  # 2 are used, one of them by files that were read
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        assert memory._granted_mb(tmp_path) == expected
    assert memory._granted_mb(tmp_path / "absent") == inf


def test_the_container_counts_where_it_grants_less_than_the_machine_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for granted, expected in ((3.0, 3.0), (inf, 7.0)):
        monkeypatch.setattr(memory, "_granted_mb", lambda granted=granted: granted)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=7 * 2**20))
        assert memory.available_mb() == expected


@pytest.mark.parametrize(
    ("device", "expected"),
    [("cpu", ["cpu"] * 3), ("cuda", ["cuda:0", "cuda:1", "cuda:0"]), ("cuda:1", ["cuda:1"] * 3)],
)
def test_each_worker_has_a_gpu_of_its_own(device: str, expected: list[str]) -> None:
    assert [str(seated(torch.device(device), seat, 2)) for seat in range(3)] == expected
