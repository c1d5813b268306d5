"""What is declared without torch: the same as importing gives, and enough to answer the command line."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench import data
from bench.cli.about import one, settable, text_of
from bench.cli.main import main
from bench.core.errors import BadInput
from bench.experiment import keys
from bench.experiment.declared import declare
from bench.experiment.overrides import change
from bench.experiment.registry import KINDS, Plugin, catalog
from bench.experiment.settings import PROFILES
from bench.nets import NETS
from bench.runner.request import Options, RunRequest, check, resolve
from bench.studies import NAMES as STUDIES
from bench.studies import named

DECLARED, IMPORTED = ({kind: catalog(kind, declared=asked) for kind in KINDS} for asked in (True, False))
PLUGINS = [(kind, name) for kind in KINDS for name in IMPORTED[kind].variants]

# The command line

ANSWERS = {  # arguments -> exit code, and a part of what is said
    "list": (0, "em-positive"),
    "list tap": (0, "NeurIPS 2021"),
    "list at-5": (0, "5/255"),
    "list small": (0, "2x2 stem"),
    "list depth": (0, "grids"),
    "list emx": (2, "unknown name 'emx'; did you mean 'emax'?"),
    "run --methods emx": (2, "unknown method 'emx'; did you mean 'emax'?"),
    "run --defenses cutot": (2, "unknown defense 'cutot'; did you mean 'cutout'?"),
    "run --net foo": (2, "unknown net 'foo'; "),
    "run --surrogate resnet-18": (2, "unknown net 'resnet-18'; did you mean 'resnet18'?"),
    "run --profile quik": (2, "unknown profile 'quik'; did you mean 'quick'?"),
    "run --set tap.stepz=1": (2, "unknown field of tap 'stepz'; did you mean 'step"),
    "run --set tap.surrogate.epoch=1": (2, "unknown field of tap.surrogate 'epoch'; did you mean 'epochs'?"),
    "run --set em.steps=many": (2, "em.steps is 'many', expected int"),
    "run --set mi.slice=1": (2, "unknown field of the setting.mi 'slice'; did you mean 'slices'?"),
    "run --dry-run --set em.max_rounds=0": (2, "max_rounds is 0, expected above 0"),
    "run --methods file:/nope": (2, "file:/nope: there is no such file or folder"),
    "export emx out": (2, "unknown method 'emx'; did you mean 'emax'?"),
    "protect in --method emx --out out": (2, "unknown method 'emx'; did you mean 'emax'?"),
    "verify in --profile quik": (2, "unknown profile 'quik'; did you mean 'quick'?"),
    "study dept": (2, "unknown study 'dept'; did you mean 'depth'?"),
    "study depth --set em.stepz=1": (2, "unknown field of em 'stepz'; did you mean 'step"),
}
ASKED = """
import contextlib, io, json, sys
from bench.cli.main import main
HEAVY = {"torch", "torchvision", "kornia", "numpy", "scipy", "pandas", "matplotlib", "PIL"}
said = {}
for asked in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        code = main(asked.split())
    said[asked] = code, out.getvalue(), sorted(HEAVY & {*sys.modules})
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Exit code, text and heavy libraries of each, asked of one process after the other."""
    asked = [sys.executable, "-c", ASKED, json.dumps([*ANSWERS])]
    ended = subprocess.run(
        asked, cwd=tmp_path_factory.mktemp("empty"), capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@pytest.mark.parametrize("asked", ANSWERS)
def test_answers_come_without_what_computes(answers: dict[str, Any], asked: str) -> None:
    code, text, heavy = answers[asked]
    assert (code, heavy) == (ANSWERS[asked][0], []) and ANSWERS[asked][1] in text


@pytest.mark.parametrize(
    "request_",
    [
        RunRequest(methods="emm"),
        RunRequest(defenses="at-0"),
        RunRequest(profile="quik"),
        RunRequest(options=Options(net="smal")),
        RunRequest(options=Options(eps="8")),
        RunRequest(overrides=("tap.surrogate.batch=0",)),
        RunRequest(overrides=("victm.epochs=3",)),
        RunRequest(defenses="iss-jpeg10", overrides=("iss-jpeg10.quality=99",)),
    ],
    ids=str,
)
def test_check_refuses_what_resolve_refuses_in_the_same_words(request_: RunRequest) -> None:
    with pytest.raises(BadInput) as first:
        check(request_)
    with pytest.raises(BadInput) as second:
        resolve(request_)
    assert str(first.value) == str(second.value)


# Declared and imported are one


def flat(value: Any) -> dict[str, Any]:
    """Fields that can be set, by their paths, with what they hold."""
    return {path: content for path, content, _ in settable(value)}


def meanings(value: Any) -> dict[str, str]:
    """What is said of each of them."""
    return {path: said for path, _, said in settable(value)}


def told(plugin: Plugin) -> dict[str, Any]:
    """All that is compared of a plugin."""
    scaled = {profile: plugin.at(profile).inputs for profile in PROFILES}
    value = {
        name: getattr(plugin.value, name)
        for name in ("threat", "form", "needs", "maps_images")
        if hasattr(plugin.value, name)
    }
    known = (plugin.about, plugin.control, plugin.code, plugin.crafted_as, plugin.revision)
    return {"known": known, "inputs": plugin.inputs, "scaled": scaled, **value, "fields": flat(plugin.value)}


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_those_of_the_imported(kind: str) -> None:
    seen, real = DECLARED[kind], IMPORTED[kind]
    assert (seen.names, seen.everything, [*seen.patterns]) == (real.names, real.everything, [*real.patterns])


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_a_plugin_is_declared_as_it_is(kind: str, name: str) -> None:
    seen, real = (found[kind].get(name) for found in (DECLARED, IMPORTED))
    assert told(seen) == told(real) and meanings(seen.value) == meanings(real.value)
    assert type(seen.value) is not type(real.value)


@pytest.mark.parametrize("pattern", IMPORTED["defenses"].patterns)
def test_a_pattern_makes_the_same(pattern: str) -> None:
    name = pattern.partition("{")[0] + "3"
    assert told(DECLARED["defenses"].get(name)) == told(IMPORTED["defenses"].get(name))


def test_a_file_is_the_same_method(tmp_path: Path) -> None:
    seen, real = (found["methods"].get(f"file:{tmp_path}") for found in (DECLARED, IMPORTED))
    assert told(seen) == told(real)


def test_nets_studies_and_revisions_are_the_same() -> None:
    declared = declare("bench.nets").NETS
    assert [*declared] == [*NETS]
    for name, net in NETS.items():
        bodies = [n.body if isinstance(n.body, partial) else partial(n.body) for n in (declared[name], net)]
        assert len({(b.func.__doc__, str(b.keywords)) for b in bodies}) == 1
        assert declared[name].revision == net.revision
    for name in STUDIES:
        seen, real = named(name, declare), named(name)
        assert (seen.about, repr([*seen.grids()])) == (real.about, repr([*real.grids()]))
    assert declare("bench.experiment.keys").REVISIONS == keys.REVISIONS


# Plugins of the user's

HEAD = """
from dataclasses import dataclass
import torch
from bench.core.method import Method

