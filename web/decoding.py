"""Decoding off the event loop, so that one photo never stops the others of its process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

from shared.images import Pixels, Point, read_header
from shared.manifest import Model
from shared.memory import keep_freed_memory
from shared.preparation import cut_all, prepare
from web.threads import run_in

# Together they bound how long the other requests wait, whatever is in the image.
_TINY_BYTES = 4096
_TINY_PIXELS = 64 * 64

Prepared = tuple[list[Point], list[Pixels]]


class Decoder:
    """A few native threads that decode and cut; Pillow works without the interpreter's lock."""

    def __init__(self, threads: int, max_pixels: int) -> None:
        keep_freed_memory()
        self._pool = ThreadPool(threads)
        self._free = BoundedSemaphore(threads)
        self._waiting: Counter[str] = Counter()  # photos without a thread, by the model's queue
        self._max_pixels = max_pixels

    def is_behind(self, model: Model) -> bool:
        """Return whether photos for `model` wait for a thread."""
        return self._waiting[model.queue] > 0

    def prepare(
        self, model: Model, data: bytes, points: Sequence[Point], check: Callable[[], None]
    ) -> Prepared:
        """See `shared.preparation.prepare`; only the calling greenlet waits.

        A tiny image is decoded where it is: to hand it to a thread would take longer. Any other has
        its turn in a while; `check` then raises where it need not be decoded any more.
        """
        if len(data) <= _TINY_BYTES:
            image = read_header(data, self._max_pixels)
            if image.width * image.height <= _TINY_PIXELS:
                return cut_all(model, image, points)
        self._waiting[model.queue] += 1
        try:
            self._free.acquire()
        finally:
            self._waiting[model.queue] -= 1
        try:
            check()
            found: Prepared = run_in(self._pool, prepare, model, data, points, self._max_pixels)
            return found
        finally:
            self._free.release()
