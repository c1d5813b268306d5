"""Random signals to a grid on two workers: its rows are those of an undisturbed one, nothing else is left.

From the repository's folder, some seconds for each signal; the tests run none of it. With --kept, the same
command goes on where it was stopped, grid by grid:

    PYTHONPATH=.:tests python -m soak 300 --kept /tmp/soak.json --out results/performance/soak.md
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil

from bench.core.files import write_atomically
from support.commands import command
from support.pictures import draw_images
from support.runs import SAVING, Rows, checkpoints, fresh, rows_in

METHODS, DEFENSES = "em,tap", "none,cutout,uer-lite"
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL", "SIGKILL of a worker", "SIGSTOP and SIGCONT of a worker")
LONG = 600.0  # seconds that a grid may take at most
LATE = 60.0  # seconds after which a run that then ends with 0 has not heard a signal
QUIET = 180.0  # seconds in which a signal must have ended the run, on a machine that is busy with others


def begin(place: Path, log: Path) -> subprocess.Popen[bytes]:
    argv = command(place, METHODS, DEFENSES, *SAVING, "--workers", "2")
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "bench", *argv], stdout=out, stderr=out, start_new_session=True
        )


def family(session: int) -> list[psutil.Process]:
    """Living processes of a session: a run and all that it started."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def workers(session: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return [p for p in family(session) if "spawn_main" in " ".join(p.cmdline())]
    return []


def answers(run: subprocess.Popen[bytes]) -> bool:
    """Whether the process has its handlers already: before, it ends as any other, and has begun nothing."""
    with suppress(OSError):
        for line in Path(f"/proc/{run.pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False


def send(name: str, run: subprocess.Popen[bytes], draw: random.Random) -> bool:
    """Whether it was sent, and ends the run."""
    if not name.endswith("of a worker"):
        run.send_signal(getattr(signal, name))
        return True
    if chosen := workers(run.pid):
        with suppress(psutil.NoSuchProcess):
            worker = draw.choice(chosen)
            if name == "SIGKILL of a worker":
                worker.kill()
            else:
                worker.suspend()
                time.sleep(draw.uniform(0.1, 2))
                worker.resume()
    return False


class Soak:
    """What was sent, and what was found."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed, self.folder, self.log = seed, folder, folder / "log"
        self.sent: Counter[str] = Counter()
        self.faults: list[str] = []
        self.slowest, self.grids, self.early = 0.0, 0, 0

    def go_on(self, kept: Path) -> None:
        """Take over what an earlier call has kept of its grids."""
        found = json.loads(kept.read_text(encoding="utf-8"))
        self.sent = Counter(found.pop("sent"))
        vars(self).update(found)

    def keep(self, kept: Path) -> None:
        names = ("sent", "faults", "slowest", "grids", "early")
        write_atomically(kept, json.dumps({name: getattr(self, name) for name in names}))

    def undisturbed(self) -> tuple[Rows, float]:
        place, began = fresh(self.folder, self.folder / "whole"), time.monotonic()
        assert begin(place, self.log).wait(LONG) == 0, self.log.read_text()
        return rows_in(place / "out"), time.monotonic() - began

    def grid(self, whole: Rows, took: float, most: int) -> None:
        """Send signals until a grid is done, in one folder."""
        place, draw = fresh(self.folder, self.folder / str(self.grids)), random.Random(self.seed + self.grids)
        self.grids += 1
        while True:
            run, name, ended, ready, said = begin(place, self.log), "", False, False, self.said
            while not ended:
                with suppress(subprocess.TimeoutExpired):
                    run.wait(draw.uniform(0, 0.6) * took if self.sent.total() < most else LONG)
                    break
                if self.sent.total() < most:
                    name, ready = draw.choice(SIGNALS), answers(run)
                    self.sent[name] += 1
                    ended = send(name, run, draw)
            began = time.monotonic()
            try:
                code = run.wait(QUIET)
            except subprocess.TimeoutExpired:
                self.faults.append(f"no end after {name}")
                for process in family(run.pid):
                    process.kill()
                code = run.wait()
            while (left := family(run.pid)) and time.monotonic() - began < QUIET:
                time.sleep(0.02)
            self.slowest = max(self.slowest, time.monotonic() - began) if ended else self.slowest
            if left:
                self.faults.append(f"{len(left)} processes left after exit code {code}")
            if not rows_in(place / "out").items() <= whole.items():
                self.faults.append(f"other rows after exit code {code}")
            number = getattr(signal, name) if ended else 0
            self.early += ended and not ready
            late = ended and time.monotonic() - began > LATE  # then it has not heard the signal
            expected = {
                *(() if late else (0,)),
                *((128 + number,) if ended else ()),
                *(() if ready or not ended else (-number,)),
            }
            if name == "SIGKILL" and ended:
                expected = {-number, 0}
            if code not in expected:
                self.faults.append(f"exit code {code} after {name}{'' if ready else ', which came early'}")
            if "Traceback" in self.said[len(said) :] and (ready or not ended):
                self.faults.append(f"a traceback after {name}")
            if code == 0:
                break
        self.check(place, whole)

    def check(self, place: Path, whole: Rows) -> None:
        """Rows as of an undisturbed run, no checkpoint. Halves in the cache, of SIGKILL, may stay an hour."""
        if rows_in(place / "out") != whole:
            self.faults.append("other rows at the end")
        litter = [*checkpoints(place), *place.rglob("out/**/*.tmp")]
        if litter:
            self.faults.append(f"left: {', '.join(map(str, litter[:3]))}")

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def summary(self) -> str:
        lines = [f"| {name} | {count} |" for name, count in sorted(self.sent.items())]
        said = "; ".join(f"{count} x {fault}" for fault, count in Counter(self.faults).items()) or "none"
        traces = self.said.count("Traceback")
        return "\n".join(
            [
                "# Soak: random signals to a grid on two workers",
                "",
                f"Written by `tests/soak.py` on {platform.machine()}, {os.cpu_count()} cores: "
                f"{self.sent.total()} signals to {self.grids} grids of six cells, which ended with all rows.",
                "",
                "| signal | sent |",
                "| :-- | --: |",
                *lines,
                "",
                f"Faults: {said}. Tracebacks in the log: {traces}. {self.early} signals came before the run "
                f"had its handlers, in its first tenth of a second, and ended it without a word. The slowest "
                f"end after a signal, with all children: {self.slowest:.1f} s.",
                "",
            ]
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("signals", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no grid after these")
    parser.add_argument("--kept", type=Path, help="file with what was sent and found so far")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        draw_images(Path(folder) / "quad")
        soak = Soak(args.seed, Path(folder))
        if args.kept and args.kept.exists():
            soak.go_on(args.kept)
        whole, took = soak.undisturbed()
        while soak.sent.total() < args.signals and time.monotonic() - began < args.seconds:
            soak.grid(whole, took, args.signals)
            if args.kept:
                soak.keep(args.kept)
        print(soak.summary)
        if args.out:
            write_atomically(args.out, soak.summary)
        if soak.faults:
            print(soak.said[-5000:])
    return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())
