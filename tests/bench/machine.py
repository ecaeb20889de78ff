"""A cost model with round figures."""

from __future__ import annotations

from bench.scaling.costs import Costs, EngineCost, Fit


def costs() -> Costs:
    """Return one: 4 ms web, 0.5 ms Redis, 1.5 ms worker, and 10 ms in the engine."""
    return Costs(
        about={"date": "today", "machine": "a machine"},
        web={"tags 640x480": _fit(4.0), "product": _fit(1.0)},
        redis=_fit(0.5),
        worker=_fit(1.5),
        tcp=1.2,
        wire_mb={"tags": 0.3, "product": 0.01},
        held_kb={"tags": 2.0, "product": 1.0},
        photo_kb={"tags 640x480": 75.0, "product": 0.5},
        load_ms={"tags 640x480": 0.2, "product": 0.1},
        way_ms=1.0,
        pile_ms=2.0,
        engines={"litert": EngineCost({"1": 10.0, "2": 20.0, "4": 40.0, "8": 80.0})},
    )


def _fit(ms: float) -> Fit:
    return Fit({"image": ms}, 10, 0.02, 0.1)
