"""A grid on Dask: schedulers and workers started by their own commands, on loopback."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from distributed import Client

from bench.cli.main import main
from bench.core.errors import BadInput
from bench.experiment.context import RunContext
from bench.experiment.fingerprint import fingerprint
from bench.experiment.registry import HOME
from bench.experiment.settings import PROFILES
from bench.runner.backends import dask
from bench.runner.backends.dask import Cluster
from bench.runner.jobs import Job, work
from support.commands import command, plug, rows_of
from support.pictures import draw_images
from support.runs import SAVING, Rows, checkpoints, end_of, fresh, rows_in, start, wait_for
from support.toys import METHODS as TOYS
from support.toys import toy_dataset

GRID = "em,tap", "none,cutout"
RECIPE = Path(__file__).parent.parent.parent / "docs" / "running.md"
LOOPBACK = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")
HERE = "/proc/self/cwd"  # another folder in every process
LETHAL = """
import os, signal
from dataclasses import dataclass
from bench.core.method import Method

@dataclass(frozen=True)
class Lethal(Method):
    def craft(self, clean, lab):
        os.kill(os.getpid(), signal.SIGKILL)

VARIANTS = {"lethal": Lethal()}
"""


class Town:
    """A scheduler and what workers a test starts."""

    def __init__(self, place: Path) -> None:
        self.place, self.running = place, list[subprocess.Popen[bytes]]()
        file = place / "scheduler.json"
        self.dask("scheduler", "--port", "0", "--scheduler-file", str(file))
        wait_for(lambda: file.exists() and file.read_text().endswith("\n}"))  # written, not only opened
        self.address: str = json.loads(file.read_text())["address"]

    def dask(self, *argv: str) -> subprocess.Popen[bytes]:
        number = len(self.running)
        few = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
        argv = (*argv, *LOOPBACK, "--no-dashboard")
        with (self.place / f"{number}.log").open("wb") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "dask", *argv],
                cwd=HOME,  # from which it takes the package
                env=os.environ | few | {"CUDA_VISIBLE_DEVICES": ""},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.running.append(started)
        return started

    def worker(self, *argv: str, nthreads: int = 1) -> subprocess.Popen[bytes]:
        known = self.workers()
        place = ["--local-directory", str(self.place), "--memory-limit", "0"]
        size = ["--nworkers", "1", "--nthreads", str(nthreads)]
        started = self.dask("worker", self.address, *size, *place, *argv)
        wait_for(lambda: self.workers() > known)
        return started

    def workers(self) -> set[str]:
        with Client(self.address, set_as_default=False) as client:
            return set(client.nthreads())

    def idle(self) -> bool:
        """Whether no worker is computing anything."""
        with Client(self.address, set_as_default=False) as client:
            return not any(client.run(lambda dask_worker: len(dask_worker.active_threads)).values())

    def wanted(self) -> list[dict[str, float]]:
        """The resources that unfinished tasks ask for."""
        with Client(self.address, set_as_default=False) as client:
            asked: list[dict[str, float]] = client.run_on_scheduler(
                lambda dask_scheduler: [
                    dict(t.resource_restrictions or {}) for t in dask_scheduler.tasks.values()
                ]
            )
        return asked

    def listening(self) -> set[str]:
        """Where the commands and all that they started, nannies among them, take connections."""
        heads = [psutil.Process(process.pid) for process in self.running]
        family = [*heads, *(child for head in heads for child in head.children(recursive=True))]
        found = [place for process in family for place in process.net_connections("inet")]
        return {place.laddr.ip for place in found if place.status == psutil.CONN_LISTEN}

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL to a command and all that it started."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.running.remove(process)

    def close(self) -> None:
        for process in [*self.running]:
            self.end(process)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """With one worker that stays."""
    town = Town(tmp_path_factory.mktemp("town"))
    try:
        town.worker()
        yield town
    finally:
        town.close()


@pytest.fixture
def second(town: Town) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts workers beside it for one test."""
    before = [*town.running]
    yield town.worker
    for process in [*town.running]:
        if process not in before:
            town.end(process)
    wait_for(lambda: len(town.workers()) == 1)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    draw_images(tmp_path / "quad")
    return tmp_path


def on(town: Town, place: Path, methods: str, defenses: str, *more: str) -> list[str]:
    argv = command(place, methods, defenses, *more, "--scheduler", town.address)
    at = argv.index("--workers")
    return argv[:at] + argv[at + 2 :]


def jobs_at_work(place: Path) -> int:
    """One for each worker, since each does one at a time."""
    return len({name.partition(".")[0] for name in checkpoints(place)})


def test_only_this_machine_can_reach_it(town: Town) -> None:
    """Whoever reaches a port runs code; so the recipe in the documentation binds what the tests bind."""
    assert town.listening() == {"127.0.0.1"}
    commands = re.findall(r"^.*-m dask .*$", RECIPE.read_text(encoding="utf-8"), re.M)
    assert len(commands) == 5 and all(" ".join(LOOPBACK) in command for command in commands)


