"""Pitfalls of published recipes and faults of other benchmarks: each is held by a test, or cannot apply.

pitfalls.csv says which test that is, and in which of our notes the pitfall is listed. Here are its checks,
and the tests that belong nowhere else.
"""

from __future__ import annotations

import ast
import csv
import inspect
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.core.types import Augmentation, Recipe
from bench.experiment.registry import HOME, KINDS, catalog
from bench.experiment.settings import Setting
from bench.metrics.mi.settings import MISettings
from bench.results.rows import load_all

HERE = Path(__file__).parent
COLUMNS = ["listed", "source", "pitfall", "tests", "cannot apply"]
LISTED = re.compile(
    r"facts [1-7](\.\d)?|peers (APBench|MI-UE|origin|users|wanted|formats)( \d+)?|breadth \d(\.\d+)?"
    r"|issue \d+|trials"
)
CODE = sorted(p for folder in ("bench", *KINDS) for p in (HOME / folder).rglob("*.py"))
ROOT = Path(__file__).parent.parent  # of the repository; the package may be installed elsewhere


def table() -> list[dict[str, str]]:
    with (HERE / "pitfalls.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        lines = list(reader)
    assert reader.fieldnames == COLUMNS
    return lines


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def collected(path: Path) -> set[str]:
    """What pytest collects from a file, unless it is always skipped."""
    found = {n.name: n for n in tree(path).body if isinstance(n, ast.FunctionDef) and n.name[:4] == "test"}
    return {
        name: f for name, f in found.items() if not any("skip" in ast.unparse(d) for d in f.decorator_list)
    }


LINES = table()


# the table


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["pitfall"][:50])
def test_each_pitfall_is_held_by_tests_or_cannot_apply(line: dict[str, str]) -> None:
    assert None not in line and None not in line.values()  # as many cells as there are columns
    assert LISTED.fullmatch(line["listed"]) and line["source"] and line["pitfall"]
    assert bool(line["tests"]) != bool(line["cannot apply"])
    for named in line["tests"].split():
        file, _, name = named.partition("::")
        assert (HERE / file).is_file(), named
        assert name in collected(HERE / file), named


def test_no_pitfall_is_listed_twice() -> None:
    pitfalls = [line["pitfall"].lower() for line in LINES]
    assert len(set(pitfalls)) == len(pitfalls)


# options that nothing reads


@cache
def read_in(path: Path) -> frozenset[str]:
    """Names of attributes that a file reads."""
    nodes = (n for n in ast.walk(tree(path)) if isinstance(n, ast.Attribute))
    return frozenset(n.attr for n in nodes if isinstance(n.ctx, ast.Load))


@pytest.mark.parametrize("noun", [Setting, Recipe, MISettings, Augmentation])
def test_every_field_of_a_setting_is_read(noun: type) -> None:
    read = frozenset[str]().union(*map(read_in, CODE))
    assert {f.name for f in fields(noun)} - read == set()  # type: ignore[arg-type]


PLUGINS = {name: plugin for kind in KINDS for name, plugin in catalog(kind).variants.items()}


@pytest.mark.parametrize("name", PLUGINS)
def test_every_field_of_a_plugin_is_read_where_it_is_declared(name: str) -> None:
    """By the plugin, or by what it is made from; eps of clean by the harness."""
    kinds = [k for k in type(PLUGINS[name].value).__mro__ if k is not object]
    files = [Path(inspect.getfile(k)) for k in kinds]
    read = frozenset[str]().union(*map(read_in, files))
    assert {f.name for f in fields(PLUGINS[name].value)} - read == set()


# results of unlike code


STORED = sorted((ROOT / "results").rglob("rows"))


@pytest.mark.parametrize("folder", STORED, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_in_one_folder_of_results_each_plugin_has_one_code(folder: Path) -> None:
    """All attacks and defenses of its tables are this repository's, in one state each."""
    codes = defaultdict(set)
    for row in load_all(folder):
        assert row.environment["commit"], row.key
        for kind in ("method", "defense"):
            codes[getattr(row, kind)].add(row.code[kind])
    assert codes and all(len(found) == 1 and all(found) for found in codes.values())


# errors that are swallowed


def broad_handlers() -> Iterator[tuple[str, ast.ExceptHandler]]:
    for path in CODE:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler):
                names = "" if node.type is None else ast.unparse(node.type)
                if node.type is None or re.search(r"\b(Base)?Exception\b", names):
                    yield f"{path.relative_to(HOME)}:{node.lineno}", node


def test_whoever_catches_everything_passes_it_on() -> None:
    """A handler that goes on with something else would train on clean images where a poison is missing."""
    found = dict(broad_handlers())
    assert found
    for place, handler in found.items():
        parts = [part for statement in handler.body for part in ast.walk(statement)]
        told = {n.id for n in parts if isinstance(n, ast.Name)} & {handler.name, "traceback"}
        assert handler.type is not None and (told or any(isinstance(p, ast.Raise) for p in parts)), place


# what has to be installed


PACKAGE = {
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}  # module -> the package that has it, where the names differ
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements() -> dict[str, set[Requirement]]:
    """All that are stated, by the name of the package."""
    found = defaultdict(set)
    for said in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]:
        for requirement in map(Requirement, said):
            found[canonicalize_name(requirement.name)].add(requirement)
    return found


def test_no_two_requirements_contradict_and_what_is_installed_fits() -> None:
    """What extras bring may be missing, but for the tests' own; so may timm."""
    extras = PROJECT["optional-dependencies"]
    own, others = (
        {canonicalize_name(Requirement(said).name) for name in names for said in extras[name]}
        for names in ({"test"}, extras.keys() - {"test"})
    )
    for name, said in requirements().items():
        assert len({str(r.specifier) for r in said}) == 1, name
        if name in {"timm", *others - own} and find_spec(name.replace("-", "_")) is None:
            continue
        assert next(iter(said)).specifier.contains(version(name), prereleases=True), name


def test_everything_that_is_imported_is_required() -> None:
    imported = set[str]()
    for path in CODE:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    others = imported - set(sys.stdlib_module_names) - {"bench", *KINDS}
    assert {PACKAGE.get(module, module) for module in others} <= set(requirements())


def test_the_licence_is_there() -> None:
    assert PROJECT["license"] == "MIT"
    assert all((ROOT / name).read_text(encoding="utf-8").strip() for name in PROJECT["license-files"])
