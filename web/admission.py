"""Admission: a request that would wait past its deadline is refused before its photo is read.

How many requests are ahead of it in its process, to be decoded or in the queue, is known, and so is
how fast they end while there is more to do than can be done. Ahead ÷ rate is the wait.
"""

from __future__ import annotations

import re
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from shared.settings import Settings
from web import metrics
from web.errors import problem
from web.tickets import ClientLeftError, DeadlineError, OverloadedError

_WINDOW_S = 0.25  # over which answers are counted
_SATURATED = 8  # with fewer in hand, answers come as requests do, and tell nothing of the rate
# What of a deadline may be spent waiting. Under a crowd a request has already waited to be accepted
# and read, and the rate is an estimate: at 0.75 a tenth of the answers came too late.
_MARGIN = 0.5

_PATH = re.compile(r"/predict(?:/([^/]+))?/?")
_MS = re.compile(r"([0-9]{1,6})", re.ASCII)
_TIMEOUT = re.compile(r"(?:^|&)timeout_ms=([0-9]{1,6})(?:&|$)", re.ASCII)

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Gate:
    """What one process has in hand of one model, and how fast it answers."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._in_hand = 0
        self._rates: deque[float] = deque(maxlen=3)  # answers per second, of the last windows
        self._since = clock()  # when the present window began
        self._lowest = 0  # in hand, in the present window
        self._answers = 0

    def excess_s(self, deadline_s: float) -> float:
        """Return by how much a request's wait would be too long; 0 or less: it is admitted."""
        self._roll()
        if len(self._rates) < 2:  # the rate is not known
            return 0.0
        return self._in_hand / max(self._rates) - deadline_s * _MARGIN

    @contextmanager
    def in_hand(self) -> Iterator[None]:
        """Count a request as ahead of others, and as answered at the block's end.

        But not where it was given up: that tells nothing of how fast answers come.
        """
        self._roll()
        self._in_hand += 1
        try:
            yield
            self._answers += 1
        except (ClientLeftError, DeadlineError):
            raise
        except Exception:  # a broken photo is answered, too
            self._answers += 1
            raise
        finally:
            self._in_hand -= 1
            self._lowest = min(self._lowest, self._in_hand)
            self._roll()

    def _roll(self) -> None:
        """Begin a new window where the present one is over.

        A window in which there was too little to do makes the rate unknown, so that a crowd that
        comes after quiet times is let in, to be measured. One without an answer goes on until
        there is one. The best of the last few windows counts: one with a stand-still in it, as
        when Redis restarts, tells nothing of the rate.
        """
        now = self._clock()
        took_s = now - self._since
        if took_s < _WINDOW_S or (self._lowest >= _SATURATED and not self._answers):
            return
        if self._lowest < _SATURATED:
            self._rates.clear()
        else:
            self._rates.append(self._answers / took_s)
        self._since, self._lowest, self._answers = now, self._in_hand, 0


class Admission:
    """A WSGI application in front of another, which it spares what cannot be answered in time.

    It stands before Flask because a refusal must cost next to nothing: it is given most when
    there is least to spare.
    """

    def __init__(self, app: WSGI, settings: Settings, gates: Mapping[str, Gate]) -> None:
        self._app = app
        self._settings = settings
        self._gates = gates

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Pass the request on, or refuse it."""
        waits = "respond-async" not in environ.get("HTTP_PREFER", "").lower()
        if environ["REQUEST_METHOD"] == "POST" and waits:
            path = _PATH.fullmatch(environ["PATH_INFO"])
            name = (path[1] or self._settings.model) if path else ""
            gate = self._gates.get(name)
            if gate is not None:
                excess_s = gate.excess_s(self._deadline_s(environ))
                if excess_s > 0:
                    return _refuse(name, excess_s, start_response)
        return self._app(environ, start_response)

    def _deadline_s(self, environ: Mapping[str, Any]) -> float:
        """Return the deadline as far as the header tells it; one in the body is not read yet."""
        found = _MS.fullmatch(environ.get("HTTP_X_REQUEST_TIMEOUT_MS", ""))
        found = found or _TIMEOUT.search(environ.get("QUERY_STRING", ""))
        return (int(found[1]) if found else self._settings.deadline_ms) / 1000


def _refuse(name: str, excess_s: float, start_response: Callable[..., Any]) -> list[bytes]:
    request_id = uuid.uuid4().hex
    status, headers, body = problem(OverloadedError(excess_s * 1000), request_id)
    metrics.REQUESTS.labels(name, str(status)).inc()
    headers |= {"X-Request-Id": request_id, "Content-Length": str(len(body))}
    start_response(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
    return [body]
