"""The load, a process of its own so that its CPU is counted apart.

    python -m bench.compare.load '{"port": 8000, ...}'

One thread, raw sockets and epoll: it shares the machine with the server, so it must be cheap.
Answers are kept as they come and judged after the clock has stopped.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.compare.arrivals import OpenLoop
from bench.compare.closed import ClosedLoop
from bench.compare.connection import BROKEN, LEFT, Outcome
from bench.compare.requests import Right, encode_all, is_right, read_calls

TOO_LATE = "too late"  # the error of a client that left


@dataclass(frozen=True)
class Job:
    """What the load does: `clients` in a closed loop, or `per_s` requests a second."""

    port: int
    path: str
    dialect: str
    folder: str  # the photos and calls.json
    answers: str  # a file: per call, what may come first; empty: not judged
    seconds: float
    clients: int = 0
    think_s: float = 0.0  # mean, of a client of the closed loop between two requests
    patience_s: float = 8.0  # of the closed loop's clients, for their last answers
    per_s: float = 0.0
    deadline_s: float = 2.0  # of the open loop
    warm_up_s: float = 0.5  # what ends in them is not counted


@dataclass
class Seen:
    """What a load has seen in its seconds."""

    seconds: float
    latencies_ms: list[float]  # of right answers, sorted
    errors: dict[str, int]  # what went wrong -> how often
    answered: int  # with status 200, right or wrong, from the first to the last
    cpu_s: float  # of this process, over the same time
    timing_ms: dict[str, float] = field(default_factory=dict)  # medians of what answers say
    batch: float = 0.0  # mean size of the batches, as the answers say


def run(job: Job) -> Seen:
    """Load the server and judge the answers."""
    folder = Path(job.folder)
    requests = encode_all(job.dialect, job.path, folder, read_calls(folder))
    rights: list[Right] = json.loads(Path(job.answers).read_text()) if job.answers else []
    spent = time.process_time()
    begin = time.monotonic() + job.warm_up_s
    if job.clients:
        closed = ClosedLoop(job.port, requests, job.clients, job.think_s)
        closed.run(begin + job.seconds, job.patience_s)
        outcomes = closed.outcomes
    else:
        arrivals = OpenLoop(job.port, requests, job.deadline_s)
        arrivals.run(job.per_s, job.warm_up_s + job.seconds)
        outcomes = arrivals.outcomes
    spent = time.process_time() - spent
    # What ends in these seconds counts, whenever it began.
    counted = [outcome for outcome in outcomes if begin <= outcome.done <= begin + job.seconds]
    good, errors = judge(counted, rights)
    timing, batch = told(outcome.body for outcome in good)
    return Seen(
        seconds=job.seconds,
        latencies_ms=sorted((outcome.done - outcome.due) * 1000 for outcome in good),
        errors=dict(errors),
        answered=sum(outcome.status == 200 for outcome in outcomes),
        cpu_s=spent,
        timing_ms=timing,
        batch=batch,
    )


def judge(
    outcomes: Iterable[Outcome], rights: Sequence[Right]
) -> tuple[list[Outcome], Counter[str]]:
    """Return the right answers, and how often each thing went wrong."""
    good, errors = [], Counter[str]()
    for outcome in outcomes:
        if outcome.status != 200:
            names = {BROKEN: "connection broken", LEFT: TOO_LATE}
            errors[names.get(outcome.status, str(outcome.status))] += 1
        elif rights and not is_right(outcome.body, rights[outcome.call]):
            errors["wrong answer"] += 1
        else:
            good.append(outcome)
    return good, errors


def told(bodies: Iterable[bytes]) -> tuple[dict[str, float], float]:
    """Return the median of each of the answers' `timing_ms`, and the mean size of a batch.

    Empty and 0 where the answers have none. A batch of 8 is told by 8 answers, so each of them
    stands for an eighth of it.
    """
    answers: list[dict[str, Any]] = [json.loads(body) for body in bodies]
    answers = [answer for answer in answers if "timing_ms" in answer]
    if not answers:
        return {}, 0.0
    timing = {
        name: statistics.median(answer["timing_ms"][name] for answer in answers)
        for name in answers[0]["timing_ms"]
    }
    return timing, len(answers) / sum(1 / answer["batch_size"] for answer in answers)


if __name__ == "__main__":
    print(json.dumps(asdict(run(Job(**json.loads(sys.argv[1]))))))
