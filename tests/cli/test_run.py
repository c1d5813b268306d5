"""The command line end to end, on images made here: rows, tables, failures, and what is refused."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bench
from bench.cli.main import main
from bench.results import upgrade
from bench.results.rows import Row, load_all, path_of
from support.commands import BAD, command, plug, refused, rows_of
from support.pictures import QUADRANTS, draw_images
from support.rows import aged


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Path:
    """A finished grid, to be read only."""
    place = tmp_path_factory.mktemp("finished")
    (place / "quad").symlink_to(images / "quad")
    assert main(command(place, "clean,em", "none,cutout", report=True)) == 0
    return place


@pytest.fixture
def done(tmp_path: Path, finished: Path) -> Path:
    """A finished grid, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "done", symlinks=True))


# What a run leaves


def test_photos_saved_in_colour_that_have_none_are_gray(place: Path) -> None:
    draw_images(place / "photos", mode="L", train=53)
    for path in (place / "photos").rglob("*.png"):
        with Image.open(path) as photo:
            photo.convert("RGB").save(path)
    assert main(command(place, "random,em", "none,iss-gray", data="photos")) == 0
    rows = rows_of(place)
    skipped = [row for row in rows.values() if row.status == "skipped"]
    assert {row.defense for row in skipped} == {"iss-gray"} and len(skipped) == 2 == len(rows) / 2
    assert all("gray images already" in str(row.reason) for row in skipped)


def test_rows_and_tables_are_there(finished: Path) -> None:
    assert {*rows_of(finished)} == {(m, d) for m in ("clean", "em") for d in ("none", "cutout")}
    assert all(row.status == "ok" and row.attempt == 1 for row in rows_of(finished).values())
    names = {path.name for path in (finished / "out").iterdir()}
    tables = {f"{name}.{end}" for name in ("accuracy", "mi") for end in ("csv", "md", "tex")}
    assert names == tables | {"rows", "rows.csv", "accuracy.png", "gallery", "report"}
    assert not [*(finished / "cache").glob("checkpoints/*")]
    assert len([*(finished / "cache" / "poisons").iterdir()]) == 2


def test_row_holds_all_that_the_issue_asks_for(finished: Path) -> None:
    row = rows_of(finished)["em", "cutout"]
    assert len(row.key) == 64 and (row.poison_rep, row.rep) == (0, 0) and not row.synthetic
    assert row.classes == len(QUADRANTS)
    assert row.control is False and rows_of(finished)["clean", "none"].control
    inputs = row.inputs
    assert len(inputs["data"]["digest"]) == 64 and inputs["data"]["name"] == row.data == "quad"
    assert {"limit", "resize", "train_images", "augmentation"} <= {*inputs["data"]}
    assert inputs["method"]["name"] == "em" and inputs["method"]["surrogate"]["batch"] == 48
    assert inputs["method"]["eps"] == 8 / 255 and inputs["defense"]["side"] == 0.5
    assert inputs["victim"]["epochs"] == 2 and inputs["mi"]["images"] == 200
    known = {
        "revisions",
        "share",
        "net",
        "surrogate",
        "precision",
        "seed",
        "eps",
        "prepare_test",
        "poison_rep",
        "rep",
    }
    assert known <= {*inputs}
    assert 1 <= len(row.curve) <= 10
    assert all({"epoch", "val_acc", "test_acc"} == {*point} for point in row.curve)
    for name in ("test_acc", "train_acc", "val_selected_acc", "peak_acc", "linf", "l0", "ssim"):
        value = getattr(row, name)
        assert value is not None and 0 <= value <= 1, name
    for name in (
        "mi",
        "mi_null",
        "mi_low",
        "mi_high",
        "mi_estimator",
        "mi_images",
        "mi_slices",
        "mi_ceiling",
        "mi_gap",
        "mi_gap_low",
        "mi_gap_high",
        "mi_share",
        "mi_shown",
        "mi_shown_gap",
        "mi_shown_gap_low",
        "mi_shown_gap_high",
        "mi_labels",
        "l2",
        "psnr",
    ):
        assert getattr(row, name) is not None, name
    for name in ("craft_seconds", "craft_peak_mb", "train_seconds", "train_peak_mb", "mi_seconds"):
        assert getattr(row, name) > 0, name
    assert {"rounds", "stop", "surrogate_val_acc", "eps", "norm", "form"} <= {*row.craft}
    assert {"base", "craft", "victim", "defense"} <= {*row.seeds}
    assert {"device", "processor", "capability", "threads", "torch", "kornia"} <= {*row.environment}
    assert row.environment["suite"] == bench.__version__
    assert re.fullmatch(r"sha256 [0-9a-f]{12} of \d+ files", str(row.environment["code"]))
    assert all(row.environment.values()) and row.craft_environment == row.environment
    assert row.rerun is not None and row.control is False and rows_of(finished)["clean", "none"].control
    assert row.linf is not None and row.linf <= 8 / 255 + 1e-6
    assert row.published is not None and len(row.published) == 64 and row.finished


