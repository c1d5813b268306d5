"""Nets and data sets of a user's, and plugins that come as installed packages."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import torch

from bench import data
from bench.cli.main import main
from bench.core.errors import BadInput
from bench.experiment.fingerprint import fingerprint
from bench.experiment.registry import KINDS, catalog
from bench.results.rows import load_all
from support.commands import command, refused, rows_of

NET = '''
    """Mine: two convolutions."""
    from torch import nn
    from bench.nets.body import Architecture, Body, Shape, conv, pooled

    WIDTH = 8


    def mine(shape: Shape) -> Body:
        """Two convolutions of one width."""
        layers = conv(shape.channels, WIDTH), nn.MaxPool2d(4), conv(WIDTH, WIDTH)
        return Body(pooled(*layers), WIDTH, "3x3 stride 1")


    class Unused(nn.Module):
        """What no table says is passed over where files are only looked at."""


    NETS = {"my-net": Architecture(mine)}
'''
METHOD = '''
    """Tint: one constant."""
    from dataclasses import dataclass
    import torch
    from bench.core.method import Method

    @dataclass(frozen=True)
    class Tint(Method):
        needs = ()

        def craft(self, clean, lab):
            return torch.full(clean.images.shape, self.eps)

    VARIANTS = {"tint": Tint()}
'''
DEFENSE = '''
    """Dim: darker images."""
    from dataclasses import dataclass
    from bench.core.defense import Undefended

    @dataclass(frozen=True)
    class Dim(Undefended):
        def prepare(self, images):
            return images - images // 8

    VARIANTS = {"dim": Dim()}
'''
DATA = '''
    """Squares: two classes of noise, one of them brighter."""
    import numpy as np
    from bench.data.prepare import Source, at_hand

    def source(place):
        rng = np.random.default_rng(0)
        def pool(n):
            labels = np.arange(n) % 2
            images = rng.integers(0, 150, (n, 3, 16, 16)) + 100 * labels[:, None, None, None]
            return at_hand(images.astype(np.uint8), labels)
        return Source(f"squares{place}", pool(400), pool(60), ("dark", "bright"))
'''


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
    return path


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with a net alone."""
    write(tmp_path / "mine" / "nets" / "two.py", NET)
    return tmp_path / "mine"


# nets


def test_a_net_of_the_users_trains_victims_and_surrogates_in_all_workers(place: Path, mine: Path) -> None:
    sets = (
        "tap.surrogate.epochs=1",
        "tap.steps=1",
        "tap.restarts=1",
        "tap.batch=96",
        "tap.surrogate.batch=48",
    )
    asked = ["--net", "my-net", "--surrogate", "my-net", "--plugins", str(mine), "--workers", "2"]
    assert main(command(place, "tap,random", "none", *asked, *(p for s in sets for p in ("--set", s)))) == 0
    rows = rows_of(place)
    assert len(rows) == 2 and {row.status for row in rows.values()} == {"ok"}
    for row in rows.values():
        code = row.inputs["drafts"]["net"]
        assert row.inputs["net"] == "my-net" and row.inputs["drafts"] == {"net": code, "surrogate": code}
        assert not {"net", "surrogate"} & {*row.inputs["revisions"]}
        assert row.stem == "3x3 stride 1"
    assert "victim my-net (draft), surrogate my-net (draft)" in (place / "out" / "accuracy.md").read_text()


def test_a_net_is_told_by_its_code_until_it_declares_a_revision(place: Path, mine: Path) -> None:
    asked = command(place, "random", "none", "--net", "my-net", "--plugins", str(mine))
    file = mine / "nets" / "two.py"
    one = dedent(NET)
    texts = {
        one: 1,
        one.replace("Two convolutions", "Both convolutions") + "# a comment\n": 1,  # only its words
        one.replace("MaxPool2d(4)", "AvgPool2d(4)"): 2,
        one.replace("Architecture(mine)", "Architecture(mine, 1)"): 3,
        one.replace("Architecture(mine)", "Architecture(mine, 1)").replace("(4)", "(2)"): 3,
    }
    for text, rows in texts.items():
        file.write_text(text)
        assert main(asked) == 0
        assert len(load_all(place / "out" / "rows")) == rows, text
    assert sum("drafts" in row.inputs for row in load_all(place / "out" / "rows")) == 2


