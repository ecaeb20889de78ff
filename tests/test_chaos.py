"""The table of promises in its short form: `make chaos` is the long one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.chaos.row import Row
from bench.chaos.rows import ROWS
from bench.chaos.stages import Stages, in_order

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def stages() -> Iterator[Stages]:
    with Stages() as stages:
        yield stages


@pytest.mark.parametrize("row", in_order(ROWS), ids=lambda row: row.name)
def test_the_promise_is_kept(stages: Stages, row: Row) -> None:
    seen = stages.play(row, short=True)
    assert not seen.misses, seen.figures
