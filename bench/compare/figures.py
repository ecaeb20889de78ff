"""What the bench has seen, and its arithmetic: percentiles, medians, shares, paired differences."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.compare.usage import Memory


@dataclass(frozen=True)
class Row:
    """One server under one closed load, in one round."""

    round: int
    candidate: str
    engine: str  # the one that `bare` looped for it; where the server chooses, its choice
    kind: str  # of photo, such as 640x480; or `product`
    clients: int
    per_s: float  # right answers per second
    bare_per_s: float  # what `bare` of its engine did in the same minute; NaN where there is none
    p50_ms: float
    p99_ms: float
    cpu_ms: dict[str, float]  # per answer, by kind of process
    load_cpu_ms: float  # of the load, per answer
    memory: dict[str, Memory]
    answers: int
    errors: dict[str, int]
    timing_ms: dict[str, float]  # medians of what the answers say
    batch: float  # mean; 0 where the answers do not say

    @property
    def share(self) -> float:
        """The part of `bare`'s speed that it reached."""
        return self.per_s / self.bare_per_s


@dataclass(frozen=True)
class BareRow:
    """`bare` once: before a server's turn in a round."""

    round: int
    engine: str
    kind: str
    per_s: float
    decode_ms: float  # CPU per photo
    network_ms: float


@dataclass(frozen=True)
class OpenRow:
    """One server under one open load, in one round."""

    round: int
    candidate: str
    factor: float  # of its capacity: what it did with 64 clients in a closed loop
    offered_per_s: float
    goodput_per_s: float  # right answers within the deadline
    p50_ms: float  # of right answers, from when they were due
    p99_ms: float
    load_cpu: float  # of the load, as a part of one core
    errors: dict[str, int]


@dataclass(frozen=True)
class Recovery:
    """One server after the largest open load, in one round."""

    round: int
    candidate: str
    before_ms: float  # p50 of one client before the load
    after_ms: float  # the same, 5 s after it; infinite where it still answered nothing
    work_s: dict[str, float]  # CPU seconds used in these 5 s, by kind of process


@dataclass
class Results:
    """All that one run of the bench has seen."""

    about: dict[str, str] = field(default_factory=dict)
    batches: dict[str, dict[str, float]] = field(default_factory=dict)  # engine -> size -> per s
    bare: list[BareRow] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    open: list[OpenRow] = field(default_factory=list)
    recovery: list[Recovery] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what `save` wrote."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        for row in raw["rows"]:
            row["memory"] = {kind: Memory(**each) for kind, each in row["memory"].items()}
        return cls(
            raw["about"],
            raw["batches"],
            [BareRow(**row) for row in raw["bare"]],
            [Row(**row) for row in raw["rows"]],
            [OpenRow(**row) for row in raw["open"]],
            [Recovery(**row) for row in raw["recovery"]],
            raw["failures"],
        )

    def select(self, candidate: str, kind: str, clients: int) -> list[Row]:
        """Return a row per round."""
        return [
            row
            for row in self.rows
            if (row.candidate, row.kind, row.clients) == (candidate, kind, clients)
        ]


def percentile(values: Sequence[float], part: float) -> float:
    """Return the smallest of the sorted `values` that `part` percent do not exceed; NaN of none."""
    if not values:
        return math.nan
    return values[max(0, math.ceil(len(values) * part / 100) - 1)]


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return the median, the lowest and the highest of `values`; NaN of none."""
    if not values:
        return Spread(math.nan, math.nan, math.nan)
    return Spread(statistics.median(values), min(values), max(values))


def paired(
    ours: Sequence[Row], theirs: Sequence[Row], compare: Callable[[Row, Row], float]
) -> Spread:
    """Compare the rows of the same round, and return how that spreads over the rounds."""
    others = {row.round: row for row in theirs}
    found = [compare(row, others[row.round]) for row in ours if row.round in others]
    return spread([figure for figure in found if not math.isnan(figure)])


def difference(ours: Row, theirs: Row) -> float:
    """Return by how much of `bare` ours is ahead."""
    return ours.share - theirs.share


def ratio(ours: Row, theirs: Row) -> float:
    """Return how many times as many answers per second ours gives; NaN where they gave none."""
    return ours.per_s / theirs.per_s if theirs.per_s else math.nan
