"""A dry run says what a run then does, and does none of it."""

from __future__ import annotations

import re
import shutil
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.cli.main import main
from bench.core.train import Trainer
from bench.runner.estimate import STEPS, WARM_UP, Branch, Effort, PlannedJob, work_and_wall
from bench.studies.transfer.study import VICTIMS
from support.commands import BAD, command, refused

FAST = ("--dry-run", "--img-per-s", "100")
# of test_cli's command: training images (4 of 72 are held out), and its victims' batch and epochs
IMAGES, BATCH, EPOCHS = 201, 48, 2


@pytest.fixture(autouse=True)
def there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


@dataclass(frozen=True)
class Shown:
    """One line of the printed table."""

    there: int
    left: int
    training: int
    signs: int
    images: float  # millions
    hours: float


def said(argv: list[str]) -> str:
    with redirect_stdout(StringIO()) as out:
        assert main(argv) == 0
    return out.getvalue()


NUMBERS = re.compile(r"(?: +[\d,.]+){6} *$")  # at the end of each of the table's lines


def shown(text: str) -> dict[tuple[str, str], Shown]:
    """The printed table by method and work; ("all", "") is its sum."""
    found, method = {}, ""
    for line in text.splitlines():
        if numbers := NUMBERS.search(line):
            names = line[: numbers.start()].split()
            work = "" if names == ["all"] else names.pop()
            method = names[0] if names else method
            values = numbers[0].replace(",", "").split()
            found[method, work] = Shown(*map(int, values[:4]), *map(float, values[4:]))
    return found


def to_compute(text: str) -> int:
    """What a run, dry or not, says of its cells."""
    found = re.search(r"^(\d+) cells to compute", text, re.M)
    return int(found[1]) if found else 0


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def grid(place: Path) -> list[str]:
    return command(place, "clean,em", "none", "--reps", "2")


@dataclass(frozen=True)
class Finished:
    """A finished grid, to be read only."""

    place: Path
    before: str  # what a dry run said before
    ran: str  # what the run said


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Finished:
    place = tmp_path_factory.mktemp("finished")
    (place / "quad").symlink_to(images / "quad")
    return Finished(place, said([*grid(place), *FAST]), said(grid(place)))


@pytest.fixture
def done(tmp_path: Path, finished: Finished) -> Path:
    """A finished grid, to be changed."""
    return Path(shutil.copytree(finished.place, tmp_path / "done", symlinks=True))


# What is there, and what is left


def test_a_run_then_does_what_was_said(finished: Finished) -> None:
    table = shown(finished.before)
    assert to_compute(finished.before) == to_compute(finished.ran) == 4
    assert table["em", "craft"].left == 1 and table["em", "none"].left == 2
    assert (table["all", ""].there, table["all", ""].left) == (0, 6)


