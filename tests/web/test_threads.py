"""What runs in a native thread."""

from __future__ import annotations

import gc
import weakref

import pytest
from gevent.threadpool import ThreadPool

from web.threads import run_in


class Photo:
    """Something large."""


def refuse(photo: Photo) -> None:
    """Fail with what was handed over."""
    raise ValueError(photo)


def test_what_failed_is_let_go_at_once() -> None:
    pool, photo = ThreadPool(1), Photo()
    held = weakref.ref(photo)
    gc.disable()
    try:
        with pytest.raises(ValueError, match="Photo"):
            run_in(pool, refuse, photo)
        del photo
        run_in(pool, int)  # a thread keeps its last task until the next
        assert held() is None
    finally:
        gc.enable()
        pool.kill()
