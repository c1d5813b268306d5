"""Figures from hand-made rows: each is drawn, says what is missing, and is the same bytes again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from bench.core.files import slug
from bench.experiment.registry import catalog
from bench.report.figures.cost import cost
from bench.report.figures.curves import curves
from bench.report.figures.gallery import amplification, gallery, strip
from bench.report.figures.heat_map import heat_map
from bench.report.figures.jpeg import jpeg_sweep
from bench.report.figures.mi_accuracy import dependence
from bench.report.figures.style import LOOKS, limits, method_styles, png_and_svg, spread, style, style_of
from bench.report.figures.write import write_figures
from bench.report.html.page import render
from bench.report.summary import Summary, anchor, collect
from bench.results import samples
from bench.results.rows import Row
from support.evidence import EPS, grid, keep_sample, row, sample

KINDS = {"accuracy": heat_map, "mi-accuracy": dependence, "curves": curves, "cost": cost}


@pytest.fixture(autouse=True)
def styled() -> Iterator[None]:
    with style():
        yield


def one(rows: Sequence[Row]) -> Summary:
    (summary,) = collect(rows)
    return summary


def texts(figure: Figure | None) -> list[str]:
    assert figure is not None
    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text) and text.get_visible()]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Figures of the grid, with the sample of one method."""
    run = tmp_path_factory.mktemp("run")
    keep_sample(run, "em")
    (run / "report").mkdir()
    (run / "report" / "curves-0123abcd.png").write_text("of an earlier call")
    (run / "report" / "mine.png").write_text("not ours")
    write_figures(collect(grid()), run, run / "report")
    return run / "report"


def test_every_kind_is_written_as_png_and_svg(written: Path) -> None:
    names = {f"{kind}.{end}" for kind in (*KINDS, "gallery-em") for end in ("png", "svg")}
    assert {path.name for path in written.iterdir()} == names | {"mine.png"}
    for path in written.glob("*.svg"):
        assert path.read_bytes().startswith(b"<?xml") and path.stat().st_size > 5000
    for path in written.glob("*[!e].png"):
        assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5000


def test_same_rows_same_bytes(written: Path) -> None:
    figure = cost(one(grid()[::-1]))
    assert figure is not None
    for ending, content in zip(("png", "svg"), png_and_svg(figure), strict=True):
        assert content == (written / f"cost.{ending}").read_bytes()


def test_no_word_of_a_narrow_heat_map_touches_another() -> None:
    """Eighteen defenses, of which two methods lack different ones."""
    defenses = [f"iss-jpeg{q}" for q in range(10, 100, 5)]
    rows = [row(m, d) for m, own in (("em", defenses[:9]), ("tap", defenses[9:])) for d in own]
    figure = heat_map(one(rows))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 2 * len(defenses)
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_a_name_has_a_line_that_ends_at_it_and_at_no_other() -> None:
    """Five methods of nearly the same worst case, whose names must stand apart."""
    rows = [row(f"m{i}", acc=0.7 + 0.001 * i) for i in range(5)]
    figure = cost(one(rows))
    assert figure is not None
    figure.draw_without_rendering()
    names = [t for t in figure.axes[0].texts if isinstance(t, Annotation) and t.arrow_patch is not None]
    assert len(names) == 5
    for name in names:
        box = Text.get_window_extent(name)
        ends = name.arrow_patch.get_transform().transform_path(name.arrow_patch.get_path()).vertices
        assert abs(ends[:, 1] - (box.y0 + box.y1) / 2).min() < box.height / 4
        assert ends[:, 0].max() <= box.x0


def test_a_method_looks_the_same_whatever_else_a_figure_shows() -> None:
    rows = [row(m, control=m == "clean") for m in ("tap", "em", "new", "clean", "mi-ue", "emax")]
    styles = method_styles(rows)
    assert [*styles] == ["clean", "em", "emax", "mi-ue", "new", "tap"]
    assert [own.control for own in styles.values()] == [True, False, False, False, False, False]
    assert styles == method_styles(rows[::-1])
    for alone in rows:
        assert method_styles([alone]) == {alone.method: styles[alone.method]}


