"""The costs that a sweep shows: sums fitted to the CPU that its loads took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median

import numpy as np
from scipy.optimize import nnls  # type: ignore[import-untyped]  # ships no types

from bench.scaling.costs import WAITING_MS, Costs, EngineCost, Fit, accelerator
from bench.scaling.figures import PRODUCT, TAGS, Row, model_of


def fit_all(
    about: dict[str, str],
    rows: Sequence[Row],
    curves: Mapping[str, Mapping[str, float]],
    photo_kb: dict[str, float],
) -> Costs:
    """Fit every cost to a sweep."""
    waiting = [row for row in rows if row.engine == "waiting"]
    full = [row for row in waiting if row.images and row.web]
    local = [row for row in rows if row.sweep != "tcp" and row.engine in ("waiting", "")]
    idle_wire = median(row.wire_mb / row.wall_s for row in waiting if not row.images)
    wire_mb = {
        model_of(kind): median(
            (row.wire_mb - idle_wire * row.wall_s) / row.images
            for row in full
            if row.kind == kind and row.images > 20
        )
        for kind in (TAGS, PRODUCT)
    }

    def mb(row: Row) -> float:
        return row.images * wire_mb[model_of(row.kind)]

    parts: dict[str, Callable[[Row], float]] = {
        "image": lambda row: row.images,
        "take": lambda row: row.takes,
        "mb": mb,
        "process_s": lambda row: row.workers * row.wall_s,
    }
    worker = fit(waiting, "worker", parts)
    store_parts = {**parts, "web_s": lambda row: row.web * row.wall_s}
    kinds = list(dict.fromkeys(row.kind for row in full))
    real = [row for row in rows if row.sweep == "real"]
    engines = {
        name: EngineCost(dict(curve), _busy(real, name, curve, worker, wire_mb))
        for name, curve in curves.items()
    }
    costs = Costs(
        about=about,
        web={
            kind: fit([row for row in full if row.kind == kind], "web", {"image": parts["image"]})
            for kind in kinds
        },
        redis=fit(local, "redis", store_parts),
        worker=worker,
        tcp=_tcp(rows),
        wire_mb=wire_mb,
        held_kb={
            model_of(kind): median(row.result_kb for row in full if row.kind == kind)
            for kind in (TAGS, PRODUCT)
        },
        photo_kb=photo_kb,
        load_ms={
            kind: median(row.ms("load") for row in full if row.kind == kind) for kind in kinds
        },
        way_ms=0.0,  # follows from the others
        pile_ms=median(1000 * (row.batch - 1) / row.per_s for row in full if row.clients > 16),
        engines=engines,
    )
    return replace(costs, way_ms=_way_ms(costs, rows))


def fit(rows: Sequence[Row], kind: str, parts: Mapping[str, Callable[[Row], float]]) -> Fit:
    """Fit the CPU of a kind of process as a sum of `parts`: least squares of relative errors."""
    measured = np.array([1000 * row.cpu_s.get(kind, 0.0) for row in rows])
    table = np.array([[part(row) for part in parts.values()] for row in rows], dtype=float)
    used = measured > 0
    measured, table = measured[used], table[used]
    factors, _ = nnls(table / measured[:, None], np.ones(len(measured)))
    errors = np.abs(table @ factors / measured - 1)
    per = {name: float(factor) for name, factor in zip(parts, factors, strict=True)}
    return Fit(per, len(measured), float(np.median(errors)), float(errors.max()))


def _tcp(rows: Sequence[Row]) -> float:
    """How many times as much a Redis does over TCP, for `tags`."""
    unix, tcp = (
        median(row.ms("redis") for row in rows if row.sweep == sweep and row.kind == TAGS)
        for sweep in ("queue", "tcp")
    )
    return max(1.0, tcp / unix)


def _busy(
    real: Sequence[Row],
    name: str,
    curve: Mapping[str, float],
    worker: Fit,
    wire_mb: Mapping[str, float],
) -> float:
    """How many times as long the engine takes per image with every core busy as alone."""
    row = max((row for row in real if row.engine == name), key=lambda row: row.clients)
    beside = worker.ms(row.batch, wire_mb["tags"])
    return (row.ms("worker") - beside) / EngineCost(dict(curve)).ms(row.batch, 0)


def _way_ms(costs: Costs, rows: Sequence[Row]) -> float:
    """What a lone request takes beyond the sum of its costs: hand-overs and wake-ups."""
    over = []
    for row in rows:
        if row.web and row.clients == 1:
            engine = costs.engines.get(row.engine, accelerator(WAITING_MS))
            over.append(
                row.mean_ms
                - costs.web[row.kind].ms()
                - costs.redis_ms(row.kind, 1)
                - costs.worker_ms(row.kind, 1)
                - engine.ms(1, 0)
                - costs.load_ms[row.kind]
            )
    return max(0.0, median(over))
