"""A method and a defense are added by one file each, and a bad file is named."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.cli.main import main
from support.commands import command, refused, rows_of
from support.pictures import draw_images
from support.runs import rows_in

METHOD = '''\
"""Stripes: add stripes that tell the class.

No source.
Differs from the paper: nothing known.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.core.method import Lab, Method
from bench.core.types import Split


@dataclass(frozen=True)
class Stripes(Method):
    """One column of two bright, shifted by the class."""

    period: int = 2

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        columns = torch.arange(clean.images.shape[-1])
        bright = (columns + clean.labels[:, None]) % self.period == 0
        lab.note(bright=int(bright.sum()))
        delta = torch.where(bright, self.eps, -self.eps)[:, None, None, :]
        return delta.expand(clean.images.shape).contiguous()


VARIANTS = {"stripes": Stripes(), "stripes-3": Stripes(period=3)}
'''
DEFENSE = '''\
"""Dim: darken all images, by a share that is drawn for each.

No source.
Differs from the paper: nothing known.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from bench.core.defense import Undefended


@dataclass(frozen=True)
class Dim(Undefended):
    """Multiply by a uniform draw."""

    least: float = 0.5

    def augment(self, x: Tensor, rng: Generator) -> Tensor:
        share = torch.empty(len(x), 1, 1, 1).uniform_(self.least, 1, generator=rng)
        return x * share


VARIANTS = {"dim": Dim()}
PATTERNS = {"dim-{percent}": lambda percent: Dim(least=int(percent) / 100)}
'''


@pytest.fixture
def place(tmp_path: Path) -> Path:
    draw_images(tmp_path / "quad")
    return tmp_path


@pytest.fixture
def plugins(place: Path) -> Path:
    """One file each in a folder of the user's."""
    folder = place / "mine"
    add(folder / "methods" / "stripes.py", METHOD)
    add(folder / "defenses" / "dim.py", DEFENSE)
    return folder


