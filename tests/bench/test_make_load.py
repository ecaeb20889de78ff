"""`make load`: what it prints about the running service."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.service import ROOT, Service


@pytest.mark.service
def test_load_says_how_fast_the_service_answers(service: Service) -> None:
    done = subprocess.run(
        ["make", "load", "USERS=4", "SECONDS=3", f"URL={service.url}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = dict(re.findall(r"^(\w[a-z0-9 ]*?) {2,}([\d.]+)", done.stdout, re.MULTILINE))
    assert table["users"] == "4"
    assert float(table["requests per second"]) >= float(table["answers per second"]) > 0
    assert 0 < float(table["p50"]) <= float(table["p95"]) <= float(table["p99"])
    assert table["errors"] == "0"
    assert float(table["mean batch size"]) >= 1
