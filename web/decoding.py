"""Decoding off the event loop, so that one photo never stops the others of its process."""

from __future__ import annotations

from collections.abc import Sequence

from gevent.threadpool import ThreadPool

from shared.images import Pixels, Point
from shared.manifest import Model
from shared.preparation import prepare

Prepared = tuple[list[Point], list[Pixels]]


class Decoder:
    """A few native threads that decode and cut; Pillow works without the interpreter's lock."""

    def __init__(self, threads: int, max_pixels: int) -> None:
        self._pool = ThreadPool(threads)
        self._max_pixels = max_pixels

    def prepare(self, model: Model, data: bytes, points: Sequence[Point]) -> Prepared:
        """See `shared.preparation.prepare`; only the calling greenlet waits."""
        return self._pool.apply(prepare, (model, data, points, self._max_pixels))
