"""`make run`'s launcher: what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.programs import need
from tests.service import ROOT, Service, free_port
from web.api_keys import new_key

pytestmark = pytest.mark.service


def family(service: Service) -> list[psutil.Process]:
    """Return the launcher and every process below it."""
    launcher = psutil.Process(service.pid)
    return [launcher, *launcher.children(recursive=True)]


def gone(processes: list[psutil.Process], patience_s: float) -> list[psutil.Process]:
    """Return those that still run after `patience_s` at most."""
    _, alive = psutil.wait_procs(processes, timeout=patience_s)
    return alive


def printed(service: Service, start: str) -> str:
    """Return the line of the greeting that begins so, once it is there."""
    until = time.monotonic() + 10
    while not (found := re.search(f"^ *({start}.*)\n", service.log.read_text(), re.MULTILINE)):
        assert time.monotonic() < until, f"it printed no line with {start}"
        time.sleep(0.05)
    return found[1]


@pytest.mark.parametrize(
    ("number", "engine"), [(signal.SIGINT, "auto"), (signal.SIGTERM, "litert")]
)
def test_nothing_is_left_behind_when_it_is_told_to_stop(
    number: signal.Signals, engine: str, tmp_path: Path
) -> None:
    given = {"WORKERS": "1", "WEB_PROCESSES": "1", "REDIS_URL": "", "TMPDIR": str(tmp_path)}
    with Service(ENGINE=engine, **given) as service:
        processes = family(service)
        names = " ".join(" ".join(process.cmdline()) for process in processes)
        assert "redis-server" in names
        assert "run_web.py" in names
        assert "run_worker.py" in names
        assert service.stop(number) == 0
        assert gone(processes, 1) == []
    assert list(tmp_path.iterdir()) == []


def test_what_it_prints_works_where_it_is_pasted(tmp_path: Path) -> None:
    need("curl")
    secret, table = new_key("shop", ["predict"])
    (tmp_path / "keys.toml").write_text(table)
    given = {
        "REDIS_URL": "",
        "API_KEYS_FILE": str(tmp_path / "keys.toml"),
    }
    proxy = {"http_proxy": "http://127.0.0.1:1", "no_proxy": ""}  # where nothing is
    with Service(WORKERS="1", WEB_PROCESSES="1", **given, **proxy) as service:
        asked = subprocess.run(
            printed(service, "curl"),
            shell=True,
            cwd=tmp_path,
            env={**os.environ, **proxy, "KEY": secret},
            capture_output=True,
            check=True,
        )
        assert json.loads(asked.stdout)["themes"][0]["label"] == "Cats"
        line = printed(service, "One more worker: ").removeprefix("One more worker: ")
        quick = {**os.environ, "ENGINE": "litert", "MAX_BATCH": "1"}
        worker = subprocess.Popen(line, shell=True, cwd=tmp_path, env=quick, start_new_session=True)
        try:
            service.wait_for_workers(2)
        finally:
            os.killpg(worker.pid, signal.SIGTERM)
            worker.wait(30)


def test_no_process_outlives_a_launcher_that_was_killed(tmp_path: Path) -> None:
    given = {"REDIS_URL": "", "TMPDIR": str(tmp_path)}  # what it leaves goes with pytest's own
    with Service(WORKERS="2", WEB_PROCESSES="2", **given) as service:
        processes = family(service)
        assert len(processes) == 1 + 1 + (1 + 2) + (1 + 2)
        processes[0].kill()
        assert gone(processes, 10) == []


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [("PORT", "none", "PORT='none' is not a whole number"), ("WORKERS", "-1", "WORKERS=-1")],
)
def test_a_wrong_setting_ends_it_with_a_reason(name: str, value: str, reason: str) -> None:
    done = run_to_end(**{name: value})
    assert done.returncode == 2
    assert reason in done.stderr


def test_it_does_not_greet_when_a_part_cannot_start(tmp_path: Path) -> None:
    done = run_to_end(MODELS_FOLDER=str(tmp_path), REDIS_URL="", PORT=str(free_port()))
    assert done.returncode == 1
    assert "ready" not in done.stdout
    assert "no model" in done.stderr


def test_a_port_that_is_taken_ends_it_with_a_reason(service: Service) -> None:
    done = run_to_end(PORT=str(service.port))
    assert done.returncode == 2
    assert f"PORT={service.port} cannot be listened on: Address already in use" in done.stderr


def run_to_end(**settings: str) -> subprocess.CompletedProcess[str]:
    """Run the launcher, which is not expected to start anything."""
    return subprocess.run(
        [sys.executable, "-m", "deploy.local"],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
