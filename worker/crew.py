"""A crew: some workers of one version of a model, each of which is started again when it dies."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from shared.logs import fields
from shared.processes import Child

_log = logging.getLogger(__name__)

# A worker that dies again and again before it has served is started ever more slowly: it would
# only take the processor from the others. One that had served is missed.
_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 10.0
_SETTLED_S = 30.0


@dataclass
class _Place:
    """A worker's place: the process that fills it now, or when the next one is due."""

    token: str = ""
    child: Child | None = None
    started: float = 0.0
    due: float = 0.0
    delay_s: float = _FIRST_DELAY_S


class Crew:
    """Keeps `count` child processes alive until it is dismissed.

    `start` starts a worker for a place, counted from 0, with a token; `on_death` is told the
    token of one that died, so that what it held is back in the queue before its lease ends, and
    says whether it had served.
    """

    def __init__(
        self,
        count: int,
        start: Callable[[int, str], Child],
        on_death: Callable[[str], bool],
    ) -> None:
        self.deaths: list[int] = []  # exit statuses
        self._places = [_Place() for _ in range(count)]
        self._start = start
        self._on_death = on_death
        self._dismissed = False

    @property
    def tokens(self) -> set[str]:
        """The tokens of the workers that fill the places; one that is empty has none."""
        return {place.token if place.child else "" for place in self._places}

    def children(self) -> list[Child]:
        """Return the processes that run."""
        return [place.child for place in self._places if place.child is not None]

    def run_once(self, now: float) -> None:
        """Take note of every child that died, then start those that are due."""
        for place in self._places:
            if place.child is not None and place.child.poll() is not None:
                self._bury(place, now)
        for number, place in enumerate(self._places):
            if place.child is None and place.due <= now and not self._dismissed:
                place.token, place.started = secrets.token_hex(16), now
                try:
                    place.child = self._start(number, place.token)
                except OSError as error:  # no memory for it, or too many processes, at this moment
                    _log.error("worker cannot be started", extra=fields(error=str(error)))
                    self._put_off(place, now)

    def dismiss(self) -> None:
        """Let every worker finish what it holds and end; start no other."""
        self._dismissed = True
        for child in self.children():
            child.terminate()

    def _bury(self, place: _Place, now: float) -> None:
        assert place.child is not None
        status = place.child.returncode
        if self._dismissed and status == 0:
            place.child = None
            return
        _log.error("worker died", extra=fields(token=place.token, status=status))
        self.deaths.append(status)
        if self._on_death(place.token) or now - place.started > _SETTLED_S:
            place.delay_s = _FIRST_DELAY_S
        place.child = None
        self._put_off(place, now)

    def _put_off(self, place: _Place, now: float) -> None:
        place.due = now + place.delay_s
        place.delay_s = min(place.delay_s * 2, _LONGEST_DELAY_S)
