"""Signals at every step of what starts and awaits workers, and in the middle of a plugin that never ends."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
import pytest

from bench.cli.signals import stopping
from bench.runner import scheduler
from bench.runner.backends import lifeline
from bench.runner.backends.lifeline import ENDING, starting
from support.commands import command, plug
from support.runs import wait_for


@contextmanager
def at_step(number: int, does: Callable[[], object], *files: str) -> Iterator[list[int]]:
    """Do something once, as so many lines of these files have begun; gives how many there were."""
    seen = [0]

    def step(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            seen[0] += 1
            if seen[0] == number:
                does()
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        yield seen
    finally:
        sys.settrace(before)


def test_an_interrupt_within_a_wait_leaves_no_lock_of_a_future_taken() -> None:
    """Whoever sets a result, or shuts an executor down, would wait for it for ever."""
    waiting, done = Future[int](), Future[int]()
    done.set_result(1)

    def interrupt() -> None:
        raise KeyboardInterrupt

    number, ended = 0, list[Future[int]]()
    while not ended:
        number += 1
        with suppress(KeyboardInterrupt), at_step(number, interrupt, *locking(scheduler.__file__)):
            ended = scheduler.wait([waiting, done], 60)
        for future in (waiting, done):
            taken = threading.Thread(target=future.done, daemon=True)
            taken.start()
            taken.join(60)
            assert not taken.is_alive(), f"after an interrupt at step {number}"
    assert ended == [done] and number > 3


def locking(*files: str) -> list[str]:
    """These files, and those of Python in which locks of futures are taken."""
    return [*files, str(sys.modules["concurrent.futures._base"].__file__), str(threading.__file__)]


def test_a_wait_ends_with_its_time_and_at_once_without_jobs() -> None:
    assert scheduler.wait([Future[int]()], 0.01) == [] and scheduler.wait([], 10**6) == []
    dropped = Future[int]()
    dropped.cancel()
    dropped.set_running_or_notify_cancel()
    assert scheduler.wait([Future(), dropped], 60) == [dropped]


class Elsewhere:
    """Another thread, which hears signals that this one does not."""

    def __enter__(self) -> Callable[[int], None]:
        self.over = threading.Event()
        self.ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)
        self.before = signal.set_wakeup_fd(self.theirs.fileno())
        self.thread = threading.Thread(target=self.over.wait)
        self.thread.start()
        return self.send

    def send(self, number: int) -> None:
        """To this process; it has come, and only Python may not have acted on it."""
        os.kill(os.getpid(), number)
        assert select.select([self.ours], [], [], 60)[0]

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self.before)
        self.over.set()
        self.thread.join()
        for end in (self.ours, self.theirs):
            end.close()


def state() -> tuple[object, ...]:
    """What a signal that ends a run finds."""
    return (*map(signal.getsignal, ENDING), frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, [])))


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_a_signal_at_any_step_of_starting_workers_comes_once_and_after_it(number: int, where: str) -> None:
    """What starts a worker is whole or has not begun; and signals are heard again as before."""
    before, at, last = state(), 0, False
    while not last:
        begun, ended, came, at, steps = [], [], [], at + 1, [0]
        with Elsewhere() as send:
            does = lambda: (send if where == "elsewhere" else signal.raise_signal)(number)  # noqa: E731
            with stopping():
                heard = state()
                try:
                    with at_step(at, does, lifeline.__file__) as steps:
                        started(begun, ended)
                except KeyboardInterrupt as stop:
                    came.append(getattr(stop, "number", signal.SIGINT))
                found = state()
            own = [n for n in ENDING if n != number or n == signal.SIGINT]  # it is heard once
            assert [found[ENDING.index(n)] for n in own] == [heard[ENDING.index(n)] for n in own], at
        assert found[-1] == before[-1] and state() == before, at
        last = steps[0] < at
        assert came == ([] if last else [number]) and begun == ended, (at, came, begun, ended)
    assert at > 10


def started(begun: list[int], ended: list[int]) -> None:
    with starting():
        begun.append(1)
        ended.append(1)


def test_what_is_started_is_deaf_until_it_begins() -> None:
    """^C comes to all processes of a terminal, and half of a new one's orders would be a traceback."""
    code = "import signal; print(*(int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
    with starting():
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    said, _ = child.communicate(timeout=60)
    assert {*map(int, said.split())} >= {*map(int, ENDING)}


# In the middle of work that never ends

ENDLESS = """
import os, signal, time
from dataclasses import dataclass
from pathlib import Path
from methods.uniform import Uniform

@dataclass(frozen=True)
class Endless(Uniform):
    where: str = ""
    number: int = 1

    def craft(self, clean, lab):
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        Path(self.where, f"{os.getpid()}").write_text(str(len(blocked)))
        while True:
            time.sleep(60)

VARIANTS = {"endless-1": Endless(), "endless-2": Endless(number=2)}
"""
SAYS = "bench: interrupted; the same command goes on where it stopped"


@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_workers_end_with_their_run_and_not_with_their_work(place: Path, name: str) -> None:
    """However it ends; both of them are in the middle, and hear signals as any program."""
    begun, log = place / "begun", place / "log"
    begun.mkdir()
    plugins = plug(place, "methods", ENDLESS.replace('where: str = ""', f'where: str = "{begun}"'))
    argv = command(place, "endless-1,endless-2", "none", "--plugins", str(plugins), "--workers", "2")
    with log.open("w") as out:
        run = subprocess.Popen([sys.executable, "-m", "bench", *argv], stdout=out, stderr=out)
    try:
        wait_for(lambda: len([*begun.iterdir()]) == 2 or run.poll() is not None, 300)
        assert run.poll() is None, log.read_text()
        children = psutil.Process(run.pid).children(recursive=True)
        workers = [int(path.name) for path in begun.iterdir()]
        assert {*workers} <= {child.pid for child in children}
        wait_for(lambda: all(path.read_text() == "0" for path in begun.iterdir()))
        run.send_signal(getattr(signal, name))
        code = run.wait(60)
    finally:
        run.kill()
    _, left = psutil.wait_procs(children, 60)
    for child in left:
        child.kill()
    assert not left and code == (-signal.SIGKILL if name == "SIGKILL" else 128 + getattr(signal, name))
    if name != "SIGKILL":
        said = log.read_text()
        assert said.splitlines()[-1] == SAYS and "Traceback" not in said and "resource_tracker" not in said
