"""What the harness of `make chaos` calls a promise kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.chaos.load import Outcome
from bench.chaos.photos import Photo, numbered
from bench.chaos.report import table
from bench.chaos.row import Needs, Row, Seen
from bench.chaos.tally import Tally


def answer_to(photo: Photo, request_id: str) -> dict[str, Any]:
    return {**photo.item, "point": {"x": photo.x, "y": photo.y}, "request_id": request_id}


def answered(number: int) -> Outcome:
    """Return a request that was answered as it should be, in a tenth of a second."""
    photo = numbered()
    return Outcome(photo, 1.0, 5.0, 1.0, 1.1, 200, answer=answer_to(photo, str(number)))


def refused(status: int, problem: str) -> Outcome:
    return replace(answered(0), status=status, problem=problem, answer={"type": problem})


def test_a_load_that_was_answered_has_no_misses() -> None:
    tally = Tally([answered(number) for number in range(30)])
    assert tally.misses(least_ok=1.0) == []
    assert tally.percentile_s(99) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("outcome", "miss"),
    [
        (replace(answered(30), answer=answer_to(numbered(), "30")), "answer to something else"),
        (replace(answered(30), answer=None), "answer to something else"),
        (answered(7), "another's request id"),
        (refused(0, "ConnectionResetError"), "without any answer"),
        (replace(answered(30), done=6.3), "later than the deadline"),
        (replace(refused(504, "deadline"), done=6.3), "later than the deadline"),
        (refused(500, ""), "has no type"),
        (refused(422, "undecodable-image"), "told that they were wrong"),
    ],
)
def test_one_request_that_went_wrong_is_a_miss(outcome: Outcome, miss: str) -> None:
    (found,) = Tally([*(answered(number) for number in range(30)), outcome]).misses()
    assert found.startswith("1 ")
    assert miss in found


def test_too_many_refusals_and_too_small_a_load_are_misses() -> None:
    load = [answered(1), refused(503, "no-worker")]
    assert Tally(load).misses(least_ok=0.5, least=2) == []
    assert len(Tally(load).misses(least_ok=0.99, least=3)) == 2


def test_the_page_names_what_was_missed() -> None:
    row = Row("a row", "a fault", "a promise", Needs(), lambda stage, short: Seen({}))
    text = table([(row, Seen({"lost": 2}, ["2 without | any answer\nand more"]))])
    assert text.splitlines()[-1] == (
        "| **a row** | a fault | a promise | lost 2 | **no**: 2 without / any answer |"
    )
