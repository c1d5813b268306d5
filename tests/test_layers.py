"""Who may know whom: arrows between packages run one way, and plugins know the core alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from bench.experiment.registry import HOME, KINDS, catalog

TABLE = {  # package -> what of the suite it may import beside itself and core
    "core": "",
    "data": "",
    "nets": "",
    "metrics": "",
    "results": "",
    "experiment": "data nets metrics results",
    "report": "results",
    "runner": "experiment data nets metrics results",
    "conform": "experiment data nets metrics results",
    "studies": "runner report experiment data nets metrics results",
    "cli": "conform studies runner report experiment data nets metrics results",
    "api": "cli conform studies runner report experiment data nets metrics results",
}
KNOWN: dict[tuple[str, str], str] = {  # arrows against the table -> what ends them; only to be shortened
}
TORCHLESS = ("results", "report")  # tables and figures are made on a laptop
TORCH = {"torch", "torchvision", "kornia"}


def module_of(path: Path) -> str:
    parts = path.relative_to(HOME).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


CODE = {module_of(p): p for folder in ("bench", *KINDS) for p in sorted((HOME / folder).rglob("*.py"))}
PLUGINS = [module for module in CODE if module.startswith(tuple(f"{kind}." for kind in KINDS))]
HARNESS = [module for module in CODE if module.startswith("bench.")]


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(CODE[module].read_text(encoding="utf-8"))


def imported(module: str) -> Iterator[str]:
    """Whatever a module imports, at any place, and modules of ours that it names in a string."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}:{node.lineno} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and re.fullmatch(r"bench(\.\w+)+(:\w+)?", str(node.value)):
            name = str(node.value).partition(":")[0]
            yield module if name.startswith(f"{module}.") else name  # a package may list what lies in it


def nearest(name: str) -> str:
    """The module of ours that a dotted name is or lies in; empty where it is not ours."""
    return name if name in CODE or not name else nearest(name.rpartition(".")[0])


@cache
def arrows(module: str) -> frozenset[str]:
    """Modules of ours that a module needs."""
    return frozenset(map(nearest, imported(module))) - {"", "bench", module}


def package(module: str) -> str:
    return module.split(".")[1]


def study(module: str) -> str:
    """The study in whose folder a module lies, if it lies in one."""
    return module.split(".")[2] if re.match(r"bench\.studies\.\w+\.", module) else ""


def allowed(one: str, other: str) -> bool:
    if package(one) == package(other):  # studies know nothing of each other
        return study(one) in ("", study(other)) or not study(other)
    return package(other) == "core" or package(other) in TABLE[package(one)].split()


ARROWS = {(one, other) for one in HARNESS if package(one) in TABLE for other in arrows(one)}
AGAINST = {arrow for arrow in ARROWS if not allowed(*arrow)}


def test_every_module_lies_in_a_package_of_the_table() -> None:
    assert {package(module) for module in HARNESS} == {*TABLE, "__main__"}
    assert len([*(HOME / "bench").glob("*.py")]) <= 4


@pytest.mark.parametrize("name", TABLE)
def test_package_imports_what_the_table_allows(name: str) -> None:
    assert {arrow for arrow in AGAINST if package(arrow[0]) == name} - set(KNOWN) == set()


def test_exceptions_that_ended_are_off_the_list() -> None:
    assert set(KNOWN) - AGAINST == set()


def test_nothing_runs_in_a_circle() -> None:
    """Neither packages nor modules, whether they import at once or later."""
    TopologicalSorter({name: may.split() for name, may in TABLE.items()}).prepare()
    TopologicalSorter({one: [m for m in arrows(one) if (one, m) not in KNOWN] for one in CODE}).prepare()


def test_only_the_command_line_knows_argparse() -> None:
    knowing = [m for m in CODE if "argparse" in {name.split(".")[0] for name in imported(m)}]
    assert knowing and {package(m) for m in knowing} == {"cli"}


@pytest.mark.parametrize("module", PLUGINS)
def test_plugins_import_only_the_core(module: str) -> None:
    """And a private module beside them."""
    beside = module.rpartition(".")[0] + "._"
    assert [m for m in arrows(module) if not m.startswith(("bench.core.", beside))] == []


@pytest.mark.parametrize("module", HARNESS)
def test_harness_imports_no_plugin(module: str) -> None:
    assert [m for m in arrows(module) if m in PLUGINS] == []


