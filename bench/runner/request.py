"""What a user asks of a run, as one value, and what it comes to: a setting, methods and defenses.

No file is read but those of plugins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, TypeVar

from bench.core.errors import BadInput, unknown
from bench.core.recipe import recipes
from bench.data.rules import AS_RULED, Reading
from bench.experiment.declared import declare
from bench.experiment.overrides import change
from bench.experiment.plugged import plug
from bench.experiment.registry import KINDS, Plugin, catalog
from bench.experiment.settings import PLACE, PROFILES, Command, Setting, check_eps, portable
from bench.runner.resources import Machine as Machine  # noqa: PLC0414 (others take them from here)
from bench.runner.resources import Where as Where  # noqa: PLC0414

if TYPE_CHECKING:
    from bench.core.types import Dataset


T = TypeVar("T")
FOLLOWED = ("net", "surrogate", "eps")  # fields of the setting from which others follow, and so come first


@dataclass(frozen=True)
class Options:
    """Fields of the setting that have an option of their own, as text, in the order of a command.

    None, or False: as in the profile.
    """

    data: str | None = None
    limit: str | None = None
    imbalance: str | None = None
    net: str | None = None
    surrogate: str | None = None
    precision: str | None = None
    eps: str | None = None
    seed: str | None = None
    reps: str | None = None
    poison_reps: str | None = None
    reference: str | None = None  # of the defenses that use clean images
    share: str | None = None
    prepare_test: bool = False
    drop_poisoned: bool = False

    @property
    def given(self) -> dict[str, str | bool]:
        """Leave out what is as in the profile."""
        return {name: value for name, value in vars(self).items() if value not in (None, False)}


@dataclass(frozen=True)
class RunRequest:
    """All that a user asks of a run, whether it can be had or not: resolve() says."""

    profile: str = "quick"
    methods: str = "all"  # names with commas
    defenses: str | None = None  # names with commas; None: no victim is trained
    options: Options = field(default=Options())
    overrides: tuple[str, ...] = ()  # FIELD=VALUE, of the setting or, as NAME.FIELD, of a plugin
    where: Where = field(default_factory=Where)
    machine: Machine = field(default=Machine())
    reading: Reading = AS_RULED
    keep_victims: bool = False  # whether their weights stay in the cache

    def find_plugins(self, *, declared: bool = False) -> tuple[list[Plugin], list[Plugin]]:
        """Find the methods and defenses of these names, as they are before anything is set. See catalog()."""
        methods, defenses = (catalog(kind, self.where.plugins, declared=declared) for kind in KINDS)
        chosen = [] if self.defenses is None else defenses.choose(self.defenses)
        return methods.choose(self.methods), chosen

    def command(self, precision: str) -> Command:
        """Say the options that move a number, with folders named by what they hold.

        precision: the one that is computed with; auto might be another one elsewhere.
        """
        data, said = self.options.data, ["--profile", self.profile]
        options = replace(self.options, precision=precision, data=data and portable(data))
        for name, value in options.given.items():
            said += [_option(name)] if value is True else [_option(name), str(value)]
        said += ["--threads", str(self.machine.threads)] if self.machine.threads != 1 else []  # last bits
        for name, value in vars(self.reading).items():
            if value != getattr(AS_RULED, name):
                said += [_option(name)] if value is True else [_option(name), str(value)]
        said += ["--plugins", PLACE] if self.where.plugins else []
        own, sets = {f.name for f in fields(Setting)}, []
        for item in self.overrides:
            path, _, text = item.partition("=")
            owner = path.partition(".")[0]
            if path != "precision":
                moved = f"data={portable(text)}" if path == "data" else item
                sets.append(("" if owner in own else owner, moved))
        return Command(tuple(said), tuple(sets))


@dataclass(frozen=True)
class Variation:
    """What a study's grid chooses itself; the rest is the user's."""

    methods: str
    defenses: str
    options: Options = field(default=Options())
    quick: tuple[str, ...] = ()  # FIELD=VALUE of its own in the profile quick, unless the user sets the field


def varied(request: RunRequest, study: str, variations: Iterable[Variation]) -> list[RunRequest]:
    """Merge a user's request with each grid of a study.

    Overrides of a method or defense reach the grids that have it. Raises BadInput where the user and a
    grid both choose something.
    """
    each = [_merged(request, study, grid) for grid in variations]
    names = [{p.name for chosen in one.find_plugins(declared=True) for p in chosen} for one in each]
    known, found = {f.name for f in fields(Setting)}, []
    for one, ours in zip(each, names, strict=True):
        elsewhere = set().union(*names) - ours - known
        reach = tuple(item for item in one.overrides if item.partition(".")[0] not in elsewhere)
        found.append(replace(one, overrides=reach))
    return found


def _merged(request: RunRequest, study: str, grid: Variation) -> RunRequest:
    given, chosen = request.options.given, grid.options.given
    for name, value in chosen.items():
        if given.get(name, value) != value:
            raise BadInput(f"{_option(name)} {given[name]}: study {study} chooses it itself, here {value}")
    options = Options(**given | chosen)  # type: ignore[arg-type]
    asked = {item.partition("=")[0] for item in request.overrides}
    own = grid.quick if request.profile == "quick" else ()
    overrides = (*(item for item in own if item.partition("=")[0] not in asked), *request.overrides)
    return replace(
        request, methods=grid.methods, defenses=grid.defenses, options=options, overrides=overrides
    )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True)
class Resolved:
    """A request, and the setting and plugins that it comes to."""

    request: RunRequest
    setting: Setting
    methods: tuple[Plugin, ...]
    defenses: tuple[Plugin, ...]  # none where no victim is trained

    def on(self, data: Dataset, say: Callable[[str], None]) -> Resolved:
        """Decide what methods leave to the data, and say what they infer of it."""
        methods = (replace(method, value=method.value.resolved(data, say)) for method in self.methods)
        return replace(self, methods=tuple(methods))

    def check_images(self, images: int | None) -> None:
        """Raise BadInput where a recipe's batch is more than its training images. None: not known yet."""
        if images is None:
            return
        used = {"victim": self.setting.victim} if self.defenses else {}
        for method in self.methods:
            used |= {f"{method.name}.{name}": recipe for name, recipe in recipes(method.value).items()}
        for name, recipe in used.items():
            if recipe.batch > images:
                raise BadInput(
                    f"{images} training images are fewer than one batch of {name} ({recipe.batch}); "
                    f"give more images or --set {name}.batch"
                )
        seen = min(images, self.setting.mi.images)  # half may be copies, subsamples are half of the rest
        if self.defenses and 4 * (self.setting.mi.neighbours + 1) > seen:
            raise BadInput(
                f"mi.neighbours is {self.setting.mi.neighbours}, expected at most {seen // 4 - 1} with the "
                f"{seen} images of the estimate"
            )
        left, batch = self.setting.offered(images), self.setting.victim.batch
        if self.defenses and left < batch:
            raise BadInput(
                f"share {self.setting.share:g} leaves {left} of {images} training images clean, fewer than "
                f"one batch of victim ({batch}); give more images, a smaller --share or --set victim.batch"
            )


