"""Our side of a published number: the repetitions of its cell in one setting, as a mean with an interval."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.aggregate import Mean, Means, Pair, mean_of
from bench.results.correlation import correlation
from bench.results.rows import Row
from bench.results.select import CLEAN, bare, by_setting, one_a_family
from bench.studies.claims.claim import Claim
from bench.studies.claims.nearness import same_data

ROUNDING = 1e-9  # of budgets


class SettingRows(Means):
    """The rows of one setting, as claims ask for them."""

    def pair(self, claim: Claim) -> Pair | None:
        """Whose rows are the claim's: of several variants the one with most rows here, then the latest."""
        names = [claim.method, claim.defense]
        found = [pair for pair in self.groups if [*map(bare, pair)] == names and self.has(claim, pair)]
        return max(found, key=self._weight, default=None)

    def has(self, claim: Claim, pair: Pair) -> bool:
        """Whether the pair's rows are of the claim's data set and budget."""
        row, eps = self.groups[pair][0], claim.eps
        own = eps is None or (row.threat.norm == "linf" and abs(row.threat.radius - eps) < ROUNDING)
        return own and same_data(claim, row)

    def _weight(self, pair: Pair) -> tuple[int, int, str, Pair]:
        method, defense = (
            sum(getattr(row, kind) == name for row in self.rows)
            for kind, name in zip(("method", "defense"), pair, strict=True)
        )
        return method, defense, max(row.finished for row in self.groups[pair]), pair

    def correlation(self, claim: Claim) -> Mean | None:
        """Of MI gap and accuracy gap over methods at the claim's budget; None where there is none.

        A variant whose base has a point (em-class beside em) is no method of its own.
        """
        points: dict[str, tuple[float, float]] = {}
        for pair in sorted(self.groups, key=self._weight):  # the heaviest of one name's stays
            counts = pair[1] == claim.defense and not self.groups[pair][0].control
            if not counts or self.doubt(pair) or not self.has(claim, pair):
                continue
            gap = mean_of(self.values(pair, "mi_gap"))
            clean, own = (mean_of(self.values((name, pair[1]), "test_acc")) for name in (CLEAN, pair[0]))
            if gap is not None and clean is not None and own is not None:
                points[pair[0]] = gap, clean - own
        found = correlation([points[name] for name in one_a_family(points)])
        return None if found.rho is None else Mean(found.rho, found.n, found.low, found.high)


def settings_of(rows: Sequence[Row]) -> list[SettingRows]:
    """One for each setting; rows without numbers are left out."""
    return [SettingRows(ours) for ours in by_setting(row for row in rows if row.status == "ok")]
