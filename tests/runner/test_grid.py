"""What the grid gives its workers, in which order, and whom it blames where one of them dies."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from rich.console import Console

from bench.cli.main import main
from bench.core.defense import Undefended
from bench.core.errors import BadInput
from bench.experiment.cache import open_shared, share
from bench.experiment.context import RunContext, blank_row
from bench.experiment.registry import Plugin
from bench.experiment.settings import Setting
from bench.results.rows import Row, load_all
from bench.runner import grid, scheduler
from bench.runner.backends.local import Pool
from bench.runner.jobs import Job, Result, without_places
from bench.runner.progress import Progress
from support.commands import command, plug, rows_of
from support.runs import wait_for
from support.toys import DEFENSES, METHODS, toy_dataset

LETHAL = """
import os, signal
from dataclasses import dataclass
from methods.uniform import Uniform

@dataclass(frozen=True)
class Lethal(Uniform):
    def craft(self, clean, lab):
        os.kill(os.getpid(), signal.SIGKILL)

VARIANTS = {"lethal": Lethal()}
"""


def test_a_plugin_that_kills_its_worker_spoils_no_other_row(place: Path) -> None:
    plugins = plug(place, "methods", LETHAL)
    assert main(command(place, "lethal,clean", "none", "--plugins", str(plugins), "--workers", "2")) == 1
    rows = rows_of(place)
    assert rows["clean", "none"].status == "ok"
    failed = rows["lethal", "none"]
    assert failed.status == "failed" and failed.reason and "its worker process died" in failed.reason


# Without processes


class Town:
    """Workers that a test ends by hand: wait() of the grid ends what end() says."""

    def __init__(self, context: RunContext, end: Callable[[list[Job]], list[Job]], workers: int) -> None:
        self.context, self.end, self.workers = context, end, workers
        self.at_work: dict[Job, Future[Result]] = {}
        self.submitted: list[str] = []
        self.dead: list[Job] = []  # whose workers die now

    def submit(self, job: Job) -> Future[Result]:
        assert len(self.at_work) < self.workers
        self.submitted.append(job.name)
        self.at_work[job] = Future()
        return self.at_work[job]

    def wait(self, futures: Any, *limits: Any) -> list[Future[Result]]:
        assert {*futures} == {*self.at_work.values()}
        for job in self.end([*self.at_work]):
            row = blank_row(self.context, job.cell, test_acc=0.5) if job.cell else None
            self.at_work.pop(job).set_result(Result(row, seconds=1.0))
        for job in self.dead:
            self.at_work.pop(job).set_exception(BrokenProcessPool())
        self.dead = []
        return [future for future in futures if future.done()]

    def close(self, *, now: bool) -> None:
        assert not now and not self.at_work


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    return RunContext(toy_dataset(), Setting(), "quick", torch.device("cpu"), tmp_path / "cache", {})


@dataclass(frozen=True)
class Costly(Undefended):
    cost: float = 1.0  # type: ignore[misc]


def defense(name: str, cost: float) -> Plugin:
    return replace(DEFENSES["none"], name=name, value=Costly(cost))


def method(name: str, passes: float) -> Plugin:
    """A method of such a cost."""
    kind = type(name, (type(METHODS["random"].value),), {"passes": passes})
    return replace(METHODS["random"], name=name, value=kind())


def ran(
    context: RunContext,
    methods: list[Plugin],
    defenses: list[Plugin],
    end: Callable[[Town, list[Job]], list[Job]],
    monkeypatch: pytest.MonkeyPatch,
    workers: int = 2,
) -> tuple[Town, dict[str, Row]]:
    """The grid on workers whose jobs end as end(town, those at work) says; its rows by their names."""
    town = Town(context, lambda at_work: end(town, at_work), workers)
    monkeypatch.setattr(scheduler, "wait", town.wait)
    rows, wanted = context.cache.parent / "rows", grid.cells(context, methods, defenses)
    rows.mkdir()
    progress = Progress(Console(quiet=True))
    grid.run(context, wanted, rows, progress, lambda *_, report: town, None)
    assert not [*(context.cache / "locks").iterdir()] and progress.before <= progress.total
    return town, {f"{row.method} x {row.defense}": row for row in load_all(rows)}


NONE, SLOW = defense("none", 1), defense("slow", 3)


@pytest.mark.parametrize("lethal", ["a x none", "b x slow", "c x craft"])
def test_what_kills_its_worker_three_times_is_a_failed_row_and_no_other_is(
    context: RunContext, lethal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last time alone; the others' rows are right, and none is tried again."""
    alone: list[bool] = []

    def end(town: Town, at_work: list[Job]) -> list[Job]:
        town.dead = [job for job in at_work if job.name == lethal]
        alone.extend(len(at_work) == 1 for _ in town.dead)
        return [] if town.dead else at_work[-1:]

    methods = [method("a", 9), method("b", 8), method("c", 7)]
    town, rows = ran(context, methods, [NONE, SLOW], end, monkeypatch)
    failed = {name for name, row in rows.items() if row.status == "failed"}
    assert len(rows) == 6 and failed == ({lethal} if "craft" not in lethal else {"c x none", "c x slow"})
    assert town.submitted.count(lethal) == 3 and alone[-1]
    others = [name for name in town.submitted if name != lethal]
    assert len(others) == len({*others})


