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
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import gevent
from redis.exceptions import RedisError

from shared.logs import Seldom, fields
from shared.messages import MessageError, Request, Result, decode_results
from shared.queue import Enqueued, Queue
from web.clients import left
from web.outbox import Outbox, nothing
from web.refused import Refused
from web.results import checked
from web.tickets import ClientLeftError, DeadlineError, StoreAwayError, Ticket

_log = logging.getLogger(__name__)
_seldom = Seldom(_log)

_SWEEP_S = 0.5
_WATCH_S = 0.1
_CANCELLED = 1000  # ids in one script: Redis does nothing else meanwhile
_UNWANTED = 10_000  # ids that are remembered; what nobody cancels expires
_JOIN_S = 0.01
_TRACE_S = 50.0  # a little less than Redis keeps a trace of the last answer: `drained` in keys.py


class Dispatcher:
    """Sends requests of one model to its queue and hands each its own result."""

    def __init__(
        self,
        sending: Queue,
        receiving: Queue,
        receive_s: float,
        heartbeat_s: float,
        more_to_come: Callable[[], bool] = nothing,
    ) -> None:
        """Take two queues on clients of their own: `receiving` may block for `receive_s`.

        `heartbeat_s` is how long a Redis that lost everything may not know of a live worker;
        `more_to_come` is what `web.outbox.Outbox` wants to know.
        """
        self.refused = Refused()
        self._sending = sending
        self._receiving = receiving
        self._receive_s = receive_s
        self._heartbeat_s = heartbeat_s
        self._mailbox = secrets.token_hex(16)
        self._outbox = Outbox(more_to_come)
        self._waiting: dict[str, set[Ticket]] = {}  # by id, which retries have in common
        self._joined = Outbox()  # retries, whose results the join loop looks for
        self._away = False  # Redis did not answer the last enqueue
        self._started = False
        self._stopping = False
        self._settled_at = 0.0  # from then on, a Redis that was away knows its workers again
        self._answered_at = float("-inf")  # when a worker's answer came last
        self._unwanted: deque[str] = deque(maxlen=_UNWANTED)  # ids to cancel

    def _start(self) -> None:
        """Start the greenlets, once there is something to do."""
        self._started = True
        for loop in (
            self._send_loop,
            self._receive_loop,
            self._watch_loop,
            self._sweep_loop,
            self._join_loop,
        ):
            gevent.spawn(self._forever, loop)

    def predict(
        self, request: Request, client_fd: int = -1, claim: str = ""
    ) -> tuple[Result, bool]:
        """Enqueue and wait for the result, for the request's `timeout_ms` at most.

        Returns also whether it ran for this request, and not for an earlier one with its id. When
        the client closes the socket `client_fd` meanwhile, the request is cancelled. Raises
        `ClientLeftError` then, and `IdempotencyConflictError` where another request has the
        `claim`, `QueueFullError`, `StoreFullError`, `NoWorkerError`, `StoreAwayError`,
        `DeadlineError` or `InferenceError`.
        """
        ticket = self._submit(request, client_fd, claim)
        try:
            result = ticket.result.get(timeout=max(0.0, ticket.left_s()))
        except gevent.Timeout:
            raise self._too_late(ticket) from None
        except gevent.GreenletExit:  # killed: nobody waits any more
            self._abandon(ticket)
            raise
        finally:
            self._forget(ticket)
        assert result is not None  # an AsyncResult without a value raises
        return checked(result), not ticket.joined

    def enqueue(self, request: Request, claim: str = "") -> Ticket:
        """Enqueue without waiting for the result; it is fetched by `kept_result`.

        The ticket has it as soon as it is here. Until its deadline it stays in memory, to be sent
        again should Redis lose it. Raises `IdempotencyConflictError`, `QueueFullError`,
        `StoreFullError`, `NoWorkerError`, `StoreAwayError` or `DeadlineError`.
        """
        ticket = self._submit(request, claim=claim)
        try:
            ticket.accepted.get(timeout=max(0.0, ticket.left_s()))
        except gevent.Timeout:
            raise self._too_late(ticket) from None
        finally:
            if not ticket.accepted.successful():
                self._forget(ticket)  # else that is the sweep's
        return ticket

    def stop(self) -> None:
        """Let what it does on Redis end once nobody waits: no more requests will come."""
        self._stopping = True

    def _goes_on(self) -> bool:
        return bool(self._waiting) or not self._stopping

    def _submit(self, request: Request, client_fd: int = -1, claim: str = "") -> Ticket:
        if not self._started:
            self._start()
        ticket = Ticket(replace(request, mailbox=self._mailbox), client_fd, claim)
        self._waiting.setdefault(ticket.id, set()).add(ticket)
        self._outbox.put(ticket)
        return ticket

    def _forget(self, ticket: Ticket) -> None:
        tickets = self._waiting.get(ticket.id, set())
        tickets.discard(ticket)
        if not tickets:
            self._waiting.pop(ticket.id, None)

    def _is_wanted(self, ticket: Ticket) -> bool:
        return ticket in self._waiting.get(ticket.id, ()) and ticket.left_s() > 0

    def _all_waiting(self) -> list[Ticket]:
        return [ticket for tickets in self._waiting.values() for ticket in tickets]

    def _too_late(self, ticket: Ticket) -> Exception:
        if ticket.accepted.ready():
            return DeadlineError(ticket.id)
        return StoreAwayError() if self._away else DeadlineError()

    # --- the greenlets

    def _forever(self, loop: Callable[[], None]) -> None:
        while self._goes_on():
            try:
                loop()
            except RedisError as error:
                self._settled_at = time.monotonic() + self._heartbeat_s
                _seldom.warning("redis is away", error=str(error))
            except Exception:  # the process's only waiter must not end
                _log.exception("dispatch failed")
            gevent.sleep(0.1)
        self._outbox.wake()
        self._joined.wake()

    def _send_loop(self) -> None:
        while self._goes_on():
            tickets = self._outbox.take()
            # One that was sent before may have come through, though the reply did not.
            self._unwanted += [ticket.id for ticket in tickets if not self._is_wanted(ticket)]
            tickets = [ticket for ticket in tickets if self._is_wanted(ticket)]
            if not tickets:
                continue
            try:
                replies = self._sending.enqueue(
                    [ticket.encode() for ticket in tickets], [ticket.claim for ticket in tickets]
                )
            except RedisError:
                self._away = True
                for ticket in tickets:  # sent or not: an id is enqueued once
                    self._outbox.put(ticket)
                raise
            self._away = False
            for ticket, reply in zip(tickets, replies, strict=True):
                if self._has_forgotten(reply):
                    gevent.spawn_later(0.1, self._outbox.put, ticket)
                else:
                    self.refused.note(reply, ticket.items)
                    ticket.settle(reply)
                    if ticket.joined:
                        self._joined.put(ticket)
            self._unwanted += [ticket.id for ticket in tickets if ticket.abandoned]

    def _has_forgotten(self, reply: Enqueued) -> bool:
        """Return whether Redis knows of no worker only because it has lost everything.

        Its workers tell it again of themselves within a heartbeat.
        """
        now = time.monotonic()
        if reply.status == "forgotten" and self._answered_at > now - _TRACE_S:
            self._settled_at = now + self._heartbeat_s
            self._answered_at = float("-inf")
        return reply.status in ("forgotten", "no_worker") and now < self._settled_at

    def _receive_loop(self) -> None:
        while self._goes_on():
            payload = self._receiving.receive(self._mailbox, self._receive_s)
            if payload:
                self._deliver(payload)
                gevent.sleep(0)  # who has a result answers before this asks for the next

    def _watch_loop(self) -> None:
        """Cancel the requests of clients that left: their work would be for nobody."""
        while self._goes_on():
            gevent.sleep(_WATCH_S)
            watched = {ticket.client_fd: ticket for ticket in self._all_waiting()}
            for client_fd in left(watched):
                ticket = watched[client_fd]
                self._abandon(ticket)
                ticket.refuse(ClientLeftError())
            ids = [self._unwanted.popleft() for _ in range(min(_CANCELLED, len(self._unwanted)))]
            unwanted = [request_id for request_id in ids if request_id not in self._waiting]
            if unwanted:
                try:
                    self._sending.cancel(unwanted)
                except RedisError:
                    self._unwanted += unwanted
                    raise

    def _abandon(self, ticket: Ticket) -> None:
        """Have a request cancelled, now or as soon as it is known to be accepted."""
        ticket.abandoned = True
        self._forget(ticket)
        if ticket.accepted_at < float("inf"):
            self._unwanted.append(ticket.id)

    def _sweep_loop(self) -> None:
        """Find results whose message was lost, and send again what Redis has lost."""
        while self._goes_on():
            gevent.sleep(_SWEEP_S)
            since = time.monotonic() - _SWEEP_S
            for ticket in self._all_waiting():
                if ticket.left_s() <= 0:  # of a 202: nobody waits for its end
                    self._forget(ticket)
            self._look_after([each for each in self._all_waiting() if each.accepted_at < since])

    def _join_loop(self) -> None:
        """Find the results of retries: they are sent to the process that had the request first."""
        while self._goes_on():
            joined = [ticket for ticket in self._joined.take() if self._is_wanted(ticket)]
            for ticket in joined:
                self._joined.put(ticket)  # for the next look; one that is answered is left out then
            self._look_after([ticket for ticket in joined if ticket.accepted_at < float("inf")])
            gevent.sleep(_JOIN_S)

    def _look_after(self, tickets: list[Ticket]) -> None:
        if not tickets:
            return
        by_id = {ticket.id: ticket for ticket in tickets}
        for ticket, fate in zip(by_id.values(), self._sending.fates(list(by_id)), strict=True):
            if fate.result is not None:
                self._deliver(b"[" + fate.result + b"]")
            elif not fate.pending:
                self._send_again(ticket)

    def _send_again(self, ticket: Ticket) -> None:
        if ticket.accepted_at < float("inf"):  # else it is on its way
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
            if not result.error:
                self._answered_at = time.monotonic()
            for ticket in list(self._waiting.get(result.id, ())):
                if result.error == "expired" and ticket.claim and ticket.left_s() > 0:
                    self._send_again(ticket)  # the deadline was that of the one before it
                else:
                    self._forget(ticket)
                    ticket.answer(result)
