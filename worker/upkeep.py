"""What a worker does beside its batches: heartbeat, renewing leases, reaping."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError

from shared.logs import Seldom, fields
from shared.queue import Queue
from worker.loop import Worker

_log = logging.getLogger(__name__)
_seldom = Seldom(_log)


class Upkeep(threading.Thread):
    """A thread that keeps Redis told about one worker, several times within each heartbeat.

    A batch that runs for longer than any deadline is a worker that hangs: it ends itself, so
    that it neither looks alive nor keeps its leases, and its parent starts another.
    """

    def __init__(
        self,
        queue: Queue,
        worker: Worker,
        about: Callable[[], dict[str, Any]],
        interval_s: float,
        hang_s: float,
    ) -> None:
        super().__init__(name="upkeep", daemon=True)
        self._queue = queue
        self._worker = worker
        self._about = about
        self._interval_s = interval_s
        self._hang_s = hang_s
        self._stopped = threading.Event()

    def run(self) -> None:
        """Beat, renew and reap until `stop` is called."""
        while not self._stopped.is_set():
            try:
                self.run_once()
            except RedisError as error:
                _seldom.warning("upkeep failed", error=str(error))
            except Exception:  # without upkeep the worker would look dead, and go on
                _log.exception("upkeep failed")
            self._stopped.wait(self._interval_s)

    def run_once(self) -> None:
        """Beat, renew and reap once."""
        busy_since = self._worker.busy_since
        if busy_since is not None and time.monotonic() - busy_since > self._hang_s:
            _log.critical("the engine hangs", extra=fields(seconds=self._hang_s))
            os._exit(70)
        self._queue.beat(self._worker.token, self._about())
        held = self._worker.held
        if held:
            self._queue.renew(self._worker.token, held)
        self._queue.reap()

    def stop(self) -> None:
        """Stop, and take the worker off the list of those alive."""
        self._stopped.set()
        self.join()
        try:
            self._queue.reap(dead=self._worker.token)
        except RedisError as error:  # its heartbeat runs out by itself
            _log.warning("could not sign off", extra=fields(error=str(error)))
