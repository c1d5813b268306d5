"""Methods and defenses are found in folders, not listed.

A plugin module has VARIANTS (name -> configured plugin) and may have PATTERNS ("at-{radius}" ->
function of the text in the braces), ALL (the names that `all` means; default: all variants) and
CONTROLS (names that are no contestants). A plugin's class may have PROFILES (profile -> field ->
value): how it is scaled down there.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.core.errors import BadInput, unknown
from bench.core.libraries import explained
from bench.experiment.acceptable import bad_names, bad_values
from bench.experiment.declared import PREFIX, declare, declare_file
from bench.experiment.fingerprint import HOME as HOME  # noqa: PLC0414 (others take it from here)
from bench.experiment.named import split
from bench.experiment.overrides import change
from bench.results.identity import parameters

KINDS = ("methods", "defenses")
BASES = {"methods": ("bench.core.method", "Method"), "defenses": ("bench.core.defense", "Undefended")}
TABLES = ("VARIANTS", "PATTERNS", "ALL", "CONTROLS", "PROFILES")
SCHEMES = {  # "file:PATH" -> module whose at(PATH) it is, of which EXAMPLE is one
    "methods": {"file": "bench.data.poisons.imported"},
    "defenses": {"purified": "bench.data.poisons.purified"},
}


class Missing(BadInput):
    """A plugin needs a library that is not installed: the others do without it."""


@dataclass(frozen=True)
class Plugin:
    """A configured method or defense under its name."""

    kind: str  # methods or defenses
    name: str
    value: Any
    code: str  # digest of its module's code without comments and docstrings; identity of a draft
    about: str = ""
    control: bool = False  # no contestant: clean, random, none
    place: str = ""  # what it was named by, where that is more than its name: file:a/b.npy
    module: str = ""  # in sys.modules, whose table has it; of what has no table, that of its class
    crafted_as: str = ""  # the variant whose delta a method publishes, where that is another one

    @property
    def revision(self) -> int | None:
        """As its class declares it; None of a draft."""
        declared: int | None = vars(type(self.value)).get("revision")
        return declared

    @property
    def inputs(self) -> dict[str, Any]:
        """What a row's key takes of it: name, revision or, of a draft, code, and all parameters."""
        made = {"crafted_as": self.crafted_as or self.name} if self.kind == KINDS[0] else {}
        return {"name": self.name, **made, **self._version, **parameters(self.value)}

    @property
    def crafting(self) -> dict[str, Any]:
        """What the key of a method's delta takes of it."""
        own = parameters(self.value, publishing=False)
        return {"name": self.crafted_as or self.name, **self._version, **own}

    @property
    def _version(self) -> dict[str, Any]:
        """Of a draft its code and the revisions of the classes that it extends."""
        if self.revision is not None:
            return {"revision": self.revision}
        extended = [(kind.__name__, vars(kind).get("revision")) for kind in type(self.value).__mro__]
        known = repr([(name, number) for name, number in extended if isinstance(number, int)])
        return {"draft": hashlib.sha256((self.code + known).encode()).hexdigest()[:16]}

    @property
    def publishes_otherwise(self) -> bool:
        """Whether variants may publish its delta in other ways, so that it is kept."""
        return any(f.metadata.get("publishing") for f in fields(self.value))

    def at(self, profile: str) -> Plugin:
        """Return the plugin as its class scales itself for a profile."""
        value = self.value
        for path, new in getattr(value, "PROFILES", {}).get(profile, {}).items():
            value = change(value, path, new, self.name)
        return replace(self, value=value)


