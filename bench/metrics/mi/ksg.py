"""Mutual information of two scalars in nats, from distances to the k-th neighbour: KSG-1.

Kraskov, Stögbauer & Grassberger, Phys. Rev. E 69, 066138 (2004), equation 8: for each of n pairs the
distance r to its k-th neighbour in maximum norm, then how many values of either side lie nearer than r.
Both steps are exact; only how r is found is our own, since a k-d tree, which goes from pair to pair,
takes three times as long as array operations over all of them:

1. Strips: pairs sorted by x are cut into strips, and in each strip, with its two neighbours, sorted by
   y. Among the few pairs around a pair in that order the k-th distance bounds r from above, and is r
   unless it reaches beyond the strips or beyond the window. Where it reaches beyond the window, as for
   one pair in ten, a wider one follows. That leaves one pair in twenty.
2. Slabs: for these, all pairs whose x, or whose y where they are fewer, lies within the bound.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]
Integers = NDArray[np.intp]

NOISE = 1e-10  # standard deviations added to break ties; scikit-learn's choice
PER_NEIGHBOUR = 10  # pairs needed for each neighbour
ROUNDINGS = 16  # a few do not count as variation
ULPS = 2 * np.finfo(np.float64).eps  # relative: two units in the last place, or up to four
NARROW, WIDE = 6, 12  # windows: pairs looked at for each neighbour
PAIRS = 20_000  # worked on at a time, in as many rows as that makes
BLOCK = 16_000  # distances computed at a time: they stay in the processor's cache


def ksg(x: Floats, y: Floats, k: int) -> float:
    """KSG-1 in nats between n scalar pairs, each side standardised."""
    check("ksg", ("x", "y"), (x, y), 1, k)
    return float(ksg_of_rows(standardise(x[None], "x"), standardise(y[None], "y"), k)[0])


def standardise(x: Floats, name: str) -> Doubles:
    """Rows (rows,n) with mean 0 and standard deviation 1; ValueError where one does not vary."""
    z: Doubles = x.astype(np.float64)
    if (np.ptp(z, axis=1) <= ROUNDINGS * np.finfo(x.dtype).eps * np.abs(z).max(axis=1)).any():
        raise ValueError(f"{name} is constant over {x.shape[1]} rows; expected values that vary")
    z -= z.mean(axis=1, keepdims=True)
    z /= z.std(axis=1, keepdims=True)
    return z


def ksg_of_rows(x: Doubles, y: Doubles, k: int) -> Doubles:
    """KSG-1 in nats of each row of x with that row of y, (rows,n) both; ties are broken by fixed noise."""
    n = x.shape[1]
    noise, at_once = NOISE * np.random.default_rng(0).standard_normal((n, 2)).T, max(1, PAIRS // n)
    psi: Doubles = digamma(np.arange(n + 1.0))
    found = np.empty(len(x))
    for i in range(0, len(x), at_once):
        part = slice(i, i + at_once)
        inside = _counts(x[part] + noise[0], y[part] + noise[1], k)
        found[part] = psi[k] + psi[n] - sum(psi[side].mean(axis=1) for side in inside)
    return found


def _counts(x: Doubles, y: Doubles, k: int) -> tuple[Integers, Integers]:
    """For each pair how many x, and how many y, lie nearer than its k-th neighbour, itself included.

    Within a row the pairs come in the order of x, and in that of y.
    """
    first = x.shape[1] * np.arange(len(x))[:, None]  # pair of each row, where all are flattened
    order = x.argsort(axis=1) + first
    x, y = x.take(order), y.take(order)
    order = y.argsort(axis=1) + first
    by_x, by_y = _Sorted(x, y), _Sorted(y.take(order), x.take(order))
    radius, unsure = _in_strips(x, y, order, k)
    if len(unsure):
        radius.flat[unsure] = _in_slabs(by_x, by_y, k, unsure, radius.flat[unsure])
    return by_x.within(radius), by_y.within(radius.take(order))


class _Sorted:
    """Pairs (rows,n) in the order of one side; finds keys among its values as np.searchsorted does.

    It is faster: a table of equal cells over a row's range says where to begin, and few steps remain.
    """

    def __init__(self, values: Doubles, others: Doubles) -> None:
        rows, n = values.shape
        self.values, self.others, self.cells = values, others, n
        self.rows = np.arange(rows)[:, None]
        self.least, self.scale = values[:, 0], self.cells / (values[:, -1] - values[:, 0])
        inside = np.bincount(self._cell(values, self.rows).ravel(), minlength=rows * self.cells)
        self.bits = int(inside.max()).bit_length()
        self.end = 2**self.bits - 1  # behind each row, so that no step leaves it
        self.padded = np.full((rows, n + self.end), np.inf)
        self.padded[:, :n] = values
        first = (inside.cumsum() - inside).reshape(rows, self.cells)
        self.first = (first + self.end * self.rows).ravel()  # of a cell, in padded

    def _cell(self, keys: Doubles, row: Integers) -> Integers:
        inside = np.minimum(np.maximum((keys - self.least[row]) * self.scale[row], 0), self.cells - 1)
        cell: Integers = inside.astype(np.intp)
        cell += self.cells * row
        return cell

    def find(self, keys: Doubles, row: Integers, before: np.ufunc) -> Integers:
        """Where in padded the first value stands that is not before the key, given the key's row."""
        found: Integers = self.first[self._cell(keys, row)].ravel()
        keys = keys.ravel()
        rest = np.flatnonzero(before(self.padded.take(found, mode="clip"), keys))  # most are there already
        at, sought = found.take(rest), keys.take(rest)
        for bit in reversed(range(self.bits)):
            at += before(self.padded.take(at + (2**bit - 1), mode="clip"), sought) * 2**bit
        found[rest] = at
        return found

    def between(self, low: Doubles, high: Doubles, row: Integers) -> tuple[Integers, Integers]:
        """Where in values the ones from low to high begin, and how many they are, as keys are shaped."""
        start, end = self.find(low, row, np.less), self.find(high, row, np.less_equal)
        return start.reshape(low.shape) - self.end * row, (end - start).reshape(low.shape)

    def within(self, radius: Doubles) -> Integers:
        """How many values, itself included, lie nearer to each value than its radius (rows,n)."""
        # Rounding must not let the k-th neighbour in, whose distance may be the radius itself.
        reach = np.maximum(radius - ULPS * (np.abs(self.values) + radius), 0)
        return self.between(self.values - reach, self.values + reach, self.rows)[1]


