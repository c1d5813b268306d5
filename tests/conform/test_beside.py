"""conform checks what a folder adds, and no installed package; what one of these does is named as its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from bench.cli.main import main

METHOD = '''
    """NAME: noise."""
    from dataclasses import dataclass
    import torch
    from bench.core.method import Method

    @dataclass(frozen=True)
    class Own(Method):
        needs = ()

        def craft(self, clean, lab):
            noise = torch.empty(clean.images.shape)
            return SHARE * noise.uniform_(-self.eps, self.eps, generator=lab.rng("noise"))

    VARIANTS = {"NAME": Own()}
'''
DEFENSE = '''
    """Dim: darker images."""
    from dataclasses import dataclass
    from bench.core.defense import Undefended

    @dataclass(frozen=True)
    class Dim(Undefended):
        def prepare(self, images):
            return images - images // 8

    VARIANTS = {"NAME": Dim()}
'''
NET = '''
    """Own: a net."""
    from torch import nn
    from bench.nets.body import Architecture, Body, conv, pooled

    def own(shape):
        return Body(pooled(conv(shape.channels, 8), nn.MaxPool2d(2), conv(8, 8)), 8, "small")

    NETS = {"NAME": Architecture(own, 1)}
'''
PARTS = {"methods": METHOD, "defenses": DEFENSE, "nets": NET}


def write(path: Path, text: str, name: str = "", share: str = "1") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text).replace("NAME", name).replace("SHARE", share), encoding="utf-8")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package with one plugin of each kind; of its method conform would say that it is bad."""
    site, about = tmp_path / "site", tmp_path / "site" / "ue_more-1.2.dist-info"
    for kind, text in PARTS.items():
        write(site / "ue_more" / f"{kind}.py", text, f"theirs-{kind}", share="2")
    write(site / "ue_more" / "__init__.py", "")
    write(about / "METADATA", "Metadata-Version: 2.1\nName: ue-more\nVersion: 1.2\n")
    points = "".join(f"[ue_bench.{kind}]\nmore = ue_more.{kind}\n" for kind in PARTS)
    write(about / "entry_points.txt", points)
    monkeypatch.syspath_prepend(site)
    yield site / "ue_more"
    for name in [name for name in sys.modules if name.partition(".")[0] == "ue_more"]:
        del sys.modules[name]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    for kind, text in PARTS.items():
        write(tmp_path / "mine" / kind / "own.py", text, f"mine-{kind}")
    return tmp_path / "mine"


def said(folder: Path, code: int, capsys: pytest.CaptureFixture[str]) -> str:
    ended, found = main(["conform", str(folder)]), capsys.readouterr().out
    assert ended == code, found
    return found


def test_plugins_of_an_installed_package_are_not_the_folders(
    mine: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = said(mine, 0, capsys)
    assert "theirs" not in found and all(f"{kind} mine-{kind}: " in found for kind in PARTS)


@pytest.mark.parametrize("kind", PARTS)
def test_what_an_installed_package_lacks_is_nothing_of_the_folders(
    kind: str, mine: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(package / f"{kind}.py", "import no_such_library\n")
    assert "no_such_library" not in said(mine, 0, capsys)


@pytest.mark.parametrize("kind", ["methods", "defenses"])
def test_a_name_that_an_installed_package_has_is_taken(
    kind: str, mine: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(mine / kind / "own.py", PARTS[kind], f"theirs-{kind}")
    found = said(mine, 1, capsys)
    assert "loads: " in found and f"the name 'theirs-{kind}' is already taken" in found


@pytest.mark.parametrize("kind", ["methods", "defenses"])
def test_a_broken_package_is_named_and_not_the_folders_file(
    kind: str, mine: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(package / f"{kind}.py", "raise RuntimeError('torn')\n")
    found = said(mine, 1, capsys)
    assert f"loads: ue-more 1.2, ue_more.{kind} cannot be imported, RuntimeError: torn" in found
