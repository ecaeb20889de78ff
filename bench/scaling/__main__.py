"""See how the service grows: `python -m bench.scaling`.

Writes `docs/scaling.md`, its plots, and the costs that `bench.capacity` reads.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

from bench.compare.candidates import CORES
from bench.compare.environment import VAR
from bench.compare.requests import read_calls
from bench.scaling import page
from bench.scaling.costs import COSTS, Costs, write
from bench.scaling.figures import Row, photo_of
from bench.scaling.fit import fit_all
from bench.scaling.sweep import Sweep
from bench.servers.report import cpu_model


def main() -> int:
    """Measure, fit, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load (default 3)")
    parser.add_argument("--report", action="store_true", help="fit and write the last sweep anew")
    options = parser.parse_args()
    if options.report:
        told = json.loads(COSTS.read_text(encoding="utf-8"))
        rows = [Row(**each) for each in told["rows"]]
        curves = {name: each["curve_ms"] for name, each in told["costs"]["engines"].items()}
        about = told["costs"]["about"]
    else:
        sweep = Sweep(options.seconds)
        sweep.run()
        rows, curves = sweep.rows, sweep.curves
        about = {
            "command": f"python -m bench.scaling {' '.join(sys.argv[1:])}".rstrip(),
            "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "machine": f"{CORES} cores of {cpu_model()}, {platform.system()} "
            f"{platform.release()}, Python {platform.python_version()}",
        }
    kinds = dict.fromkeys(row.kind for row in rows)
    costs = fit_all(about, rows, curves, {kind: _photo_kb(kind) for kind in kinds})
    write(costs, rows)
    page.write(Costs.read(), rows, CORES, COSTS.parent)
    return 0


def _photo_kb(kind: str) -> float:
    folder: Path = VAR / "photos" / photo_of(kind)
    return fmean((folder / call.photo).stat().st_size for call in read_calls(folder)) / 1000


if __name__ == "__main__":
    sys.exit(main())
