"""What a query counts for in the crowd, and that none is decoded that would come too late."""

from __future__ import annotations

import time
from contextlib import nullcontext, suppress
from itertools import repeat
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock, call

import gevent
import numpy as np
import pytest
from flask import Flask, g

from shared.images import Point
from shared.messages import Request, Result
from shared.queue import Enqueued
from tests.web.crowd import Crowd
from web import metrics
from web.catalog import Served
from web.prediction import Predictor, Query, admit
from web.refused import Refused
from web.room import Held, Room
from web.sender import sender
from web.tickets import (
    ClientLeftError,
    DeadlineError,
    NoRoomError,
    NoWorkerError,
    OverloadedError,
    QueueFullError,
    StoreFullError,
    Ticket,
)


@pytest.mark.parametrize(
    ("query", "items"),
    [
        (Query([b"photo"], [[]], 5000, 5), 1),
        (Query([b"photo"], [[Point(1, 1)] * 16], 5000, 5), 16),
        (Query([b"photo", b"another"], [[Point(1, 1)] * 2, []], 5000, 5), 3),
        (Query([], [], 5000, 5, tensors=[np.zeros((128, 28, 28, 1), np.uint8)]), 128),
    ],
    ids=["the centre", "16 points", "two photos", "128 tensors"],
)
def test_a_query_counts_its_items(query: Query, items: int) -> None:
    assert query.items == items


@pytest.mark.parametrize(("timeout_ms", "admitted"), [(5_000, False), (30_000, True)])
def test_by_whichever_protocol_it_came_what_would_be_too_late_is_not_decoded(
    timeout_ms: int, admitted: bool
) -> None:
    crowd = Crowd()
    crowd.come(1100)
    crowd.answer(100, 1)  # 10 s of work are ahead
    dispatcher: Any = SimpleNamespace(refused=Refused())
    nothing: Any = None
    served = Served(nothing, nothing, dispatcher, crowd.gate)
    with nullcontext() if admitted else pytest.raises(OverloadedError):
        admit(served, Query([b"photo"], [[]], timeout_ms, 5))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("full", QueueFullError),
        ("no_memory", StoreFullError),
    ],
)
def test_what_the_queue_refused_a_moment_ago_is_not_decoded(
    status: str, error: type[Exception]
) -> None:
    dispatcher: Any = SimpleNamespace(refused=Refused(lambda: 0.0))
    dispatcher.refused.note(Enqueued(status, 1000), 1)
    nothing: Any = None
    served = Served(nothing, nothing, dispatcher, Crowd().gate)
    with pytest.raises(error):
        admit(served, Query([b"photo"], [[]], 5000, 5))


@pytest.mark.parametrize("status", ["no_worker", "forgotten", "full", "no_memory"])
def test_who_waits_to_be_decoded_is_refused_as_soon_as_the_queue_refuses(status: str) -> None:
    at = time.monotonic() + 10  # after whoever comes now; it stands still
    dispatcher: Any = SimpleNamespace(refused=Refused(lambda: at))

    class Busy:
        """A decoder that is free only after another request was refused."""

        def prepare(self, model: Any, image: bytes, wanted: Any, check: Any) -> None:
            dispatcher.refused.note(Enqueued(status, 1000), 1)
            check()
            raise AssertionError("it was decoded")

    model: Any = Rows()
    nothing: Any = None
    busy: Any = Busy()
    served = Served(model, nothing, dispatcher, Crowd().gate)
    with pytest.raises((NoWorkerError, QueueFullError, StoreFullError)):
        Predictor(busy).predict(served, Query([b"photo"], [[]], 5000, 5), "id")


class Rows:
    """A model, a decoder that finds the longest points there are, a dispatcher that encodes."""

    name = "rows"
    version = "1"
    classifiers = (SimpleNamespace(shape=(10, 20, 3)),)
    encoded = b""
    decoded = 0
    refused = Refused()

    def prepare(self, model: Any, image: bytes, wanted: Any, check: Any) -> Any:
        self.decoded += 1
        points = wanted or [Point(1234567.5, 1234567.5)]
        return points, [np.zeros((len(points), 1), np.uint8)]

    def enqueue(self, request: Request, claim: str) -> Ticket:
        self.encoded = request.encode()
        self.ticket = Ticket(request)
        return self.ticket


@pytest.mark.parametrize(
    "query",
    [
        Query([b""] * 65_535, [()] * 65_535, 30_000, 0, many=True),
        Query([b""], [[Point(1.2345678901234567e-300, 1.2345678901234567e-300)] * 1000], 30_000, 5),
    ],
    ids=["images", "points"],
)
def test_the_most_that_a_setting_allows_can_be_sent(query: Query) -> None:
    rows: Any = Rows()
    served = Served(rows, rows, rows, Crowd().gate)
    Predictor(rows).enqueue(served, query, "0" * 32)
    assert Request.decode(rows.encoded).items == query.items


@pytest.mark.parametrize("kept", [False, True])
def test_a_photo_is_let_go_once_it_is_decoded_unless_it_is_to_be_kept(kept: bool) -> None:
    rows: Any = Rows()
    served = Served(rows, rows, rows, Crowd().gate)
    query = Query([b"photo"], [[]], 5000, 5)
    storage: Any = SimpleNamespace(keep_later=lambda *_: None) if kept else None
    Predictor(rows, storage).enqueue(served, query, "0" * 32)
    assert query.images == ([b"photo"] if kept else [])


