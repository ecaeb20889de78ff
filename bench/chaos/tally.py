"""What a load has seen, summed up, and what of it no promise allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.chaos.row import Figures

if TYPE_CHECKING:
    from bench.chaos.load import Outcome

GRACE_S = 0.25  # after its deadline: until then a request must have its answer


class Tally:
    """The sums over some requests."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self.sent = len(outcomes)
        self.ok = sum(each.status == 200 and not each.wrong for each in outcomes)
        self.wrong = sum(each.wrong for each in outcomes)  # that of another among them
        self.lost = sum(each.status == 0 for each in outcomes)
        self.untyped = sum(each.status not in (0, 200) and not each.problem for each in outcomes)
        self.blamed = sum(400 <= each.status < 500 for each in outcomes)
        # The deadline runs from when the request is there; that it was sent late is no fault of
        # the service, and is told by itself.
        self.late = sum(
            each.done - max(each.due, each.sent) > each.deadline_s + GRACE_S for each in outcomes
        )
        self.repeated = self.ok - len(
            {each.answer["request_id"] for each in outcomes if each.status == 200 and each.answer}
        )
        self.errors = Counter(
            f"{each.status} {each.problem}" if each.status else f"no answer: {each.problem}"
            for each in outcomes
            if each.status != 200
        )
        self._took_s = sorted(each.took_s for each in outcomes if each.status)
        self._lag_s = max((each.sent - each.due for each in outcomes if each.sent), default=0.0)

    def percentile_s(self, percent: float) -> float:
        """Return within what time that many percent of those answered were, in seconds."""
        if not self._took_s:
            return float("nan")
        return self._took_s[min(len(self._took_s) - 1, int(len(self._took_s) * percent / 100))]

    def figures(self) -> Figures:
        """Return what the table shows of it."""
        errors = ", ".join(f"{count} x {error}" for error, count in self.errors.most_common())
        return {
            "requests": self.sent,
            "200": self.ok,
            "wrong": self.wrong,
            "lost": self.lost,
            "late": self.late,
            "p50 ms": round(self.percentile_s(50) * 1000),
            "p99 ms": round(self.percentile_s(99) * 1000),
            "sent late by ms": round(self._lag_s * 1000),
            **({"errors": errors} if errors else {}),
        }

    def misses(self, least_ok: float = 0.0, least: int = 20) -> list[str]:
        """Return what must never be, and whether fewer than `least_ok` of all were answered 200.

        A load of fewer than `least` requests proves nothing, and is a miss too.
        """
        misses = [
            f"{count} {what}"
            for count, what in (
                (self.wrong, "with the answer to something else"),
                (self.lost, "without any answer"),
                (self.late, "answered later than the deadline + 250 ms"),
                (self.untyped, "with an error that has no type"),
                (self.blamed, "told that they were wrong"),
                (max(0, self.repeated), "with another's request id"),
            )
            if count
        ]
        if self.sent < least:
            misses.append(f"only {self.sent} requests were sent")
        if self.ok < least_ok * self.sent:
            misses.append(f"{self.ok} of {self.sent} are 200, {least_ok:.0%} were promised")
        return misses
