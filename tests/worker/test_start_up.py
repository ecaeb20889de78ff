"""A worker that is told to stop before it is ready."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.service import ROOT


@pytest.mark.parametrize("arguments", [[], ["--processes", "2"]])
@pytest.mark.parametrize("after_s", [1.0, 3.0])
def test_a_worker_stops_in_the_midst_of_its_trials(arguments: list[str], after_s: float) -> None:
    worker = subprocess.Popen(
        [sys.executable, ROOT / "run_worker.py", *arguments], cwd=ROOT, stderr=subprocess.PIPE
    )
    time.sleep(after_s)
    children = psutil.Process(worker.pid).children(recursive=True)
    worker.send_signal(signal.SIGTERM)
    _, errors = worker.communicate(timeout=5)
    assert worker.returncode == 0
    assert b"Traceback" not in errors
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
