"""What a process that fails or is killed leaves in the cache, and who waits for it."""

from __future__ import annotations

import ast
import builtins
import errno
import io
import multiprocessing as mp
import os
import platform
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.cli.main import main
from bench.core import files
from bench.core.checkpoint import Checkpoint, written
from bench.core.files import replacing
from bench.core.pixels import digest
from bench.data.glyphs import rendered
from bench.experiment import cache as store
from bench.experiment.registry import HOME, KINDS
from support.commands import command
from support.poisons import exporting
from support.processes import CHILDREN
from support.protect import draw, protecting
from support.runs import wait_for
from support.toys import toy_split

IMAGES = toy_split(8, 0).images


def save_checkpoint(folder: Path) -> None:
    Checkpoint(folder / "checkpoint").save({"a": IMAGES})


def save_poison(folder: Path) -> None:
    store.save(folder / "poison", store.Poison(IMAGES, {"published": digest(IMAGES)}))


def save_prepared(folder: Path) -> None:
    store.prepared(folder / "prepared", lambda: (IMAGES, {}))


@pytest.mark.parametrize("save", [save_checkpoint, save_poison, save_prepared])
@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
def test_a_save_that_fails_leaves_nothing(
    save: Callable[[Path], None], error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(*args: Any) -> None:
        """torch.save(state, file) or np.save(file, array), up to the middle."""
        (file,) = (arg for arg in args if isinstance(arg, Path) or hasattr(arg, "write"))
        if isinstance(file, Path):
            file.write_bytes(b"half")
        else:
            file.write(b"half")
        raise error

    for module in (torch, np):
        monkeypatch.setattr(module, "save", torn)
    with pytest.raises(type(error)):
        save(tmp_path)
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="writes to Linux's /dev/full")
@pytest.mark.parametrize("save", ["text", "numpy", "torch"])
def test_that_there_is_no_room_is_known_whoever_says_it(save: str) -> None:
    with pytest.raises(OSError) as said:
        if save == "torch":
            with written():
                torch.save({"a": IMAGES}, "/dev/full")
        else:
            with Path("/dev/full").open("wb", buffering=0) as file:
                file.write(b"a") if save == "text" else np.zeros(2**20).tofile(file)
    assert files.is_full(said.value) and not files.is_full(PermissionError(errno.EACCES, "", "a"))


def test_that_drawn_images_have_no_room_is_no_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path))

    monkeypatch.setattr("bench.core.files.tempfile.mkdtemp", full)
    with pytest.raises(OSError, match="No space left"):
        rendered(tmp_path / "glyphs", 20, 1)


def die_writing(*folders: Path) -> None:
    writers = [replacing(folder / "a") for folder in folders]
    for writer in writers:
        writer.__enter__().write_text("half")
    os._exit(9)


def test_what_the_dead_left_goes_with_the_next_run(place: Path) -> None:
    """Once it is old, and of this machine; what living processes write stays."""
    cache, old = place / "cache", time.time() - files.YOUNG - 60
    folders = [cache / "checkpoints", cache / "poisons" / "0123"]
    dead = mp.get_context("spawn").Process(target=die_writing, args=folders)
    dead.start()
    dead.join(60)
    for left in [path for folder in folders for path in folder.iterdir()]:
        for mine in (
            left.name.replace(str(dead.pid), str(os.getpid())),
            left.name.replace(platform.node(), "elsewhere"),
            f"backup{left.name}",
            left.name.removesuffix(".tmp"),
        ):
            shutil.copytree(left, left.with_name(mine))
        for path in left.parent.iterdir():
            os.utime(path, (old, old))
        left.with_name(f"{left.name[:-12]}abcd1234.tmp").mkdir()  # young
    before = [{path.name for path in folder.iterdir()} for folder in folders]
    assert [len(names) for names in before] == [6, 6]
    assert main(command(place, "clean", "none")) == 0
    for folder, names in zip(folders, before, strict=True):
        (gone,) = names - {path.name for path in folder.iterdir()}
        assert f"-{dead.pid}-" in gone


def prepare(folder: Path, together: int, seconds: float) -> None:
    """What so many processes prepare at one time, each in so many seconds."""

    def make() -> tuple[Tensor, dict[str, Any]]:
        (folder / f"made-{os.getpid()}").touch()
        time.sleep(seconds)
        return IMAGES, {}

    (folder / f"ready-{os.getpid()}").touch()
    wait_for(lambda: count(folder, "ready") == together)
    assert torch.equal(store.prepared(folder / "prepared", make).images, IMAGES)


def count(folder: Path, what: str) -> int:
    return len([*folder.glob(f"{what}-*")])


def started(*args: Any) -> Any:
    child = mp.get_context("spawn").Process(target=prepare, args=args, daemon=True)
    child.start()
    CHILDREN.append(child)
    return child


