"""What a query counts for in the crowd, and that none is decoded that would come too late."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shared.images import Point
from shared.messages import Request
from shared.queue import Enqueued
from tests.web.crowd import Crowd
from web.catalog import Served
from web.prediction import Predictor, Query
from web.refused import Refused
from web.tickets import NoWorkerError, OverloadedError, QueueFullError, StoreFullError


class Untouched:
    """A decoder, or a dispatcher, that nobody may use."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was used")


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
    nothing: Any = Untouched()
    served = Served(nothing, nothing, dispatcher, crowd.gate)
    predictor = Predictor(nothing)
    with pytest.raises(AssertionError if admitted else OverloadedError):
        predictor.predict(served, Query([b"photo"], [[]], timeout_ms, 5), "id")


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
    nothing: Any = Untouched()
    served = Served(nothing, nothing, dispatcher, Crowd().gate)
    query = Query([b"photo"], [[]], 5000, 5)
    with pytest.raises(error):
        Predictor(nothing).predict(served, query, "id")
    with pytest.raises(error):
        Predictor(nothing).enqueue(served, query, "id")


@pytest.mark.parametrize("status", ["no_worker", "forgotten", "full", "no_memory"])
def test_who_waits_to_be_decoded_is_refused_as_soon_as_the_queue_refuses(status: str) -> None:
    dispatcher: Any = SimpleNamespace(refused=Refused())

    class Busy:
        """A decoder that is free only after another request was refused."""

        def prepare(self, model: Any, image: bytes, wanted: Any, check: Any) -> None:
            dispatcher.refused.note(Enqueued(status), 1)
            check()
            raise AssertionError("it was decoded")

    nothing: Any = Untouched()
    busy: Any = Busy()
    served = Served(nothing, nothing, dispatcher, Crowd().gate)
    with pytest.raises((NoWorkerError, QueueFullError, StoreFullError)):
        Predictor(busy).predict(served, Query([b"photo"], [[]], 5000, 5), "id")


class Rows:
    """A decoder that finds the longest points there are, and a dispatcher that encodes."""

    encoded = b""
    refused = Refused()

    def prepare(self, model: Any, image: bytes, wanted: Any, check: Any) -> Any:
        points = wanted or [Point(1234567.5, 1234567.5)]
        return points, [np.zeros((len(points), 1), np.uint8)]

    def enqueue(self, request: Request, claim: str) -> None:
        self.encoded = request.encode()


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