def check(request: RunRequest) -> None:
    """Raise BadInput for what resolve() would refuse, without waiting for torch.

    What only a plugin's own libraries can tell is left to resolve().
    """
    with suppress(NameError):
        resolve(request, declared=True)


def resolve(request: RunRequest, *, declared: bool = False) -> Resolved:
    """Check everything that is asked for, before anything is read or written; raises BadInput.

    declared: of plugins as their files declare them, which cannot run; see catalog().
    """
    if request.profile not in PROFILES:
        raise unknown("profile", request.profile, PROFILES)
    setting, asked = PROFILES[request.profile].setting, request.options.given
    reference = asked.pop("reference", None)
    for name, value in asked.items():
        setting = change(setting, name, value, "the setting")
    for name, given, value in (item.partition("=") for item in request.overrides):
        if given and name in FOLLOWED:
            setting = change(setting, name, value, "the setting")
    plug(request.where.plugins, declared=declared)
    net, surrogate = map(declare("bench.nets").architecture, (setting.net, setting.surrogate))
    setting = _trained_as(setting, net.recipe, "the setting", ("victim",))
    chosen = request.find_plugins(declared=declared)
    if twice := {p.name for p in chosen[0]} & {p.name for p in chosen[1]}:
        raise BadInput(f"{', '.join(sorted(twice))} names a method and a defense, expected two names")
    plugins = {p.name: p.at(request.profile) for kind in chosen for p in kind}
    for name, plugin in plugins.items():
        wanted = surrogate.recipe if plugin.kind == KINDS[0] else net.recipe
        own = [each for each in recipes(plugin.value) if each in plugin.value.of_net]
        plugins[name] = replace(plugin, value=_trained_as(plugin.value, wanted, name, own))
    if reference is not None:
        plugins |= _referring({p.name: plugins[p.name] for p in chosen[1]}, str(reference))
    perturbing = [p.name for p in chosen[0] if p.value.threat.radius > 0]
    budgeted = [name for name in perturbing if plugins[name].value.threat.norm == "linf"]
    if setting.eps is not None:
        plugins |= _budgeted({name: plugins[name] for name in perturbing}, setting.eps)
    for item in request.overrides:
        setting, plugins = _overridden(setting, plugins, item)
    setting.check_offered()
    for name in budgeted:
        check_eps(plugins[name].value.eps, name)
    methods, defenses = (tuple(plugins[p.name] for p in kind) for kind in chosen)
    for defense in defenses:
        setting.check_prepares(defense)
    return Resolved(request, setting, methods, defenses)


