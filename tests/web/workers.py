"""The workers of the running service, asleep for a moment."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.service import Service


@contextmanager
def asleep(service: Service) -> Iterator[None]:
    """Stop the workers for a moment, too short for them to count as dead."""
    pids = [worker["pid"] for worker in service.workers()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
