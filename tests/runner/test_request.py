"""What a user asks for: one value, made of the command line alone, merged with what a study chooses."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import fields, replace

import pytest

from bench.cli import options
from bench.cli.main import parser
from bench.core.errors import BadInput
from bench.core.types import Dataset
from bench.data.rules import Reading
from bench.runner.request import Machine, Options, RunRequest, Variation, Where, resolve, varied
from bench.runner.session import check_nets

FIELDS = {f.name for kind in (RunRequest, Options, Where, Machine, Reading) for f in fields(kind)}
GROUPS = {"options", "where", "machine", "reading"}
# of the command run: what it does with the request, and where that stands
ASIDE = {"command", "dry_run", "img_per_s", "report", "config", "print_config", "own"}
ASIDE |= {"purified", "log", "json"}  # a name among the defenses; what is told, and how


def asked(*argv: str) -> RunRequest:
    return options.request(parser().parse_args(argv))


# From the command line


def test_every_option_of_a_run_reaches_the_request() -> None:
    assert {*vars(parser().parse_args(["run"]))} - ASIDE == FIELDS - GROUPS


@pytest.mark.parametrize("argv", [("run",), ("study", "toy")])
def test_what_is_not_given_is_as_by_default(argv: tuple[str, ...]) -> None:
    assert asked(*argv) == RunRequest(defenses="all" if argv == ("run",) else None)


def test_what_is_given_is_in_the_request() -> None:
    given = ("--methods", "em", "--eps", "4/255", "--drop-poisoned", "--threads", "2", "--set", "a=1")
    found = asked("run", *given, "--set", "b=2", "--out", "here", "--keep-victims")
    assert (found.methods, found.options) == ("em", Options(eps="4/255", drop_poisoned=True))
    assert (found.overrides, found.machine, found.keep_victims) == (("a=1", "b=2"), Machine(threads=2), True)
    assert found.where.out is not None and found.where.out.name == "here"


@pytest.mark.parametrize(
    "argv", [("export", "tap", "out"), ("protect", "in", "--method", "tap", "--out", "x")]
)
def test_who_trains_no_victim_asks_for_none(argv: tuple[str, ...]) -> None:
    """Not even where the images are fewer than a victim's batch."""
    found = resolve(asked(*argv, "--set", "victim.batch=64", "--set", "tap.surrogate.batch=8"))
    assert [method.name for method in found.methods] == ["tap"] and found.defenses == ()
    found.check_images(8)
    with pytest.raises(BadInput, match=r"one batch of tap\.surrogate"):
        found.check_images(7)


@pytest.mark.parametrize(
    ("methods", "defenses", "refused"),
    [("tap", "none", True), ("tap", None, True), ("random", "none", True), ("random", None, False)],
)
def test_a_net_that_is_needed_must_suit_the_images(
    methods: str, defenses: str | None, refused: bool, dataset: Dataset
) -> None:
    """Of 8x8 pixels LeNet-5 leaves nothing; who trains no net asks for none."""
    small = replace(dataset, train=replace(dataset.train, images=dataset.train.images[..., :8, :8]))
    options = Options(net="lenet5", surrogate="lenet5")
    found = resolve(RunRequest(methods=methods, defenses=defenses, options=options))
    with pytest.raises(BadInput, match="lenet5: images of 8 pixels") if refused else nullcontext():
        check_nets(found, small)


# With a study


def test_a_grid_chooses_and_the_user_does_the_rest() -> None:
    user = RunRequest("reference", options=Options(seed="3", eps="2/255"), machine=Machine(workers=2))
    (found,) = varied(user, "toy", [Variation("em", "none", Options(eps="2/255", share="0.5"))])
    assert found.options == Options(seed="3", eps="2/255", share="0.5")
    assert (found.methods, found.defenses) == ("em", "none")
    assert (found.profile, found.machine) == (user.profile, user.machine)


def test_what_both_choose_is_refused() -> None:
    grids = [Variation("em", "none"), Variation("em", "none", Options(poison_reps="2"))]
    with pytest.raises(BadInput, match=r"^--poison-reps 3: study toy chooses it itself, here 2$"):
        varied(RunRequest(options=Options(poison_reps="3")), "toy", grids)


def test_an_override_reaches_the_grids_that_have_its_plugin() -> None:
    given = ("em.steps=3", "cutout.side=0.2", "victim.epochs=1", "nobody.field=1")
    grids = [Variation("em", "none"), Variation("tap", "cutout")]
    found = [one.overrides for one in varied(RunRequest(overrides=given), "toy", grids)]
    assert found == [(given[0], *given[2:]), given[1:]]


@pytest.mark.parametrize(
    ("profile", "given", "expected"),
    [
        ("quick", (), ("victim.epochs=48",)),
        ("quick", ("victim.lr=0.1",), ("victim.epochs=48", "victim.lr=0.1")),
        ("quick", ("victim.epochs=2",), ("victim.epochs=2",)),
        ("reference", (), ()),
    ],
)
def test_a_grid_has_values_of_its_own_in_quick_where_the_user_says_nothing(
    profile: str, given: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    grid = Variation("em", "none", quick=("victim.epochs=48",))
    (found,) = varied(RunRequest(profile, overrides=given), "toy", [grid])
    assert found.overrides == expected
    epochs = {"victim.epochs=48": 48, "victim.epochs=2": 2}
    assert resolve(found).setting.victim.epochs == (epochs[expected[0]] if expected else 30)
