"""Whoever installs the package, outside any checkout, can do what the pages say, word by word."""

from __future__ import annotations

import ast
import os
import re
import shutil
import zipfile
from pathlib import Path

import pytest

import bench
from bench.results.rows import load_all
from support.installed import editable_environment, follow, fresh_environment
from support.pages import DOCS, ROOT, blocks

SMALL = (  # options that make any run quick
    "--limit 200 --no-report --workers 1 --set victim.epochs=1 --set points=1 --set mi.slices=2 "
    "--set robust_images=0"
)
QUICK = {  # and fields of what each page has in its run
    "README.md": "push.surrogate.epochs=1 push.steps=1 tap.surrogate.epochs=1 tap.steps=1 tap.restarts=1",
    "docs/your-own-method.md": "collide.surrogate.epochs=1 collide.steps=2 em.max_rounds=1 at-8.steps=1",
    "docs/your-own-defense.md": "em.max_rounds=1 tap.surrogate.epochs=1 tap.steps=1 tap.restarts=1",
}


@pytest.fixture
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with .venv, in which the package is installed."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    (tmp_path / ".venv").symlink_to(fresh_environment(_made(shared / "installed")))
    return tmp_path


def _made(place: Path) -> Path:
    place.mkdir(exist_ok=True)
    return place


def test_the_wheel_has_every_file_and_works_alone(folder: Path) -> None:
    (wheel,) = (folder / ".venv").resolve().parent.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    parts = (ROOT / part for part in ("bench", "methods", "defenses"))
    ours = {
        file.relative_to(ROOT).as_posix()
        for part in parts
        for file in part.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {name for name in packed if ".dist-info/" not in name} == ours
    place = follow("python -c 'import bench, methods; print(bench.__file__, methods.__file__)'", folder)
    assert str(ROOT) not in place and place.count("site-packages") == 2
    listed = follow("ue-bench list", folder)
    assert "iss-jpeg{quality}" in listed and "mi-ue" in listed and f"{bench.__version__}" in wheel.name
    cells = "from bench.results import baseline; print(len(baseline.load(baseline.OWN).cells), 'cells')"
    assert "10 cells" in follow(f'python -c "{cells}"', folder)
    assert "reps: '2'" in follow("ue-bench run --config gate --print-config", folder)
    assert "not run" in follow("ue-bench claims", folder) and (folder / "results/claims/card.md").exists()


def test_readmes_install_takes_the_sources_where_they_are(tmp_path: Path) -> None:
    editable_environment(tmp_path)
    where = follow("python -c 'import bench, methods, defenses; print(defenses.__path__[0])'", tmp_path)
    assert where.strip() == str(tmp_path / "sources" / "defenses") and "mi-ue" in follow(
        "ue-bench list", tmp_path
    )


def test_folders_of_ones_own_that_are_called_as_the_suites_break_nothing(folder: Path) -> None:
    """Neither the console script, with its workers, nor -m where Python can (-P) find the suite."""
    for name in ("bench", "methods", "defenses"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('the wrong one')\n")
    assert "mi-ue" in follow("ue-bench list", folder)
    alone = f"run --methods random,clean --defenses none {SMALL}"
    asked = alone.replace("--workers 1", "--workers 2")
    follow(f"ue-bench {asked} --out script", folder)
    follow(f"python -P -m bench {alone} --out safe", folder)
    shutil.rmtree(folder / "bench")  # which -m alone, by what Python does, would take for the module
    follow(f"python -m bench {asked} --out module", folder)
    for out in ("script", "safe", "module"):
        assert [row.status for row in load_all(folder / out / "rows")] == ["ok", "ok"]


def test_the_quickstart_can_be_followed(folder: Path) -> None:
    install, *later = blocks(DOCS / "quickstart.md", "sh")
    assert install.startswith("python3 -m venv .venv && .venv/bin/pip install")  # as done here
    (first,) = [block for block in later if "--out" in block]
    table = follow(first, folder)
    (run,) = re.findall(r"--out (\S+)", first)
    rows = load_all(folder / run / "rows")
    assert len(rows) == 4 and {row.status for row in rows} == {"ok"}
    assert (folder / run / "report" / "report.html").exists()
    for row in rows:
        assert f"{row.method} x {row.defense}: {100 * row.test_acc:.1f} %" in table
    for block in later:
        if block != first:
            for line in block.splitlines():
                assert follow(line, folder)


@pytest.mark.parametrize("name", QUICK)
def test_a_page_on_ones_own_plugin_can_be_followed(name: str, folder: Path) -> None:
    """Its files where it says, then its commands; a run is made small, nothing else."""
    page = ROOT / name
    text = page.read_text(encoding="utf-8")
    places = dict(re.findall(r"`(mine/(?:methods|defenses)/(\w+)\.py)`", text))
    kind = next(iter(places)).split("/")[1]
    for source in blocks(page, "python"):
        own = (ast.get_docstring(ast.parse(source)) or "").partition(":")[0].lower()
        file = folder / "mine" / kind / f"{own}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source, encoding="utf-8")
    assert all((folder / place).exists() for place in places)
    small = f"{SMALL} --set {' --set '.join(QUICK[name].split())} --out out"
    (commands,) = [block for block in blocks(page, "sh") if "--plugins mine" in block]
    for line in commands.splitlines():
        said = follow(f"{line} {small}" if " run " in line else line, folder)
        assert all(own in said for own in places.values())
    rows = load_all(folder / "out" / "rows")
    assert {row.status for row in rows} == {"ok"} and set(places.values()) <= {
        name for row in rows for name in (row.method, row.defense)
    }


def test_the_page_on_ones_own_data_can_be_followed(folder: Path) -> None:
    """Each block of Python as a file, then the command below it; the last as a module of a package."""
    page = DOCS / "your-own-data.md"
    *examples, module = blocks(page, "python")
    small = SMALL.replace("--limit 200 ", "") + " --set em.max_rounds=1 --set em.share=0.5"
    for number, (source, line) in enumerate(zip(examples, blocks(page, "sh"), strict=True)):
        (folder / "example.py").write_text(source, encoding="utf-8")
        follow("python example.py", folder)
        follow(f"{line.strip()} {small} --out out{number}", folder)
        rows = load_all(folder / f"out{number}" / "rows")
        assert [row.status for row in rows] == ["ok", "ok"] and {row.mi is None for row in rows} == {False}
    about = folder / "my_package-1.dist-info"
    for place, text in {
        folder / "my_package" / "__init__.py": "",
        folder / "my_package" / "scans.py": module,
        about / "METADATA": "Metadata-Version: 2.1\nName: my-package\nVersion: 1\n",
        about / "entry_points.txt": "[ue_bench.data]\nscans = my_package.scans\n",
    }.items():
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, encoding="utf-8")
    line = "python -m bench run --data scans:400 --methods clean,em --defenses none"
    follow(f"{line} {small} --out scans", folder)
    assert [row.status for row in load_all(folder / "scans" / "rows")] == ["ok", "ok"]


def test_the_page_on_ones_own_net_can_be_followed(folder: Path) -> None:
    (folder / "mine" / "nets").mkdir(parents=True)
    for source in blocks(DOCS / "your-own-net.md", "python"):
        own = (ast.get_docstring(ast.parse(source)) or "").partition(":")[0].lower()
        (folder / "mine" / "nets" / f"{own}.py").write_text(source, encoding="utf-8")
    (line,) = [line for line in blocks(DOCS / "your-own-net.md", "sh") if " conform " in line]
    assert "all properties hold" in follow(line, folder)
