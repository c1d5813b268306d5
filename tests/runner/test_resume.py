"""A run that is killed, interrupted or damaged goes on, and ends with the rows of one that was not."""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch

from bench.cli.main import main
from bench.core.checkpoint import Checkpoint, written
from bench.experiment.locks import Locks
from bench.results import rows as files
from bench.results.rows import Row
from support.commands import command
from support.runs import SAVING, Rows, checkpoints, end_of, fresh, rows_in, start, wait_for

METHODS, DEFENSES = "em,tap", "none,cutout,uer-lite"
CELLS, KILLS = 6, 6
LEFT = "em x cutout: being computed by another run"


@pytest.fixture
def place(images: Path, tmp_path: Path) -> Path:
    return fresh(images, tmp_path / "place")


@pytest.fixture(scope="module")
def whole(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """The rows of a grid that nothing disturbed."""
    place = fresh(images, tmp_path_factory.mktemp("whole") / "place")
    assert main(command(place, METHODS, DEFENSES)) == 0
    rows = rows_in(place / "out")
    assert len(rows) == CELLS and all('"status": "ok"' in row for row in rows.values())
    return rows


def part_of(whole: Rows, rows: Rows) -> bool:
    return rows.items() <= whole.items()


def test_kills_change_nothing(images: Path, whole: Rows, tmp_path: Path) -> None:
    place = fresh(images, tmp_path / "unkilled")
    argv, log = command(place, METHODS, DEFENSES, *SAVING), tmp_path / "log"
    end_of(start(["list"], log))  # the fork server imports
    started = time.monotonic()
    assert end_of(start(argv, log)) == 0, log.read_text()
    took = time.monotonic() - started
    assert rows_in(place / "out") == whole

    moments, kills, finished, seen = random.Random(0), 0, 0, set()
    place = fresh(images, tmp_path / "0")
    while kills < KILLS or not finished:
        child = start(command(place, METHODS, DEFENSES, *SAVING), log)
        child.join(moments.uniform(0.1, 0.4) * took if kills < KILLS else 300)
        if child.exitcode is None and kills < KILLS:
            child.kill()
            child.join()
            kills += 1
            seen |= checkpoints(place)
            assert part_of(whole, rows_in(place / "out"))
            continue
        assert child.exitcode == 0, log.read_text()
        assert rows_in(place / "out") == whole
        assert not checkpoints(place) and len([*(place / "cache" / "poisons").glob("[!.]*")]) == 2
        finished += 1
        if kills < KILLS:
            place = fresh(images, tmp_path / str(finished))
    assert seen, "no kill met a checkpoint: nothing was resumed"


def test_interrupt_says_how_to_go_on(place: Path, whole: Rows, tmp_path: Path) -> None:
    argv, log = command(place, METHODS, DEFENSES, *SAVING), tmp_path / "log"
    for _ in range(9):
        child = start(argv, log)
        wait_for(lambda child=child: bool(checkpoints(place)) or child.exitcode is not None)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGINT)
        if end_of(child) != 0:
            break
        for folder in ("out", "cache"):  # it had ended before the signal came
            shutil.rmtree(place / folder)
    assert child.exitcode == 130
    lines = log.read_text().splitlines()
    assert lines[-1] == "bench: interrupted; the same command goes on where it stopped"
    assert not any("Traceback" in line for line in lines)
    assert checkpoints(place) and part_of(whole, rows_in(place / "out"))
    assert main(argv) == 0
    assert rows_in(place / "out") == whole


