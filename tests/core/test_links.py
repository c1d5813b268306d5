"""Links that somebody planted where files are written: what they lead to stays as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.core.files import check_own, replacing, write_atomically
from bench.experiment.locks import Locks
from support.commands import command, refused
from support.hostile import files_of

INSIDE = ("out/rows", "out/report", "out/gallery", "cache/poisons", "cache/locks")


@pytest.fixture(scope="module")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("finished")
    (place / "quad").symlink_to(images / "quad")
    assert main(command(place, "em", "iss-gray", report=True)) == 0
    return place


@pytest.mark.parametrize("name", [*INSIDE, "cache/poisons/*"])
def test_no_command_writes_through_a_folder_that_is_a_link(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    shutil.copytree(finished, place, symlinks=True)
    (planted,) = place.glob(name) if (place / name.partition("*")[0]).exists() else [place / name]
    if planted.exists():
        shutil.move(planted, elsewhere)
    elsewhere.mkdir(exist_ok=True)
    planted.symlink_to(elsewhere)
    before = {path: Path(path).read_bytes() for path in files_of(elsewhere) if Path(path).is_file()}
    out = str(place / "out")
    asked = [command(place, "em", "iss-gray", report=True)]
    if name.startswith("out"):
        asked += [["table", out], ["report", out], ["leaderboard", out]]
    for argv in asked:
        said = refused(argv, capsys)
        assert str(planted) in said and "is a link" in said
    assert {path: Path(path).read_bytes() for path in files_of(elsewhere) if Path(path).is_file()} == before


def test_a_folder_may_be_a_link_as_a_whole(finished: Path, tmp_path: Path) -> None:
    """It was asked for by its name."""
    shutil.copytree(finished, tmp_path / "place", symlinks=True)
    (tmp_path / "link").symlink_to(tmp_path / "place" / "out")
    assert main(["table", str(tmp_path / "link")]) == 0
    check_own(tmp_path / "link")


def test_a_file_that_is_a_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("theirs")
    for name in ("report.html", "locks/a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(tmp_path / "outside")
    write_atomically(tmp_path / "report.html", "ours")
    locks = Locks(tmp_path / "locks")
    if locks.take("a"):
        locks.drop("a")
    assert (tmp_path / "outside").read_text() == "theirs" and not (tmp_path / "report.html").is_symlink()


def test_temporary_names_cannot_be_guessed_and_are_ones_own(tmp_path: Path) -> None:
    """Two containers may have equal names and process ids."""
    path = tmp_path / "a.json"
    with replacing(path) as one, replacing(path) as other:
        assert one.parent != other.parent and one.parent.stat().st_mode & 0o777 == 0o700
        one.write_text("ours")
        other.symlink_to(tmp_path / "outside")  # as if somebody had been faster, and allowed to
    assert not (tmp_path / "outside").exists() and {p.name for p in tmp_path.iterdir()} <= {"a.json"}
