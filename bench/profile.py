"""Where the time goes: a flame graph of a web process and of a worker under load.

    python -m bench.profile [--engine litert] [--clients 64] [--seconds 20]

writes docs/profile_web.svg and docs/profile_worker.svg: the wider, the more time. py-spy looks
100 times a second and does not stop the process for it; threads that wait are left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import psutil

from bench.compare.candidates import ours
from bench.compare.environment import VAR
from bench.compare.load import Job
from bench.compare.photos import SMALL, make
from bench.compare.server import Server

_DOCS = Path("docs")
_SCRIPTS = {"web": "run_web.py", "worker": "run_worker.py"}


def main() -> None:
    """Load the service and record."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--engine", default="litert")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=20)
    arguments = parser.parse_args()
    folder = VAR / "photos" / SMALL.name
    make(SMALL, folder)
    job = Job(0, "/predict", "query", str(folder), "", arguments.seconds + 2.0, arguments.clients)
    with Server(ours(arguments.engine), batch=1, timeout_s=5.0) as server:
        server.wait(folder)
        recorders = [
            _record(script, arguments.seconds, _DOCS / f"profile_{kind}.svg")
            for kind, script in _SCRIPTS.items()
        ]
        seen = server.load(job)
        for recorder in recorders:
            recorder.wait()
    print(f"{len(seen.latencies_ms) / seen.seconds:.0f} answers/s while recorded")


def _record(script: str, seconds: int, path: Path) -> subprocess.Popen[bytes]:
    """Record the first process of `script` that has no children: a web process, a worker."""
    (process, *_) = [
        child
        for child in psutil.Process().children(recursive=True)
        if script in " ".join(child.cmdline()) and not child.children()
    ]
    program = Path(sys.executable).parent / "py-spy"
    order = ["record", "--nonblocking", "--rate", "100", "--duration", str(seconds)]
    return subprocess.Popen([program, *order, "--pid", str(process.pid), "--output", path])


if __name__ == "__main__":
    main()
