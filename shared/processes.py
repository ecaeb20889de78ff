"""Child processes that never outlive their parent (Linux)."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import time
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

Child = subprocess.Popen[bytes]


def spawn(command: Sequence[str], output: int | None = None) -> Child:
    """Start a child in a session of its own, so that Ctrl-C reaches only its parent.

    The kernel kills it when its parent dies, however that happens. `output` is where its stdout
    and stderr go, as in `subprocess`.
    """

    def die_with_parent() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )


def stop_all(children: Sequence[Child], patience_s: float) -> bool:
    """Ask the children to end by SIGTERM, kill those still there after `patience_s`.

    Returns whether all ended by themselves with status 0.
    """
    for child in children:
        if child.poll() is None:
            child.terminate()
    until = time.monotonic() + patience_s
    for child in children:
        try:
            child.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    return all(child.returncode == 0 for child in children)