@pytest.mark.parametrize("module", [m for m in HARNESS if package(m) in TORCHLESS])
def test_results_and_report_need_no_torch(module: str) -> None:
    reached, todo = set[str](), {module}
    while todo:
        reached |= todo
        todo = {m for one in todo for m in arrows(one)} - reached
    assert [m for m in sorted(reached) if {name.split(".")[0] for name in imported(m)} & TORCH] == []


# what stands in one place only

# Each study asks something of certain methods; the upgrade knows which plugins wrote old results; figures
# show methods that readers have met as they met them, and any other as its name has it.
ASKING = ("bench.studies.", "bench.results.upgrade", "bench.report.figures.style")
INSTRUMENTS = "bench.metrics."  # may fit models of features or delta
MET = {"bench.results.select"}  # what methods are read against
WORDS = {"none", "cuda"}  # in other senses, too: an absent value, no resizing; torch's word for a GPU


def clean_is_a_word(module: str) -> bool:
    return module in MET or module.startswith(INSTRUMENTS)  # of images, a noun


@pytest.mark.parametrize("module", [m for m in HARNESS if not m.startswith(ASKING)])
def test_harness_names_no_plugin(module: str) -> None:
    known = {name for kind in KINDS for name in catalog(kind).variants} - WORDS
    named = {str(n.value) for n in ast.walk(tree(module)) if isinstance(n, ast.Constant)}
    assert (named & known) - ({"clean"} if clean_is_a_word(module) else set()) == set()


def test_packages_import_nothing() -> None:
    """But the suite itself, which gives its interface to whoever asks for it."""
    for name in ("bench.core", *KINDS):
        assert CODE[name].read_text().strip() == ""
    assert arrows("bench") == {"bench.api"}


def containing(text: str) -> list[str]:
    """Modules in which a text stands, once for each time."""
    return [m for m, path in CODE.items() for _ in range(path.read_text(encoding="utf-8").count(text))]


def test_global_seed_is_set_in_one_place() -> None:
    assert containing("torch.manual_seed(") == ["bench.core.rng"]
    assert {*containing("random.seed(")} == {"bench.experiment.isolation"}  # of numpy and of Python


def test_weights_move_in_one_place() -> None:
    """Those of nets: an instrument's own models are no part of a cell."""
    assert [m for m in containing(".backward(") if not m.startswith(INSTRUMENTS)] == ["bench.core.train"]
    named = {m for m in containing("optim.") if not m.startswith(INSTRUMENTS)}
    assert named == {"bench.core.train", "bench.core.sgd"}  # the latter is the former's alone
    assert {*containing("core.sgd")} == {"bench.core.train"}


def test_images_of_others_are_decoded_in_one_place() -> None:
    """The suite's own samples, and a round trip in memory, are nobody else's."""
    assert containing("Image.open(") == ["bench.data.images", "bench.results.samples", "defenses.iss"]
    assert not [m for word in ("imread(", "decode_image(", "Image.frombytes(") for m in containing(word)]


def test_nothing_is_imported_that_only_some_systems_have() -> None:
    """At the head of a module: locks, for one, are a library's, which knows each system."""
    own = {"fcntl", "grp", "msvcrt", "posix", "pwd", "resource", "syslog", "termios", "winreg"}
    heads = {
        m: [node for node in tree(m).body if isinstance(node, ast.Import | ast.ImportFrom)] for m in CODE
    }
    names = {
        (m, str(getattr(node, "module", None) or alias.name).partition(".")[0])
        for m, nodes in heads.items()
        for node in nodes
        for alias in node.names
    }
    assert [(m, name) for m, name in names if name in own] == []


def test_only_the_harness_knows_of_devices() -> None:
    """Plugins compute where their images are."""
    assert containing(".cuda(") == containing("cuda()") == []
    words = ("torch.cuda", "is_cuda", "cudnn", 'device("', '.to("', '"cpu"')
    assert [m for word in words for m in containing(word) if m in PLUGINS] == []
    assert [m for m in containing("cuda") if m in PLUGINS] == ["methods.cuda"]  # its name


@pytest.mark.parametrize("module", [m for m in PLUGINS if "._" not in m])
def test_plugin_names_its_source_and_its_differences(module: str) -> None:
    about = ast.get_docstring(tree(module)) or ""
    assert "Differs from the paper:" in about
    assert re.search(r"No source\.|20\d\d|arXiv", about)


@pytest.mark.parametrize("module", CODE)
def test_files_and_functions_are_short(module: str) -> None:
    """Nobody has to scroll for long: at most 300 lines a file and 50 a function."""
    assert len(CODE[module].read_text(encoding="utf-8").splitlines()) <= 300
    functions = [n for n in ast.walk(tree(module)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: lines for name, lines in lengths.items() if lines > 50} == {}