def test_no_two_known_methods_look_alike_and_others_have_the_colour_of_their_family() -> None:
    looks = [style_of(name) for name in LOOKS]
    assert len({look.color for look in looks}) == len(LOOKS)
    assert [look.control for look in looks] == [name in ("clean", "random") for name in LOOKS]
    for name, family in (
        ("em-other", "em"),
        ("em@1f2e3d", "em"),
        ("file:mi-ue", "mi-ue"),
        ("tap (draft)", "tap"),
    ):
        assert style_of(name).color == style_of(family).color
        assert style_of(name).marker != style_of(family).marker
    assert style_of("embrace").marker not in {look.marker for look in looks}  # no variant of em, and no em
    methods = catalog("methods").variants.items()
    within = [style_of(n, own.control) for n, own in methods if str(own.value.threat) == "L-inf 8/255"]
    seen = Counter((look.color, look.marker) for look in within)
    assert max(seen.values()) == 1, seen  # they stand in one figure
    assert style_of("noise", control=True).dots["mfc"] == "white"


def test_curves_can_be_linked_to(written: Path) -> None:
    drawing = (written / "curves.svg").read_text()
    summary = one(grid())
    for method, defense in summary.accuracy.cells:
        there = f'id="{anchor("curve", summary.accuracy.setting, method, defense)}"' in drawing
        assert there == (summary.curve(method, defense) is not None)


@pytest.mark.parametrize("draw", KINDS.values(), ids=KINDS)
def test_one_method_under_one_defense(draw) -> None:  # type: ignore[no-untyped-def]
    assert draw(one([row("em")])) is not None


def test_without_numbers_only_the_heat_map_is_drawn() -> None:
    nothing = one([row("em", acc=None, status="failed", reason="x")])
    assert "failed" in texts(heat_map(nothing))
    assert [draw(nothing) for draw in (dependence, curves, cost)] == [None] * 3


def test_heat_map_says_why_a_number_is_missing() -> None:
    said = texts(heat_map(one(grid())))
    assert {"failed", "skipped", "–"} <= {*said} and "missing" not in said
    assert any(" ".join(text.split()).endswith("–: not run. setting 5e5e5e5e") for text in said)
    whole = texts(heat_map(one([row("em")])))
    assert not any("not run" in text for text in whole)
    assert "90.5\n±0.7" in said and not any("nan" in text for text in said)


def test_figures_say_n_and_what_the_star_is() -> None:
    assert any("n = 3, descriptive" in text for text in texts(dependence(one(grid()))))
    assert any("oracle" in text for text in texts(curves(one(grid()))))
    assert any("least to the greatest" in " ".join(text.split()) for text in texts(curves(one(grid()))))


def test_crafting_cost_names_its_device_and_its_defenses() -> None:
    rows = [row("em", d, craft_environment={"device": "cuda H100"}) for d in ("none", "cutout")]
    (summary,) = collect(rows, ranked=["cutout"])
    said = " ".join(" ".join(texts(cost(summary))).split())
    assert "Seconds of one crafting, on cuda H100." in said and "set of defenses (cutout)" in said
    text = render([summary], {})
    assert "Crafting cost on cuda H100," in text and "crafted on cuda H100, trained on" in text


def test_accuracy_over_jpeg_qualities_of_methods_that_have_two(tmp_path: Path) -> None:
    levels = {"iss-jpeg95": 0.3, "none": 0.2, "iss-jpeg5": 0.7, "iss-jpeg10": 0.6}
    rows = [row("tap", defense, acc=acc) for defense, acc in levels.items()]
    rows += [replace(row("tap", "iss-jpeg5", acc=0.8), key="f" * 64, poison_rep=1), row("em", "iss-jpeg10")]
    figure = jpeg_sweep(one(rows))
    assert figure is not None
    (axes,), (shown,) = figure.axes, figure.legends
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["5", "10", "95", "none"]
    assert [text.get_text() for text in shown.get_texts()] == ["tap", "chance"]
    assert list(axes.lines[0].get_ydata()) == pytest.approx([75, 60, 30, 20])  # type: ignore[arg-type]
    assert axes.get_ylim()[1] >= 100, "the whisker of two poisons"
    summary = one(rows)
    assert "JPEG quality</h3>" in render([summary], write_figures([summary], tmp_path, tmp_path))
    assert jpeg_sweep(one(grid())) is None