@pytest.mark.parametrize("kept", [False, True])
def test_what_is_cut_out_takes_the_place_of_the_photos(kept: bool) -> None:
    rows: Any = Rows()
    nothing: Any = None
    held = Held(Room(nothing, 10**6))
    held.become(5000)  # the body
    storage: Any = SimpleNamespace(keep_later=lambda *_: None) if kept else None
    query = Query([b"photo", b"another"], [[], []], 5000, 5)
    Predictor(rows, storage).enqueue(
        Served(rows, rows, rows, Crowd().gate), query, "0" * 32, held=held
    )
    assert held.size == 2 * 10 * 20 * 3 + (5000 if kept else 0)


def test_what_has_no_room_is_not_decoded() -> None:
    rows: Any = Rows()
    nothing: Any = None
    room = Room(nothing, 10**6)
    room.left = 1199
    query = Query([b"photo", b"another"], [[], []], 5000, 5)
    with pytest.raises(NoRoomError):
        Predictor(rows).predict(
            Served(rows, rows, rows, Crowd().gate), query, "0" * 32, held=Held(room)
        )
    assert not rows.decoded


def test_who_is_refused_is_not_charged() -> None:
    dispatcher: Any = SimpleNamespace(refused=Refused(lambda: 0.0))
    nothing: Any = None
    served = Served(nothing, nothing, dispatcher, Crowd().gate)
    charged: list[int] = []
    environ = {"batchpoint.charge": charged.append, "batchpoint.held": None}
    query = Query([b"photo"], [[Point(1, 1)] * 16], 5000, 5)
    with Flask(__name__).test_request_context(environ_overrides=environ):
        g.request_id = "0" * 32
        sender(served, query)
        assert charged == [16]
        dispatcher.refused.note(Enqueued("full", 1000), 1)
        with pytest.raises(QueueFullError):
            sender(served, query)
    assert charged == [16]


@pytest.mark.parametrize("error", ["", "failed"])
def test_what_is_answered_later_is_logged_and_counted_once_it_is_here(
    error: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Mock()
    monkeypatch.setattr(metrics, "count_answer", counted)
    rows: Any = Rows()
    with caplog.at_level("INFO", logger="web.prediction"):
        Predictor(rows).enqueue(
            Served(rows, rows, rows, Crowd().gate), Query([b"photo"], [[]], 5000, 5), "0" * 32
        )
        gevent.sleep(0)
        assert [line.message for line in caplog.records] == ["prediction accepted"]
        timing_ms = {"queue": 2.0, "inference": 3.0}
        rows.ticket.answer(
            Result("0" * 32, error, batch_size=4, timing_ms=timing_ms, context='{"decode": 1.0}')
        )
        gevent.sleep(0.01)
    assert [line.message for line in caplog.records][1:] == ([] if error else ["prediction"])
    whole = {"decode": 1.0, **timing_ms, "total": 6.0}
    assert counted.call_args_list == ([] if error else [call("rows", whole, 4)])


RAN = Result("id", context='{"decode": 0.0}')


@pytest.mark.parametrize("answered", [True, False])
def test_what_is_answered_later_is_ahead_of_others_until_then(
    answered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = Crowd()
    crowd.come(1000)
    crowd.answer(100, 1)
    alone_s = crowd.gate.excess_s(5)
    counted = Mock()
    monkeypatch.setattr(crowd.gate, "answered", counted)
    rows: Any = Rows()
    query = Query([], [], 5000 if answered else 50, 5, tensors=[np.zeros((100, 1), np.uint8)])
    Predictor(rows).enqueue(Served(rows, rows, rows, crowd.gate), query, "0" * 32)
    gevent.sleep(0)
    assert crowd.gate.excess_s(5) == pytest.approx(alone_s + 1), "100 items at 100 a second"
    if answered:
        rows.ticket.answer(RAN)
    gevent.sleep(0.1)
    assert crowd.gate.excess_s(5) == pytest.approx(alone_s)
    assert counted.call_args_list == ([call(100)] if answered else [])


def test_what_is_refused_at_once_is_ahead_of_nobody() -> None:
    crowd = Crowd()
    crowd.come(1000)
    crowd.answer(100, 1)
    alone_s = crowd.gate.excess_s(5)
    rows: Any = Rows()
    rows.enqueue = Mock(side_effect=NoWorkerError)
    query = Query([], [], 5000, 5, tensors=[np.zeros((100, 1), np.uint8)])
    with pytest.raises(NoWorkerError):
        Predictor(rows).enqueue(Served(rows, rows, rows, crowd.gate), query, "0" * 32)
    assert crowd.gate.excess_s(5) == pytest.approx(alone_s)


def rate_after(ending: Any) -> Crowd:
    """Return a crowd of 100 after 60 answers more, or errors, within 0.6 s."""
    crowd = Crowd()
    crowd.come(100)
    dispatcher: Any = Mock()
    dispatcher.predict.side_effect = repeat(ending)
    nothing: Any = None
    model: Any = SimpleNamespace(name="tags")
    served = Served(model, nothing, dispatcher, crowd.gate)
    query = Query([], [], 5000, 5, tensors=[np.zeros((1, 2), np.uint8)])
    for _ in range(60):
        crowd.now += 0.01
        with suppress(DeadlineError, ClientLeftError):
            Predictor(nothing).predict(served, query, "id", claim="claim")
    return crowd


@pytest.mark.parametrize("ending", [(RAN, False), DeadlineError(), ClientLeftError()])
def test_kept_results_and_failures_do_not_make_the_rate_look_better(ending: Any) -> None:
    crowd = rate_after(ending)
    assert crowd.gate.excess_s(0.1) <= 0, "nothing is known of the rate"
    crowd.answer(3, 0.3)
    crowd.answer(3, 0.3)
    assert crowd.gate.excess_s(5) > 0


def test_what_has_run_tells_the_rate() -> None:
    assert rate_after((RAN, True)).gate.excess_s(0.1) == pytest.approx(1 - 0.05, abs=0.05)
