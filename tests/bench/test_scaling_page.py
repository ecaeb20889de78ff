"""A sweep that was made up from known costs: the fit finds them, and the page says them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.scaling import page
from bench.scaling.costs import Costs, accelerator
from bench.scaling.figures import PRODUCT, TAGS, Row
from bench.scaling.fit import fit_all
from bench.scaling.prediction import Machine, predict
from tests.bench.machine import costs

WAITING = accelerator(0.5)


def load(sweep: str, kind: str, engine: str, web: int, workers: int, clients: int = 64) -> Row:
    """Return the row that the known costs give."""
    known = costs()
    found = predict(
        known,
        kind,
        known.engines.get(engine, WAITING),
        Machine(2, web or 1, workers),
        clients,
        load_here=True,
    )
    images = round(4 * found.per_s)
    used = {part: found.cpu_ms[part] * images / 1000 for part in ("web", "redis", "load")}
    used["worker"] = (found.cpu_ms["worker"] + found.cpu_ms["engine"]) * images / 1000
    return Row(
        sweep, kind, engine, web, workers, 1, clients,
        per_s=found.per_s, mean_ms=found.latency_ms, p50_ms=found.latency_ms,
        p99_ms=2 * found.latency_ms, batch=found.batch, images=images, errors=0, wall_s=4.0,
        cpu_s=used, wire_mb=known.wire_mb[kind.partition(" ")[0]] * images, result_kb=2.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """A small sweep."""
    made = [
        *(load("web", kind, "waiting", web, 4) for kind in (TAGS, PRODUCT) for web in (1, 2, 3)),
        *(load("workers", kind, "waiting", 2, n) for kind in (TAGS, PRODUCT) for n in (1, 2, 8)),
        *(load("clients", kind, "waiting", 1, 4, 1) for kind in (TAGS, PRODUCT)),
        *(load(sweep, TAGS, "", 0, 2, 2) for sweep in ("queue", "tcp")),
        *(load("real", TAGS, "litert", 1, 2, clients) for clients in (1, 64)),
    ]
    idle = load("idle", TAGS, "waiting", 2, 8)
    nothing = {**idle.__dict__, "images": 0, "per_s": 0.0, "batch": 0.0, "cpu_s": {}, "wire_mb": 0}
    return [*made, Row(**nothing)]


def fitted(rows: list[Row]) -> Costs:
    """Return what is fitted to them."""
    known = costs()
    curves = {"litert": known.engines["litert"].curve_ms}
    return fit_all({"date": "today"}, rows, curves, known.photo_kb)


def test_the_known_costs_are_found(rows: list[Row]) -> None:
    found, known = fitted(rows), costs()
    for kind in (TAGS, PRODUCT):
        assert found.web[kind].ms() == pytest.approx(known.web[kind].ms(), rel=0.01)
        assert found.redis_ms(kind, 1) == pytest.approx(known.redis_ms(kind, 1), rel=0.02)
        assert found.worker_ms(kind, 4) == pytest.approx(known.worker_ms(kind, 4), rel=0.02)
    assert found.engines["litert"].busy == pytest.approx(1, rel=0.02)
    assert found.way_ms == pytest.approx(known.way_ms, abs=0.1)
    assert found.wire_mb["tags"] == pytest.approx(0.3)
    assert found.held_kb == {"tags": 2.0, "product": 2.0}
    assert found.tcp == 1


def test_the_page_holds_the_model_against_the_sweep(rows: list[Row], tmp_path: Path) -> None:
    page.write(fitted(rows), rows, 2, tmp_path)
    text = (tmp_path / "scaling.md").read_text()
    loads = sum(row.web > 0 and row.images > 0 for row in rows)
    assert f"{loads} of {loads} loads within 15 %" in text
    for rate in ("100", "1,000", "10,000", "100,000"):
        assert text.count(f"\n| {rate} |") >= 2  # what it needs, and what ends on the way to it
    assert (tmp_path / "scaling_throughput.png").stat().st_size > 10_000
    assert (tmp_path / "scaling_growth.png").stat().st_size > 10_000
