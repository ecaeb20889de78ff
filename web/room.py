"""Room: how many bytes of bodies, and of what was cut out of photos, one web process holds.

A body counts from before it is read until its request ends, or until its photos are decoded; then
what was cut out of them counts. Who has no room is refused before the body is read, at whichever
door; or in the middle, where others took the room meanwhile: what is only announced counts for
nothing, or a few who announce much and send little would keep all out.
"""

from __future__ import annotations

from collections.abc import Iterable
from wsgiref.types import InputStream, StartResponse, WSGIApplication, WSGIEnvironment

from shared.settings import MIB
from web.tickets import NoRoomError

_MOST_BYTES = 256 * MIB


class Room:
    """A WSGI application in front of another, whose reading of bodies it bounds."""

    def __init__(self, app: WSGIApplication, longest_bytes: int) -> None:
        """Bound all bodies together, but never so that one of `longest_bytes` has no room."""
        self._app = app
        self.left = max(_MOST_BYTES, longest_bytes)  # bytes

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, with its `Held` as `batchpoint.held`.

        Reading its body may raise `NoRoomError`.
        """
        held = environ["batchpoint.held"] = Held(self)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = _Body(environ["wsgi.input"], length, held)
        try:
            return self._app(environ, start_response)
        finally:
            held.become(0)


class Held:
    """What one request holds of the room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.size = 0  # bytes

    @property
    def most(self) -> int:
        """How much it can hold now, in bytes."""
        return self._room.left + self.size

    def become(self, size: int) -> None:
        """Hold so many bytes from now on. Raises `NoRoomError`."""
        if size > self.most:
            raise NoRoomError
        self._room.left -= size - self.size
        self.size = size


class _Body:
    """The stream of one body, of `length` bytes, or 0 where that is not told."""

    def __init__(self, stream: InputStream, length: int, held: Held) -> None:
        self._stream = stream
        self._length = length
        self._held = held

    def read(self, size: int) -> bytes:
        """Read, as werkzeug does: some bytes at a time, `size` always given."""
        held = self._held
        if self._length > held.most:
            raise NoRoomError
        held.become(held.size + size)
        piece = self._stream.read(size)
        held.become(held.size + len(piece) - size)
        return piece
