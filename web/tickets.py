"""A request while this process waits for its result, and the ways in which that can end."""

from __future__ import annotations

import time
from dataclasses import replace

import gevent
from gevent.event import AsyncResult

from shared.messages import Request, Result
from shared.queue import Enqueued


class BusyError(Exception):
    """There is too much to do; `retry_after_ms` comes from the measured rate."""

    def __init__(self, retry_after_ms: float) -> None:
        super().__init__(self.__doc__)
        self.retry_after_ms = retry_after_ms


class QueueFullError(BusyError):
    """The queue takes no more."""


class OverloadedError(BusyError):
    """So much is ahead that the answer would come after the deadline."""


class NoRoomError(OverloadedError):
    """The bodies that this process holds leave no room for this one."""

    def __init__(self) -> None:
        super().__init__(1000)  # not measured: most bodies are read and answered within a second


class StoreFullError(Exception):
    """Redis is at its memory limit and takes no more."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class IdempotencyConflictError(Exception):
    """The Idempotency-Key was used for another request."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class NoWorkerError(Exception):
    """No live worker serves the model."""


class StoreAwayError(Exception):
    """Redis could not be reached before the deadline."""


class DeadlineError(Exception):
    """No result by the deadline; one that comes later is kept under `request_id`.

    That is empty where the request did not get as far as the queue.
    """

    def __init__(self, request_id: str = "") -> None:
        super().__init__("no result by the deadline")
        self.request_id = request_id


class ClientLeftError(Exception):
    """The client closed its connection before its answer was there."""


class InferenceError(Exception):
    """The request itself brought the engine down, or workers with it."""


def to_error(reply: Enqueued) -> Exception | None:
    """Return how a request ends that the queue did not take, or None where it did."""
    if reply.status == "full":
        return QueueFullError(reply.retry_after_ms)
    if reply.status == "conflict":
        return IdempotencyConflictError()
    if reply.status == "no_memory":
        return StoreFullError()
    return NoWorkerError() if reply.status in ("no_worker", "forgotten") else None


class Ticket:
    """One request in this process's memory until its result is here or its deadline passed."""

    def __init__(self, request: Request, client_fd: int = -1, claim: str = "") -> None:
        self.id = request.id
        self.client_fd = client_fd
        self.claim = claim
        self.joined = bool(claim)  # an earlier one with this id runs for it, or may still do so
        self.size = sum(tensor.nbytes for tensor in request.tensors)  # bytes, nearly
        self.items = request.items
        self.abandoned = False
        self.deadline = time.monotonic() + request.timeout_ms / 1000
        self._request = request
        self.accepted: AsyncResult[bool] = AsyncResult()
        self.result: AsyncResult[Result] = AsyncResult()
        self.accepted_at = float("inf")

    def wait(self) -> Result | None:
        """Return the result that comes by the deadline, or None where none does, or no good one."""
        try:
            result = self.result.get(timeout=max(0.0, self.left_s()))
        except (Exception, gevent.Timeout):  # its client is told by /results
            return None
        return None if result is None or result.error else result

    def left_s(self) -> float:
        """Return what is left until the deadline, in seconds; negative when it passed."""
        return self.deadline - time.monotonic()

    def encode(self) -> bytes:
        """Return the request's bytes, with what is left of its budget now."""
        left_ms = max(1, int(self.left_s() * 1000))
        return replace(self._request, timeout_ms=left_ms).encode()

    def refuse(self, error: Exception) -> None:
        """Let whoever waits have `error`."""
        self.accepted.set_exception(error)
        self.result.set_exception(error)

    def answer(self, result: Result) -> None:
        """Let whoever waits have `result`, also where another with this id was accepted for it."""
        self.accepted.set(True)
        self.result.set(result)

    def settle(self, reply: Enqueued) -> None:
        """Take note of what became of the enqueue."""
        error = to_error(reply)
        if error:
            self.refuse(error)
        else:
            self.joined = bool(self.claim) and reply.status == "known"
            self.accepted_at = time.monotonic()
            self.accepted.set(True)