@dataclass
class Catalog:
    """All plugins of one kind."""

    kind: str
    variants: dict[str, Plugin] = field(default_factory=dict)
    patterns: dict[str, tuple[Callable[[str], Any], str]] = field(default_factory=dict)
    everything: list[str] = field(default_factory=list)  # what `all` means
    load: Callable[[str], ModuleType] = importlib.import_module  # of our modules: as they are, or declare
    missing: dict[str, str] = field(default_factory=dict)  # file -> why its plugins are not there

    @property
    def names(self) -> list[str]:
        return [*self.variants, *self.patterns, *(f"{scheme}:PATH" for scheme in self.schemes)]

    @property
    def groups(self) -> dict[str, list[str]]:
        """What a word means: all, the default matrix; everything, that and whatever else has a name."""
        others = sorted(self.variants, key=lambda name: not self.variants[name].control)
        return {"all": self.everything, "everything": [*dict.fromkeys([*self.everything, *others])]}

    @property
    def schemes(self) -> dict[str, str]:
        return SCHEMES.get(self.kind, {})

    def get(self, name: str) -> Plugin:
        if name in self.variants:
            return self.variants[name]
        for pattern, (make, code) in self.patterns.items():
            before, after = re.split(r"\{\w+\}", pattern)
            found = re.fullmatch(f"{re.escape(before)}([1-9]\\d*){re.escape(after)}", name)
            if found:
                return Plugin(self.kind, name, make(found[1]), code, f"as {pattern}")
        scheme, _, place = name.partition(":")
        if place and scheme in self.schemes:
            return imported(place, self.load, scheme)
        raise BadInput("; ".join([str(unknown(self.kind[:-1], name, self.names)), *self.missing.values()]))

    def choose(self, names: str) -> list[Plugin]:
        """Choose all (the default matrix), everything, or names separated by commas, each once."""
        wanted = []
        for name in filter(None, map(str.strip, split(names, self.schemes))):
            wanted += self.groups.get(name, [name])
        if not wanted:
            raise BadInput(f"no {self.kind} named; there are: {', '.join(self.names)}")
        chosen = {name: self.get(name) for name in dict.fromkeys(wanted)}
        for first, second in combinations(chosen, 2):
            if chosen[first].name == chosen[second].name:
                name = chosen[first].name
                raise BadInput(f"{first} and {second} would both be called {name!r}; rename one")
        return [*chosen.values()]


def imported(
    place: str | None, load: Callable[[str], ModuleType] = importlib.import_module, scheme: str = "file"
) -> Plugin:
    """Make what SCHEME:PLACE names, or an example where no place is given; BadInput where there is none."""
    kind = next(kind for kind, schemes in SCHEMES.items() if scheme in schemes)
    module = load(SCHEMES[kind][scheme])
    value = module.EXAMPLE if place is None else module.at(place)
    code, about = code_digest(Path(str(module.__file__)).read_text(encoding="utf-8")), module.ABOUT
    return Plugin(kind, value.who, value, code, about, place=f"{scheme}:{value.place}")


def _first_line(plugin: type, module: ModuleType) -> str:
    """Of the class's docstring, or of the module's where the class has only what dataclass gave it."""
    own = plugin.__doc__ or ""
    text = (module.__doc__ or "") if own.startswith(f"{plugin.__name__}(") else own
    return text.strip().split("\n")[0]


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
    if not tables:
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(isinstance(target, ast.Name) and target.id in TABLES for target in targets)


def catalog(kind: str, plugins: Path | None = None, *, declared: bool = False) -> Catalog:
    """Find the suite's own plugins of a kind, and those in DIR/methods or DIR/defenses; BadInput without any.

    declared: as their files say, without importing what they compute with; fit to be looked at, not to run.
    """
    if plugins and not any((plugins / each).is_dir() for each in KINDS):
        raise BadInput(f"--plugins {plugins}: expected a folder with methods/ or defenses/ in it")
    found = Catalog(kind, load=declare if declared else importlib.import_module)
    folders = [HOME / kind] + ([plugins / kind] if plugins else [])
    for folder in folders:
        for path in sorted(folder.glob("[!_.]*.py")):
            load = found.load if folder == folders[0] else partial(_plugged, path, declared=declared)
            try:
                _add(found, _module(path, kind, load), path)
            except Missing as missing:
                found.missing[path.stem] = str(missing)
    return found


