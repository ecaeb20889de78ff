"""Play the table of promises: `python -m bench.chaos [--short] [--row NAME ...]`.

Prints what was seen, row by row; the whole table in its long form is written to
`docs/reliability.md`. Ends with 1 where a promise was missed.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from datetime import UTC, datetime

from bench.chaos import report
from bench.chaos.row import Row, Seen
from bench.chaos.rows import ROWS
from bench.chaos.stages import Stages, in_order
from bench.compare.tagger import ROOT
from bench.servers.report import cpu_model
from deploy.redis_server import find_server

PAGE = ROOT / "docs" / "reliability.md"


def main() -> int:
    """Play, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="10 to 20 s a row")
    parser.add_argument("--row", nargs="+", choices=[row.name for row in ROWS], metavar="NAME")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # no service outlives the harness
    rows = [row for row in ROWS if not options.row or row.name in options.row]
    about = {
        "command": f"python -m bench.chaos {' '.join(sys.argv[1:])}".rstrip(),
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{len(os.sched_getaffinity(0))} cores of {cpu_model()}, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "redis": find_server(),
    }
    played: list[tuple[Row, Seen]] = []
    with Stages() as stages:
        for row in in_order(rows):
            started = time.monotonic()
            seen = stages.play(row, options.short)
            played.append((row, seen))
            print(f"{row.name}: {'kept' if not seen.misses else 'MISSED'}", end="")
            print(f" ({time.monotonic() - started:.0f} s)\n  {row.promise}")
            print(f"  {report.figures(seen)}")
            print("".join(f"  missed: {miss}\n" for miss in seen.misses), flush=True)
    played.sort(key=lambda pair: ROWS.index(pair[0]))
    if not options.row and not options.short:
        report.write(PAGE, about, played)
    return 1 if any(seen.misses for _, seen in played) else 0


if __name__ == "__main__":
    sys.exit(main())
