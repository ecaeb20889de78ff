"""What a query counts for in the crowd, and that none is decoded that would come too late."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shared.images import Point
from shared.messages import Request
from tests.web.crowd import Crowd
from web.prediction import Predictor, Query
from web.tickets import OverloadedError


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
    served: Any = SimpleNamespace(gate=crowd.gate, dispatcher=Untouched(), model=Untouched())
    predictor = Predictor(Untouched())  # type: ignore[arg-type]
    with pytest.raises(AssertionError if admitted else OverloadedError):
        predictor.predict(served, Query([b"photo"], [[]], timeout_ms, 5), "id")


class Rows:
    """A decoder that finds the longest points there are, and a dispatcher that encodes."""

    encoded = b""

    def prepare(self, model: Any, image: bytes, wanted: Any, client_fd: int) -> Any:
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
    served: Any = SimpleNamespace(gate=Crowd().gate, dispatcher=rows, model=Untouched())
    Predictor(rows).enqueue(served, query, "0" * 32)
    assert Request.decode(rows.encoded).items == query.items