class Interrupt:
    """^C right after the n-th save of any checkpoint."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left, save = 0, Checkpoint.save

        def saving(checkpoint: Checkpoint, state: dict[str, object]) -> None:
            save(checkpoint, state)
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

        monkeypatch.setattr(Checkpoint, "save", saving)


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Interrupt:
    return Interrupt(monkeypatch)


def test_interrupted_at_every_save(place: Path, whole: Rows, interrupt: Interrupt) -> None:
    """Each attempt does one step and is stopped."""
    asked = command(place, METHODS, "cutout", *SAVING)
    attempts = 0
    while True:
        interrupt.left, attempts = 1, attempts + 1
        code = main(asked)
        if code == 0:
            break
        assert code == 130 and attempts < 200
    assert attempts > 3 + 10 + 2 * 10  # EM's rounds, and steps of TAP's surrogate and of two victims
    rows = rows_in(place / "out")
    assert len(rows) == 2 and part_of(whole, rows)


def test_samples_are_there_as_soon_as_their_poison(place: Path, interrupt: Interrupt) -> None:
    """^C in the first victim's training, long before the end of the run."""
    interrupt.left = 4  # EM's rounds, of which there are 3, and a step of the victim
    assert main(command(place, "em", "cutout", *SAVING)) == 130
    assert all(name.startswith("victim") for name in checkpoints(place)) and not rows_in(place / "out")
    assert len([*(place / "out" / "gallery").glob("em-*.png")]) == 1


@pytest.fixture(scope="module")
def interrupted(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Path]]:
    """A run that was stopped after so many saves."""
    places: dict[int, Path] = {}

    def at(saves: int) -> Path:
        if saves not in places:
            place = fresh(images, tmp_path_factory.mktemp("interrupted") / "place")
            with pytest.MonkeyPatch.context() as patch:
                Interrupt(patch).left = saves
                assert main(command(place, "em", "cutout", *SAVING)) == 130
            places[saves] = place
        return places[saves]

    yield at


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "halved": halve,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"not a checkpoint"),
    "another": lambda path: torch.save({"weights": torch.zeros(3)}, path),
    "a list": lambda path: torch.save([1, 2], path),
    "one bit": flip,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("saves", [2, 7], ids=["craft", "victim"])
def test_damaged_checkpoint(
    interrupted: Callable[[int], Path],
    tmp_path: Path,
    whole: Rows,
    saves: int,
    damage: Callable[[Path], object],
) -> None:
    place = Path(shutil.copytree(interrupted(saves), tmp_path / "place", symlinks=True))
    names = checkpoints(place)
    assert names and all(name.startswith("craft" if saves == 2 else "victim") for name in names)
    for name in names:
        damage(place / "cache" / "checkpoints" / name)
    assert main(command(place, "em", "cutout")) == 0
    rows = rows_in(place / "out")
    assert len(rows) == 1 and part_of(whole, rows)
    assert not checkpoints(place)