def test_what_is_finished_is_there_and_costs_nothing(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, taken = tree(done), counted(monkeypatch, Trainer, "_update")
    text = said([*grid(done), "--dry-run"])
    assert to_compute(text) == 0 and "4 cells are there" in text and "0.00 hours of work" in text
    table = shown(text)
    assert (table["all", ""].there, table["all", ""].left) == (6, 0)
    assert all(line.training == line.signs == line.images == line.hours == 0 for line in table.values())
    assert not taken, "no speed was needed"
    assert tree(done) == before


def test_a_lost_row_and_a_lost_poison_are_left_again(done: Path) -> None:
    rows, poisons = done / "out" / "rows", done / "cache" / "poisons"
    next(path for path in rows.iterdir() if '"method": "em"' in path.read_text()).unlink()
    table = shown(said([*grid(done), *FAST]))
    assert (table["em", "craft"].there, table["em", "craft"].left, table["all", ""].left) == (1, 0, 1)

    shutil.rmtree(poisons)
    shutil.rmtree(done / "cache" / "deltas")
    before, text = tree(done), said([*grid(done), *FAST])
    table = shown(text)
    assert (table["em", "craft"].there, table["em", "craft"].left) == (0, 1)
    assert table["clean", "craft"].left == 0, "no cell waits for it"
    assert tree(done) == before
    assert to_compute(text) == to_compute(said(grid(done))) == 1
    assert len([*poisons.iterdir()]) == 1 and len([*rows.iterdir()]) == 4


def test_failed_cells_are_left_and_meaningless_ones_are_not(place: Path) -> None:
    asked = command(place, "clean", "none,iss-gray", data="gray")
    before = said([*asked, *FAST])
    ran = said(asked)
    line = next(line for line in ran.splitlines() if "iss-gray: skipped" in line)
    assert line in before.splitlines() and to_compute(before) == to_compute(ran) == 1
    (row,) = [path for path in (place / "out" / "rows").iterdir() if '"defense": "none"' in path.read_text()]
    text = row.read_text().replace('"status": "ok"', '"status": "failed"')
    row.write_text(text.replace('"reason": null', '"reason": "ValueError: no luck"'))
    assert to_compute(said([*asked, *FAST])) == 1


def test_a_study_says_what_all_of_its_grids_cost(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(place)
    asked = ["study", "transfer", "--data", "folder:quad@32", "--limit", "none"]
    asked += ["--cache", str(place / "cache")]
    text = said([*asked, "--poison-reps", "2", *FAST])
    table = shown(text)
    assert table["em", "craft"].left == 2, "each poison is crafted once"
    assert table["em", "none"].left == 2 * len(VICTIMS) and f"{11 * len(VICTIMS)} cells to compute" in text
    assert tree(place) == before
    assert "--kept" in refused([*asked, "--kept", "--dry-run"], capsys)
    assert "--dry-run" in refused([*asked, "--img-per-s", "3"], capsys)


# Steps


def test_steps_are_those_of_arithmetic(place: Path) -> None:
    more = ("--reps", "3", "--poison-reps", "2", "--set", "at-8.longer=1.5")
    asked = command(place, "clean,tap,mi-ue", "none,at-8", *more)
    table = shown(said([*asked, *FAST]))
    steps = EPOCHS * -(-IMAGES // BATCH)
    for method, cells in (("clean", 3), ("tap", 6)):  # of clean there is one poison
        plain, robust = table[method, "none"], table[method, "at-8"]
        assert (plain.left, plain.training, plain.signs) == (cells, cells * steps, 0)
        assert (robust.training, robust.signs) == (cells * steps * 1.5, cells * steps * 1.5 * 2)
        assert plain.images == pytest.approx(cells * EPOCHS * IMAGES / 1e6, abs=0.005)
    tap = table["tap", "craft"]  # 2 epochs of batch 48, 10 sign steps in batches of 96; two poisons
    assert (tap.left, tap.training, tap.signs) == (2, 2 * 2 * 5, 2 * 10 * 3)
    miue = table["mi-ue", "craft"]  # 2 rounds of an epoch and of 4 sign steps on all images at once
    assert (miue.training, miue.signs) == (2 * 2 * 5, 2 * 2 * 4)
    assert table["clean", "craft"].training == table["clean", "craft"].signs == 0


def test_steps_are_those_that_a_run_takes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = command(place, "tap,mi-ue", "none,cutout")
    table = shown(said([*asked, *FAST]))["all", ""]
    taken = counted(monkeypatch, Trainer, "_update"), counted(monkeypatch, torch.autograd, "grad")
    assert main(asked) == 0
    assert (table.training, table.signs) == (len(taken[0]), len(taken[1]))


def test_victims_of_a_share_train_on_what_is_left_of_the_images(place: Path) -> None:
    asked = command(place, "clean", "none", "--share", "0.5", "--drop-poisoned", *FAST)
    assert shown(said(asked))["clean", "none"].training == EPOCHS * -(-IMAGES // 2 // BATCH)


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[None]:
    """Grows by one with every call."""
    calls: list[None] = []
    real = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, call)
    return calls


# Hours


def test_hours_fall_as_speed_grows(place: Path) -> None:
    asked = command(place, "tap", "none,at-8", "--dry-run")
    slow, fast = (shown(said([*asked, "--img-per-s", x])) for x in ("0.01", "0.1"))
    for name, line in slow.items():
        assert line.hours > 1 and line.hours == pytest.approx(10 * fast[name].hours, rel=0.01)
        assert line.hours == pytest.approx(line.images * 1e6 / 0.01 / 3600, rel=0.02) or line.images < 0.01


def test_a_given_speed_is_called_given_and_nothing_is_timed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = counted(monkeypatch, Trainer, "_update")
    text = said(command(place, "em", "none", "--dry-run", "--img-per-s", "321"))
    assert "speed given: --img-per-s 321" in text and "measured" not in text and not taken


@pytest.mark.parametrize(("methods", "nets"), [("em", ("linear", "mlp2")), ("clean", ("linear",))])
def test_a_measured_speed_says_of_what(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    methods: str,
    nets: tuple[str, ...],
) -> None:
    taken = counted(monkeypatch, Trainer, "_update")
    asked = command(place, methods, "none", "--net", "linear", "--surrogate", "mlp2", "--dry-run")
    lines = [line for line in said(asked).splitlines() if line.startswith("speed")]
    assert len(lines) == len(nets) and len(taken) == len(nets) * (WARM_UP + STEPS)
    for line, net in zip(sorted(lines, key=lambda line: "mlp2" in line), nets, strict=True):
        assert f"from {STEPS} timed steps of {net} at batch {BATCH} in fp32 on cpu " in line


def branch(craft: float, *cells: float) -> Branch:
    """Jobs of so many image-steps."""
    jobs = [PlannedJob(None, "left", Effort("net", 1, 0, images)) for images in (craft, *cells)]  # type: ignore[arg-type]
    return Branch(jobs[0], jobs[1:])


def test_workers_share_the_work_but_no_job() -> None:
    branches, speeds = [branch(4, 1, 2), branch(0, 8, 3)], {"net": 2.0}
    found = [work_and_wall(branches, speeds, workers) for workers in (1, 2, 3, 100)]
    assert [work for work, _ in found] == [9.0] * 4
    assert [wall for _, wall in found] == [9.0, 4.5, 4.0, 4.0]
    assert work_and_wall([branch(4, 2)], speeds, 2) == (3.0, 3.0), "a cell waits for its poison"


# Nothing is written, and what a run refuses is refused


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--data", "glyphs", "--limit", "60", "--set", "victim.batch=8", "--set", "em.surrogate.batch=8"),
        ("--keep-victims",),
    ],
)
def test_nothing_is_written(place: Path, more: tuple[str, ...]) -> None:
    before = tree(place)
    text = said(command(place, "clean,em", "none,iss-jpeg10", "--dry-run", *more))
    assert to_compute(text) == 4 and "nothing was written" in text
    assert tree(place) == before


def test_nothing_is_downloaded(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(place)
    line = refused(command(place, "em", "none", "--data", "cifar10", *FAST), capsys)
    assert "cifar10: not found" in line and "--data-root DIR" in line and "network" not in line
    assert tree(place) == before


def test_the_table_fits_a_terminal(place: Path) -> None:
    methods, defenses = "clean,em-class,mi-ue-cos", "none,iss-jpeg10,at-8"
    asked = command(place, methods, defenses, "--reps", "100", *FAST)
    text = said(asked)
    assert set(methods.split(",")) <= {method for method, _ in shown(text)}
    assert all(len(line) <= 80 for line in text.splitlines() if NUMBERS.search(line))


@pytest.mark.parametrize(("more", "says"), BAD.values(), ids=BAD.keys())
def test_bad_input(place: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], says: str) -> None:
    assert says in refused(command(place, "em", "none", *FAST, *more), capsys)  # as without, see test_run
    assert not (place / "out").exists() and not (place / "cache").exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--dry-run", "--img-per-s", "0"), "--img-per-s is 0, expected above 0"),
        (("--dry-run", "--img-per-s", "nan"), "--img-per-s is nan, expected above 0"),
        (("--dry-run", "--img-per-s", "inf"), "--img-per-s is inf"),
        (("--img-per-s", "5"), "--img-per-s 5 is for --dry-run"),
        (("--dry-run", "--scheduler", "tcp://127.0.0.1:1"), "expected no --scheduler"),
    ],
)
def test_bad_options(
    place: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], says: str
) -> None:
    assert says in refused(command(place, "em", "none", *more), capsys)
    assert not (place / "out").exists() and not (place / "cache").exists()
