"""The cost model: what is fitted to a sweep, and that it survives its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.scaling.costs import Costs, EngineCost, write
from bench.scaling.figures import Row
from bench.scaling.fit import fit
from tests.bench.machine import costs

PARTS = {
    "image": lambda row: row.images,
    "take": lambda row: row.takes,
    "process_s": lambda row: row.workers * row.wall_s,
}


def row(images: int, batch: float, workers: int, worker_ms: float) -> Row:
    """Return what a load of four seconds saw."""
    return Row(
        sweep="workers",
        kind="tags 640x480",
        engine="waiting",
        web=1,
        workers=workers,
        models=1,
        clients=64,
        per_s=images / 4,
        mean_ms=10.0,
        p50_ms=10.0,
        p99_ms=20.0,
        batch=batch,
        images=images,
        errors=0,
        wall_s=4.0,
        cpu_s={"worker": worker_ms / 1000},
        wire_mb=0.3 * images,
        result_kb=2.0,
    )


def test_a_cost_that_is_a_sum_of_its_parts_is_found_exactly() -> None:
    rows = [
        row(images, batch, workers, 0.5 * images + 2 * images / batch + 3 * workers * 4)
        for images, batch, workers in ((400, 1, 1), (900, 2, 4), (1500, 8, 16), (800, 4, 2))
    ]
    found = fit(rows, "worker", PARTS)
    assert found.per == pytest.approx({"image": 0.5, "take": 2.0, "process_s": 3.0})
    assert found.worst_error == pytest.approx(0, abs=1e-9)
    assert found.ms(batch=4) == pytest.approx(1.0)


def test_a_fit_says_how_far_it_is_off() -> None:
    rows = [row(400, 1, 1, 400.0), row(400, 1, 1, 800.0)]
    found = fit(rows, "worker", {"image": PARTS["image"]})
    assert found.worst_error > 0.2


def test_idle_rows_count_for_what_processes_cost_alone() -> None:
    rows = [row(0, 0, 10, 40.0), row(100, 1, 10, 140.0)]
    found = fit(rows, "worker", PARTS)
    assert found.per["process_s"] == pytest.approx(1.0)
    assert found.ms() == pytest.approx(1.0)


def test_an_engine_is_slower_with_every_core_busy() -> None:
    engine = EngineCost({"1": 10.0, "2": 16.0, "4": 40.0}, busy=1.5)
    assert engine.ms(1, 0) == 10
    assert engine.ms(2, 0) == 8
    assert engine.ms(2, 1) == 12
    assert engine.ms(3, 0) == pytest.approx(28 / 3)
    assert engine.best == 2


def test_costs_come_back_from_their_file_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "scaling.json"
    write(costs(), [row(400, 1, 1, 400.0)], path)
    assert Costs.read(path) == costs()
