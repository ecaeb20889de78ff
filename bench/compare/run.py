"""One run of the bench: who is measured when.

Servers take turns, in another order in every round, so that a slow minute of the machine hits
all alike; `bare` is measured right before each server's turn, and a server's shares are of that.
The raw figures are saved after every turn.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from math import nan
from pathlib import Path

from bench.compare import overload, product
from bench.compare.bare import Bare
from bench.compare.candidates import CORES, Candidate
from bench.compare.environment import VAR
from bench.compare.figures import BareRow, Results, Row, percentile
from bench.compare.load import Job
from bench.compare.photos import SMALL, make
from bench.compare.plan import PRODUCT_CLIENTS, Plan, Turn
from bench.compare.server import NotServing, Server
from bench.compare.tagger import ROOT

RESULTS = VAR / "results.json"
ENGINES = ("session", "litert")
DECODES = ("own", "usual")
REFERENCE = ("session", "own")
PRODUCT = "product"
CLOSED_TIMEOUT_S = 15.0


class Run:
    """Measures a plan."""

    def __init__(self, plan: Plan, rounds: int, seconds: float) -> None:
        """`seconds` is how long each load lasts."""
        self.results = Results()
        self._plan, self._rounds, self._seconds = plan, rounds, seconds
        self._began = time.monotonic()

    def run(self) -> Results:
        """Take all turns of all rounds."""
        for kind in self._plan.kinds:
            make(kind, _photos(kind.name))
        if self._plan.product:
            _prepare_product()
        self._say("photos made")
        with ExitStack() as stack:
            self._bare = {name: stack.enter_context(Bare(name, CORES)) for name in ENGINES}
            self._prepare_bare()
            for number in range(1, self._rounds + 1):
                for name, take in self._turns(number):
                    self._say(f"round {number} of {self._rounds}: {name}")
                    try:
                        take()
                    except NotServing as error:  # a result, too
                        self.results.failures.append(f"round {number}: {error}")
                        self._say(str(error))
                    self.results.save(RESULTS)
        self._say("measured")
        return self.results

    def _prepare_bare(self) -> None:
        for name, bare in self._bare.items():
            for decode in DECODES:
                for kind in self._plan.kinds:
                    path = _rights(kind.name, name, decode)
                    bare.write_rights(_photos(kind.name), decode, path)
        for name, bare in self._bare.items():
            speeds = bare.tune(_photos(SMALL.name), self._seconds / 2)
            self.results.batches[name] = {str(size): speed for size, speed in speeds.items()}
            self._say(
                f"bare, {name}: best in batches of {bare.batch}, {max(speeds.values()):.0f}/s"
            )
        for engine, decode in (("session", "usual"), ("litert", "own"), ("litert", "usual")):
            alike = _alike(_rights(SMALL.name, engine, decode), _rights(SMALL.name, *REFERENCE))
            self.results.about[f"{engine} with {decode} decode"] = alike

    def _turns(self, number: int) -> Iterator[tuple[str, Callable[[], None]]]:
        """Every server of the plan once, in any order; the open loads last."""
        turns: list[tuple[str, Callable[[], None]]] = []
        for turn in self._plan.turns:
            turns.append((turn.candidate.name, partial(self._closed, turn, number)))
        for candidate in self._plan.product:
            turns.append((f"{candidate.name}: product", partial(self._product, candidate, number)))
        random.shuffle(turns)
        yield from turns
        for candidate in random.sample(list(self._plan.open), len(self._plan.open)):
            yield f"{candidate.name}: open loop", partial(self._open, candidate, number)

    def _closed(self, turn: Turn, number: int) -> None:
        candidate = turn.candidate
        engines = ENGINES if candidate.engine == "auto" else (candidate.engine,)
        bare = {
            (engine, kind.name): self._limit(engine, kind.name, number)
            for engine in engines
            for kind in turn.kinds
        }
        with self._serving(candidate, turn.kinds[0].name, CLOSED_TIMEOUT_S) as (server, engine):
            for kind, clients in turn.loads:
                job = self._job(candidate, engine, kind.name, clients)
                row = _row(server, job, number, engine, kind.name, bare[engine, kind.name])
                self.results.rows.append(row)

    def _product(self, candidate: Candidate, number: int) -> None:
        with self._serving(candidate, PRODUCT, CLOSED_TIMEOUT_S) as (server, engine):
            job = self._job(candidate, engine, PRODUCT, PRODUCT_CLIENTS)
            self.results.rows.append(_row(server, job, number, "", PRODUCT, nan))

    def _open(self, candidate: Candidate, number: int) -> None:
        rows = self.results.select(candidate.name, SMALL.name, 64)
        if not rows:
            raise NotServing(f"{candidate.name}: its capacity is not known")
        capacity = rows[0].per_s
        with self._serving(candidate, SMALL.name, overload.DEADLINE_S) as (server, engine):
            alone = self._job(candidate, engine, SMALL.name, 1)
            found, recovery = overload.measure(server, alone, capacity, self._plan.factors, number)
        self.results.open += found
        self.results.recovery.append(recovery)

    def _limit(self, engine: str, kind: str, number: int) -> float:
        """Measure `bare` and return its photos per second."""
        limit = self._bare[engine].measure(_photos(kind), self._seconds * 0.6)
        self.results.bare.append(
            BareRow(number, engine, kind, limit.per_s, limit.decode_ms, limit.network_ms)
        )
        return limit.per_s

    @contextmanager
    def _serving(
        self, candidate: Candidate, kind: str, timeout_s: float
    ) -> Iterator[tuple[Server, str]]:
        """Start a server that is seen to answer rightly; say which engine it runs, too."""
        bare = self._bare.get(candidate.engine)
        with Server(candidate, bare.batch if bare else 1, timeout_s) as server:
            server.wait(_photos(kind))
            engine = server.engine() if candidate.engine == "auto" else candidate.engine
            server.prove(self._job(candidate, engine, kind, 1))
            yield server, engine

    def _job(self, candidate: Candidate, engine: str, kind: str, clients: int) -> Job:
        return Job(
            port=0,  # the server's, filled in by it
            path=candidate.path,
            dialect=candidate.dialect,
            folder=str(_photos(kind)),
            answers=str(_rights(kind, engine, candidate.decode)),
            seconds=self._seconds,
            clients=clients,
            warm_up_s=0.5 + clients / 100,  # until as many wait as ever will
        )

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:5.0f} s  {text}", flush=True)


def _row(server: Server, job: Job, number: int, engine: str, kind: str, bare_per_s: float) -> Row:
    seen, spent, memory = server.watch(job)
    answered = max(1, seen.answered)
    return Row(
        round=number,
        candidate=server.candidate.name,
        engine=engine,
        kind=kind,
        clients=job.clients,
        per_s=len(seen.latencies_ms) / seen.seconds,
        bare_per_s=bare_per_s,
        p50_ms=percentile(seen.latencies_ms, 50),
        p99_ms=percentile(seen.latencies_ms, 99),
        cpu_ms={part: 1000 * used / answered for part, used in spent.items()},
        load_cpu_ms=1000 * seen.cpu_s / answered,
        memory=memory,
        answers=len(seen.latencies_ms),
        errors=seen.errors,
        timing_ms=seen.timing_ms,
        batch=seen.batch,
    )


def _photos(kind: str) -> Path:
    return VAR / "photos" / kind


def _rights(kind: str, engine: str, decode: str) -> Path:
    return VAR / "photos" / f"{kind}-{engine}-{decode}.json"


def _alike(rights: Path, reference: Path) -> str:
    """Say how many first labels are the reference's."""
    pairs = list(
        zip(json.loads(rights.read_text()), json.loads(reference.read_text()), strict=True)
    )
    counts = (
        f"{name} {sum(_first(one[name]) == _first(other[name]) for one, other in pairs)}"
        for name in pairs[0][0]
    )
    return f"first labels as of {', '.join(REFERENCE)} decode: {', '.join(counts)} of {len(pairs)}"


def _first(labels: dict[str, float]) -> str:
    return next(iter(labels))


def _prepare_product() -> None:
    product.make_images(_photos(PRODUCT))
    for engine, decode in (("session", "own"), ("", "")):
        product.write_rights(_photos(PRODUCT), _rights(PRODUCT, engine, decode))
    argv = [sys.executable, "-m", "bench.compare.product", str(VAR / "models")]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    subprocess.run(argv, cwd=ROOT, env=environment, check=True)
