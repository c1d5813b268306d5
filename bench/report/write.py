"""What is written into a run's folder beside its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.core.errors import BadInput
from bench.core.files import write_atomically
from bench.report import derived
from bench.report.summary import collect
from bench.results import rows


def derive(
    out: Path,
    console: Console,
    keys: set[str] | None = None,
    methods: Sequence[str] | None = None,
    defenses: Sequence[str] | None = None,
    redraw: bool = True,
) -> None:
    """Write the tables and heat maps of all rows, show the tables of the keys.

    Without redraw heat maps of the same tables stay: to load what draws them takes seconds.
    """
    everything = rows.load_all(out / "rows")
    shown = [row for row in everything if keys is None or row.key in keys]
    texts = derived.files(everything, methods, defenses)
    written = derived.write(texts, out)
    if redraw or not derived.are_drawn(texts, out):
        from bench.report.figures.write import write_heat_maps

        stamp = {derived.STAMP: derived.stamp_of(texts)}
        written += write_heat_maps(collect(everything, methods, defenses), out, stamp)
    derived.show(shown, console, methods=methods, defenses=defenses)
    console.print(f"written: {', '.join(str(p) for p in written)}", highlight=False, soft_wrap=True)


def derive_report(run: Path, console: Console, ranked: Sequence[str] | None = None) -> None:
    """Write the tables of a run again, and all figures and the page into its folder report/.

    ranked: the set of defenses that ranks (default: all); BadInput where no setting has them all.
    """
    from bench.report.figures.write import write_figures
    from bench.report.html.page import page

    everything = rows.load_all(run / "rows")
    if not everything:
        raise BadInput(f"{run / 'rows'} has no rows, expected a run that has computed a cell")
    evidence, out = collect(everything, ranked=ranked), run / "report"
    if ranked is not None and not any(own.board for own in evidence):
        raise BadInput(evidence[0].unranked)
    derive(run, console)
    out.mkdir(exist_ok=True)
    figures = write_figures(evidence, run, out)
    write_atomically(out / "report.html", page(evidence, figures))
    console.print(
        f"written: {len(figures)} figures as PNG and SVG, {out / 'report.html'}",
        highlight=False,
        soft_wrap=True,
    )
