"""What a process that fails or is killed leaves in the cache, and who waits for it."""

from __future__ import annotations

import multiprocessing as mp
import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CHILDREN, toy_split
from test_cli import command
from test_resume import wait_for
from torch import Tensor

from bench import store
from bench.cli import main
from bench.core import files
from bench.core.checkpoint import Checkpoint
from bench.core.files import replacing

IMAGES = toy_split(8, 0).images


def save_checkpoint(folder: Path) -> None:
    Checkpoint(folder / "checkpoint").save({"a": IMAGES})


def save_poison(folder: Path) -> None:
    store.save(folder / "poison", store.Poison(IMAGES, {"published": store.digest(IMAGES)}))


def save_prepared(folder: Path) -> None:
    store.prepared(folder / "prepared", lambda: IMAGES)


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

    def make() -> Tensor:
        (folder / f"made-{os.getpid()}").touch()
        time.sleep(seconds)
        return IMAGES

    (folder / f"ready-{os.getpid()}").touch()
    wait_for(lambda: count(folder, "ready") == together)
    assert torch.equal(store.prepared(folder / "prepared", make), IMAGES)


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
    assert count(tmp_path, "made") == 1 == count(tmp_path, "prepared")
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