def add(path: Path, source: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")


def test_plugins_from_a_folder_of_the_users(
    place: Path, plugins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = command(place, "stripes,stripes-3,clean", "none,dim,dim-20", "--plugins", str(plugins))
    sets = ("victim.epochs=16", "stripes.period=4", "dim-20.least=0.3")  # clean is learnt
    assert main([*asked, *(part for item in sets for part in ("--set", item))]) == 0
    rows = rows_of(place)
    assert len(rows) == 9 and {row.status for row in rows.values()} == {"ok"}
    one, other = rows["stripes", "dim"], rows["stripes-3", "dim-20"]
    assert one.inputs["method"]["period"] == 4 and other.inputs["method"]["period"] == 3
    assert one.inputs["defense"]["least"] == 0.5 and other.inputs["defense"]["least"] == 0.3
    assert one.craft["bright"] == 68 * 4 and one.linf == pytest.approx(8 / 255)
    table = (place / "out" / "accuracy.md").read_text()
    drafts = ("stripes", "stripes-3", "dim", "dim-20")
    assert all(f"{name} (draft)" in table for name in drafts) and "clean (draft)" not in table
    assert main(["leaderboard", str(place / "out"), "--defenses", "none,dim"]) == 0
    said = capsys.readouterr().out
    for kind, name in (("methods", "stripes.py"), ("defenses", "dim.py")):
        assert str(plugins) not in said and str(plugins / kind / name) not in said

    assert main(["list", "--plugins", str(plugins)]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("stripes", "stripes-3", "dim", "dim-{percent}"))
    assert main(["list"]) == 0  # they are not remembered
    assert "stripes" not in capsys.readouterr().out
    assert "unknown method 'stripes'" in refused(command(place, "stripes", "none"), capsys)


def test_all_takes_the_plugins_in(plugins: Path) -> None:
    from bench.experiment.registry import catalog

    for kind, names in (("methods", ["stripes", "stripes-3"]), ("defenses", ["dim"])):
        own, both = ([p.name for p in catalog(kind, folder).choose("all")] for folder in (None, plugins))
        assert sorted(both) == sorted([*own, *names])


def test_a_method_says_that_it_fell_short_of_its_objective(
    place: Path, plugins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the row, as it is crafted, under the tables and in the report; what it publishes stays the same."""
    short = "error 0.31 after 12 rounds, expected 0.01 at most"
    source = METHOD.replace("lab.note(bright=int(bright.sum()))", f"lab.unreached({short!r})")
    add(plugins / "methods" / "short.py", source.replace('"stripes": Stripes(), "stripes-3"', '"short"'))
    chosen = ("short,stripes-3,clean", "none", "--plugins", str(plugins))
    assert main(command(place, *chosen)) == 0
    assert re.search(rf"short x craft: \d+ s; objective not reached: {short}\n", capsys.readouterr().out)
    rows = rows_of(place)
    assert rows["short", "none"].craft["unreached"] == short
    assert all("unreached" not in rows[name, "none"].craft for name in ("stripes-3", "clean"))
    assert rows["short", "none"].published == rows["stripes-3", "none"].published
    assert main(["report", str(place / "out")]) == 0
    for name in ("accuracy.md", "mi.tex", "report/report.html"):
        assert f"crafting did not reach its objective: {short}" in (place / "out" / name).read_text()


def test_plugins_reach_worker_processes(place: Path, plugins: Path) -> None:
    """And two workers give the rows of one."""
    chosen = ("stripes,random", "none,dim,dim-20", "--plugins", str(plugins))
    assert main(command(place, *chosen)) == 0
    two = ("--workers", "2", "--out", str(place / "two"), "--cache", str(place / "cache-of-two"))
    assert main(command(place, *chosen, *two)) == 0
    assert len(rows_in(place / "two")) == 6
    assert rows_in(place / "two") == rows_in(place / "out")


def test_a_draft_is_told_by_its_code(place: Path, plugins: Path) -> None:
    """Of a plugin that declares no revision the code is in the key; once it declares one, it is not."""
    asked = command(place, "stripes", "none", "--plugins", str(plugins))
    assert main(asked) == 0
    path = plugins / "methods" / "stripes.py"
    path.write_text(METHOD.replace("shifted by the class", "moved by the class") + "# a comment\n")
    assert main(asked) == 0
    assert len(rows_in(place / "out")) == 1  # only its words have changed
    path.write_text(METHOD.replace("== 0", "== 1"))
    assert main(asked) == 0
    assert len(rows_in(place / "out")) == 2


def test_plugins_in_the_suites_own_folders(place: Path) -> None:
    """In a copy of the packages, with one file more in methods/ and in defenses/."""
    home, copied = Path(bench.__file__).parent.parent, place / "copy"
    for package in ("bench", "methods", "defenses"):
        shutil.copytree(home / package, copied / package, ignore=shutil.ignore_patterns("__pycache__"))
    add(copied / "methods" / "stripes.py", METHOD)
    add(copied / "defenses" / "dim.py", DEFENSE)
    code = (
        "import json, sys\nimport bench\nfrom bench.cli.main import main\n"
        "from bench.experiment.registry import catalog\n"
        "print(bench.__file__)\n"
        "everything = {k: [p.name for p in catalog(k).choose('all')] for k in ('methods', 'defenses')}\n"
        "print(json.dumps(everything))\n"
        "assert main(['list']) == 0\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    asked = [sys.executable, "-c", code, *command(place, "stripes,clean", "dim,none")]
    environment = os.environ | {"PYTHONPATH": str(copied), "COLUMNS": "200"}
    ended = subprocess.run(asked, cwd=copied, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert Path(lines[0]).is_relative_to(copied)
    everything = json.loads(lines[1])
    assert {"stripes", "stripes-3", "tap"} <= {*everything["methods"]} and "dim" in everything["defenses"]
    listed = ended.stdout.partition("methods")[2].partition("profile quick")[0]
    assert all(name in listed for name in ("stripes", "stripes-3", "dim", "dim-{percent}"))
    assert {row.status for row in rows_of(place).values()} == {"ok"} and len(rows_of(place)) == 4


L2 = (
    METHOD.replace("class Stripes(Method)", "class Faint(Method)")
    .replace("    period: int = 2\n", "    eps: float = 1.0\n    period: int = 2\n    radius: float = 0.5\n")
    .replace("import Lab, Method\n", "import Lab, Method\nfrom bench.core.threat import Threat\n")
    .replace(
        "    def craft",
        "    @property\n    def threat(self):\n        return Threat('l2', self.radius)\n\n    def craft",
    )
    .replace("self.eps, -self.eps", "0.01, -0.01")
    .replace('{"stripes": Stripes(), "stripes-3": Stripes(period=3)}', '{"faint": Faint()}')
)


def test_a_method_of_another_norm_has_a_board_of_its_own_and_no_eps(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(place / "mine" / "methods" / "faint.py", L2)
    more = ("--plugins", str(place / "mine"))
    said = refused(command(place, "random,faint", "none", *more, "--eps", "4/255"), capsys)
    assert "--eps is an L-inf budget" in said and "there are faint (L2 0.5)" in said
    assert not (place / "out").exists()
    assert main(command(place, "clean,random,faint", "none", *more)) == 0
    assert {path.name for path in (place / "out").glob("accuracy*.md")} == {
        "accuracy-linf-8.md",
        "accuracy-l2-0_5.md",
    }
    rows = rows_of(place)
    assert str(rows["faint", "none"].threat) == "L2 0.5" and 0 < (rows["faint", "none"].l2_max or 0) <= 0.5


ENDS = """
import sys
from dataclasses import dataclass
from methods.uniform import Uniform

@dataclass(frozen=True)
class Ends(Uniform):
    where: str = ""

    @property
    def seeded(self):
        return sys.exit(0) if self.where == "here" else True

    def craft(self, clean, lab):
        sys.exit(0)

VARIANTS = {"ends-here": Ends(where="here"), "ends-crafting": Ends(where="crafting")}
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_plugin_that_ends_the_program_is_a_failure(
    place: Path, capsys: pytest.CaptureFixture[str], workers: str
) -> None:
    """Whatever code it asks for, and wherever: sys.exit(0) is no success."""
    add(place / "mine" / "methods" / "ends.py", ENDS)
    more = ("--plugins", str(place / "mine"), "--workers", workers)
    assert main(command(place, "ends-crafting,clean", "none", *more)) == 1
    rows = rows_of(place)
    assert rows["clean", "none"].status == "ok" and rows["ends-crafting", "none"].status == "failed"
    assert "SystemExit: 0" in str(rows["ends-crafting", "none"].reason)
    capsys.readouterr()
    assert main(command(place, "ends-here", "none", *more)) == 2
    said = capsys.readouterr().err
    assert "ends.py, line 12, ended the program (SystemExit: 0)" in said and len(said.splitlines()) == 1


BAD = {
    "ends": ("methods", "import sys\nsys.exit(0)\nVARIANTS = {'odd': 1}\n", "SystemExit: 0"),
    "no python": ("defenses", "def (:\n", "syntax"),
    "raises": ("methods", "raise RuntimeError('no such luck')\n", "no such luck"),
    "no table": ("methods", "x = 1\n", "no VARIANTS"),
    "no plugin": ("methods", "VARIANTS = {'odd': 3}\n", "odd"),
    "no method": (
        "methods",
        "from defenses.cutout import Cutout\nVARIANTS = {'odd': Cutout()}\n",
        "odd",
    ),
    "taken name": (
        "methods",
        "from methods.uniform import Uniform\nVARIANTS = {'tap': Uniform()}\n",
        "'tap' is already taken",
    ),
}


@pytest.mark.parametrize(("kind", "source", "says"), BAD.values(), ids=BAD.keys())
def test_a_bad_plugin_is_named(
    place: Path, capsys: pytest.CaptureFixture[str], kind: str, source: str, says: str
) -> None:
    add(place / "mine" / kind / "broken.py", source)
    more = ("--plugins", str(place / "mine"))
    chosen = "odd" if "odd" in source else "clean"
    said = refused(command(place, chosen, "cutout", *more), capsys)
    assert f"{kind}/broken.py" in said and says in said
    assert not (place / "out").exists() and not (place / "cache").exists()


def test_a_name_is_of_one_kind(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else --set cutout.side=1 would mean either."""
    source = "from methods.uniform import Uniform\nVARIANTS = {'cutout': Uniform()}\n"
    add(place / "mine" / "methods" / "broken.py", source)
    more = ("--plugins", str(place / "mine"))
    assert "cutout" in refused(command(place, "cutout", "cutout", *more), capsys)
    assert not (place / "out").exists() and not (place / "cache").exists()
