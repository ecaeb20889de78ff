"""One stage at a time, kept while rows have the same needs."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from bench.chaos.row import Needs, Row, Seen
from bench.chaos.stage import Stage


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Return rows with the same needs one after the other, so that they share a service."""
    needs = [row.needs for row in rows]
    return sorted(rows, key=lambda row: needs.index(row.needs))


class Stages:
    """`with Stages() as stages:` plays rows, each on a service that has what it needs."""

    def __init__(self) -> None:
        self._stage: Stage | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()

    def play(self, row: Row, short: bool) -> Seen:
        """Play a row. A fault in the harness itself is a miss: the promise was not seen kept."""
        try:
            seen = row.play(self._enter(row.needs), short)
        except Exception as error:  # whatever it was, the other rows are to be played
            self._leave()
            return Seen({}, [f"not played to its end: {type(error).__name__}: {error}"])
        assert self._stage is not None
        try:
            self._stage.recover()
        except RuntimeError as error:
            self._leave()
            return Seen(seen.figures, [*seen.misses, str(error)])
        return seen

    def _enter(self, needs: Needs) -> Stage:
        if self._stage is None or self._stage.needs != needs:
            self._leave()
            self._stage = Stage(needs).__enter__()
        return self._stage

    def _leave(self) -> None:
        if self._stage is not None:
            stage, self._stage = self._stage, None
            stage.__exit__(None, None, None)