def test_killed_worker(
    town: Town, second: Callable[..., subprocess.Popen[bytes]], place: Path, tmp_path: Path
) -> None:
    """Every row is there once, and is the row of a local run."""
    local, long = fresh(place, tmp_path / "local"), ("--set", "victim.epochs=20")  # two at work are seen
    child = start(command(local, *GRID, *long), tmp_path / "log")
    doomed = second()
    assert end_of(child) == 0, (tmp_path / "log").read_text()
    whole: Rows = rows_in(local / "out")
    assert len(whole) == 4

    child = start(on(town, place, *GRID, *SAVING, *long), tmp_path / "log")
    wait_for(lambda: jobs_at_work(place) >= 2 or child.exitcode is not None, seconds=120)
    assert child.exitcode is None, (tmp_path / "log").read_text()
    town.end(doomed)
    assert end_of(child) == 0, (tmp_path / "log").read_text()
    assert rows_in(place / "out") == whole
    assert not checkpoints(place) and not [*(place / "cache" / "clusters").iterdir()]


def test_what_kills_its_workers_is_a_failed_row(town: Town, place: Path, tmp_path: Path) -> None:
    plugins = plug(place, "methods", LETHAL)
    child = start(on(town, place, "clean,lethal", "none", "--plugins", str(plugins)), tmp_path / "log")
    assert end_of(child) == 1, (tmp_path / "log").read_text()
    rows = rows_of(place)
    assert rows["clean", "none"].status == "ok"
    failed = rows["lethal", "none"]
    assert failed.status == "failed" and failed.reason
    assert "2 worker processes died" in failed.reason and str(HOME) not in failed.reason


ENDLESS = ("--set", "victim.epochs=100000")


def test_time_that_is_up(town: Town, place: Path, tmp_path: Path) -> None:
    """The client's deadline ends work elsewhere too."""
    child = start(on(town, place, "clean", "none", *ENDLESS, "--minutes", "0.1"), tmp_path / "log")
    assert end_of(child) == 0 and not rows_in(place / "out"), (tmp_path / "log").read_text()
    assert "1 cells are left for lack of time" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_work_ends_with_its_client(town: Town, place: Path, tmp_path: Path, how: signal.Signals) -> None:
    child = start(on(town, place, "clean", "none", *SAVING, *ENDLESS), tmp_path / "log")
    wait_for(lambda: bool(checkpoints(place)) or child.exitcode is not None, seconds=120)
    assert child.pid is not None and child.exitcode is None, (tmp_path / "log").read_text()
    assert not town.idle()
    os.kill(child.pid, how)
    end_of(child)
    wait_for(town.idle, seconds=20)
    assert checkpoints(place)  # it can go on
    if how == signal.SIGINT:
        assert child.exitcode == 130
        assert (tmp_path / "log").read_text().splitlines()[-1].startswith("bench: interrupted")


def toy_bench(place: Path) -> RunContext:
    cpu, setting = torch.device("cpu"), PROFILES["quick"].setting
    return RunContext(toy_dataset(), setting, "quick", cpu, place / "cache", {})


JOB = Job(TOYS["tap"], 0, None, 1.0)


def test_progress_of_a_job(town: Town, place: Path) -> None:
    heard: list[tuple[str, float, str]] = []
    found = dask.check_workers(town.address, None, place / "cache", None, "cpu", 1)
    cluster = Cluster(found, work, toy_bench(place), lambda *said: heard.append(said))
    assert cluster.submit(JOB).result(60).error is None
    wait_for(lambda: bool(heard))
    cluster.close(now=False)
    assert all(name == JOB.name and 0 <= share <= 1 for name, share, _ in heard)


def cluster_of(address: str, place: Path, device: str = "cpu") -> Cluster:
    """Of workers that nobody has looked at."""
    unseen = dask.CheckedWorkers(address, None, place / "cache", None, threads=1, device=device)
    return Cluster(unseen, work, toy_bench(place), lambda *said: None)


