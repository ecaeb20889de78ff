"""The parent of the web processes."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest
import requests

from shared.processes import spawn
from tests.service import ROOT, Service, free_port

pytestmark = pytest.mark.service

_SERVE = """
import sys
from shared.settings import Settings
from web.server import Server

Server(Settings(port=int(sys.argv[1])), 1, lambda: None).run()
"""


def test_one_that_is_told_to_end_the_moment_it_has_forked_does_so_at_once() -> None:
    command = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-c", _SERVE, str(free_port())]
    server = spawn(command)
    try:
        until = time.monotonic() + 20
        while not psutil.Process(server.pid).children():
            assert time.monotonic() < until
        server.terminate()
        assert server.wait(15) == 0, "its child took the signal, too"
    except subprocess.TimeoutExpired:
        pytest.fail("the web process missed the signal")
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize(
    "said",
    [
        {"SCRIPT_NAME": "/elsewhere"},
        {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"},
    ],
    ids=lambda said: " ".join(said),
)
def test_a_client_on_this_host_says_nothing_about_where_the_service_is(
    said: dict[str, str], service: Service
) -> None:
    answer = requests.get(f"{service.url}/livez", headers=said, timeout=10)
    assert answer.status_code == 200