def test_a_worker_that_was_killed_is_replaced(context: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many deaths, each of another job: all rows are there."""
    killed: set[str] = set()

    def end(town: Town, at_work: list[Job]) -> list[Job]:
        town.dead = [job for job in at_work if job.name not in killed]
        killed.update(job.name for job in town.dead)
        return [job for job in at_work if job not in town.dead]

    town, rows = ran(context, [method("a", 9), method("b", 8)], [NONE, SLOW], end, monkeypatch)
    assert {row.status for row in rows.values()} == {"ok"} and len(rows) == 4
    assert all(town.submitted.count(name) == 2 for name in killed) and len(killed) == 6


def test_cells_start_once_their_poison_is_there_and_long_ones_first(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = [method("a", 1), method("b", 9), method("c", 5)]
    defenses = [NONE, SLOW, defense("slower", 4)]
    town, _ = ran(context, methods, defenses, lambda town, at_work: at_work[-1:], monkeypatch, workers=2)
    # b is still being crafted while all else comes and goes
    assert town.submitted[:4] == ["b x craft", "c x craft", "a x craft", "c x slower"]
    assert town.submitted[4:9] == ["a x slower", "c x slow", "a x slow", "c x none", "a x none"]
    assert town.submitted[9:] == ["b x slower", "b x slow", "b x none"]


# With processes


@dataclass(frozen=True)
class Errand:
    name: str


def file_at(address: int) -> tuple[int, str]:
    """This process, and the file that it has mapped there, by Linux's /proc."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, _, _, _, _, *path = line.split(maxsplit=5)
        low, high = (int(end, 16) for end in span.split("-"))
        if low <= address < high:
            return os.getpid(), "".join(path)
    raise AssertionError(f"nothing is mapped at {address}")


class Deeds:
    """What the processes below do. It takes as long to send as much work does, while others may look."""

    def __reduce__(self) -> Any:
        time.sleep(0.2)
        return Deeds, ()

    def __call__(self, context: Any, errand: Errand, tick: Any) -> tuple[int, str] | None:
        if errand.name == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if errand.name == "sleep":
            time.sleep(60)
        if errand.name == "meet":  # a moment, so that each worker does one
            time.sleep(2)
            return file_at(context.data.train.images.data_ptr())
        return None


@pytest.fixture
def pool(context: RunContext) -> Any:
    pool = Pool(Deeds(), context, workers=2, plugins=None, report=lambda *said: None)
    yield pool
    pool.close(now=True)


def test_a_dead_worker_is_noticed_while_another_is_at_work(pool: Pool) -> None:
    neighbour = pool.submit(Errand("meet"))
    assert isinstance(pool.submit(Errand("die")).exception(120), BrokenProcessPool)
    assert pool.submit(Errand("nothing")).result(120) is None
    assert neighbour.result(120) is not None  # the other's work went on


def test_workers_end_with_their_lifeline_before_they_have_begun(context: RunContext) -> None:
    before = psutil.Process().children()  # of other tests
    pool = Pool(Deeds(), context, workers=2, plugins=None, report=lambda *said: None)
    pool.submit(Errand("sleep"))
    children = [child for child in psutil.Process().children() if child not in before]
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    assert workers
    pool.grip.close()
    wait_for(lambda: all(map(has_ended, workers)))
    pool.close(now=True)


def has_ended(process: psutil.Process) -> bool:
    """Unlike psutil's wait, takes no exit code away from the executor, which would wait for it for ever."""
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


LINUX = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads Linux's /proc")


@LINUX
def test_workers_map_one_file_of_images(pool: Pool, context: RunContext) -> None:
    """They hold no copies, and take no shared memory."""
    (one, mapped), (other, also) = (f.result(60) for f in [pool.submit(Errand("meet")) for _ in range(2)])
    (file,) = (context.cache / "images").iterdir()
    assert one != other and mapped == also == str(file)


@LINUX
def test_images_take_memory_once_they_are_used(context: RunContext) -> None:
    """And not for having been compared with their digest."""
    found = open_shared(share(context.data, context.cache), context.cache)
    (file,) = (context.cache / "images").iterdir()
    _, *maps = Path("/proc/self/smaps").read_text().split(f"{file}\n")
    assert maps and {re.findall(r"Rss: +(\d+) kB", lines)[0] for lines in maps} == {"0"}
    assert torch.equal(found.train.images, context.data.train.images)


@pytest.mark.parametrize("damage", [lambda whole: whole[:-100], lambda whole: b"", lambda whole: b"no"])
def test_images_that_are_damaged_are_shared_anew(
    context: RunContext, damage: Callable[[bytes], bytes]
) -> None:
    shared = share(context.data, context.cache)
    (file,) = (context.cache / "images").iterdir()
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(BadInput, match=f"{file.name} cannot be read"):
        open_shared(shared, context.cache)
    found = open_shared(share(context.data, context.cache), context.cache)
    assert torch.equal(found.train.images, context.data.train.images)


# What a failure says


@pytest.mark.parametrize("home", ["/", "", "/home/me"])
def test_a_failure_names_no_folder_of_the_user(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container, a user may have the root as a home, or none."""

    def here() -> Path:
        if not home:
            raise RuntimeError("Could not determine home directory.")
        return Path(home)

    monkeypatch.setattr(Path, "home", here)
    error = "https://x.org, /plug/odd.py, /home/me/odd.py"
    kept = "odd.py" if home == "/home/me" else "/home/me/odd.py"
    assert without_places(error, Path("/plug")) == f"https://x.org, odd.py, {kept}"


NOTING = """
from dataclasses import dataclass
from methods.uniform import Uniform

@dataclass(frozen=True)
class Endless(Uniform):
    def craft(self, clean, lab):
        raise ValueError("x" * 6_000_000 + "\\udcff")

VARIANTS = {"endless": Endless()}
"""


def test_a_message_that_no_row_can_hold_is_cut_and_the_rest_goes_on(place: Path) -> None:
    plugins = plug(place, "methods", NOTING)
    assert main(command(place, "endless,clean", "none", "--plugins", str(plugins))) == 1
    rows = rows_of(place)  # which can be read
    assert rows["clean", "none"].status == "ok"
    reason = rows["endless", "none"].reason or ""
    assert rows["endless", "none"].status == "failed" and len(reason) < 200_000 and "[...]" in reason


def test_what_keeps_a_worker_from_beginning_is_what_its_job_raises(pool: Pool, context: RunContext) -> None:
    """Not that it was killed."""
    for path in (context.cache / "images").iterdir():
        path.unlink()
    with pytest.raises(BadInput, match="cannot be read"):
        pool.submit(Errand("nothing")).result(120)
