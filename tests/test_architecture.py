"""The house's directions: who may import whom, and what happens at import."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("shared", "web", "worker", "deploy", "training", "bench", "client")

ENGINES = {"tensorflow", "ai_edge_litert"}
FORBIDDEN = {
    "shared": {"web", "worker", "deploy", "training", "bench", "flask", "gevent", *ENGINES},
    "web": {"worker", "deploy", "training", "bench", "keras", *ENGINES},
    "worker": {"web", "deploy", "training", "bench", "flask", "gevent"},
    "client": {"shared", "web", "worker", "deploy", "training", "bench", "numpy", "redis"},
}


def imports(path: Path) -> set[str]:
    """Return the top-level modules that a file names in its import statements."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def files(room: str) -> list[Path]:
    found = sorted((ROOT / room).rglob("*.py"))
    assert found, f"{room} has no files"
    return found


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    wrong = {str(path): imports(path) & FORBIDDEN[room] for path in files(room)}
    assert not {path: names for path, names in wrong.items() if names}


def test_only_the_engines_import_what_executes_a_model() -> None:
    importers = {path.parent for path in files("worker") if ENGINES & imports(path)}
    assert importers == {ROOT / "worker" / "engines"}


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        path
        for room in ("shared", "web", "worker")
        for path in files(room)
        if any(word in path.read_text() for word in ("os.environ", "os.getenv"))
    }
    assert readers == {ROOT / "shared" / "settings.py"}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("run_web", ("tensorflow", "worker", "redis")),
        ("web.app", ("tensorflow", "worker")),
        ("run_worker", ("tensorflow", "ai_edge_litert", "flask", "gevent", "web")),
        ("worker.predict", ("tensorflow", "ai_edge_litert", "flask", "gevent", "web")),
        ("shared.queue", ("tensorflow", "flask", "gevent", "web", "worker")),
    ],
)
def test_importing_a_module_loads_nothing_that_it_must_not(
    module: str, absent: tuple[str, ...]
) -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*args, **kwargs): raise AssertionError('it connects at import')\n"
        "socket.socket.connect = refuse\n"
        f"import {module}\n"
        "print(*sys.modules)"
    )
    environment = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not set(absent) & set(done.stdout.split())


def test_files_stay_small_enough_to_read() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for room in ("shared", "web", "worker", "deploy")
        for path in files(room)
    }
    assert {path: length for path, length in lengths.items() if length > 300} == {}
    assert sum(length > 200 for length in lengths.values()) <= len(lengths) * 0.15


def test_a_session_is_there_without_keras() -> None:
    code = "import sys, worker.engines.session; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
