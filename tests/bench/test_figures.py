"""The bench's arithmetic, on figures that were worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench.compare.figures import (
    OpenRow,
    Recovery,
    Results,
    Row,
    Spread,
    difference,
    paired,
    percentile,
    ratio,
    spread,
)
from bench.compare.usage import Memory


def row(number: int, per_s: float, bare_per_s: float, candidate: str = "one") -> Row:
    """Return a row of which the rest does not matter."""
    return Row(
        round=number,
        candidate=candidate,
        engine="session",
        kind="640x480",
        clients=16,
        per_s=per_s,
        bare_per_s=bare_per_s,
        p50_ms=5.0,
        p99_ms=9.0,
        cpu_ms={"web": 1.0, "worker": 2.0},
        load_cpu_ms=0.1,
        memory={"web": Memory(2, 70.0, 80.0)},
        answers=100,
        errors={},
        timing_ms={},
        batch=0.0,
    )


@pytest.mark.parametrize(
    ("part", "wanted"), [(50, 5.0), (99, 10.0), (100, 10.0), (10, 1.0), (11, 2.0), (0, 1.0)]
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(
    part: float, wanted: float
) -> None:
    assert percentile([float(value) for value in range(1, 11)], part) == wanted


def test_a_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(percentile([], 50))
    assert math.isnan(spread([]).median)


def test_a_spread_is_the_median_and_the_two_ends() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert spread([4.0, 1.0]) == Spread(2.5, 1.0, 4.0)


def test_a_share_is_of_the_bare_of_the_same_minute() -> None:
    assert row(1, per_s=90, bare_per_s=100).share == pytest.approx(0.9)


def test_pairs_are_made_within_a_round_whatever_the_order() -> None:
    ours = [row(1, 90, 100), row(2, 40, 50), row(3, 95, 100)]
    theirs = [row(3, 85, 100, "two"), row(1, 100, 100, "two"), row(2, 30, 50, "two")]
    # 0.9 - 1.0, 0.8 - 0.6, 0.95 - 0.85
    apart = paired(ours, theirs, difference)
    assert (apart.median, apart.low, apart.high) == pytest.approx((0.1, -0.1, 0.2))
    assert paired(ours, theirs, ratio).median == pytest.approx(95 / 85)


def test_a_round_in_which_one_of_the_two_did_not_serve_makes_no_pair() -> None:
    apart = paired([row(1, 90, 100), row(2, 50, 100)], [row(2, 40, 100, "two")], difference)
    assert (apart.median, apart.low, apart.high) == pytest.approx((0.1, 0.1, 0.1))


def test_results_come_back_as_they_were_saved(tmp_path: Path) -> None:
    results = Results(
        about={"date": "today"},
        batches={"session": {"1": 70.0}},
        rows=[row(1, 90, 100)],
        open=[OpenRow(1, "one", 0.5, 50.0, 49.0, 10.0, 20.0, 0.1, {"503": 2})],
        recovery=[Recovery(1, "one", 10.0, 11.0, {"web": 0.2})],
        failures=["round 1: two did not start"],
    )
    results.save(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json") == results


def test_a_server_that_answered_nothing_makes_no_ratio() -> None:
    theirs = [row(1, 0, 100, "two"), row(2, 50, 100, "two")]
    assert paired([row(1, 90, 100), row(2, 100, 100)], theirs, ratio) == Spread(2.0, 2.0, 2.0)
    assert math.isnan(paired([row(1, 90, 100)], theirs[:1], ratio).median)