@dataclass(frozen=True)
class Mine(Method):
    share: float = 0.5  # of all
    def craft(self, clean, lab):
        return torch.zeros(clean.images.shape)

"""
FILES = {  # what else stands in a file -> whether it is imported to be known
    "VARIANTS = {'mine': Mine()}": False,
    "VARIANTS = {f'mine-{n}': Mine(share=n / 4) for n in (1, 2)}": False,
    "VARIANTS = {'mine': Mine(share=float(torch.tensor(0.25)))}": True,
    "VARIANTS = {}\nfor n in (1, 2):\n    VARIANTS[f'mine-{n}'] = Mine(share=n / 4)": True,
}


@pytest.mark.parametrize(("rest", "imported"), FILES.items(), ids=FILES)
def test_a_file_is_imported_only_where_it_does_more_than_declare(
    tmp_path: Path, rest: str, imported: bool
) -> None:
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "odd_one.py").write_text(HEAD + rest)
    sys.modules.pop("plugged_methods.odd_one", None)
    seen = catalog("methods", tmp_path, declared=True)
    assert ("plugged_methods.odd_one" in sys.modules) == imported
    real = catalog("methods", tmp_path)
    assert seen.names == real.names
    for name in {*real.variants} - {*IMPORTED["methods"].variants}:
        assert told(seen.get(name)) == told(real.get(name))
        assert meanings(seen.get(name).value)["share"] == "float; of all"


def test_what_only_a_plugins_library_knows_is_left_to_it(tmp_path: Path) -> None:
    """A check that needs torch says nothing before torch is there."""
    (tmp_path / "methods").mkdir()
    check_itself = "    def __post_init__(self):\n        if self.share > 0.9:\n            torch.ones(1)\n"
    (tmp_path / "methods" / "mine.py").write_text(f"{HEAD}{check_itself}VARIANTS = {{'mine': Mine()}}")
    where = RunRequest().where
    asked = RunRequest(methods="mine", where=type(where)(plugins=tmp_path), overrides=("mine.share=0.95",))
    check(asked)
    assert resolve(asked).methods[0].value.share == 0.95


# What list NAME says


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_every_field_is_explained_and_shown_as_it_is_set(kind: str, name: str) -> None:
    value = DECLARED[kind].get(name).value
    for path, content in flat(value).items():
        assert change(value, path, text_of(content), name) == value
    assert all("; " in said for said in meanings(value).values()), meanings(value)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_field_of_a_profile_is_shown_as_it_is_set(profile: str) -> None:
    setting = PROFILES[profile].setting
    for path, content in flat(setting).items():
        assert change(setting, path, text_of(content), "setting") == setting


def page(name: str) -> list[str]:
    """Lines of what `list NAME` says, on a terminal of 80 columns."""
    console = Console(file=io.StringIO(), width=80)
    console.print(*one(name, [*DECLARED.values()]))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().strip().splitlines()


def test_everything_has_a_page_of_80_columns() -> None:
    plugins = [name for kind in KINDS for name in IMPORTED[kind].names]
    for name in (*plugins, *data.names(), *NETS, *PROFILES, *STUDIES):
        said = page(name)
        assert said[0].startswith(f"{name} (") and max(map(len, said)) <= 80


def test_a_page_says_what_its_plugin_is() -> None:
    for kind, name in PLUGINS:
        said, plugin = " ".join(" ".join(page(name)).split()), IMPORTED[kind].get(name)
        assert f"revision {plugin.revision}" in said and "Differs from the paper:" in said
        assert all(field in said for field in flat(plugin.value))
        assert ("threat model" in said and "needs" in said) == (kind == "methods") and ("hooks" in said) == (
            kind == "defenses"
        )


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("tap", ("sample-wise", "needs a surrogate and labels", "steps 250")),
        ("em-class", ("class-wise", "L-inf 8/255")),
        ("random", ("sample-wise", "needs nothing but the images")),
        ("uer", ("loss (at each step)", "variant uer-p1 p 1")),
        ("iss-gray", ("prepare (once, on all images)",)),
        ("cutout", ("augment (on each batch)",)),
        ("none", ("hooks none",)),
        ("quick", ("victim.epochs 14", "em, em-positive surrogate.batch 64")),
        ("resnet18-slim", ("width 16",)),
    ],
)
def test_facts_of_a_page(name: str, facts: tuple[str, ...]) -> None:
    said = " ".join(" ".join(page(name)).split())
    assert all(fact in said for fact in facts)


@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_without_its_library_is_listed_with_its_reason(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / kind).mkdir()
    (tmp_path / kind / "other.py").write_text("import no_such_library\nVARIANTS = {}\n")
    assert main(["list", "--plugins", str(tmp_path)]) == 0
    assert f"{kind}/other.py needs no_such_library, which is not installed" in capsys.readouterr().out