def _trained_as(thing: T, wanted: Mapping[str, object], what: str, own: Iterable[str]) -> T:
    """Change a thing's own recipes to what a net is trained with."""
    for name in own:
        for part, value in wanted.items():
            thing = change(thing, f"{name}.{part}", value, what)
    return thing


def _budgeted(methods: Mapping[str, Plugin], eps: float) -> dict[str, Plugin]:
    """Give methods this L-inf budget; BadInput where one has no such budget."""
    if others := [plugin for plugin in methods.values() if plugin.value.threat.norm != "linf"]:
        said = ", ".join(f"{plugin.name} ({plugin.value.threat})" for plugin in others)
        raise BadInput(f"--eps is an L-inf budget, expected methods that have one; there are {said}")
    return {name: replace(p, value=replace(p.value, eps=eps)) for name, p in methods.items()}


def _referring(defenses: Mapping[str, Plugin], reference: str) -> dict[str, Plugin]:
    """Give those that use clean images as many as are asked for; BadInput where none does."""
    using = {name: plugin for name, plugin in defenses.items() if plugin.value.reference}
    if not using:
        raise BadInput(f"--reference is {reference}, expected a defense that uses clean images")
    changed = {name: change(plugin.value, "reference", reference, name) for name, plugin in using.items()}
    return {name: replace(using[name], value=value) for name, value in changed.items()}


def _overridden(setting: Setting, plugins: dict[str, Plugin], item: str) -> tuple[Setting, dict[str, Plugin]]:
    """Change the field that FIELD=VALUE names."""
    path, equals, value = item.partition("=")
    if not equals:
        raise BadInput(f"--set {item}: expected FIELD=VALUE")
    owner, _, rest = path.partition(".")
    if owner in plugins and not rest:
        raise BadInput(f"--set {item}: expected a field, {owner}.FIELD=VALUE")
    if owner in plugins:
        plugin = plugins[owner]
        return setting, plugins | {owner: replace(plugin, value=change(plugin.value, rest, value, owner))}
    if owner not in {f.name for f in fields(Setting)}:
        raise unknown("field or chosen plugin", owner, [*(f.name for f in fields(Setting)), *plugins])
    return change(setting, path, value, "the setting"), plugins
