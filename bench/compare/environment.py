"""A peer's environment: what a worker of ours is installed with, and the peer's packages."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

from bench.compare.tagger import ROOT

VAR = ROOT / "var" / "bench"
_LOCK = ROOT / "requirements" / "worker.txt"
_MINUTES = 20


def install(peer: str, packages: tuple[str, ...]) -> Path:
    """Make the environment unless it is there; return its folder of programs.

    It is made anew where our lock file or `packages` have changed. Raises
    `subprocess.CalledProcessError` where something cannot be installed.
    """
    home = VAR / peer
    wanted = hashlib.sha256(_LOCK.read_bytes() + repr(packages).encode()).hexdigest()
    stamp = home / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing {', '.join(packages)} into {home} ...", flush=True)
        VAR.mkdir(parents=True, exist_ok=True)
        pip = [str(home / "bin" / "pip"), "install", "-qq", "--disable-pip-version-check"]
        pins = VAR / f"{peer}.pins"
        pins.write_text("\n".join(re.findall(r"^[a-z0-9-]+==\S+", _LOCK.read_text(), re.M)))
        for line in (
            [sys.executable, "-m", "venv", "--clear", str(home)],
            [*pip, "--require-hashes", "-r", str(_LOCK)],
            [*pip, "-c", str(pins), *packages],
        ):
            subprocess.run(line, check=True, timeout=60 * _MINUTES)
        stamp.write_text(wanted)
    return home / "bin"
