"""Native threads, where what takes long runs off the event loop."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from gevent.threadpool import ThreadPool


def run_in(pool: ThreadPool, call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what `call` returns, run in a thread of `pool`; only the calling greenlet waits.

    Raises what `call` raises. The pool's own `apply` does too, but prints it before.
    """
    result, error = pool.apply(_attempt, (call, arguments))
    try:
        if error is not None:
            raise error
        return result
    finally:
        del error  # its traceback holds this frame, and so what was read or decoded


def _attempt(call: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Exception | None]:
    try:
        return call(*arguments), None
    except Exception as error:
        traceback.clear_frames(error.__traceback__)  # what was read or decoded is in them
        return None, error
