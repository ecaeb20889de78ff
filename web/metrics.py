"""What `/metrics` counts, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from web.catalog import Catalog

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)

REQUESTS = Counter(
    "batchpoint_requests_total", "Predictions asked for, by how they ended", ["model", "status"]
)
KEPT_OUT = Counter(
    "batchpoint_kept_out_total", "Requests without a key or its scope, or over a rate", ["status"]
)
REQUEST_SECONDS = Histogram(
    "batchpoint_request_seconds",
    "From a request's whole body to its answer",
    ["model"],
    buckets=_SECONDS,
)
STAGE_SECONDS = Histogram(
    "batchpoint_stage_seconds",
    "Parts of an answered request: decode, queue, batch_wait, inference",
    ["model", "stage"],
    buckets=_SECONDS,
)
BATCH_ITEMS = Histogram(
    "batchpoint_batch_items", "Items in the batch that a request ran in", ["model"], buckets=_SIZES
)


def count_answer(model: str, timing_ms: Mapping[str, float], batch_size: int) -> None:
    """Count an answered prediction."""
    for stage, took_ms in timing_ms.items():
        _seconds(model, stage).observe(took_ms / 1000)
    _items(model).observe(batch_size)


@cache  # to find a histogram by its labels costs more than to use it
def _seconds(model: str, stage: str) -> Histogram:
    if stage == "total":
        return REQUEST_SECONDS.labels(model)
    return STAGE_SECONDS.labels(model, stage)


@cache
def _items(model: str) -> Histogram:
    return BATCH_ITEMS.labels(model)


class _Queues(Collector):
    """Gauges read from Redis at the moment of the scrape."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("batchpoint_store_up", "1 where Redis answers")
        gauges = [
            GaugeMetricFamily(f"batchpoint_{name}", about, labels=["model", "version"])
            for name, about in (
                ("queue_items", "Items that wait"),
                ("queue_bytes", "Bytes that wait"),
                ("leased_requests", "Requests that workers hold"),
                ("drain_items_per_second", "Measured drain rate"),
                ("workers", "Live, warmed-up workers"),
            )
        ]
        try:
            for served in self._catalog:
                census = served.queue.census()
                values = (census.items, census.bytes, census.leased, census.drain_rate)
                for gauge, value in zip(gauges, (*values, len(census.workers)), strict=True):
                    gauge.add_metric([served.model.name, served.model.version], value)
            up.add_metric([], 1)
        except RedisError:
            up.add_metric([], 0)
        yield up
        yield from gauges


def exposition(catalog: Catalog) -> bytes:
    """Return the metrics of all web processes and of the queues."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(_Queues(catalog))
    return generate_latest(registry)