def _in_strips(x: Doubles, y: Doubles, by_y: Integers, k: int) -> tuple[Doubles, Integers]:
    """Upper bounds of the distances (rows,n), and for which pairs, flattened, they may not be exact.

    x ascends in each row, and by_y puts the flattened pairs of each row in the order of y.
    """
    rows, n = x.shape
    size = math.ceil(math.sqrt(k * n))  # of a strip; this and the windows by trial, for speed alone
    strips = max(1, n // size)  # the last takes what is left
    narrow, wide = (min(each * k + 2, 2 * size, n) for each in (NARROW, WIDE))
    row, each = np.arange(rows)[:, None], np.arange(strips)
    strip = (np.minimum(np.arange(n) // size, strips - 1) + strips * row).take(by_y)
    # Where a strip with its two neighbours begins and ends, and the values of x that lie next to them.
    begin = n * row + size * np.maximum(each - 1, 0)
    end = n * row + np.where(each < strips - 2, size * (each + 2), n)
    low, high = x.take(begin - 1, mode="clip"), x.take(end, mode="clip")
    low[:, :2], high[:, -2:] = -np.inf, np.inf
    radius, unsure = np.empty(x.size), []
    for shift in range(3):  # each strip is the middle of three once
        three, place = np.divmod(each + shift, 3)
        small = three.astype(np.min_scalar_type(strips))  # which numpy sorts in a third of the time
        order = np.tile(small, rows).take(strip).argsort(axis=1, kind="stable") + n * row
        own, order = strip.take(order).ravel(), by_y.take(order).ravel()
        at = np.flatnonzero(np.tile(place == 1, rows).take(own))
        u, v, own, pair = x.take(order), y.take(order), own.take(at), order.take(at)
        a, start, stop = u.take(at), begin.take(own), end.take(own)
        bound, sure = _in_windows(u, v, at, start, stop, narrow, k)
        rest = np.flatnonzero(~sure)
        bound[rest], sure[rest] = _in_windows(u, v, at[rest], start[rest], stop[rest], wide, k)
        sure &= (a - low.take(own) >= bound) & (high.take(own) - a >= bound)
        radius[pair] = bound
        unsure.append(pair[~sure])
    return radius.reshape(x.shape), np.concatenate(unsure)


def _in_windows(
    u: Doubles, v: Doubles, at: Integers, begin: Integers, end: Integers, width: int, k: int
) -> tuple[Doubles, NDArray[np.bool_]]:
    """Of each pair to its k-th neighbour among `width` around it, and whether v says that none is nearer."""
    start = np.minimum(np.maximum(at - width // 2, begin), end - width)
    b = v.take(at)
    bound = _kth_distance(u, v, start, width, u.take(at), b, k)
    sure = (start == begin) | (b - v.take(start) >= bound)
    sure &= (start + width == end) | (v.take(start + width - 1) - b >= bound)
    return bound, sure


def _in_slabs(by_x: _Sorted, by_y: _Sorted, k: int, pairs: Integers, bound: Doubles) -> Doubles:
    """Distances of some pairs, given upper bounds, which may be infinite."""
    n, a, b = by_x.values.shape[1], by_x.values.take(pairs), by_x.others.take(pairs)
    row = pairs // n
    reach = np.minimum(bound, np.ptp(by_x.values) + np.ptp(by_y.values))
    reach += 4 * np.spacing(np.abs(a) + np.abs(b) + reach)  # or rounding may lose the neighbour itself
    start, count = by_x.between(a - reach, a + reach, row)
    other, fewer = by_y.between(b - reach, b + reach, row)
    side = fewer < count
    start, count = np.where(side, other, start), np.where(side, fewer, count)
    widths = 2 ** np.ceil(np.log2(count)).astype(np.intp)  # more pairs than needed do no harm
    x, y = np.append(by_x.values, by_y.others), np.append(by_x.others, by_y.values)
    radius = np.empty(len(pairs))
    for width in np.unique(widths):
        part, most = np.flatnonzero(widths == width), min(int(width), n)
        begin = np.minimum(start[part], n * row[part] + n - most) + by_x.values.size * side[part]
        radius[part] = _kth_distance(x, y, begin, most, a[part], b[part], k)
    return radius


def _kth_distance(
    x: Doubles, y: Doubles, start: Integers, width: int, a: Doubles, b: Doubles, k: int
) -> Doubles:
    """Of each (a,b) to its k-th neighbour among `width` pairs from its start, which hold (a,b) itself."""
    xs, ys = _windows(x, width), _windows(y, width)
    radius, rows = np.empty(len(a)), max(1, BLOCK // width)
    for i in range(0, len(a), rows):
        part = slice(i, i + rows)
        distance, other = (side[start[part]].view(np.float64).reshape(-1, width) for side in (xs, ys))
        distance -= a[part, None]
        other -= b[part, None]
        np.maximum(np.abs(distance, out=distance), np.abs(other, out=other), out=distance)
        distance.sort(axis=1)  # numpy sorts short rows faster than it partitions them
        radius[part] = distance[:, k]
    return radius


def _windows(values: Doubles, width: int) -> NDArray[np.void]:
    """All windows (n-width+1,) as a view; each is one item, which numpy copies in half the time of a row."""
    items = f"V{width * values.itemsize}"
    return np.ndarray((len(values) - width + 1,), items, values, strides=values.strides)


def check(
    who: str, names: tuple[str, str], arrays: tuple[Floats, Floats], ndim: int, k: int, constant: str = ""
) -> None:
    """ValueError unless both arrays have one shape, enough rows, and finite values that vary.

    constant: the name of one that may be constant.
    """
    shapes = [a.shape for a in arrays]
    if shapes[0] != shapes[1] or len(shapes[0]) != ndim:
        raise ValueError(f"{who}: {names[0]} and {names[1]} need one {ndim}-D shape, got {shapes}")
    if len(arrays[0]) < PER_NEIGHBOUR * k:
        raise ValueError(f"{who}: {len(arrays[0])} rows; {k} neighbours need {PER_NEIGHBOUR * k} or more")
    for name, a in zip(names, arrays, strict=True):
        if not np.isfinite(a).all():
            raise ValueError(f"{who}: {name} has {np.sum(~np.isfinite(a))} values that are not finite")
        if name != constant and not varies(a):
            raise ValueError(f"{who}: {name} is constant over {len(a)} rows; expected values that vary")


def varies(a: Floats) -> bool:
    """Whether some column of (n,...) values does, by more than a few roundings."""
    floor = ROUNDINGS * np.finfo(a.dtype).eps * np.abs(a).max(initial=0)
    return bool(np.ptp(a, axis=0).max(initial=0) > floor)
