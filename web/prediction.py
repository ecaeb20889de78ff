"""The one way from what a client asks to the result, whichever protocol it came by."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import gevent
import numpy as np

from shared.images import Point
from shared.logs import fields
from shared.manifest import Model
from shared.messages import Request, Result, Tensor
from web import metrics
from web.answers import to_context, with_whole_timing
from web.catalog import Served
from web.clients import left
from web.decoding import Decoder
from web.room import Held
from web.storage import Storage
from web.tickets import ClientLeftError, DeadlineError, Ticket

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Query:
    """What a client asks of a model: to classify photos at points, or tensors as they are."""

    # Encoded; empty where there are tensors. They are let go once they are decoded.
    images: list[bytes]
    points: Sequence[Sequence[Point]]  # per image; () for its centre
    timeout_ms: int
    top_k: int
    many: bool = False  # the answer is a list, whatever its length
    tensors: Sequence[Tensor] = ()  # per classifier, uint8 [items, height, width, channels]
    classifiers: Sequence[str] | None = None  # which are asked, by name; None: all

    @property
    def items(self) -> int:
        """How many things there are to classify."""
        if self.points:
            return sum(max(1, len(points)) for points in self.points)
        return len(self.tensors[0])


class Predictor:
    """Decodes, enqueues and waits, within a query's deadline."""

    def __init__(self, decoder: Decoder, storage: Storage | None = None) -> None:
        """Take `storage`, or None where no prediction is kept."""
        self._decoder = decoder
        self._storage = storage

    def predict(
        self,
        served: Served,
        query: Query,
        request_id: str,
        client_fd: int = -1,
        claim: str = "",
        held: Held | None = None,
    ) -> Result:
        """Return the result of a query, with its whole timing, counted and logged.

        When the client closes the socket `client_fd` meanwhile, the work for it stops. A request
        that may come again has a `claim`, which none with another id gets. What is cut out of
        photos takes the place of these in what is `held`. Raises what
        `web.decoding.Decoder.prepare`, `web.room.Held.become` and
        `web.dispatch.Dispatcher.predict` raise, and `shared.manifest.NoSuchClassifierError`.
        """
        started = time.perf_counter()
        with served.gate.in_hand(query.items):
            request, points = self._prepare(served, query, request_id, client_fd, held)
            result, has_run = served.dispatcher.predict(request, client_fd, claim)
        if has_run:  # a kept result tells nothing of the speed
            served.gate.answered(query.items)
        result = with_whole_timing(result, (time.perf_counter() - started) * 1000)
        _note(served.model, request.items, result)
        if self._storage and points:
            self._storage.keep(served.model, query.images, points, result)
        return result

    def enqueue(
        self,
        served: Served,
        query: Query,
        request_id: str,
        claim: str = "",
        held: Held | None = None,
    ) -> None:
        """Enqueue without waiting for the result, which is counted and logged when it is here.

        Raises what `web.decoding.Decoder.prepare`, `web.room.Held.become` and
        `web.dispatch.Dispatcher.enqueue` raise, and `shared.manifest.NoSuchClassifierError`.
        """
        with ExitStack() as in_hand:
            in_hand.enter_context(served.gate.in_hand(query.items))
            request, points = self._prepare(served, query, request_id, -1, held)
            ticket = served.dispatcher.enqueue(request, claim)
            gevent.spawn(_note_later, served, ticket, in_hand.pop_all())
        _log.info(
            "prediction accepted",
            extra=fields(
                request_id=request_id,
                model=served.model.name,
                version=served.model.version,
                items=request.items,
            ),
        )
        if self._storage and points:
            self._storage.keep_later(served.model, query.images, points, ticket)

    def _prepare(
        self, served: Served, query: Query, request_id: str, client_fd: int, held: Held | None
    ) -> tuple[Request, list[Point]]:
        """Decode and cut; the request has what is left of its budget then.

        Returns also the points of all images; of tensors there are none.
        """
        started, came_at, items = time.perf_counter(), time.monotonic(), query.items

        def check() -> None:
            if left([client_fd]):
                raise ClientLeftError
            error = served.dispatcher.refused.now(items, came_at)
            if error:
                raise error

        points: list[Point] = []
        tensors, model = query.tensors, served.model
        asked: tuple[int, ...] = ()
        if query.classifiers is not None:
            model = model.only(query.classifiers)
            asked = tuple(map(served.model.classifiers.index, model.classifiers))
        if query.images:
            size = items * sum(math.prod(item.shape) for item in model.classifiers)
            if held:
                held.become(held.size + size)
            # A photo that still waits for a thread at its deadline is never decoded.
            with gevent.Timeout(query.timeout_ms / 1000, DeadlineError()):
                points, tensors = self._decode(model, query, check)
            if self._storage is None:
                query.images.clear()  # many times as large as what was cut out, which waits
                if held:
                    held.become(size)
        decode_ms = (time.perf_counter() - started) * 1000
        left_ms = query.timeout_ms - int(decode_ms)
        if left_ms <= 0:
            raise DeadlineError
        # A whole softmax comes back without its points; of many images they are too much to carry.
        context = to_context(points if query.top_k else [], query.many, decode_ms)
        request = Request(
            request_id, tensors, left_ms, query.top_k, context=context, classifiers=asked
        )
        return request, points

    def _decode(
        self, model: Model, query: Query, check: Callable[[], None]
    ) -> tuple[list[Point], Sequence[Tensor]]:
        """Return the points of all images, and per classifier the crops around them."""
        points: list[Point] = []
        parts: list[Sequence[Tensor]] = []
        for image, wanted in zip(query.images, query.points, strict=True):
            chosen, tensors = self._decoder.prepare(model, image, wanted, check)
            points += chosen
            parts.append(tensors)
            if len(query.images) > 1:
                gevent.sleep(0)  # many tiny ones, decoded here, would stop all other requests
                check()
        if len(parts) == 1:
            return points, parts[0]
        return points, [np.concatenate(column) for column in zip(*parts, strict=True)]


def _note_later(served: Served, ticket: Ticket, in_hand: ExitStack) -> None:
    with in_hand:
        result = ticket.wait()
    if result:
        if not ticket.joined:
            served.gate.answered(ticket.items)
        _note(served.model, ticket.items, with_whole_timing(result))


def _note(model: Model, items: int, result: Result) -> None:
    """Count and log an answered prediction."""
    metrics.count_answer(model.name, result.timing_ms, result.batch_size)
    _log.info(
        "prediction",
        extra=fields(
            request_id=result.id,
            model=model.name,
            version=result.version,
            items=items,
            batch_size=result.batch_size,
            timing_ms=result.timing_ms,
        ),
    )


def admit(served: Served, query: Query) -> None:
    """Refuse what need not be decoded, by what the whole request tells of itself.

    Raises what `Served.refusal` says.
    """
    error = served.refusal(query.timeout_ms / 1000, query.items)
    if error:
        raise error
