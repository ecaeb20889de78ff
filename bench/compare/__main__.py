"""Compare this service with its peers and with the bare engine: `python -m bench.compare`.

Writes `docs/benchmarks.md` and its plots, and the raw figures to `var/bench/results.json`.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from datetime import UTC, datetime

from bench.compare import plan, report
from bench.compare.environment import install
from bench.compare.figures import Results
from bench.compare.run import RESULTS, Run
from bench.compare.tagger import ROOT
from bench.servers.report import cpu_model

DOCS = ROOT / "docs"


def main() -> int:
    """Install, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("--full", action="store_true", help="every server, load and photo")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load (default 3)")
    parser.add_argument("--report", action="store_true", help="write the page from the last run")
    options = parser.parse_args()
    if options.report:
        report.write(Results.read(RESULTS), DOCS)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # no server outlives the bench
    chosen = plan.full() if options.full else plan.short()
    every = [*(turn.candidate for turn in chosen.turns), *chosen.product, *chosen.open]
    peers = {candidate.peer: candidate.packages for candidate in every if candidate.peer}
    for peer, packages in peers.items():
        install(peer, packages)
    run = Run(chosen, options.rounds, options.seconds)
    run.results.about = {
        "command": " ".join(["python -m bench.compare", *sys.argv[1:]]),
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{len(os.sched_getaffinity(0))} cores of {cpu_model()}, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "effort": f"{options.rounds} rounds, {options.seconds:g} s for each load",
        "peers": ", ".join(package for each in peers.values() for package in each),
    }
    report.write(run.run(), DOCS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
