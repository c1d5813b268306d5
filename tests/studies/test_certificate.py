"""The certificate: it passes, it goes on where it stopped, and a broken estimator does not get it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cli.main import main
from bench.metrics import METRICS
from bench.metrics.mi import ksg, smi_hist, smi_noisy
from bench.metrics.mi.estimate import Estimate
from bench.metrics.mi.limits import CERTIFIED
from bench.metrics.mi.settings import MISettings
from bench.studies.certificate import cases as catalogue
from bench.studies.certificate import noisy, run
from bench.studies.certificate.case import Case, CaseResult, Trial, judge
from bench.studies.certificate.cases import FULL, SMALL, cases
from bench.studies.certificate.gaussians import Gaussians
from bench.studies.certificate.write import write
from support.pages import ROOT


@cache
def full() -> list[Case]:
    return [*cases(FULL)]


def about(*words: str) -> list[Case]:
    """Small cases with all of these words in their names."""
    found = [case for case in cases(SMALL) if all(word in case.name for word in words)]
    assert found
    return found


def verdicts(chosen: list[Case]) -> set[str]:
    return {judge(case).verdict for case in chosen}


def test_the_stored_certificate_is_todays_and_has_no_failed_line() -> None:
    lines = run.load(ROOT / "results" / "mi")
    assert {line.name for line in lines} == {case.name for case in full()}
    assert {line.verdict for line in lines} == {"ok"}
    assert all((line.revision, line.cases) == run.version(line.estimator) for line in lines)
    flat = [line for line in lines if "of 64 dimensions" in line.against and line.n >= 5000]
    assert len(flat) == 3 and all(line.bias is not None and abs(line.bias) <= 0.01 for line in flat)


def test_small_certificate_passes_and_leaves_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "mi"
    command = ["mi-check", "--small", "--out", str(out)]
    assert main(command) == 0, capsys.readouterr().out
    names = {f"certificate.{ending}" for ending in ("csv", "md", "png", "svg")}
    assert {path.name for path in out.iterdir()} == names
    text = (out / "certificate.md").read_text(encoding="utf-8")
    assert all(f"## {estimator}" in text for estimator in ("ksg", *CERTIFIED))
    assert "FAILED" not in text
    assert str(tmp_path) not in text
    before = {name: (out / name).read_bytes() for name in names}
    monkeypatch.setattr(run, "judge", None)  # a second call computes nothing and writes the same
    assert main(command) == 0
    assert {name: (out / name).read_bytes() for name in names} == before


def broken_ksg(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    plain = ksg.ksg
    monkeypatch.setattr(ksg, "ksg", lambda x, y, k: plain(x, y, k) + 0.3)
    return about("ksg: bivariate normal")


def null_left_in(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    plain = smi_hist.smi_hist

    def kept(*given: Any) -> Estimate:
        found = plain(*given)
        assert found.value is not None
        return replace(found, value=found.value + found.null)

    monkeypatch.setattr(smi_hist, "smi_hist", kept)
    return about("smi-hist: independent")


def short_intervals(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    monkeypatch.setattr(smi_noisy, "_reach", lambda *_: 1e-4)
    return about("smi-noisy: value of sigma 0.5", "rho 0.9")


def error_left_in(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    monkeypatch.setattr(smi_noisy, "without_bias", lambda nats, *_: nats + 0.05)
    return about("smi-noisy: value of sigma 0.5", "rank 16", "rho 0,")


def copies_kept(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    monkeypatch.setattr(smi_noisy, "_distinct", lambda begun, *_: np.arange(begun.n))
    return about("smi-noisy: value, 40% of independent pairs")


def never_a_bound(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    monkeypatch.setattr(smi_noisy, "STILL_GROWS", 10.0)
    return about("smi-noisy: value", "0.001 and 0.001")


def no_limits(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    for name, certified in CERTIFIED.items():
        monkeypatch.setitem(CERTIFIED, name, replace(certified, most=100.0))
    return about("smi-hist: a deterministic map")


SABOTAGES = (
    broken_ksg,
    null_left_in,
    short_intervals,
    error_left_in,
    copies_kept,
    never_a_bound,
    no_limits,
)


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_broken_estimator_fails(
    sabotage: Callable[[pytest.MonkeyPatch], list[Case]], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = sabotage(monkeypatch)
    assert "FAILED" in verdicts(chosen)
    monkeypatch.undo()
    noisy._drawn.cache_clear()
    assert verdicts(chosen) == {"ok"}


def test_a_failed_case_is_exit_code_1_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = Case("cka", "one that is off", 1, 10, 3, lambda draw: Trial(0.0, 0.5), 0.1)
    monkeypatch.setattr(catalogue, "cases", lambda plan: [wrong])
    assert main(["mi-check", "--small", "--out", str(tmp_path)]) == 1
    assert "FAILED cka: one that is off" in capsys.readouterr().out
    assert "bias +0.5000" in (tmp_path / "certificate.md").read_text(encoding="utf-8")


def test_it_goes_on_where_it_stopped_unless_a_revision_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    def case(name: str) -> Case:
        def one(draw: int) -> Trial:
            if name == "second" and drawn.count("second") == 1:
                drawn.append("stopped")
                raise KeyboardInterrupt
            drawn.append(name)
            return Trial(float("inf"), None, at_least=1.0)

        return Case("cka", name, 1, 10, 2, one)

    three = [case("first"), case("second"), case("third")]
    with pytest.raises(KeyboardInterrupt):
        run.certify(three, tmp_path)
    assert [line.against for line in run.load(tmp_path)] == ["first"]
    drawn.append("second")
    lines = run.certify(three, tmp_path)
    assert drawn.count("first") == 2
    assert [line.verdict for line in lines] == ["ok"] * 3
    assert lines == run.load(tmp_path)
    write(lines, tmp_path)
    before = len(drawn)
    run.certify(three, tmp_path)
    assert len(drawn) == before
    monkeypatch.setattr(run, "CASES", 2)
    run.certify(three, tmp_path)
    assert len(drawn) == before + 6
    monkeypatch.setitem(METRICS, "cka", replace(METRICS["cka"], revision=2))
    run.certify(three, tmp_path)
    assert len(drawn) == before + 12


def test_a_file_that_is_no_certificate_is_refused_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "certificate.csv"
    path.write_text("a,b\n1,2\n")
    assert main(["mi-check", "--small", "--out", str(tmp_path)]) == 2
    assert "is no certificate" in capsys.readouterr().err
    assert path.read_text() == "a,b\n1,2\n"


# How a case is judged


def line(trials: list[Trial], tolerance: float | None, covers: bool = False) -> CaseResult:
    return judge(Case("cka", "toy", 1, 10, len(trials), lambda draw: trials[draw], tolerance, covers))


def test_bias_and_spread_are_those_of_the_error() -> None:
    found = line([Trial(1.0, 1.3), Trial(2.0, 2.1)], 0.25)
    assert (found.truth, found.mean) == (1.5, pytest.approx(1.7))
    assert (found.bias, found.spread) == (pytest.approx(0.2), pytest.approx(0.2 / np.sqrt(2)))
    assert found.verdict == "ok"
    assert line([Trial(1.0, 1.3), Trial(2.0, 2.3)], 0.25).verdict == "FAILED"


def test_a_bound_is_no_number_and_a_number_no_bound() -> None:
    number, bound, untrue = Trial(1.0, 1.0), Trial(1.0, None, at_least=0.8), Trial(1.0, None, at_least=1.2)
    assert line([number], 0.1).verdict == line([bound], None).verdict == "ok"
    assert line([number, bound], 0.1).verdict == line([number, bound], None).verdict == "FAILED"
    assert line([untrue], None).verdict == "FAILED"
    assert line([Trial(1.0, float("nan"))], 0.1).verdict == "FAILED"


def test_coverage_is_judged_at_its_level() -> None:
    def of(hits: int) -> str:
        trials = [Trial(0.0, 0.0, -1, 1)] * hits + [Trial(0.0, 0.0, 1, 2)] * (100 - hits)
        return line(trials, 0.1, covers=True).verdict

    assert (of(100), of(95), of(75)) == ("ok", "ok", "FAILED")


def test_truth_of_gaussians_is_that_of_their_draws() -> None:
    family = Gaussians(5, 3, 1.5)
    clean, published = family.draw(200_000, np.random.default_rng(0))
    of_x, of_y, both = family.covariances
    assert np.allclose(np.cov(clean.T), of_x, atol=0.05)
    assert np.allclose(np.cov(published.T), of_y, atol=0.05)
    assert np.allclose(clean.T @ published / len(clean), both, atol=0.05)
    assert family.exact(family.whitening) == pytest.approx(1.5)


@pytest.mark.parametrize("name", sorted(CERTIFIED))
def test_certificate_goes_to_the_ends_of_what_is_certified(name: str) -> None:
    """Of images and nats: no estimator gives numbers where nobody has looked."""
    numbers = [case for case in full() if case.estimator == name and case.tolerance is not None]
    assert min(case.n for case in numbers) <= max(2.5 * CERTIFIED[name].images, 500)
    assert max(case.n for case in numbers) >= min(5000, MISettings().images)
    assert {case.d for case in numbers} >= {2, 512}
    assert max(case.about for case in numbers if case.about is not None) >= 0.8 * CERTIFIED[name].most
    assert any(case.tolerance is None for case in full() if case.estimator == name) or name == "cka"
