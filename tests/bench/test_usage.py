"""What the processes of a server use, seen from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from bench.compare.usage import MARK, Usage

BUSY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "idle"], env={})
end = time.process_time() + 0.3
while time.process_time() < end:
    pass
print("done", flush=True)
time.sleep(60)
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """Run a process that was busy for 0.3 s, and whose child has lost its environment."""
    running = subprocess.Popen(
        [sys.executable, "-c", BUSY],
        env={**os.environ, MARK: "a-test"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert running.stdout
    assert running.stdout.readline() == "done\n"
    yield running
    running.stdout.close()
    Usage("a-test", []).kill()  # the child, too
    running.wait()


def test_processes_are_found_by_their_mark_and_told_apart_by_kind(
    process: subprocess.Popen[str],
) -> None:
    usage = Usage("a-test", [("time.sleep(60) idle", "idle")])
    assert 0.29 < usage.cpu_s()["server"] < 2
    memory = usage.memory()
    assert {kind: held.processes for kind, held in memory.items()} == {"server": 1, "idle": 1}
    assert 3 < memory["server"].pss <= memory["server"].largest_rss * 1.01 < 100
    assert Usage("another", []).cpu_s() == {}


def test_what_was_used_stays_counted_when_a_child_has_ended() -> None:
    code = (
        "import subprocess, sys, time\n"
        "subprocess.run([sys.executable, '-c', 'import time\\n'\n"
        "                'while time.process_time() < 0.3: pass'])\n"
        "print('done', flush=True)\n"
        "time.sleep(60)\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert running.stdout
    assert running.stdout.readline() == "done\n"
    usage = Usage("none", [])
    usage.roots = [running.pid]  # a process that wrote over its environment
    assert usage.cpu_s()["server"] > 0.29
    running.stdout.close()
    usage.kill()
    assert running.wait(5) == -9


def test_all_of_a_server_ends_by_kill(process: subprocess.Popen[str]) -> None:
    usage = Usage("a-test", [])
    usage.kill()
    process.wait(5)
    until = time.monotonic() + 5
    while usage.memory() and time.monotonic() < until:
        time.sleep(0.05)
    assert usage.memory() == {}
