"""A worker that is told to stop before it is ready."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.service import ROOT


def catches(pid: int, number: signal.Signals) -> bool:
    """Return whether a process has a handler of its own for a signal: until then it is Python's."""
    status = Path(f"/proc/{pid}/status").read_text()
    (mask,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize("arguments", [[], ["--processes", "2"]])
@pytest.mark.parametrize("after_s", [0.5, 3.0])
def test_a_worker_stops_in_the_midst_of_its_trials(arguments: list[str], after_s: float) -> None:
    worker = subprocess.Popen(
        [sys.executable, ROOT / "run_worker.py", *arguments], cwd=ROOT, stderr=subprocess.PIPE
    )
    until = time.monotonic() + 30
    while not catches(worker.pid, signal.SIGTERM):
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(after_s)
    children = psutil.Process(worker.pid).children(recursive=True)
    worker.send_signal(signal.SIGTERM)
    _, errors = worker.communicate(timeout=5)
    assert worker.returncode == 0
    assert b"Traceback" not in errors
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


def run_to_end(*arguments: str, models: Path) -> subprocess.CompletedProcess[str]:
    """Run what is not expected to start anything."""
    return subprocess.run(
        [sys.executable, ROOT / "run_worker.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "MODELS_FOLDER": str(models), "ENGINE": "litert"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("arguments", [[], ["--processes", "1"], ["--models", "tags,*"]])
def test_a_model_that_cannot_be_served_ends_it_with_a_reason(
    arguments: list[str], tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "models" / "tags", tmp_path / "tags")
    (tmp_path / "tags" / "1" / "tags.tflite").write_bytes(b"no graph")
    done = run_to_end(*arguments, models=tmp_path)
    assert done.returncode == 2
    assert "run_worker.py: " in done.stderr
    assert "cannot load model 'tags'" in done.stderr


@pytest.mark.parametrize("more", [["--processes", "1"], ["--models", "tags,*"]])
def test_a_parent_is_not_told_a_version(more: list[str]) -> None:
    done = run_to_end("--version", "1", *more, models=ROOT / "models")
    assert done.returncode == 2
    assert "--version is for a lone worker" in done.stderr


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("tags,shapes", "there is no model 'shapes'"),
        ("tags=0", "is not like tags,digits or tags=2,digits=1"),
        ("Tags", "is not like tags,digits"),
    ],
)
def test_models_that_make_no_sense_end_it_with_a_reason(names: str, reason: str) -> None:
    done = run_to_end("--models", names, models=ROOT / "models")
    assert done.returncode == 2
    assert reason in done.stderr