def import_plugins(folder: Path | None) -> None:
    """Import the modules of a user's plugins, which must be there before a job of theirs is unpickled."""
    for kind in KINDS if folder else ():
        catalog(kind, folder)


def _module(path: Path, kind: str, load: Callable[[str], ModuleType]) -> ModuleType:
    try:
        return load(f"{kind}.{path.stem}")
    except ModuleNotFoundError as error:
        raise Missing(f"{kind}/{path.name} needs {error.name}, which is not installed") from error
    except (Exception, SystemExit) as error:  # a plugin may break in any way
        if why := explained(str(error)):
            raise BadInput(why) from error
        what = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        raise BadInput(f"{kind}/{path.name} cannot be imported, {what}") from error


def _plugged(path: Path, name: str, *, declared: bool) -> ModuleType:
    """Read a file of the user's, imported where it does not declare all that is looked for."""
    kind = name.partition(".")[0]
    if declared:
        with suppress(Exception):
            return declare_file(path, f"{PREFIX}plugged_{name.replace('.', '_')}", TABLES)
    alias = f"{_package(path.parent, kind)}.{path.stem}"
    spec = importlib.util.spec_from_file_location(alias, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _package(folder: Path, kind: str) -> str:
    """Make a folder of plugins a package, so that they import helpers beside them relatively."""
    alias, place = f"plugged_{kind}", [str(folder.resolve())]
    if getattr(sys.modules.get(alias), "__path__", None) != place:
        for name in [name for name in sys.modules if name.startswith(f"{alias}.")]:
            del sys.modules[name]  # of another folder
        module = sys.modules[alias] = ModuleType(alias)
        module.__path__ = place
    return alias


def _add(found: Catalog, module: ModuleType, path: Path) -> None:
    where, code = f"{path.parent.name}/{path.name}", code_digest(path.read_text(encoding="utf-8"))
    variants: Mapping[str, Any] | None = getattr(module, "VARIANTS", None)
    if not variants:
        raise BadInput(f"{where} has no VARIANTS, expected a dict of name -> plugin")
    everything, controls = list(getattr(module, "ALL", variants)), list(getattr(module, "CONTROLS", ()))
    patterns: Mapping[str, Callable[[str], Any]] = getattr(module, "PATTERNS", {})
    for name in [*everything, *controls]:
        if name not in variants:
            raise BadInput(f"{where}: ALL or CONTROLS has {name!r}, expected one of {', '.join(variants)}")
    shapes = {re.sub(r"{\w+}", "{}", pattern) for pattern in found.patterns}
    for pattern in patterns:
        if len(re.findall(r"{\w+}", pattern)) != 1:
            raise BadInput(f"{where}: pattern {pattern!r}, expected one name in braces")
    if wrong := next(bad_names([*variants, *patterns]), None):
        raise BadInput(f"{where}: {wrong}")
    for name in [*variants, *patterns]:
        if name in found.variants or re.sub(r"{\w+}", "{}", name) in shapes or name in found.groups:
            raise BadInput(f"{where}: the name {name!r} is already taken")
    place, of = BASES[found.kind]
    load = declare if module.__name__.startswith(PREFIX) else importlib.import_module
    base, first = getattr(load(place), of), dict[str, Plugin]()
    for name, value in variants.items():
        if wrong := next(bad_values(value, base), None):
            raise BadInput(f"{where}: {name!r} {wrong}")
        about, control = _first_line(type(value), module), name in controls
        plugin = Plugin(found.kind, name, value, code, about, control, module=module.__name__)
        if found.kind == KINDS[0]:  # the first of those that craft the same gives them its seeds
            made = repr((type(value), parameters(value, publishing=False)))
            other = first.setdefault(made, plugin)
            plugin = plugin if other is plugin else replace(plugin, crafted_as=other.name)
        found.variants[name] = plugin
    found.patterns |= {pattern: (make, code) for pattern, make in patterns.items()}
    found.everything += everything
    # controls first: every table is read against them
    found.everything.sort(key=lambda name: not found.variants[name].control)
