"""Who starts a service that is open to all is told so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import _greet
from shared.settings import Settings
from tests.service import ROOT
from tests.web.test_api_keys import make

# All of `run_web.py` but the listening.
CODE = """
import sys, run_web
class Server:
    def __init__(self, *given): pass
    def run(self): pass
run_web.Server, sys.argv = Server, ["run_web.py"]
run_web.main()
"""


def events(**settings: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line)["event"] for line in done.stdout.splitlines()]


def test_the_log_warns_where_others_reach_it_and_no_keys_are_asked_for(tmp_path: Path) -> None:
    make(tmp_path / "keys.toml")
    (event,) = events(HOST="0.0.0.0")
    assert event.startswith("no API keys: ")
    assert events(HOST="127.0.0.1") == []
    assert events(HOST="0.0.0.0", API_KEYS_FILE=str(tmp_path / "keys.toml")) == []


@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_so_does_the_screen(
    host: str, warned: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "rediss://user:s3cret@example.org:6379/0")
    _greet(Settings(host=host))
    shown = capsys.readouterr().out
    assert ("WARNING: HOST=0.0.0.0" in shown) is warned
    assert "s3cret" not in shown
    assert "REDIS_URL='rediss://…@example.org:6379/0'" in shown
