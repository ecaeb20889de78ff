"""How long a service takes to be as before, once what was wrong with it is over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.chaos.load import Outcome
    from bench.chaos.tally import Tally

_SLOW_S = 0.5
_LEAST_OK = 0.99


def recovered_s(outcomes: Sequence[Outcome], end: float, began: float = 0.0) -> float:
    """Return how long after `end` the last request was done that failed or took long.

    0 where none did; of requests that were to be sent before `end` or up to 3 s after it. Long is
    over 0.5 s, and over twice what any took that was done before `began`, when all was well.
    """
    slow_s = max([_SLOW_S, *(2 * each.took_s for each in outcomes if 0 < each.done < began)])
    bad = [
        each.done - end
        for each in outcomes
        if each.due < end + 3 and (each.status != 200 or each.took_s > slow_s)
    ]
    return max(0.0, *bad, 0.0)


def misses(tally: Tally) -> list[str]:
    """Return what no promise allows, and whether of those let in fewer than 99 % are 200.

    After a stand-still so much may be ahead that admission refuses some, as it should.
    """
    let_in = tally.sent - tally.errors["503 overloaded"]
    found = tally.misses()
    if tally.ok < _LEAST_OK * let_in:
        found.append(f"{tally.ok} of the {let_in} let in are 200, {_LEAST_OK:.0%} were promised")
    return found
