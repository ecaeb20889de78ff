"""Keeps predictions and the choices of users, beside the answers and never in their way."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any

import gevent
from gevent.event import Event
from gevent.threadpool import ThreadPool

from shared.feedback import Chosen, Feedback, Prediction
from shared.images import Point
from shared.logs import Seldom
from shared.manifest import Model
from shared.messages import Result
from web.softmax import to_items
from web.threads import run_in
from web.tickets import Ticket

_log = logging.getLogger(__name__)
_seldom = Seldom(_log)

_WAITING_BYTES = 32 * 1024 * 1024
_TOP = 5  # labels that are kept of a whole softmax
_LABEL_BYTES = 350  # that one label and its probability take in memory, about
_PURGE_S = 3600.0
_AGAIN_S = 0.3  # another process may be just about to write what is asked for


class StorageError(Exception):
    """What is kept cannot be read or written now."""


class Storage:
    """One native thread that writes, and a list of what it is to write next, bounded in bytes.

    Images whose answers are fetched later are held, within the same bound, until these are here.
    """

    def __init__(self, feedback: Feedback) -> None:
        self._feedback = feedback
        self._pool = ThreadPool(1)
        self._waiting: list[Prediction] = []
        self._waiting_bytes = 0  # with what is just being written
        self._later_bytes = 0  # of images whose results are still to come
        self._more = Event()

    def keep(
        self, model: Model, images: Sequence[bytes], points: Sequence[Point], result: Result
    ) -> None:
        """Have a prediction written soon; where writing does not keep up, it is let go.

        There is one image, at one point or several, or there are several, at one point each. Then
        each is a prediction of its own, by the request's id and its number: `<id>.0` and so on.
        """
        labels = sum(len(entries) for item in result.items for entries in item.values())
        labels += len(points) * len(result.softmax) * _TOP  # one of the two is empty
        size = sum(map(len, images)) + _LABEL_BYTES * labels
        if not self._has_room(size):
            return
        found = result.items or to_items(model, result, _TOP)
        items = [{"point": point, **item} for point, item in zip(points, found, strict=True)]
        parts = [(result.id, images[0], items)]
        if len(images) > 1:
            each = enumerate(zip(images, items, strict=True))
            parts = [(f"{result.id}.{number}", image, [item]) for number, (image, item) in each]
        self._waiting += [
            Prediction(id_, model.name, result.version, image, own) for id_, image, own in parts
        ]
        self._waiting_bytes += size
        self._more.set()

    def keep_later(
        self, model: Model, images: Sequence[bytes], points: Sequence[Point], ticket: Ticket
    ) -> None:
        """Keep a prediction as soon as its result is there, if that is by its deadline."""
        size = sum(map(len, images))
        if self._has_room(size):
            self._later_bytes += size
            gevent.spawn(self._wait_and_keep, size, model, images, points, ticket)

    def _wait_and_keep(
        self,
        size: int,
        model: Model,
        images: Sequence[bytes],
        points: Sequence[Point],
        ticket: Ticket,
    ) -> None:
        result = ticket.wait()
        self._later_bytes -= size
        if result:
            self.keep(model, images, points, result)

    def _has_room(self, size: int) -> bool:
        held = self._waiting_bytes + self._later_bytes
        if held + size <= _WAITING_BYTES:
            return True
        _seldom.warning("prediction not kept", waiting_bytes=held)
        return False

    def find(self, request_id: str) -> Prediction | None:
        """Return a prediction, without its image, or None. Raises `StorageError`."""
        found: Prediction | None = self._ask(self._feedback.find, request_id)
        if found is None:
            gevent.sleep(_AGAIN_S)
            found = self._ask(self._feedback.find, request_id)
        return found

    def choose(self, request_id: str, place: int, chosen: Chosen) -> bool:
        """Keep a choice; return whether its prediction is there. Raises `StorageError`."""
        return bool(self._ask(self._feedback.choose, request_id, place, chosen))

    def _ask(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return run_in(self._pool, call, *arguments)
        except sqlite3.Error as error:
            raise StorageError(f"the feedback file: {error}") from error

    def run(self) -> None:
        """Write what is to be kept, and let go of what is too old: now and each hour, for ever."""
        purge_at = time.monotonic()
        while True:
            if time.monotonic() >= purge_at:
                purge_at = time.monotonic() + _PURGE_S
                self._try("feedback not purged", self._feedback.purge)
            self._more.wait(purge_at - time.monotonic())
            self._more.clear()
            if self._waiting:
                batch, size = self._waiting, self._waiting_bytes
                self._waiting = []
                self._try("predictions not kept", self._feedback.keep, batch)
                self._waiting_bytes -= size

    def _try(self, failure: str, call: Callable[..., None], *arguments: Any) -> None:
        try:
            run_in(self._pool, call, *arguments)
        except Exception as error:  # whatever it was, the next is written
            _seldom.warning(failure, error=repr(error))
