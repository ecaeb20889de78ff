"""The whole service on this machine: `make run`.

Starts Redis where `REDIS_URL` names none, workers and web processes; says when they are warm;
stops everything on Ctrl-C or SIGTERM, and when one of the three ends by itself.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from deploy.redis_server import NoRedisError, start
from shared.processes import spawn, stop_all
from shared.settings import SettingError, Settings

_ROOT = Path(__file__).parent.parent

Children = list[tuple[str, subprocess.Popen[bytes]]]


class _Stop(Exception):
    """SIGTERM or SIGINT has come."""


def main() -> int:
    """Run until told to stop; return the exit status."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _raise_stop)
    try:
        settings = Settings.from_environment()
        _check_port(settings)
        with tempfile.TemporaryDirectory(prefix="batchpoint-") as folder:
            return _run(settings, Path(folder))
    except (SettingError, NoRedisError) as error:
        print(f"batchpoint: {error}", file=sys.stderr)
        return 2


def _check_port(settings: Settings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            where = f"HOST={settings.host} PORT={settings.port}"
            raise SettingError(f"{where} cannot be listened on: {error.strerror}") from error


def _run(settings: Settings, folder: Path) -> int:
    web_processes, workers = settings.process_counts()
    children: Children = []
    try:
        if not os.environ.get("REDIS_URL"):
            server, os.environ["REDIS_URL"] = start(folder)
            children.append(("redis-server", server))
        models = f"{settings.model},{settings.models}"
        parents = (
            ("run_worker.py", ["--processes", str(workers), "--models", models]),
            ("run_web.py", ["--processes", str(web_processes)]),
        )
        for script, arguments in parents:
            children.append((script, spawn([sys.executable, script, *arguments])))
        print(f"Starting {workers} workers and {web_processes} web processes ...", flush=True)
        if _is_ready(settings, children):
            _greet(settings)
        while not _ended(children):
            time.sleep(0.2)
        print(f"batchpoint: {_ended(children)} ended, so everything stops", file=sys.stderr)
        return 1
    except _Stop:
        print("batchpoint: stopping", flush=True)
        return 0
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        for _, child in reversed(children):  # the web tier drains first, Redis goes last
            stop_all([child], patience_s=40)


def _is_ready(settings: Settings, children: Children) -> bool:
    """Wait until a warm worker serves; return False where one of the children ends before."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # `http_proxy` or not
    while not _ended(children):
        try:
            with opener.open(f"{_address(settings)}/readyz", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    return False


def _greet(settings: Settings) -> None:
    address = _address(settings)
    # A password in it is not for the screen.
    url = re.sub(r"//[^/@]*@", "//…@", os.environ["REDIS_URL"])
    if settings.is_open_to_all():
        print(
            f"\nWARNING: HOST={settings.host} and no API_KEYS_FILE: whoever reaches this machine "
            "may use the service (docs/security.md)"
        )
    # This address is reached without the proxy that the environment may name.
    direct = " --noproxy '*'" if urllib.request.getproxies().keys() - {"no"} else ""
    photo = shlex.quote(f"image=@{_ROOT / 'examples/photos/cat.jpg'}")
    key = ' -H "X-API-Key: $KEY"' if settings.api_keys_file else ""
    worker = f"REDIS_URL={shlex.quote(url)} {shlex.quote(sys.executable)} run_worker.py"
    print(
        f"\nBatchpoint is ready at {address} (a page to try it, Ctrl-C to stop)\n\n"
        f"  curl{direct}{key} -F {photo} -F x=220 -F y=120 {address}/predict\n\n"
        f"One more worker: cd {shlex.quote(str(_ROOT))} && {worker} --processes 1\n",
        flush=True,
    )


def _address(settings: Settings) -> str:
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "") else settings.host
    return f"http://{host}:{settings.port}"


def _ended(children: Children) -> str:
    return next((name for name, child in children if child.poll() is not None), "")


def _raise_stop(*_: object) -> None:
    raise _Stop


if __name__ == "__main__":
    sys.exit(main())
