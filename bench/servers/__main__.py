"""Compare the WSGI servers and write `docs/server.md`: `python -m bench.servers`.

Refusals first (they wait much and compute little, so several servers are asked at once), then the
loads, one server at a time, in rounds, so that a slow minute of the machine hits all alike.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bench.servers import clients, messages
from bench.servers.candidates import CANDIDATES, ROOT, Candidate
from bench.servers.messages import Outcome
from bench.servers.process import Server
from bench.servers.report import page
from bench.servers.speed import Speed, measure, middle

AT_ONCE = 3  # candidates whose refusals are looked at together
Subject = TypeVar("Subject")


def main() -> None:
    """Install, look, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.servers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load (default 2)")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    options = parser.parse_args()

    start = time.monotonic()
    present = [candidate for candidate in CANDIDATES if candidate.install()]
    absent = [candidate.name for candidate in CANDIDATES if candidate not in present]
    print(f"{time.monotonic() - start:4.0f} s  installed, without {absent}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = list(pool.map(look, present))
    refusals = {candidate.name: outcomes for candidate, outcomes in zip(present, seen, strict=True)}
    print(f"{time.monotonic() - start:4.0f} s  refusals seen")

    rounds: dict[str, list[list[Speed]]] = {candidate.name: [] for candidate in present}
    for number in range(options.rounds):
        for candidate in random.sample(present, len(present)):
            with Server(candidate) as server:
                rounds[candidate.name].append(measure(server, options.seconds))
        print(f"{time.monotonic() - start:4.0f} s  round {number + 1} of {options.rounds}")

    effort = (
        f"Median of {options.rounds} rounds in random order, {options.seconds:g} s for each load."
    )
    versions = {candidate.name: candidate.versions() for candidate in present}
    speeds = {name: middle(measured) for name, measured in rounds.items()}
    path = ROOT / "docs" / "server.md"
    path.write_text(page(refusals, speeds, versions, absent, effort), encoding="utf-8")
    print(f"{time.monotonic() - start:4.0f} s  wrote {path}")


def look(candidate: Candidate) -> dict[str, Outcome]:
    """Return what every check saw; the checks that take long have a server each, at once."""
    with Server(candidate) as server:
        outcomes = {name: see(check, server.port) for name, check in messages.CHECKS.items()}
    with ThreadPoolExecutor(len(clients.CHECKS)) as pool:
        slow = pool.map(lambda check: alone(check, candidate), clients.CHECKS.values())
        outcomes.update(zip(clients.CHECKS, slow, strict=True))
    return outcomes


def alone(check: Callable[[Server], Outcome], candidate: Candidate) -> Outcome:
    """Run one check on a server of its own."""
    with Server(candidate) as server:
        return see(check, server)


def see(check: Callable[[Subject], Outcome], subject: Subject) -> Outcome:
    """Run one check; a server that takes no more connections is an outcome, too."""
    try:
        return check(subject)
    except clients.UNANSWERED as error:
        return Outcome(f"not answered: {error}", False)


if __name__ == "__main__":
    main()
