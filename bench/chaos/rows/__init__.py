"""The rows of the table, in its order."""

from __future__ import annotations

from bench.chaos.row import Row
from bench.chaos.rows import (
    absence,
    clients,
    clocks,
    kills,
    mixed,
    overload,
    poison,
    replies,
    slow,
    stops,
    store,
    web,
)

ROWS: tuple[Row, ...] = (
    *kills.ROWS,
    *stops.ROWS,
    *poison.ROWS,
    *absence.ROWS,
    *store.ROWS,
    *replies.ROWS,
    *clients.ROWS,
    *web.ROWS,
    *overload.ROWS,
    *slow.ROWS,
    *clocks.ROWS,
    *mixed.ROWS,
)
