"""Keeps predictions and the choices of users, beside the answers and never in their way."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event
from gevent.threadpool import ThreadPool

from shared.feedback import Chosen, Feedback, Prediction
from shared.logs import Seldom
from shared.manifest import Model
from shared.messages import Result

_log = logging.getLogger(__name__)
_seldom = Seldom(_log)

_WAITING_BYTES = 32 * 1024 * 1024
_LABEL_BYTES = 350  # that one label and its probability take in memory, about
_PURGE_S = 3600.0
_AGAIN_S = 0.3  # another process may be just about to write what is asked for


class StorageError(Exception):
    """What is kept cannot be read or written now."""


class Storage:
    """One native thread that writes, and a list of what it is to write next, bounded in bytes."""

    def __init__(self, feedback: Feedback) -> None:
        self._feedback = feedback
        self._pool = ThreadPool(1)
        self._waiting: list[Prediction] = []
        self._waiting_bytes = 0  # with what is just being written
        self._more = Event()

    def keep(self, model: Model, image: bytes, result: Result) -> None:
        """Have a prediction written soon; where writing does not keep up, it is let go."""
        labels = sum(len(found) for item in result.items for found in item.values())
        size = len(image) + _LABEL_BYTES * labels
        if self._waiting_bytes + size > _WAITING_BYTES:
            _seldom.warning("prediction not kept", waiting_bytes=self._waiting_bytes)
            return
        points = json.loads(result.context)["points"]
        items = [{"point": point, **item} for point, item in zip(points, result.items, strict=True)]
        self._waiting.append(Prediction(result.id, model.name, result.version, image, items))
        self._waiting_bytes += size
        self._more.set()

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
            return self._pool.apply(call, arguments)
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
            self._pool.apply(call, arguments)
        except Exception as error:  # whatever it was, the next is written
            _seldom.warning(failure, error=repr(error))