def test_two_processes_prepare_once(tmp_path: Path) -> None:
    for child in [started(tmp_path, 2, 1.0) for _ in range(2)]:
        child.join(60)
        assert child.exitcode == 0
    assert count(tmp_path, "made") == 1 and (tmp_path / "prepared").is_dir()
    assert not [*tmp_path.glob(".*")]


def test_nobody_waits_for_the_dead(tmp_path: Path) -> None:
    holder = started(tmp_path, 1, 120.0)
    wait_for(lambda: count(tmp_path, "made") == 1)
    waiting = started(tmp_path, 2, 0.0)
    wait_for(lambda: count(tmp_path, "ready") == 2)
    waiting.join(1)
    assert waiting.is_alive() and count(tmp_path, "made") == 1
    holder.kill()
    waiting.join(60)
    assert waiting.exitcode == 0 and count(tmp_path, "made") == 2


# Nothing is written by other means than bench/core/files.py


WRITES = {"write_text", "write_bytes", "savefig", "tofile", "savetxt", "to_csv", "to_json", "to_parquet"}
CODE = [path for part in ("bench", *KINDS) for path in sorted((HOME / part).rglob("*.py"))]


class Writing(ast.NodeVisitor):
    """Calls that write or move files, but for those in a `with replacing(...)` and into memory."""

    def __init__(self, source: str) -> None:
        tree, self.inside = ast.parse(source), 0
        self.found: list[str] = []
        self.memory = {
            ast.unparse(target)
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and "IO(" in ast.unparse(node.value)
            for target in node.targets
        }
        self.visit(tree)

    def visit_With(self, node: ast.With) -> None:
        ours = any(ast.unparse(item.context_expr).startswith("replacing(") for item in node.items)
        self.inside += ours
        self.generic_visit(node)
        self.inside -= ours

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        owner, _, name = ast.unparse(node.func).rpartition(".")
        given = [ast.unparse(one) for one in (*node.args, *(keyword.value for keyword in node.keywords))]
        if self.inside or self.memory.intersection(given):
            return
        if (
            (owner in ("os", "shutil") and name in ("replace", "rename", "link", "move", "copy", "copytree"))
            or (owner and name in ("replace", "rename") and len(node.args) == len(given) == 1)
            or (owner in ("np", "torch") and name.startswith("save"))
            or (name == "open" and any(re.fullmatch("'[bt]*[wax+].*'|'r.*[+].*'", one) for one in given))
            or (name in WRITES and node.args)  # without any, pandas gives the text
        ):
            self.found.append(ast.unparse(node))


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("Path('a').replace(b)\nos.replace(a, b)\na.rename(b)\nshutil.move(a, b)", 4),
        ("a.open('wb')\nopen(a, mode='r+')\nnp.save(a, b)\ntorch.save(a, b)\na.write_text('b')", 5),
        ("a = io.BytesIO()\nnp.save(a, b)\na.open('rb')\nopen(a)\na.replace('b', 'c')\nreplace(a, b=1)", 0),
        ("with replacing(a) as b, b.open('w') as c:\n    c.write_text('')\na.write_text('')", 1),
    ],
)
def test_writing_is_noticed(source: str, count: int) -> None:
    assert len(Writing(source).found) == count


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(HOME)))
def test_only_one_module_writes(path: Path) -> None:
    found = Writing(path.read_text(encoding="utf-8")).found
    if path == Path(files.__file__):
        assert found == ["(temporary / path.name).replace(path)"]
    else:
        assert all("/proc/self/clear_refs" in call for call in found), found  # no file: it tells the kernel


def test_what_appears_is_whole(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow, too, writes into temporary folders alone."""
    opened, real = [], io.open

    def noting(file: Any, mode: str = "r", *args: Any, **more: Any) -> Any:
        written = {*mode} & {*"wax+"} and str(file).startswith(str(place))
        if written and not Path(file).is_dir():  # which is tried, by a file that has no name
            opened.append(Path(file).relative_to(place))
        return real(file, mode, *args, **more)

    for module in (builtins, io):
        monkeypatch.setattr(module, "open", noting)
    draw(place / "own")
    opened.clear()
    assert main(command(place, "tap", "iss-gray", "--keep-victims")) == 0
    assert main(exporting(place, place / "exported", "tap")) == 0
    assert main(protecting(place / "own", place / "protected")) == 0
    names = {path.name for path in opened}
    assert names >= {
        "0.png",
        "before-after.png",
        "manifest.json",
        "published.npy",
        "accuracy.md",
        "accuracy.png",
    }
    assert [path for path in opened if not any(part.endswith(".tmp") for part in path.parts)] == []
