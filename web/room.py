"""Room for bodies: how many bytes of them one web process holds at the same time.

A body counts from before it is read until its request ends. Who has no room is refused before the
body is read, at whichever door; or in the middle, where others took the room meanwhile: what is
only announced counts for nothing, or a few who announce much and send little would keep all out.
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
        """Pass the request on; reading its body may raise `NoRoomError`."""
        body = _Body(environ["wsgi.input"], int(environ.get("CONTENT_LENGTH") or 0), self)
        environ["wsgi.input"] = body
        try:
            return self._app(environ, start_response)
        finally:
            self.left += body.held


class _Body:
    """The stream of one body, of `length` bytes, or 0 where that is not told."""

    def __init__(self, stream: InputStream, length: int, room: Room) -> None:
        self._stream = stream
        self._length = length
        self._room = room
        self.held = 0  # bytes of the room

    def read(self, size: int) -> bytes:
        """Read, as werkzeug does: some bytes at a time, `size` always given."""
        if max(size, self._length - self.held) > self._room.left:
            raise NoRoomError
        self._take(size)
        piece = self._stream.read(size)
        self._take(len(piece) - size)
        return piece

    def _take(self, size: int) -> None:
        self.held += size
        self._room.left -= size