def test_a_processor_is_named_wherever_it_can_be(tmp_path: Path) -> None:
    from bench.experiment.device import processor_name

    info = tmp_path / "cpuinfo"
    info.write_text(
        "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some CPU @ 2 GHz\n\nmodel name\t: Some CPU @ 2 GHz\n"
    )
    assert processor_name(info) == "Some CPU @ 2 GHz"
    info.write_text("processor\t: 0\nBogoMIPS\t: 50.00\n")  # as on other architectures
    assert processor_name(info) == processor_name(tmp_path / "absent") != ""


def test_a_commit_is_said_where_the_folder_is_its_repositorys_top(tmp_path: Path) -> None:
    """A suite that is installed inside of another repository is none of its commits."""
    from bench.experiment.device import commit_of

    assert commit_of(tmp_path) is None
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for asked in (["init"], [*who, "commit", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *asked], check=True, capture_output=True)
    first = commit_of(tmp_path)
    assert first is not None and re.fullmatch("[0-9a-f]{12}", first)
    (tmp_path / "site-packages").mkdir()
    assert commit_of(tmp_path / "site-packages") is None
    (tmp_path / "file").write_text("1")
    for asked in (["add", "file"], [*who, "commit", "-m", "second"]):
        subprocess.run(["git", "-C", str(tmp_path), *asked], check=True, capture_output=True)
    (tmp_path / "file").write_text("2")
    assert str(commit_of(tmp_path)).endswith("-dirty")


def test_rows_of_one_poison_share_it_and_clean_moves_nothing(finished: Path) -> None:
    rows = rows_of(finished)
    assert rows["em", "none"].published == rows["em", "cutout"].published != rows["clean", "none"].published
    assert rows["clean", "none"].linf == 0 and rows["clean", "none"].psnr is None


def test_rows_are_paired(finished: Path) -> None:
    """One victim seed for all methods and defenses; a stream of its own for each defense."""
    rows = rows_of(finished)
    assert len({row.seeds["victim"] for row in rows.values()}) == 1
    for defense in ("none", "cutout"):
        assert rows["clean", defense].seeds["defense"] == rows["em", defense].seeds["defense"]
    assert rows["em", "none"].seeds["defense"] != rows["em", "cutout"].seeds["defense"]
    assert rows["em", "none"].seeds["craft"] != rows["clean", "none"].seeds["craft"]
    assert len({row.setting for row in rows.values()}) == 1


def test_no_path_is_in_what_may_be_published(finished: Path) -> None:
    files = [path for path in (finished / "out").rglob("*") if path.is_file() and path.suffix != ".png"]
    assert {"rows.csv", "report.html", "curves.svg"} <= {path.name for path in files}
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert str(finished) not in text and finished.name not in text and str(Path.home()) not in text, path


def test_second_run_computes_nothing(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (done / "out" / "rows").iterdir()}
    assert main(command(done, "clean,em", "none,cutout")) == 0
    assert {path: path.stat().st_mtime_ns for path in (done / "out" / "rows").iterdir()} == before
    said = capsys.readouterr().out
    assert " x craft" not in said and "to compute" not in said and "4 rows are there already" in said


def test_only_what_is_missing_is_computed(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(done, "clean,em", "none,cutout,iss-jpeg10")) == 0
    assert "2 cells to compute" in capsys.readouterr().out
    assert len(rows_of(done)) == 6