def test_worker_that_joins_later_is_held_to_the_same(
    town: Town, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = fingerprint(None)
    monkeypatch.setattr(dask, "fingerprint", lambda plugins: here | {"torch": "1.0"})
    cluster = cluster_of(town.address, place)
    error = cluster.submit(JOB).exception(60)
    cluster.close(now=True)
    (address,) = town.workers()
    assert isinstance(error, BadInput) and f"worker {address}: torch is {here['torch']}" in str(error)


def test_a_job_asks_for_a_gpu(town: Town, place: Path) -> None:
    cluster = cluster_of(town.address, place, "cuda")
    future = cluster.submit(JOB)
    wait_for(lambda: town.wanted() == [{"GPU": 1}])
    assert not future.done()
    cluster.close(now=True)
    wait_for(lambda: town.wanted() == [])


def test_scheduler_that_dies(place: Path, tmp_path: Path) -> None:
    town = Town(tmp_path)
    cluster = cluster_of(town.address, place)
    future = cluster.submit(JOB)
    town.close()
    error = future.exception(60)
    cluster.close(now=True)
    assert isinstance(error, BadInput) and town.address in str(error) and "goes on" in str(error)


def test_a_job_that_cannot_be_sent(town: Town, place: Path) -> None:
    """Its own failure, as in the local pool."""
    cluster = cluster_of(town.address, place)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        cluster.submit(replace(JOB, method=replace(JOB.method, value=lambda: None))).result(60)
    cluster.close(now=True)


def refused(argv: list[str], place: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that is said, after which nothing is computed or left."""
    assert main(argv) == 2
    said = capsys.readouterr()
    assert not said.out and said.err.startswith("bench: ") and said.err.count("\n") == 1
    assert not (place / "out").exists() and not [*place.glob("cache/*/*")]
    return said.err


def test_worker_that_sees_another_cache(
    town: Town, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    argv = on(town, place, "clean", "none", "--cache", f"{HERE}/cache")
    (address,) = town.workers()
    said = refused(argv, place, capsys)
    assert address in said and f"{HERE}/cache" in said and "shared folder" in said


def test_worker_that_sees_other_plugins(
    town: Town, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plug(place, "methods", LETHAL)
    monkeypatch.chdir(place)
    argv = on(town, place, "lethal", "none", "--plugins", f"{HERE}/plugins")
    (address,) = town.workers()
    said = refused(argv, place, capsys)
    assert address in said and f"{HERE}/plugins" in said and "of 0 files, expected" in said


def test_worker_of_other_code(
    town: Town, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = fingerprint(None)
    monkeypatch.setattr(dask, "fingerprint", lambda plugins: here | {"torch": "1.0"})
    (address,) = town.workers()
    said = refused(on(town, place, "clean", "none"), place, capsys)
    assert address in said and f"torch is {here['torch']}, expected 1.0" in said


def test_digest_of_code(tmp_path: Path) -> None:
    """It follows what files say and how they are called, and nothing else in the folder."""
    seen = [fingerprint(tmp_path)]
    for change in (
        lambda: plug(tmp_path, "methods", LETHAL).rename(tmp_path / "methods"),
        lambda: (tmp_path / "methods" / "methods" / "odd.py").write_text("VARIANTS = {}"),
        lambda: (tmp_path / "methods" / "methods" / "odd.py").rename(tmp_path / "methods" / "even.py"),
    ):
        change()
        seen.append(fingerprint(tmp_path))
    assert len({str(one) for one in seen}) == len(seen)
    (tmp_path / "methods" / "even.pyc").touch()
    assert fingerprint(tmp_path) == seen[-1]


def test_worker_of_two_threads(
    town: Town,
    second: Callable[..., subprocess.Popen[bytes]],
    place: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    second(nthreads=2)
    said = refused(on(town, place, "clean", "none"), place, capsys)
    assert "does 2 tasks at a time, expected one: start it with --nthreads 1" in said


def test_gpu_is_a_resource(
    town: Town,
    second: Callable[..., subprocess.Popen[bytes]],
    place: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only workers that offer one are asked; here it turns out to be none."""
    asked = on(town, place, "clean", "none", "--device", "cuda")
    said = refused(asked, place, capsys)
    assert "none of the 1 workers" in said and "--resources GPU=1" in said
    (plain,) = town.workers()
    second("--resources", "GPU=1")
    (offering,) = town.workers() - {plain}
    for device in ("cuda", "auto"):
        said = refused([*asked, "--device", device], place, capsys)
        assert said.startswith(f"bench: worker {offering}: --device cuda: ")


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("127.0.0.1:1", "Timed out trying to connect"),
        ("nowhere", "no address"),
        ("gibberish://127.0.0.1:1", "no address"),
    ],
)
def test_wrong_address(
    address: str,
    what: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(dask, "CONNECT_SECONDS", 0.5)
    argv = [*command(place, "clean", "none")[:5], "--out", str(place / "out"), "--scheduler", address]
    said = refused([*argv, "--cache", str(place / "cache")], place, capsys)
    assert f"--scheduler {address}: {what}" in said and "expected tcp://HOST:PORT" in said


def test_scheduler_without_workers(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dask, "PATIENCE_SECONDS", 0.5)
    town = Town(tmp_path)
    try:
        said = refused(on(town, place, "clean", "none"), place, capsys)
    finally:
        town.close()
    assert "has had no worker" in said and f"dask worker {town.address} --host HOST --nthreads 1" in said


def test_without_the_extra(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "bench.runner.backends.dask", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    argv = command(place, "clean", "none", "--scheduler", "127.0.0.1:1")
    said = refused(argv[:5] + argv[7:], place, capsys)
    assert "pip install 'ue-bench[dask]'" in said
