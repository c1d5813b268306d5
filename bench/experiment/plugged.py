"""Where plugins lie: files of a user's folder and modules of installed packages, and what their code is.

Imports no torch.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from bench.core.errors import BadInput
from bench.core.installed import installed
from bench.core.libraries import explained
from bench.core.texts import bad_names
from bench.experiment.declared import PREFIX, assigned, declare, declare_file

FOLDERS = ("methods", "defenses", "nets")  # of --plugins DIR
TABLES = ("VARIANTS", "PATTERNS", "ALL", "CONTROLS", "PROFILES")
NETS = "NETS"  # the table of a file with nets
T = TypeVar("T")


class Missing(BadInput):
    """A plugin needs a library that is not installed: the others do without it."""


@dataclass(frozen=True)
class Source:
    """A module with plugins."""

    where: str  # as messages name it
    path: Path
    load: Callable[[], ModuleType]
    package: Path | None = None  # the folder of the package that it is of

    @property
    def code(self) -> str:
        """Digest its code, and that of the helpers that it imports from beside itself."""
        helpers = sorted(_helpers(self.path, self.package))
        own = code_digest(self.path.read_text(encoding="utf-8"))
        if not helpers:
            return own
        theirs = [code_digest(path.read_text(encoding="utf-8")) for path in helpers]
        return hashlib.sha256("\n".join([own, *theirs]).encode()).hexdigest()[:16]

    def module(self) -> ModuleType:
        """Import it; BadInput where that fails, Missing where a library is not installed."""
        try:
            return self.load()
        except ModuleNotFoundError as error:
            raise Missing(f"{self.where} needs {error.name}, which is not installed") from error
        except BadInput:
            raise
        except (Exception, SystemExit) as error:  # a plugin may break in any way
            if why := explained(str(error)):
                raise BadInput(why) from error
            what = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            raise BadInput(f"{self.where} cannot be imported, {what}") from error


def others(kind: str, folder: Path | None, *, declared: bool = False) -> Iterator[Source]:
    """List what is no part of the suite: files in FOLDER/KIND, then modules of installed packages.

    declared: as their files say, where they declare all that is looked for; else they are imported.
    """
    if folder and not any((folder / each).is_dir() for each in FOLDERS):
        raise BadInput(f"--plugins {folder}: expected a folder with methods/, defenses/ or nets/ in it")
    loaded = partial(_loaded, kind, declared)
    for path in files(folder / kind) if folder else ():
        load = partial(loaded, path, f"{kind}.{path.stem}", partial(_plugged, path, kind))
        yield Source(f"{kind}/{path.name}", path, load)
    for own in installed(kind):
        whole = partial(_alone, own.module, partial(importlib.import_module, own.module))
        load = partial(loaded, own.path, own.module, whole)
        yield Source(f"{own.package}, {own.module}", own.path, load, own.folder)


def files(folder: Path) -> list[Path]:
    """List the files with plugins, not those of editors and systems, nor helpers."""
    return sorted(folder.glob("[!_.]*.py"))


def _loaded(kind: str, declared: bool, path: Path, name: str, whole: Callable[[], ModuleType]) -> ModuleType:
    with suppress(Exception):
        if declared:
            needed = (NETS,) if kind == "nets" else TABLES
            return declare_file(path, f"{PREFIX}plugged_{name.replace('.', '_')}", needed)
    return whole()


def _plugged(path: Path, kind: str) -> ModuleType:
    """Import a file of the user's."""
    alias = f"{_package(path.parent, kind)}.{path.stem}"
    spec = importlib.util.spec_from_file_location(alias, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module  # dataclasses look their module up
    _alone(f"{kind}/{path.name}", partial(spec.loader.exec_module, module))
    return module


def _alone(who: str, load: Callable[[], T]) -> T:
    """Import something of others'; BadInput where that changes what all plugins share."""
    import torch

    from bench.experiment.isolation import isolated

    left: list[str] = []
    with isolated(0, torch.device("cpu"), left.append):
        made = load()
    if left:
        raise BadInput(f"{who} changes {left[0]} as it is imported, expected that in its functions alone")
    return made


def _package(folder: Path, kind: str) -> str:
    """Make a folder of plugins a package, so that they import helpers beside them relatively."""
    alias, place = f"plugged_{kind}", [str(folder.resolve())]
    if getattr(sys.modules.get(alias), "__path__", None) != place:
        for name in [name for name in sys.modules if name.startswith(f"{alias}.")]:
            del sys.modules[name]  # of another folder
        module = sys.modules[alias] = ModuleType(alias)
        module.__path__ = place
    return alias


def nets(plugins: Path | None, *, declared: bool = False) -> tuple[dict[str, Any], dict[str, str]]:
    """Find all nets that are no part of the suite, and say of which files they are missing, and why.

    A net without a revision is a draft: its code is part of it. Raises BadInput.
    """
    found: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for source in others("nets", plugins, declared=declared):
        try:
            own = architectures(source)
        except Missing as why:
            missing[source.where] = str(why)
            continue
        for name in own:
            if name in found or name in declare("bench.nets").NETS:
                raise BadInput(f"{source.where}: the name {name!r} is already taken")
        found |= own
    return found, missing


def architectures(source: Source) -> dict[str, Any]:
    """Read the nets of a module; BadInput where it has none, or names that cannot be."""
    module = source.module()
    load = declare if module.__name__.startswith(PREFIX) else importlib.import_module
    kind: type[Any] = load("bench.nets.body").Architecture
    table: Mapping[str, Any] | None = getattr(module, NETS, None)
    if not table or not all(isinstance(net, kind) for net in table.values()):
        raise BadInput(f"{source.where} has no NETS, expected a dict of name -> Architecture")
    if wrong := next(bad_names(table), None):
        raise BadInput(f"{source.where}: {wrong}")
    return {name: net._replace(code=source.code) for name, net in table.items()}


def plug(plugins: Path | None, *, declared: bool = False) -> None:
    """Make these nets, and no others, known by their names; declared: to those who look at them alone."""
    declare("bench.nets").plug(*nets(plugins, declared=True))
    if not declared:
        importlib.import_module("bench.nets").plug(*nets(plugins))


def _helpers(path: Path, package: Path | None) -> set[Path]:
    """Find the files beside it, or of its package, that a file imports, and those that they import."""
    found, todo = set[Path](), [path]
    while todo:
        one = todo.pop()
        for helper in _beside(one, package):
            if helper not in found and helper != path:
                found.add(helper)
                todo.append(helper)
    return found


def _beside(path: Path, package: Path | None) -> Iterator[Path]:
    for level, module, names in _imports(path.read_text(encoding="utf-8")):
        if level:
            place = path.parents[level - 1].joinpath(*module.split("."))
        elif package:
            root, *rest = module.split(".")
            place = package.joinpath(*rest) if root == package.name else package / module  # else none
        else:
            continue
        for each in (place, *(place / name for name in names)):
            yield from filter(Path.is_file, (each.with_suffix(".py"), each / "__init__.py"))


@cache  # to parse all files of the suite takes 0.2 s, and every command looks at them
def _imports(source: str) -> list[tuple[int, str, list[str]]]:
    """List the dots, the module and the names of each import in a module's code."""
    found: list[tuple[int, str, list[str]]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or "", [alias.name for alias in node.names]))
        elif isinstance(node, ast.Import):
            found += [(0, alias.name, []) for alias in node.names]
    return found


@cache
def code_digest(source: str) -> str:
    """Digest a module's code, so that comments, docstrings, layout and its tables change nothing.

    What the tables say reaches the key as the name and the parameters of the plugin.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            tables = not isinstance(node, ast.FunctionDef)
            node.body = [part for part in node.body if not _is_aside(part, tables=tables)]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:16]


def _is_aside(node: ast.AST, *, tables: bool) -> bool:
    """Whether a statement is a docstring or, outside functions, one of a plugin module's tables."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return tables and any(name in TABLES for name in assigned(node))