def test_nets_of_the_users_are_listed_and_not_remembered(
    place: Path, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--plugins", str(mine)]
    assert main(["list", *more]) == 0 and "my-net" in capsys.readouterr().out
    assert main(["list", "my-net", *more]) == 0
    said = capsys.readouterr().out
    assert "Two convolutions of one width." in said and "a draft" in said
    assert main(["list", "--json", "my-net", *more]) == 0
    assert json.loads(capsys.readouterr().out)[0]["kind"] == "net"
    assert main(["list"]) == 0 and "my-net" not in capsys.readouterr().out
    said = refused(command(place, "random", "none", "--net", "my-nett", *more), capsys)
    assert "did you mean 'my-net'?" in said
    assert "unknown net 'my-net'" in refused(command(place, "random", "none", "--net", "my-net"), capsys)
    assert not (place / "out").exists()


BAD = {
    "no table": ("x = 1\n", "has no NETS, expected a dict of name -> Architecture"),
    "no architecture": ("NETS = {'own': 3}\n", "has no NETS, expected a dict of name -> Architecture"),
    "a name of ours": (NET.replace("my-net", "small"), "the name 'small' is already taken"),
    "no name": (NET.replace("my-net", "My net"), "the name 'My net', expected lower-case letters"),
    "a long name": (NET.replace("my-net", "n" * 41), "at most 40"),
    "broken": ("raise RuntimeError('torn')\n", "cannot be imported, RuntimeError: torn"),
}


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD)
def test_a_bad_file_of_nets_is_named(
    place: Path, mine: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(mine / "nets" / "bad.py", text)
    asked = refused(command(place, "random", "none", "--plugins", str(mine)), capsys)
    assert "nets/bad.py" in asked and said in asked
    assert not (place / "out").exists()


def test_nets_without_their_library_are_passed_over_unless_asked_for(
    place: Path, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(mine / "nets" / "other.py", "import no_such_library\nNETS = {}\n")
    more = ("--plugins", str(mine))
    lacking = "nets/other.py needs no_such_library, which is not installed"
    assert lacking in refused(command(place, "random", "none", "--net", "other", *more), capsys)
    assert main(["list", *more]) == 0 and lacking in capsys.readouterr().out
    assert main(command(place, "random", "none", "--net", "my-net", *more)) == 0


def test_images_too_small_for_a_net_of_the_users_are_refused(
    place: Path, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(mine / "nets" / "two.py", NET.replace("MaxPool2d(4)", "MaxPool2d(17)"))
    more = ("--net", "my-net", "--plugins", str(mine))
    said = refused(command(place, "random", "none", *more), capsys)
    assert "my-net: images of 16 pixels, expected 17 or more" in said and not (place / "out").exists()


# helpers


@pytest.mark.parametrize("kind", KINDS)
def test_helpers_beside_a_draft_are_part_of_its_code(kind: str, tmp_path: Path) -> None:
    """Through other helpers, too; what it does not import is none of its."""
    name, text = {"methods": ("tint", METHOD), "defenses": ("dim", DEFENSE)}[kind]
    folder, found = tmp_path / kind, []
    write(folder / "own.py", text.replace("from dataclasses", "from ._near import X\n    from dataclasses"))
    helpers = [("1", "1", "1"), ("2", "1", "1"), ("2", "2", "1"), ("2", "2", "2")]
    for near, far, other in helpers:
        write(folder / "_near.py", f"from . import _far\nX = {near}\n")
        write(folder / "_far.py", f"Y = {far}\n")
        write(folder / "_other.py", f"Z = {other}\n")
        found.append(catalog(kind, tmp_path).get(name).inputs["draft"])
        assert catalog(kind, tmp_path, declared=True).get(name).inputs["draft"] == found[-1]
    assert len({*found}) == 3 and found[2] == found[3]


# installed packages


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with one plugin of each kind, as pip leaves it; its folder."""
    site = tmp_path / "site"
    parts = {"methods": METHOD, "defenses": DEFENSE, "nets": NET, "data": DATA}
    for kind, text in parts.items():
        write(site / "ue_extra" / f"{kind}.py", text)
    write(site / "ue_extra" / "__init__.py", "")
    points = "".join(f"[ue_bench.{kind}]\nsquares = ue_extra.{kind}\n" for kind in parts)
    about = site / "ue_extra-1.2.dist-info"
    write(about / "METADATA", "Metadata-Version: 2.1\nName: ue-extra\nVersion: 1.2\n")
    write(about / "entry_points.txt", points)
    monkeypatch.syspath_prepend(site)
    yield site / "ue_extra"
    for name in [name for name in sys.modules if name.partition(".")[0] == "ue_extra"]:
        del sys.modules[name]


def test_what_a_package_adds_is_listed_and_runs(
    place: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("tint", "dim", "my-net", "squares"))
    assert main(["list", "squares"]) == 0
    assert "Squares: two classes of noise" in capsys.readouterr().out
    more = ("--data", "squares:-x", "--net", "my-net", "--limit", "300")
    assert main(command(place, "tint,random", "none,dim", *more)) == 0
    rows = rows_of(place)
    assert len(rows) == 4 and {row.status for row in rows.values()} == {"ok"}
    row = rows["tint", "dim"]
    assert row.data == "squares-x" and {*row.inputs["drafts"]} == {"net"}
    assert "draft" in row.inputs["method"] and "draft" in row.inputs["defense"]


def test_a_package_counts_with_all_its_helpers(package: Path) -> None:
    text = METHOD.replace("from dataclasses", "from ue_extra.deep.tools import X\n    from dataclasses")
    write(package / "methods.py", text)
    found = []
    for value in (1, 2):
        write(package / "deep" / "__init__.py", "")
        write(package / "deep" / "tools.py", f"X = {value}\n")
        found.append(catalog("methods", declared=True).get("tint").inputs["draft"])
    assert len({*found}) == 2


def test_workers_elsewhere_must_have_the_same_packages(package: Path) -> None:
    before = fingerprint(None)["the code of installed plugins"]
    assert before.startswith("ue-extra 1.2 (sha256 ")
    write(package / "deep.py", "X = 1\n")
    assert fingerprint(None)["the code of installed plugins"] != before


@pytest.mark.parametrize("kind", ["methods", "defenses", "nets", "data"])
def test_a_broken_package_is_named(
    kind: str, package: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(package / f"{kind}.py", "raise RuntimeError('torn')\n")
    more = ("--data", "squares") if kind == "data" else ()
    said = refused(command(place, "random", "none", *more), capsys)
    assert f"ue-extra 1.2, ue_extra.{kind}" in said and "RuntimeError: torn" in said
    assert not (place / "out").exists()


@pytest.mark.parametrize("kind", ["methods", "nets"])
def test_a_package_that_lacks_a_library_is_passed_over(
    kind: str, package: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(package / f"{kind}.py", "import no_such_library\n")
    chosen = ("tint", "none") if kind == "methods" else ("random", "none", "--net", "my-net")
    said = refused(command(place, *chosen), capsys)
    assert f"ue-extra 1.2, ue_extra.{kind} needs no_such_library, which is not installed" in said
    assert main(command(place, "random", "dim")) == 0


@pytest.mark.parametrize("value", ["ue_extra.gone", "ue_extra.methods:VARIANTS", "nobody.methods"])
def test_an_entry_point_that_names_no_module_is_refused(value: str, package: Path) -> None:
    points = package.parent / "ue_extra-1.2.dist-info" / "entry_points.txt"
    points.write_text(f"[ue_bench.methods]\nsquares = {value}\n")
    with pytest.raises(
        BadInput, match=rf"ue-extra 1.2: ue_bench.methods squares is {value}, expected a module"
    ):
        catalog("methods")


SOURCES = {
    "no source": ("return None", "gives a NoneType, expected a bench.data.prepare.Source"),
    "a path": ("return Source('../x', 1, 2, ())", "calls its images '../x'"),
    "an error": ("raise OSError('no network')", "gives no images, OSError: no network"),
}


@pytest.mark.parametrize(("body", "said"), SOURCES.values(), ids=SOURCES)
def test_data_of_a_package_is_checked(body: str, said: str, package: Path, tmp_path: Path) -> None:
    write(package / "data.py", f"from bench.data.prepare import Source\ndef source(place):\n    {body}\n")
    with pytest.raises(BadInput, match=rf"ue-extra 1.2, ue_extra.data {said}"):
        data.load("squares", root=None, limit=None, cache=tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "folder", "Squares", "s" * 41])
def test_names_of_data_sets_of_packages_are_checked(name: str, package: Path) -> None:
    points = package.parent / "ue_extra-1.2.dist-info" / "entry_points.txt"
    points.write_text(f"[ue_bench.data]\n{name} = ue_extra.data\n")
    with pytest.raises(BadInput, match=rf"ue-extra 1.2: the name '{name}'"):
        data.names()


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("torch.set_default_dtype(torch.float64)", "default dtype"),
        ("torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark", "cudnn.benchmark"),
        ("torch.set_grad_enabled(False)", "grad mode"),
    ],
)
def test_a_plugin_that_changes_what_all_share_as_it_is_imported_is_refused(
    does: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "tint.py").write_text(
        dedent(METHOD).replace("import torch", f"import torch\n{does}")
    )
    with pytest.raises(BadInput, match=rf"methods/tint.py changes {said} as it is imported"):
        catalog("methods", tmp_path)
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32
