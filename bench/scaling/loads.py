"""Single loads on a service: users of the web tier, both ends of a queue, nobody at all."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from statistics import fmean
from typing import Any

from bench.compare.environment import VAR
from bench.compare.figures import percentile
from bench.compare.load import Job, Seen
from bench.compare.photos import LARGE
from bench.scaling.figures import Row, photo_of, row
from bench.scaling.service import Service, Spent
from shared.processes import Child

PATIENCE_S = 30.0  # of users, for their last answers
_WARM_UP_S = 0.7  # of users: what ends in it is not counted


class Loads:
    """Puts loads on services, one after the other; `rows` is what was seen so far."""

    def __init__(self, seconds: float) -> None:
        """`seconds` is how long each load lasts."""
        self.rows: list[Row] = []
        self._seconds = seconds
        self._began = time.monotonic()

    def users(
        self,
        service: Service,
        sweep: str,
        kind: str,
        engine: str,
        models: Sequence[str],
        shape: dict[str, int],
        clients: int,
    ) -> None:
        """Load every one of `models` at once, with a part of the clients each."""
        folder = VAR / "photos" / photo_of(kind)
        jobs = [
            Job(
                port=service.port,
                path=f"/predict/{model}",
                dialect="query",
                folder=str(folder),
                answers="",
                clients=max(1, clients // len(models)),
                seconds=self._seconds * (2 if LARGE.name in kind else 1),
                warm_up_s=_WARM_UP_S,
                patience_s=PATIENCE_S,
            )
            for model in models
        ]
        before = service.spent()
        seen = run_users(service, jobs)
        spent = service.spent().since(before)
        latencies = sorted(ms for each in seen for ms in each.latencies_ms)
        answered = sum(each.answered for each in seen)
        batches = [each.batch for each in seen if each.batch]
        spent.cpu_s["load"] = sum(each.cpu_s for each in seen)
        self._keep(
            row(
                sweep, kind, engine, {**shape, "clients": clients}, spent,
                per_s=sum(len(each.latencies_ms) / each.seconds for each in seen),
                mean_ms=fmean(latencies or [0.0]),
                p50_ms=percentile(latencies, 50),
                p99_ms=percentile(latencies, 99),
                batch=fmean(batches) if batches else 0.0,
                images=answered,
                errors=sum(sum(each.errors.values()) for each in seen),
                result_kb=service.result_kb(models[0]),
            )
        )  # fmt: skip

    def nobody(self, service: Service, kind: str, shape: dict[str, int]) -> None:
        """See what processes cost that have nothing to do."""
        before = service.spent()
        time.sleep(self._seconds)
        spent = service.spent().since(before)
        nothing = {"per_s": 0.0, "batch": 0.0, "images": 0, "errors": 0}
        self._keep(row("idle", kind, "waiting", {**shape, "clients": 0}, spent, **nothing))

    def ends(self, service: Service, sweep: str, model: str, kind: str, pairs: int) -> None:
        """Load the queue from both ends, without web tier or workers."""
        before = service.spent()
        longer = {"model": model, "seconds": self._seconds + 2}
        drains = [_start(service, "drain", longer) for _ in range(pairs)]
        service.wait_until(partial(service.has_workers, model, pairs), "a drainer")
        fed = self._feed(service, model, pairs)
        drained = [_told(child) for child in drains]
        spent = service.spent().since(before)
        takes = sum(each["takes"] for each in drained)
        shape = {"web": 0, "workers": pairs, "models": 1, "clients": pairs}
        self._keep_fed(sweep, kind, "", shape, spent, fed, drained, takes)

    def feeders(self, service: Service, model: str, kind: str, workers: int, count: int) -> None:
        """Load workers without a web tier, so that they are the limit and batches grow."""
        before = service.spent()
        fed = self._feed(service, model, count)
        spent = service.spent().since(before)
        takes = sum(each["takes"] for each in fed)
        shape = {"web": 0, "workers": workers, "models": 1, "clients": count}
        self._keep_fed("fed", kind, "waiting", shape, spent, fed, [], takes)

    def _feed(self, service: Service, model: str, feeders: int) -> list[dict[str, Any]]:
        order = {"model": model, "seconds": self._seconds}
        return [_told(each) for each in [_start(service, "feed", order) for _ in range(feeders)]]

    def _keep_fed(
        self,
        sweep: str,
        kind: str,
        engine: str,
        shape: dict[str, int],
        spent: Spent,
        fed: list[dict[str, Any]],
        drained: list[dict[str, Any]],
        takes: float,
    ) -> None:
        items = sum(each["items"] for each in fed)
        spent.cpu_s["ends"] = sum(each["cpu_s"] for each in (*fed, *drained))
        seen = {"per_s": items / self._seconds, "batch": items / max(1.0, takes), "images": items}
        errors = sum(each["errors"] for each in (*fed, *drained))
        self._keep(row(sweep, kind, engine, shape, spent, **seen, errors=errors))

    def _keep(self, seen: Row) -> None:
        self.rows.append(seen)
        cpu = ", ".join(f"{kind} {seen.ms(kind):.2f}" for kind in sorted(seen.cpu_s))
        self.say(
            f"  {seen.kind}: {seen.web} web, {seen.workers} workers, {seen.models} models, "
            f"{seen.clients} clients: {seen.per_s:.0f}/s in {seen.p50_ms:.1f} ms, "
            f"batch {seen.batch:.1f}, CPU ms {cpu}; {seen.errors} errors"
        )

    def say(self, text: str) -> None:
        """Print a line."""
        print(f"{time.monotonic() - self._began:5.0f} s  {text}", flush=True)


def run_users(service: Service, jobs: Sequence[Job]) -> list[Seen]:
    """Let users come, a process for each job, and return what each saw."""
    started = [
        service.start(["-m", "bench.compare.load", json.dumps(asdict(job))], True) for job in jobs
    ]
    return [Seen(**_told(child)) for child in started]


def _start(service: Service, role: str, order: dict[str, object]) -> Child:
    arguments = ["-m", "bench.scaling.ends", role, json.dumps(order)]
    return service.start(arguments, True)


def _told(child: Child) -> dict[str, Any]:
    """Return what a process printed last, as JSON. Raises `RuntimeError` where it failed."""
    output, errors = child.communicate(timeout=300)
    if child.returncode:
        raise RuntimeError((errors or b"").decode(errors="replace")[-2000:])
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    return told