@pytest.fixture(scope="module")
def poisoned(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = fresh(images, tmp_path_factory.mktemp("poisoned") / "place")
    assert main(command(place, "em", "none")) == 0
    return place


@pytest.mark.parametrize("name", ["published.npy", "manifest.json"])
@pytest.mark.parametrize("damage", ["halved", "one bit", "absent", "null"])
def test_damaged_poison_is_crafted_again(
    poisoned: Path, tmp_path: Path, whole: Rows, name: str, damage: str
) -> None:
    place = Path(shutil.copytree(poisoned, tmp_path / "place", symlinks=True))
    (path,) = (place / "cache" / "poisons").glob(f"*/{name}")
    if damage == "one bit" and name == "manifest.json":
        pytest.skip("a digit of a time is no part of the row's promise")
    if damage in DAMAGE:
        DAMAGE[damage](path)
    elif damage == "absent":
        path.unlink()
    else:
        path.write_text("null")
    shutil.rmtree(place / "out")
    assert main(command(place, "em", "none")) == 0
    rows = rows_in(place / "out")
    assert len(rows) == 1 and part_of(whole, rows)


def test_leavings_of_a_killed_process_are_no_results(poisoned: Path, tmp_path: Path, whole: Rows) -> None:
    place = Path(shutil.copytree(poisoned, tmp_path / "place", symlinks=True))
    (poison,) = (place / "cache" / "poisons").iterdir()
    poison.rename(poison.with_name(f".{poison.name}.123"))  # filled, but not renamed
    (row,) = (place / "out" / "rows").iterdir()
    torn = row.with_name(f".{row.name}.123.tmp")
    torn.write_bytes(row.read_bytes()[:200])
    row.unlink()
    assert main(["table", str(place / "out")]) == 0
    assert main(command(place, "em", "none")) == 0
    rows = rows_in(place / "out")
    assert len(rows) == 1 and part_of(whole, rows)


def test_checkpoints_go_though_a_run_was_killed_before_it_cleared_them(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "clear", lambda self: None)
        assert main(command(place, "tap", "none,cutout", *SAVING)) == 0
    assert {name.partition("-")[0] for name in checkpoints(place)} == {"craft", "victim"}
    next((place / "out" / "rows").glob("*.json")).unlink()
    assert main(command(place, "tap", "none,cutout")) == 0
    assert not checkpoints(place)


# Two runs at once


def test_a_lock_is_one_processs_and_goes_with_it(tmp_path: Path) -> None:
    ours, theirs = Locks(tmp_path / "locks"), Locks(tmp_path / "locks")
    assert ours.take("a") and not theirs.take("a") and theirs.take("b")
    ours.drop("a")
    assert theirs.take("a") and not ours.take("a")
    theirs.drop_all()
    assert ours.take("a") and ours.take("b")
    ours.drop_all()
    assert not [*(tmp_path / "locks").iterdir()]
    code = "import sys, time; from bench.experiment.locks import Locks; from pathlib import Path\n"
    code += "locks = Locks(Path(sys.argv[1])); assert locks.take('a')\n"
    code += "print('taken', flush=True); time.sleep(60)"
    asked = [sys.executable, "-c", code, str(tmp_path / "locks")]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "taken\n"
        assert not ours.take("a")
        other.kill()
        other.wait()
    assert ours.take("a")


def test_a_lock_on_a_file_that_went_meanwhile_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    ours, theirs, others = (Locks(tmp_path) for _ in range(3))
    flock, held = fcntl.flock, theirs.take("a")

    def late(file: int, how: int) -> None:
        """What happens between opening the file and locking it."""
        monkeypatch.setattr(fcntl, "flock", flock)
        theirs.drop("a")
        assert others.take("a")
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    assert held and not ours.take("a") and not theirs.held
    others.drop("a")
    assert ours.take("a")


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_a_file_system_without_locks_stops_nobody(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(file: int, how: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", flock)
    for locks in (Locks(tmp_path), Locks(tmp_path)):  # the first might be dead: nothing may tell
        assert locks.take("a") and "a" in locks.held
    locks.drop("a")
    assert not [*tmp_path.iterdir()]


def test_what_another_run_is_at_is_left_for_later(
    interrupted: Callable[[int], Path], tmp_path: Path, whole: Rows
) -> None:
    place = Path(shutil.copytree(interrupted(7), tmp_path / "place", symlinks=True))
    (name,) = checkpoints(place)  # of em x cutout
    another, log = Locks(place / "cache" / "locks"), tmp_path / "log"
    assert another.take(name)
    child = start(command(place, METHODS, DEFENSES, *SAVING), log)
    # said once nothing else is left to begin, which may be after the last other row is there
    wait_for(lambda: (log.exists() and LEFT in log.read_text()) or child.exitcode is not None)
    wait_for(lambda: len(rows_in(place / "out")) == CELLS - 1 or child.exitcode is not None)
    assert child.exitcode is None, log.read_text()
    assert checkpoints(place) == {name}
    another.drop_all()
    assert end_of(child) == 0 and log.read_text().count(LEFT) == 1, log.read_text()
    assert rows_in(place / "out") == whole


def test_two_runs_into_one_folder_share_the_work(place: Path, whole: Rows, tmp_path: Path) -> None:
    logs = [tmp_path / "one", tmp_path / "two"]
    end_of(start(["list"], logs[0]))  # the fork server imports
    children = [start(command(place, METHODS, DEFENSES, *SAVING), log) for log in logs]
    for child, log in zip(children, logs, strict=True):
        assert end_of(child) == 0, log.read_text()
    assert rows_in(place / "out") == whole and not checkpoints(place)
    trained = re.findall(r"(\S+ x \S+): [\d.]+ %", "".join(log.read_text() for log in logs))
    assert len(trained) == len({*trained}) == CELLS


def of_session(session: int) -> list[int]:
    """Living processes of a session."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", ["workers begin", "workers work"])
def test_a_signal_ends_a_run_with_its_workers_in_one_line(
    place: Path, whole: Rows, tmp_path: Path, name: str, moment: str
) -> None:
    argv, log = command(place, METHODS, DEFENSES, *SAVING, "--workers", "2"), tmp_path / "log"
    ran = [sys.executable, "-m", "bench", *argv]
    with log.open("w") as out:
        parent = subprocess.Popen(ran, stdout=out, stderr=out, start_new_session=True)
    try:
        begun = {
            "workers begin": lambda: len(of_session(parent.pid)) >= 3,
            "workers work": lambda: bool(checkpoints(place)),
        }
        wait_for(lambda: begun[moment]() or parent.poll() is not None, seconds=300)
        os.killpg(parent.pid, getattr(signal, name)) if name == "SIGINT" else parent.send_signal(
            getattr(signal, name)
        )
        assert parent.wait(120) == 128 + getattr(signal, name), log.read_text()
    finally:
        parent.kill()
    wait_for(lambda: not of_session(parent.pid), seconds=60)
    said = log.read_text()
    assert said.splitlines()[-1] == "bench: interrupted; the same command goes on where it stopped"
    assert "Traceback" not in said and "resource_tracker" not in said and "Error" not in said
    assert not [*place.rglob("*.tmp")] and part_of(whole, rows_in(place / "out"))


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "rows/0.json")


@pytest.mark.parametrize(
    "what", ["no room for a row", "no inode for a row", "no room for a checkpoint", "the folder went"]
)
def test_where_nothing_can_be_written_one_line_says_how_to_go_on(
    place: Path,
    whole: Rows,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    what: str,
) -> None:
    argv, saved, save = command(place, METHODS, "none", *SAVING), list[Path](), files.save

    def full(row: Row, folder: Path) -> Path:
        if saved and what == "no room for a row":
            raise FULL
        saved.append(save(row, folder))
        if what == "the folder went":
            shutil.rmtree(folder)
        elif what == "no inode for a row":
            patch.setattr(tempfile, "mkdtemp", no_inode)
        return saved[-1]

    def no_inode(suffix: str, prefix: str, folder: Path) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))

    def no_room(self: Checkpoint, state: dict[str, object]) -> None:
        with written():
            raise RuntimeError(
                "[enforce fail at inline_container.cc:858] . PytorchStreamWriter failed writing file data/3"
            )

    with monkeypatch.context() as patch:
        if what == "no room for a checkpoint":
            patch.setattr(Checkpoint, "save", no_room)
        else:
            patch.setattr(files, "save", full)
        code = main(argv)
    said = capsys.readouterr().err.splitlines()
    assert code == 3 and len(said) == 1, said
    why = "the folder of the rows is gone" if what == "the folder went" else "No space left on device"
    assert said[0].startswith("bench: cannot write") and why in said[0]
    assert "the same command goes on" in said[0] and not [*place.rglob("*.tmp")]
    rows = rows_in(place / "out")
    assert len(rows) == ("for a row" in what) and part_of(whole, rows)
    assert main(argv) == 0 and len(rows_in(place / "out")) == 2 and part_of(whole, rows_in(place / "out"))


def test_killed_parent_leaves_no_workers(place: Path, whole: Rows, tmp_path: Path) -> None:
    argv = command(place, METHODS, DEFENSES, *SAVING, "--workers", "2")
    with (tmp_path / "log").open("w") as log:
        ran = [sys.executable, "-m", "bench", *argv]
        parent = subprocess.Popen(ran, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: bool(rows_in(place / "out")) or parent.poll() is not None)
        assert parent.poll() is None, (tmp_path / "log").read_text()
        assert len(of_session(parent.pid)) >= 3
    finally:
        parent.kill()
        parent.wait()
    wait_for(lambda: not of_session(parent.pid), seconds=30)
    rows = rows_in(place / "out")
    assert 1 <= len(rows) < CELLS and part_of(whole, rows)  # what two workers made
    assert main(command(place, METHODS, DEFENSES)) == 0
    assert rows_in(place / "out") == whole
