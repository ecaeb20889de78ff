"""The figures that were to be reached, each beside what was measured."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.compare.figures import Results, Row, difference, paired, ratio, spread
from bench.compare.photos import LARGE, SMALL
from bench.compare.tables import levels, number, ranged, table

SESSION, LITERT = "Batchpoint, session", "Batchpoint, litert"
MOSEC = "mosec, {}, {} decode"
CROWD = 64
OVERLOAD = 3  # times capacity; ten times is asked for with an engine that waits

_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "at least": operator.ge,
    "at most": operator.le,
    "over": operator.gt,
}


@dataclass(frozen=True)
class Target:
    """One figure: what, how it is to compare with which bound, what was measured."""

    what: str
    sign: str
    bound: float
    measured: float
    shown: str

    @property
    def reached(self) -> bool:
        """Whether the median is as wanted."""
        return _SIGNS[self.sign](self.measured, self.bound)


def targets(results: Results) -> list[Target]:
    """Return every figure of which this run has a measurement."""
    found = [*_throughput(results), *_pairs(results), *_alone(results)]
    found += [*_product(results), *_overload(results), *_memory(results)]
    return [target for target in found if not math.isnan(target.measured)]


def text(results: Results) -> str:
    """The table of all targets."""
    rows = [
        [
            target.what,
            f"{target.sign} {number(target.bound, 2)}",
            target.shown,
            "yes" if target.reached else "**no**",
        ]
        for target in targets(results)
    ]
    return table(["figure", "wanted", "measured", "reached"], rows)


def _target(what: str, sign: str, bound: float, values: list[float]) -> Target:
    figure = spread(values)
    return Target(what, sign, bound, figure.median, ranged(figure))


def _paired(
    results: Results,
    pair: tuple[str, str],
    load: tuple[str, int],
    compare: Callable[[Row, Row], float],
    wanted: tuple[str, float],
) -> Target:
    one, other = (results.select(name, *load) for name in pair)
    # Of a server that stopped answering, a round tells nothing of its speed.
    going = [row for row in other if row.answers > sum(row.errors.values())]
    figure = paired(one, going, compare)
    word = "times" if compare is ratio else "less"
    what = f"{pair[0]} {word} {pair[1]}, {load[0]}, clients: {load[1]}"
    return Target(what, *wanted, figure.median, ranged(figure))


def _throughput(results: Results) -> Iterator[Target]:
    for name in (SESSION, LITERT):
        for clients in (16, 64, 256):
            rows = results.select(name, SMALL.name, clients)
            what = f"{name}: share of its bare, clients: {clients}"
            yield _target(what, "at least", 0.93, [row.share for row in rows])


def _pairs(results: Results) -> Iterator[Target]:
    usual, own = MOSEC.format("session", "usual"), MOSEC.format("session", "own")
    lent, half = MOSEC.format("litert", "own"), MOSEC.format("litert", "usual")
    for clients in levels(results, SMALL.name):
        load = (SMALL.name, clients)
        yield _paired(results, (SESSION, own), load, difference, ("at least", -0.05))
        yield _paired(results, (SESSION, usual), load, difference, ("over", 0))
        yield _paired(results, (LITERT, usual), load, ratio, ("at least", 1.4))
        yield _paired(results, (LITERT, lent), load, difference, ("at least", 0))
        yield _paired(results, (LITERT, half), load, difference, ("over", 0))
        for size in ("best", "32"):
            fixed = f"{LITERT}, fixed {size} in 10 ms"
            yield _paired(results, (LITERT, fixed), load, difference, ("over", 0))
    for clients in levels(results, LARGE.name):
        load = (LARGE.name, clients)
        for name in (SESSION, LITERT):
            yield _paired(results, (name, usual), load, ratio, ("at least", 2.5))


def _alone(results: Results) -> Iterator[Target]:
    for name in (SESSION, LITERT):
        rows = [row for row in results.select(name, SMALL.name, 1) if row.timing_ms]
        rest = [row.p50_ms - row.timing_ms["decode"] - row.timing_ms["inference"] for row in rows]
        yield _target(f"{name}, clients: 1: p50 less decode and inference, ms", "at most", 3, rest)


def _product(results: Results) -> Iterator[Target]:
    rows = [row for row in results.select(SESSION, "product", CROWD) if row.answers]
    yield _target("overhead only, answers/s", "at least", 2500, [row.per_s for row in rows])


def _overload(results: Results) -> Iterator[Target]:
    for name in (SESSION, LITERT):
        own = [row for row in results.open if row.candidate == name]
        kept = [
            row.goodput_per_s / max(each.goodput_per_s for each in own if each.round == row.round)
            for row in own
            if row.factor == OVERLOAD
        ]
        what = f"{name}: goodput at {OVERLOAD} x capacity, part of its peak"
        yield _target(what, "at least", 0.9, kept)
        slower = [row.after_ms / row.before_ms for row in results.recovery if row.candidate == name]
        yield _target(f"{name}: p50 5 s after / before", "at most", 1.1, slower)


def _memory(results: Results) -> Iterator[Target]:
    for name in (SESSION, LITERT):
        rows = results.select(name, SMALL.name, CROWD)
        for part, bound in (("web", 150), ("worker", 700)):
            held = [row.memory[part].largest_rss for row in rows if part in row.memory]
            yield _target(f"{name}: RSS of a {part} process, MiB", "at most", bound, held)