def test_accuracy_over_jpeg_qualities_shows_what_is_there_and_what_is_no_verdict() -> None:
    rows = [row(m, f"iss-jpeg{q}", acc=0.6) for m, q in (("$x_1$", 10), ("$x_1$", 90), ("em", 50))]
    figure = jpeg_sweep(one(rows))
    assert figure is not None
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["10", "90"]
    assert not any(word in text for text in texts(figure) for word in ("‡", "not compressed"))
    assert "$x_1$" in texts(figure)
    doubted = jpeg_sweep(one([*rows[1:], replace(rows[0], train_acc=0.1)]))
    assert texts(doubted).count("‡") == 1 and "Pale, and ‡" in " ".join(" ".join(texts(doubted)).split())


def unlearned() -> list[Row]:
    """em's victim under none, and all under at-8, learned nothing."""
    rows = [row(m, d, acc=acc) for m, acc in (("clean", 0.9), ("tap", 0.6)) for d in ("none", "at-8")]
    low = [replace(own, train_acc=0.1) for own in (*rows[1::2], row("em", "at-8"), row("em"))]
    return [rows[0], rows[2], *low]


def test_what_is_no_verdict_is_pale_and_marked_and_in_no_correlation() -> None:
    summary = one(unlearned())
    figure = heat_map(summary)
    assert sum("‡" in text for text in texts(figure)) == 4 + 1  # and in the caption
    faces = [patch.get_facecolor() for patch in figure.axes[0].patches]
    assert len(faces) == 4 and all(min(face[:3]) > 0.65 for face in faces)
    assert summary.doubted("none") == {"em"} and summary.correlation("none").n == 2  # of three
    panels = {text.partition("\n")[0] for text in texts(dependence(summary))}
    assert "none" in panels and "at-8" not in panels  # where nobody learned there is nothing to see
    for draw in (curves, dependence):
        assert "Pale" in " ".join(texts(draw(summary)))
    assert not any(
        "Pale" in text or "‡" in text for draw in KINDS.values() for text in texts(draw(one(grid())))
    )


def test_a_name_is_text_and_never_mathematics() -> None:
    rows = [row("$\\frac{", acc=0.5), row("$x_1$", acc=0.6)]
    assert "$x_1$" in texts(heat_map(one(rows)))
    for draw in KINDS.values():
        assert draw(one(rows)) is not None


def test_curve_is_the_mean_over_repetitions_at_common_epochs() -> None:
    points = [
        [{"epoch": e, "val_acc": v, "test_acc": 1 - v} for e, v in p]
        for p in ([(1, 0.2), (2, 0.4)], [(2, 0.6)])
    ]
    found = one([row("em", rep=i, curve=p) for i, p in enumerate(points)]).curve("em", "none")
    assert found is not None
    assert (found.epochs, found.val, found.spread) == ([2], [pytest.approx(0.5)], [(0.4, 0.6)])
    assert found.peak == (2, pytest.approx(0.5))


def test_worst_case_needs_every_defense_that_is_not_skipped() -> None:
    found = {c.method: c for c in one(grid()).costs()}
    assert found["mi-ue"].worst is None  # a cell is missing
    assert found["mi-ue"].undefended == pytest.approx(0.305)
    # cutout is skipped for tap, so it is dropped for all
    worst = found["em"].worst
    assert worst is not None and (worst.mean, worst.defense) == (pytest.approx(0.805), "iss-gray")


def test_a_partly_failed_cell_gives_no_worst_case() -> None:
    rows = [row("em"), row("em", rep=1, acc=None, status="failed", reason="out of memory")]
    (found,) = one(rows).costs()
    assert (found.worst, found.undefended) == (None, None)


@pytest.mark.parametrize("wanted", [[50.0] * 12, [0.0, 1.0, 99.0, 100.0], [5.0], [3.0, 60.0, 2.0]])
def test_labels_keep_apart_and_in_order(wanted: list[float]) -> None:
    places = spread(wanted, 6.5, 2, 98)
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    gaps = [places[b] - places[a] for a, b in pairwise(order)]
    assert all(gap >= 6.5 - 1e-9 for gap in gaps) and min(places) >= 2 and max(places) <= 98


