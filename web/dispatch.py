"""Dispatch: enqueue a request, wait for its result. The only way to wait in the web tier.

A process has one dispatcher per model, and that has a few greenlets which alone talk to Redis:
one sends requests, one receives results, one cancels those whose client left, one sweeps up after
what went wrong. The greenlets of HTTP requests wait for an event in memory, so however many wait,
and however they end, they hold no connection and leave no half-read reply behind.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import replace

import gevent
from gevent.queue import Queue as Outbox
from redis.exceptions import RedisError

from shared.logs import Seldom, fields
from shared.messages import MessageError, Request, Result, decode_results
from shared.queue import Queue
from web.clients import left
from web.tickets import (
    ClientLeftError,
    DeadlineError,
    InferenceError,
    StoreAwayError,
    Ticket,
)

_log = logging.getLogger(__name__)
_seldom = Seldom(_log)

_SEND_BYTES = 4 * 1024 * 1024  # in one round trip, so that it ends within a socket's timeout
_SWEEP_S = 0.5
_WATCH_S = 0.1
_ENDINGS = {
    "failed": "the engine could not run this image",
    "lost": "the workers that ran this request ended before they could answer",
}


class Dispatcher:
    """Sends requests of one model to its queue and hands each its own result."""

    def __init__(
        self, sending: Queue, receiving: Queue, receive_s: float, heartbeat_s: float
    ) -> None:
        """Take two queues on clients of their own: `receiving` may block for `receive_s`.

        `heartbeat_s` is how long a Redis that lost everything may not know of a live worker.
        """
        self._sending = sending
        self._receiving = receiving
        self._receive_s = receive_s
        self._heartbeat_s = heartbeat_s
        self._mailbox = secrets.token_hex(16)
        self._outbox: Outbox[Ticket] = Outbox()
        self._waiting: dict[str, Ticket] = {}
        self._away = False  # Redis did not answer the last enqueue
        self._started = False
        self._settled_at = 0.0  # from then on, a Redis that was away knows its workers again

    def _start(self) -> None:
        """Start the greenlets, once there is something to do."""
        self._started = True
        for loop in (self._send_loop, self._receive_loop, self._watch_loop, self._sweep_loop):
            gevent.spawn(self._forever, loop)

    def predict(self, request: Request, client_fd: int = -1) -> Result:
        """Enqueue and wait for the result, for the request's `timeout_ms` at most.

        When the client closes the socket `client_fd` meanwhile, the request is cancelled. Raises
        `ClientLeftError` then, and `QueueFullError`, `NoWorkerError`, `StoreAwayError`,
        `DeadlineError` or `InferenceError`.
        """
        ticket = self._submit(replace(request, mailbox=self._mailbox), client_fd)
        try:
            result = ticket.result.get(timeout=max(0.0, ticket.left_s()))
        except gevent.Timeout:
            raise self._too_late(ticket) from None
        finally:
            self._waiting.pop(ticket.id, None)
        assert result is not None  # an AsyncResult without a value raises
        return _checked(result)

    def enqueue(self, request: Request) -> None:
        """Enqueue without waiting for the result; it is fetched by `result`.

        Raises `QueueFullError`, `NoWorkerError`, `StoreAwayError` or `DeadlineError`.
        """
        ticket = self._submit(request)
        try:
            ticket.accepted.get(timeout=max(0.0, ticket.left_s()))
        except gevent.Timeout:
            raise self._too_late(ticket) from None
        finally:
            self._waiting.pop(ticket.id, None)

    def _submit(self, request: Request, client_fd: int = -1) -> Ticket:
        if not self._started:
            self._start()
        ticket = Ticket(request, client_fd)
        self._waiting[ticket.id] = ticket
        self._outbox.put(ticket)
        return ticket

    def _too_late(self, ticket: Ticket) -> Exception:
        if ticket.accepted.ready():
            return DeadlineError(ticket.id)
        return StoreAwayError() if self._away else DeadlineError()

    # --- the greenlets

    def _forever(self, loop: Callable[[], None]) -> None:
        while True:
            try:
                loop()
            except RedisError as error:
                self._settled_at = time.monotonic() + self._heartbeat_s
                _seldom.warning("redis is away", error=str(error))
            except Exception:  # the process's only waiter must not end
                _log.exception("dispatch failed")
            gevent.sleep(0.1)

    def _send_loop(self) -> None:
        while True:
            tickets = [self._outbox.get()]
            while sum(ticket.size for ticket in tickets) < _SEND_BYTES and self._outbox.qsize():
                tickets.append(self._outbox.get())
            tickets = [ticket for ticket in tickets if self._is_wanted(ticket)]
            if not tickets:
                continue
            try:
                replies = self._sending.enqueue([ticket.encode() for ticket in tickets])
            except RedisError:
                self._away = True
                for ticket in tickets:  # sent or not: an id is enqueued once
                    self._outbox.put(ticket)
                raise
            self._away = False
            for ticket, reply in zip(tickets, replies, strict=True):
                if reply.status == "no_worker" and time.monotonic() < self._settled_at:
                    gevent.spawn_later(0.1, self._outbox.put, ticket)
                else:
                    ticket.settle(reply)
            self._cancel([ticket for ticket in tickets if ticket.abandoned])

    def _is_wanted(self, ticket: Ticket) -> bool:
        return ticket.id in self._waiting and ticket.left_s() > 0

    def _receive_loop(self) -> None:
        while True:
            payload = self._receiving.receive(self._mailbox, self._receive_s)
            if payload:
                self._deliver(payload)

    def _watch_loop(self) -> None:
        """Cancel the requests of clients that left: their work would be for nobody."""
        while True:
            gevent.sleep(_WATCH_S)
            watched = {ticket.client_fd: ticket for ticket in self._waiting.values()}
            gone = [watched[client_fd] for client_fd in left(watched)]
            for ticket in gone:
                ticket.abandoned = True
                ticket.refuse(ClientLeftError())
            self._cancel([ticket for ticket in gone if ticket.accepted_at < float("inf")])

    def _cancel(self, tickets: list[Ticket]) -> None:
        if tickets:
            self._sending.cancel([ticket.id for ticket in tickets])

    def _sweep_loop(self) -> None:
        """Find results whose message was lost, and send again what Redis has lost."""
        while True:
            gevent.sleep(_SWEEP_S)
            since = time.monotonic() - _SWEEP_S
            old = [ticket for ticket in self._waiting.values() if ticket.accepted_at < since]
            if not old:
                continue
            fates = self._sending.fates([ticket.id for ticket in old])
            for ticket, fate in zip(old, fates, strict=True):
                if fate.result is not None:
                    self._deliver(b"[" + fate.result + b"]")
                elif not fate.pending:
                    _log.warning("request sent again", extra=fields(request_id=ticket.id))
                    ticket.accepted_at = float("inf")
                    self._outbox.put(ticket)

    def _deliver(self, payload: bytes) -> None:
        try:
            results = decode_results(payload)
        except MessageError as error:
            _log.error("results cannot be read", extra=fields(error=str(error)))
            return
        for result in results:
            ticket = self._waiting.pop(result.id, None)
            if ticket is not None:
                ticket.result.set(result)


def _checked(result: Result) -> Result:
    if result.error == "expired":
        raise DeadlineError(result.id)
    if result.error:
        raise InferenceError(_ENDINGS[result.error])
    return result


def kept_result(queue: Queue, request_id: str) -> Result | None:
    """Return a result that is kept, or None while the request is pending.

    Raises `KeyError` where neither is known, `StoreAwayError`, `DeadlineError` where it
    expired before it ran, or `InferenceError`.
    """
    try:
        (fate,) = queue.fates([request_id])
    except RedisError as error:
        raise StoreAwayError from error
    if fate.result is not None:
        return _checked(Result.decode(fate.result))
    if not fate.pending:
        raise KeyError(request_id)
    return None