def test_table_gives_the_same_bytes_again(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [path for path in (done / "out").iterdir() if path.is_file()]
    before = {path.name: path.read_bytes() for path in files}
    for path in files:
        path.unlink()
    assert main(["table", str(done / "out")]) == 0
    assert {p.name: p.read_bytes() for p in (done / "out").iterdir() if p.is_file()} == before
    assert "Test accuracy" in capsys.readouterr().out


def test_a_picture_is_drawn_again_where_its_table_is_new(done: Path) -> None:
    """And only there: to load what draws takes seconds."""
    picture, again = done / "out" / "accuracy.png", command(done, "clean,em", "none,cutout")
    drawn, kept = picture.read_bytes(), picture.stat().st_mtime_ns
    assert main(again) == 0 and picture.stat().st_mtime_ns == kept
    assert main(command(done, "em,clean", "none,cutout")) == 0  # the tables of another order
    other = picture.read_bytes()
    assert other != drawn
    for content in (other, b"no picture", None):
        picture.unlink() if content is None else picture.write_bytes(content)
        assert main(again) == 0 and picture.read_bytes() == drawn
    picture.write_bytes(other)
    assert main(["table", str(done / "out")]) == 0 and picture.read_bytes() == drawn


def test_a_run_ends_with_its_doubts_and_the_place_of_its_report(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(done, "clean,em", "none,cutout", report=True)) == 0
    said = capsys.readouterr().out.splitlines()
    doubts = [line for line in said if line.startswith("doubt: ")]
    assert said[-1 - len(doubts) :] == [*doubts, f"report: {done / 'out' / 'report' / 'report.html'}"]
    assert any("measured once" in line for line in doubts)


def test_a_finished_run_loads_nothing_that_draws(done: Path) -> None:
    ask = command(done, "clean,em", "none,cutout", report=True)
    code = f"import sys; from bench.cli.main import main; main({ask}); print('seaborn' in sys.modules)"
    end = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert end.stdout.splitlines()[-1] == "False"


def test_a_run_loads_nothing_that_compiles(place: Path) -> None:
    """As torch's optimisers and what has shapes alone do, for more than a second in each process."""
    ask = command(place, "clean,em", "none,cutout")
    code = f"import sys; from bench.cli.main import main; print(main({ask}), 'torch._dynamo' in sys.modules)"
    end = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert end.stdout.splitlines()[-1] == "0 False"


def test_samples_are_what_was_published(finished: Path) -> None:
    from bench.data import load
    from bench.experiment import cache
    from bench.results import samples

    train = load(f"folder:{finished / 'quad'}", root=None, limit=None, cache=finished / "cache").train
    poisons = [cache.load(folder) for folder in (finished / "cache" / "poisons").iterdir()]
    assert len([*(finished / "out" / "gallery").iterdir()]) == len(poisons) == 2
    for poison in poisons:
        assert poison is not None
        sample = samples.find(finished / "out" / "gallery", poison.manifest["published"])
        assert sample is not None and len(sample.indices) == 8
        for kept, whole in ((sample.clean, train.images), (sample.published, poison.images)):
            np.testing.assert_array_equal(kept, whole[sample.indices].numpy().transpose(0, 2, 3, 1))
        assert sorted(train.labels[sample.indices].tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_samples_that_are_gone_come_back(done: Path) -> None:
    before = {path: path.read_bytes() for path in (done / "out" / "gallery").iterdir()}
    for path in before:
        path.unlink()
    assert main(command(done, "clean,em", "none")) == 0
    assert {path: path.read_bytes() for path in before} == before


def test_where_all_is_there_no_poison_is_read(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing large ones again would take longer than all the rest."""
    from bench.experiment import cache

    def never(folder: Path) -> None:
        raise AssertionError(folder)

    monkeypatch.setattr(cache, "load", never)
    assert main(command(done, "clean,em", "none,cutout")) == 0


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    from bench import data
    from bench.experiment.registry import KINDS, catalog
    from bench.experiment.settings import PROFILES
    from bench.nets import NETS

    assert main(["list"]) == 0
    said = capsys.readouterr().out
    names = [name for kind in KINDS for name in catalog(kind).names]
    for name in (*names, *data.names(), *NETS, *PROFILES):
        assert name in said


@pytest.mark.parametrize("chosen", [(), ("run",), ("list",), ("table",), ("report",), ("study",)])
def test_help_does_not_import_torch(chosen: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom bench.cli.main import main\n"
        f"try: main([*{chosen!r}, '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "else: raise AssertionError\n"
        "assert not {'torch', 'numpy', 'pandas', 'rich'} & set(sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "usage: python -m bench" in ended.stdout


# What moves the key, and what does not


@pytest.fixture
def seen() -> list[Row]:
    return []


@pytest.fixture
def rerun_of(seen: list[Row]) -> object:
    """() -> the command in the row that key_of saw last."""
    return lambda: seen[0].rerun


@pytest.fixture
def key_of(place: Path, monkeypatch: pytest.MonkeyPatch, seen: list[Row]) -> Iterator[object]:
    """(*more) -> key and setting of em x cutout, without computing it; plain: of more alone."""
    from bench.experiment.context import blank_row
    from bench.runner import grid

    def fake(bench: object, wanted: Sequence[object], *_: object) -> grid.Outcome:
        seen.extend(blank_row(bench, cell) for cell in wanted)  # type: ignore[arg-type]
        return grid.Outcome()

    def ask(*more: str, plain: bool = False) -> tuple[str, str]:
        seen.clear()
        where = ("--cache", str(place / "cache"), "--out", str(place / "out"))
        assert (
            main(["run", "--no-report", *more, *where] if plain else command(place, "em", "cutout", *more))
            == 0
        )
        return seen[0].key, seen[0].setting

    monkeypatch.setattr(grid, "run", fake)
    return ask  # type: ignore[return-value]


def test_key_takes_what_moves_a_number(key_of, place: Path) -> None:  # type: ignore[no-untyped-def]
    shared = ["net=resnet18-slim", "surrogate=resnet18-slim", "precision=bf16", "eps=4/255", "seed=1"]
    shared += ["prepare_test=true", "limit=64", "victim.lr=0.01", "mi.slices=5", "points=3"]
    shared += ["imbalance=2", "robust_images=9"]
    own = ["em.steps=5", "em.surrogate.lr=0.01", "cutout.side=0.25"]
    base = key_of()
    asked = {field: key_of("--set", field) for field in (*shared, *own)}
    asked["data"] = key_of("--data", f"folder:{place / 'gray'}")
    keys = [base[0], *(key for key, _ in asked.values())]
    assert len(set(keys)) == len(keys)
    assert all((asked[field][1] != base[1]) == (field not in own) for field in asked)  # one table each


def test_key_takes_nothing_else(key_of, place: Path) -> None:  # type: ignore[no-untyped-def]
    base = key_of()
    (place / "elsewhere" / "methods").mkdir(parents=True)
    for more in (
        ("--threads", "1"),
        ("--workers", "3"),
        ("--minutes", "5"),
        ("--save-seconds", "1"),
        ("--cache", str(place / "other")),
        ("--out", str(place / "other")),
        ("--plugins", str(place / "elsewhere")),
        ("--reps", "3"),
        ("--imbalance", "1"),
        ("--data", f"folder:{place / '.' / 'quad'}"),
    ):
        assert key_of(*more)[0] == base[0], more


def test_auto_precision_is_the_one_it_comes_to(key_of, rerun_of) -> None:  # type: ignore[no-untyped-def]
    for asked in (("--precision", "auto"), ("--set", "precision=auto")):
        key = key_of(*asked)[0]
        said = shlex.split(rerun_of())
        named = said[said.index("--precision") + 1]
        assert named in ("fp32", "bf16") and not any("auto" in part for part in said)
        assert key_of("--precision", named)[0] == key


def test_rerun_asks_for_the_same_cell_and_names_no_path(  # type: ignore[no-untyped-def]
    key_of, rerun_of, place: Path
) -> None:
    (place / "mine" / "methods").mkdir(parents=True)
    asked = ["--eps", "4/255", "--seed", "3", "--prepare-test", "--net", "resnet18-slim", "--reps", "2"]
    asked += ["--set", "tap.surrogate.batch=9", "--set", "cutout.side=0.25", "--set", "victim.lr=0.01"]
    more = ["--methods", "em,tap", *asked, "--plugins", str(place / "mine"), "--minutes", "5"]
    key = key_of(*more, "--threads", "1")[0]
    command = rerun_of()
    assert command.startswith("python -m bench run --methods em --defenses cutout --profile quick ")
    assert "tap" not in command and "--minutes" not in command and "--out" not in command
    assert str(place) not in command and "folder:DIR/quad" in command and "--plugins DIR" in command
    again = [part.replace("DIR/quad", str(place / "quad")) for part in shlex.split(command)[3:]]
    again[again.index("--plugins") + 1] = str(place / "mine")
    assert key_of(*again[1:], plain=True)[0] == key
    assert rerun_of() == command


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("cifar10", "cifar10"),
        ("parquet:/a/b/cifar10", "parquet:DIR/cifar10"),
        ("folder:~/mine/@64", "folder:DIR/@64"),
        ("folder:sets/a b@64", "folder:DIR/a b@64"),
        ("folder:.", "folder:DIR"),
    ],
)
def test_a_portable_source_has_no_folder(source: str, said: str) -> None:
    from bench.experiment.settings import portable

    assert portable(source) == said


def test_equal_nets_start_from_different_weights(finished: Path) -> None:
    row = rows_of(finished)["em", "none"]
    assert row.inputs["net"] == row.inputs["surrogate"]
    assert row.seeds["craft"] != row.seeds["victim"]


def test_eps_and_prepare_test_are_used_and_recorded(place: Path) -> None:
    for more in ((), ("--eps", "4/255"), ("--prepare-test",)):
        assert main(command(place, "random", "iss-jpeg10", *more)) == 0
    rows = {(row.inputs["eps"], row.inputs["prepare_test"]): row for row in load_all(place / "out" / "rows")}
    assert {*rows} == {(None, False), (4 / 255, False), (None, True)}
    plain, weak, prepared = rows[None, False], rows[4 / 255, False], rows[None, True]
    assert plain.linf == pytest.approx(8 / 255) and weak.linf == pytest.approx(4 / 255)
    assert weak.inputs["method"]["eps"] == weak.craft["eps"] == 4 / 255
    assert prepared.published == plain.published != weak.published
    assert len([*(place / "out").glob("accuracy*.md")]) == 3  # settings are not mixed


def test_prepare_test_is_refused_of_what_cannot(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in (("--prepare-test",), ("--set", "prepare_test=true")):
        assert "--prepare-test: pca purifies all" in refused(command(place, "em", "none,pca", *more), capsys)
    assert not (place / "out").exists() and not (place / "cache").exists()


def test_repetitions(place: Path) -> None:
    more = ("--reps", "2", "--poison-reps", "2")
    assert main(command(place, "clean,em", "none", *more)) == 0
    rows = load_all(place / "out" / "rows")
    clean, em = ([row for row in rows if row.method == name] for name in ("clean", "em"))
    assert {(row.poison_rep, row.rep) for row in em} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert {(row.poison_rep, row.rep) for row in clean} == {(0, 0), (0, 1)}
    for rep in (0, 1):
        assert len({row.seeds["victim"] for row in rows if row.rep == rep}) == 1
        assert len({row.published for row in em if row.poison_rep == rep}) == 1
    assert len({row.seeds["victim"] for row in rows}) == 2
    assert len({row.published for row in em}) == 2
    assert len({row.mi for row in em}) == 4


def test_defenses_without_meaning_are_skipped(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(place, "clean", "none,iss-gray,uer", data="gray")) == 0
    rows = rows_of(place)
    assert rows["clean", "none"].status == "ok"
    for defense in ("iss-gray", "uer"):
        row = rows["clean", defense]
        assert row.status == "skipped" and row.test_acc is None and row.reason
        assert "gray" in row.reason
    assert "skipped" in capsys.readouterr().out
    assert main(command(place, "clean", "none,iss-gray,uer", data="gray")) == 0
    assert "to compute" not in capsys.readouterr().out


def test_without_time_cells_are_left(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(place, "clean,random", "none", "--minutes", "0")) == 0
    assert "2 cells are left" in capsys.readouterr().out
    assert not load_all(place / "out" / "rows") and not (place / "cache" / "poisons").exists()
    assert main(command(place, "clean,random", "none")) == 0
    assert "are left" not in capsys.readouterr().out
    assert len(rows_of(place)) == 2


def test_work_in_hand_stops_at_the_deadline(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A victim that would train for hours is saved and left."""
    assert main(command(place, "clean", "none")) == 0  # the poison is there
    monkeypatch.setattr(
        "bench.runner.scheduler.Scheduler._fits", lambda *_: True
    )  # begun just before the deadline
    more = ("--minutes", "0.0001", "--set", "victim.epochs=100000")
    assert main(command(place, "clean", "none", *more)) == 0
    assert "1 cells are left" in capsys.readouterr().out
    assert [path.name for path in (place / "cache" / "checkpoints").glob("victim-*")]
    assert len(rows_of(place)) == 1


# What fails


MENDED = """\
from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F

from bench.core.defense import Undefended
from methods.uniform import Uniform


def trip(what):
    if not Path(__file__).with_name("mended").exists():
        raise RuntimeError(f"{what} tripped")


@dataclass(frozen=True)
class Method(Uniform):
    def craft(self, clean, lab):
        trip("craft")
        return super().craft(clean, lab)


@dataclass(frozen=True)
class Defense(Undefended):
    def loss(self, net, x, y, rng, progress):
        trip("loss")
        return F.cross_entropy(net(x), y, label_smoothing=0.1)


VARIANTS = {"odd": NAME()}
"""


def test_failures_are_recorded_and_tried_again(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind, name in (("methods", "Method"), ("defenses", "Defense")):
        path = place / "plugins" / kind / f"{name}.py"
        path.parent.mkdir(parents=True)
        path.write_text(MENDED.replace("NAME", name).replace('"odd"', f'"odd-{kind}"'), encoding="utf-8")
    asked = command(place, "odd-methods,clean", "odd-defenses,none", "--plugins", str(place / "plugins"))

    assert main(asked) == 1
    rows = rows_of(place)
    status = {name: row.status for name, row in rows.items()}
    assert [name for name, how in status.items() if how == "ok"] == [("clean", "none")]
    assert [*status.values()].count("failed") == 3
    for defense in ("none", "odd-defenses"):
        row = rows["odd-methods", defense]
        assert row.reason and row.reason.startswith("crafting odd-methods failed")
        assert "Traceback" in row.reason and "RuntimeError: craft tripped" in row.reason
        assert row.test_acc is None and row.mi is None and row.published is None
        assert row.craft == {"norm": "linf", "radius": row.inputs["method"]["eps"]}  # its board is known
    reason = rows["clean", "odd-defenses"].reason
    assert reason and "Traceback" in reason and "RuntimeError: loss tripped" in reason
    said = capsys.readouterr().out
    assert "odd-methods x craft: failed" in said and "failed" in (place / "out" / "accuracy.md").read_text()

    assert main(asked) == 1
    assert {row.attempt for row in rows_of(place).values() if row.status == "failed"} == {2}

    for kind in ("methods", "defenses"):
        (place / "plugins" / kind / "mended").touch()
    assert main(asked) == 0
    rows = rows_of(place)
    assert {row.status for row in rows.values()} == {"ok"} and {row.reason for row in rows.values()} == {None}
    assert {name: row.attempt for name, row in rows.items() if name != ("clean", "none")} == dict.fromkeys(
        [("odd-methods", "none"), ("odd-methods", "odd-defenses"), ("clean", "odd-defenses")], 3
    )
    assert rows["clean", "none"].attempt == 1
    assert "failed" not in (place / "out" / "accuracy.md").read_text()


BROKEN_METHODS = """\
from dataclasses import dataclass

import torch

from bench.core.method import Method


@dataclass(frozen=True)
class Odd(Method):
    kind: str = ""
    passes = 1000.0  # so that it comes first

    def craft(self, clean, lab):
        delta = torch.full(clean.images.shape, self.eps)
        if self.kind == "nan":
            delta[3, 0, 5, 5] = float("nan")
        if self.kind == "over":
            delta += 1 / 255
        if self.kind == "empty":
            delta *= 0
        if self.kind == "small":
            delta *= 0.01
        if self.kind == "shape":
            delta = delta[1:]
        if self.kind == "double":
            delta = delta.double()
        if self.kind == "thief":
            clean.images.fill_(7)
        if self.kind == "raises":
            raise RuntimeError("no such luck")
        if self.kind == "exits":
            raise SystemExit(0)
        return delta


VARIANTS = {k: Odd(kind=k) for k in "nan over empty small shape double thief raises exits".split()}
"""
METHOD_FAULTS = {
    "nan": "1 values that are nan or infinite",
    "over": "its budget is",
    "empty": "left every image as it was",
    "small": "left every image as it was",
    "shape": "expected torch.float32 (201, 3, 16, 16)",
    "double": "returned torch.float64",
    "thief": "changed the clean images",
    "raises": "RuntimeError: no such luck",
    "exits": "SystemExit: 0",
}
BROKEN_DEFENSES = """\
from dataclasses import dataclass

import torch.nn.functional as F

from bench.core.defense import Undefended


@dataclass(frozen=True)
class Odd(Undefended):
    kind: str = ""

    def prepare(self, images):
        if self.kind == "shape":
            return images[:, :, 1:]
        if self.kind == "float":
            return images / 255
        return images

    def loss(self, net, x, y, rng, progress):
        loss = F.cross_entropy(net(x), y)
        if self.kind == "nan":
            return loss * float("nan")
        if self.kind == "raises":
            raise RuntimeError("no such luck")
        return loss


VARIANTS = {k: Odd(kind=k) for k in "inert shape float nan raises".split()}
"""
DEFENSE_FAULTS = {
    "inert": "left images, batches and loss as they were",
    "shape": "expected torch.uint8 (201, 3, 16, 16)",
    "float": "prepared torch.float32",
    "nan": "not finite",
    "raises": "RuntimeError: no such luck",
}
NUMBERS = ("test_acc", "train_acc", "val_selected_acc", "peak_acc", "mi", "linf", "l2", "psnr", "published")


@pytest.mark.parametrize("kind", ["methods", "defenses"])
def test_a_fault_is_named_and_never_a_number(
    place: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, faults = {
        "methods": (BROKEN_METHODS, METHOD_FAULTS),
        "defenses": (BROKEN_DEFENSES, DEFENSE_FAULTS),
    }[kind]
    plugins, names = plug(place, kind, source), ",".join(faults)
    chosen = (names, "none") if kind == "methods" else ("em", f"none,{names}")
    assert main(command(place, *chosen, "--plugins", str(plugins))) == 1
    rows, said = rows_of(place), capsys.readouterr().out
    for name, fault in faults.items():
        row = rows[(name, "none") if kind == "methods" else ("em", name)]
        assert row.status == "failed" and row.reason and fault in row.reason
        assert name in row.reason.splitlines()[-1] or name in ("raises", "exits")
        assert all(getattr(row, number) is None for number in NUMBERS) and row.curve == []
        job = f"{name} x craft: failed," if kind == "methods" else f"em x {name}: failed,"
        (line,) = [line for line in said.splitlines() if job in line]
        kept = re.search(r"\((methods|defenses)/odd\.py:(\d+)\); traceback in (\S+)$", line)
        assert kept and kept[1] == kind and Path(kept[3]) == path_of(row.key, place / "out" / "rows")
        if name == "raises":
            assert source.splitlines()[int(kept[2]) - 1].strip() == 'raise RuntimeError("no such luck")'
    if kind == "defenses":
        assert rows["em", "none"].status == "ok"


def test_a_method_that_changes_the_images_spoils_no_other_row(place: Path) -> None:
    assert main(command(place, "random", "none", "--out", str(place / "alone"))) == 0
    shutil.rmtree(place / "cache")
    plugins = plug(place, "methods", BROKEN_METHODS)
    assert main(command(place, "thief,random", "none", "--plugins", str(plugins))) == 1
    alone, beside = rows_of(place, "alone")["random", "none"], rows_of(place)["random", "none"]
    assert beside.status == "ok"
    assert (beside.published, beside.mi, beside.test_acc) == (alone.published, alone.mi, alone.test_acc)


IN_PLACE = """\
from dataclasses import dataclass

from bench.core.defense import Undefended


@dataclass(frozen=True)
class Odd(Undefended):
    in_place: bool = True

    def prepare(self, images):
        images = images if self.in_place else images.clone()
        images ^= 64
        return images

    def augment(self, x, rng):
        return x * 0.9


VARIANTS = {"copying": Odd(in_place=False), "in-place": Odd()}
"""


def test_a_defense_that_prepares_in_place_gives_no_wrong_number(place: Path) -> None:
    plugins = plug(place, "defenses", IN_PLACE)
    more = ("--prepare-test", "--plugins", str(plugins))
    assert main(command(place, "random", "copying,none", *more, "--out", str(place / "alone"))) == 0
    main(command(place, "random", "in-place,copying,none", *more))
    alone, rows = rows_of(place, "alone"), rows_of(place)
    right = {name: (row.mi, row.test_acc, row.curve) for (_, name), row in alone.items()}
    for name in ("copying", "none"):  # the test images are still what they were
        row = rows["random", name]
        assert (row.mi, row.test_acc, row.curve) == right[name]
    odd = rows["random", "in-place"]
    assert odd.status == "failed" or (odd.mi, odd.test_acc, odd.curve) == right["copying"]


# What is refused


BAD_SET = {
    "epochs": "expected FIELD=VALUE",
    "victim.epoch=3": "did you mean 'epochs'?",
    "victm.epochs=3": "did you mean 'victim'?",
    "tap.steps=3": "unknown field or chosen plugin 'tap'",
    "em.stepz=3": "did you mean 'step",
    "victim.epochs=abc": "'abc', expected int",
    "victim.epochs=0": "above 0",
    "victim.batch=500": "201 training images are fewer than one batch of victim (500)",
    "em.surrogate.batch=500": "fewer than one batch of em.surrogate (500)",
    "victim.schedule=cosin": "did you mean 'cosine'?",
    "points=11": "expected 1 to 10",
    "eps=8": "did you mean 8/255?",
    "em.eps=8": "8/255",  # the budget is as wrong there
    "em.eps=-1": "eps",
    "em.eps=0.001": "1/255",
    "victim=3": "victim",
    "mi=3": "mi",
    "em.surrogate=3": "surrogate",
    "mi.images=0": "at least 1",
    "victim.lr=nan": "nan",
    "victim.lr=inf": "inf",
    "em.step=nan": "nan",
}


@pytest.mark.parametrize(("more", "says"), BAD.values(), ids=BAD.keys())
def test_bad_input(place: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], says: str) -> None:
    assert says in refused(command(place, "em", "none", *more), capsys)
    assert not (place / "out").exists() and not (place / "cache").exists()


@pytest.mark.parametrize("field", BAD_SET)
def test_bad_field(place: Path, capsys: pytest.CaptureFixture[str], field: str) -> None:
    assert BAD_SET[field] in refused(command(place, "em", "none", "--set", field), capsys)
    assert not (place / "out").exists() and not (place / "cache").exists()


@pytest.mark.parametrize(("option", "file"), [("--out", "f"), ("--out", "f/x"), ("--cache", "f")])
def test_a_file_where_a_folder_is_written(
    place: Path, capsys: pytest.CaptureFixture[str], option: str, file: str
) -> None:
    (place / "f").write_text("mine")
    assert "cannot write" in refused(command(place, "em", "none", option, str(place / file)), capsys)
    assert (place / "f").read_text() == "mine"
    assert not (place / "out").exists() and not (place / "cache").exists()


def test_a_file_where_the_rows_belong(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "out").mkdir()
    (place / "out" / "rows").write_text("mine")
    assert "rows" in refused(command(place, "em", "none"), capsys)


def test_bad_input_draws_no_glyphs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "f").write_text("mine")
    for more in (("--out", str(place / "f")), ("--set", "victim.batch=5000")):
        glyphs = ("--data", "glyphs", "--limit", "20", *more)
        refused(command(place, "clean", "none", *glyphs), capsys)
        assert not (place / "cache").exists()


def test_a_run_goes_on_among_rows_of_an_older_schema(
    done: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, folder = rows_of(done), done / "out" / "rows"
    aged(done / "out", monkeypatch)
    assert {path.stem for path in folder.iterdir()}.isdisjoint({row.key[:16] for row in before.values()})
    assert main(command(done, "clean,em", "none,cutout,iss-gray")) == 0
    assert "4 rows are there already" in " ".join(capsys.readouterr().out.split())
    after = rows_of(done)
    lacking = {name: value for columns in upgrade.SINCE.values() for name, value in columns.items()}
    old = {pair: replace(row, balanced_acc=None, **lacking) for pair, row in before.items()}
    assert {pair: replace(after[pair], legacy_key=None) for pair in before} == old and len(after) == 6
    assert {path.stem for path in folder.iterdir()} == {row.key[:16] for row in after.values()}


@pytest.mark.parametrize("text", ['{"schema": 99}', '{"schema": 1}', "[]", '{"key": "tor'])
@pytest.mark.parametrize("chosen", ["run", "table", "report"])
def test_rows_of_a_newer_suite_are_refused(
    place: Path, capsys: pytest.CaptureFixture[str], chosen: str, text: str
) -> None:
    (place / "out" / "rows").mkdir(parents=True)
    (place / "out" / "rows" / "a.json").write_text(text)
    asked = command(place, "clean", "none") if chosen == "run" else [chosen, str(place / "out")]
    assert "a.json" in refused(asked, capsys)
    assert [path.name for path in (place / "out").rglob("*")] == ["rows", "a.json"]
    assert not (place / "cache").exists()


def test_a_torn_temporary_file_is_no_row(done: Path) -> None:
    folder = done / "out" / "rows"
    row = next(folder.glob("*.json"))
    torn = folder / f".{row.name}.123.tmp"
    torn.write_text(row.read_text()[:100])
    assert main(command(done, "clean,em", "none,cutout")) == 0
    assert len(rows_of(done)) == 4 and all(json.loads(p.read_text()) for p in folder.glob("*.json"))


@pytest.mark.parametrize(
    "asked",
    [
        (),
        ("rum",),
        ("run", "--threads", "abc"),
        ("run", "--minutes", "abc"),
        ("run", "--nope"),
        ("run", "--method", "em"),  # no abbreviations: a new flag must not change an old command
        ("table",),
    ],
)
def test_what_argparse_refuses(asked: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(asked)
    assert end.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_nothing_to_tabulate(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "has no rows/" in refused(["table", str(place)], capsys)
    assert "--plugins" in refused(["list", "--plugins", "/nope"], capsys)