# Samples of published images


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sample_comes_back_exactly(tmp_path: Path, channels: int) -> None:
    kept = sample(channels)
    path = samples.path_of(tmp_path, "../ev/il", "ab" * 32)
    samples.save(kept, path)
    assert path.parent == tmp_path
    found = samples.find(tmp_path, "ab" * 32)
    assert found is not None and (found.indices, found.size) == ([3, 1, 4, 0, 2], 8)
    np.testing.assert_array_equal(found.clean, kept.clean)
    np.testing.assert_array_equal(found.published, kept.published)
    before = path.read_bytes()
    samples.save(found, path)
    assert path.read_bytes() == before
    assert samples.find(tmp_path, "cd" * 32) is None


def test_what_is_no_sample_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "em-abababab.png").write_bytes(b"torn")
    assert samples.find(tmp_path, "ab" * 32) is None


def test_of_a_large_image_the_middle_is_kept() -> None:
    images = np.zeros((1, 3, 100, 100), np.uint8)
    images[:, :, 18:82, 18:82] = 7
    found = samples.take(images, images, [0])
    assert found.clean.shape == (1, 64, 64, 3) and (found.clean == 7).all() and found.size == 100


def test_one_image_a_class_first() -> None:
    labels = np.array([2, 2, 0, 2, 1, 0])
    assert samples.choose(labels, 4) == [2, 4, 0, 5]
    assert samples.choose(labels) == [2, 4, 0, 5, 1, 3]


def test_delta_fills_the_range_and_its_factor_is_written() -> None:
    shown = sample()
    delta = shown.published.astype(np.int16) - shown.clean
    assert amplification(row("em"), delta) == 16 == round(0.5 / EPS)
    assert amplification(row("em", linf=None), delta) == 16  # the largest of the sample is 8
    assert amplification(row("em", linf=None), 0 * delta) == 1
    assert amplification(row("em", linf=EPS / 8), delta // 8) == 128
    figure = gallery(row("em"), shown)
    drawn = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    assert {"clean images", "delta x 16", "published"} <= {*texts(figure)}
    np.testing.assert_array_equal(drawn[0], strip(shown.clean))
    np.testing.assert_array_equal(drawn[2], strip(shown.published))
    first = drawn[1][:, :8].astype(int) - 127.5
    assert np.abs(first - np.clip(16 * delta[0], -127.5, 127.5)).max() <= 0.5


def test_an_l2_poison_is_amplified_by_what_was_measured() -> None:
    """Its L-inf budget is the whole range, which says nothing of its pixels."""
    shown = sample()
    of_l2 = row("ar", inputs={"method": {"eps": 1.0, "l2": 1.0}}, linf=EPS, l2=0.987)
    figure = gallery(of_l2, shown)
    assert "delta x 16" in texts(figure)
    assert any("L2 0.99 on average" in text for text in texts(figure))


def test_slugs_are_safe_and_differ() -> None:
    names = ["em", "EM", "e m", "file:../a", "file:.._a", "<script>", "", "a--b", "a-b", "-"]
    slugs = [slug(name) for name in names]
    assert len({*slugs}) == len(names) and slugs[0] == "em"
    assert all(text and set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for text in slugs)
    assert anchor("cell", "s", "a-b", "c") != anchor("cell", "s", "a", "b-c")


@pytest.mark.parametrize("ends", [(0.0, 10.0), (-400.0, 900.0), (-0.5, 10.1)])
def test_intervals_however_wide_leave_the_values_legible(ends: tuple[float, float]) -> None:
    """All values are in the picture and fill a good part of it; near ends are in it as well."""
    values = [0.0, 4.0, 10.0]
    low, high = limits(values, [*values, *ends])
    assert low < min(values) and high > max(values) and max(values) - min(values) > 0.4 * (high - low)
    assert abs(ends[0]) > 100 or (low <= ends[0] and ends[1] <= high)


def test_one_value_has_room_on_both_sides() -> None:
    for value in (0.0, 3.0, -3.0):
        low, high = limits([value], [value])
        assert low < value < high
