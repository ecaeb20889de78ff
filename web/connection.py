"""A client's connection, as gunicorn is given it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import socket
import sys
import termios
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent.socket
from gunicorn.util import http_date

from web.bodies import SlowBodyError
from web.heads import read_head

if TYPE_CHECKING:  # gunicorn imports this file before gevent has patched what that one imports
    from web.admission import Refusal

_HEAD_BYTES = 8192  # as much of a head as gunicorn reads at once
_NOWHERE = bytearray(1024 * 1024)  # never written to, so it takes no memory
LINGER_S = 2.0  # for what a client sends after its answer
# A body may pause for so long, and in the end must have come at so many bytes a second. An answer
# must be taken at that pace, by what was acknowledged, in each span of so long.
_GRACE_S = 5.0
_LEAST_BYTES_PER_S = 4096


class Connection(gevent.socket.socket):
    """A client's socket: it may not be slow, and an answer goes in one packet, not in two.

    It can also refuse requests by itself, before gunicorn parses HTTP.
    """

    # gevent's own, which its type hints leave out
    _sock: socket.socket
    _read_event: object
    _wait: Callable[[object], None]

    _held = b""  # received, and not yet given to gunicorn
    _began: float | None = None  # when the body that is being read was to come; None: a head is
    _came = 0  # bytes of it

    def refuse(
        self,
        refusal: Callable[[str, str, str], Refusal | None],
        stays: Callable[[], bool],
        idle_s: float,
        most_bytes: int,
    ) -> bool:
        """Wait for the next request, `idle_s` at most, and refuse as many as `refusal` says.

        Returns whether there is one for gunicorn: what is not refused, what is not plain, or has a
        body of more than `most_bytes`. If not, the connection is to be closed. So it is after a
        refusal, too, where `stays` says no.
        """
        try:
            self.settimeout(idle_s)
            data = super().recv(_HEAD_BYTES)
            while head := read_head(data):
                rest = head.size + head.body_bytes - len(data)
                if rest < 0 or head.body_bytes > most_bytes:
                    break
                answer = refusal(head.path, head.query, head.timeout_ms)
                if answer is None:
                    break
                if not self._answer(answer, rest, stays() and not head.closes):
                    return False
                self.settimeout(idle_s)
                self._wait(self._read_event)  # at least a turn of the loop: others are served, too
                data = super().recv(_HEAD_BYTES)
            self._held = data
            return bool(data)
        except OSError:  # the client left, or was slow
            return False
        finally:
            self.settimeout(_GRACE_S)

    def _answer(self, refusal: Refusal, rest: int, stays: bool) -> bool:
        """Send a refusal and let the body's `rest` pass; return whether the connection `stays`.

        What has come is discarded first, so that who has sent everything can ask again at once.
        """
        rest -= self._discard(rest)
        status, headers, body = refusal
        headers |= {"Date": http_date(), "Connection": "keep-alive" if stays else "close"}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)
        until = time.monotonic() + LINGER_S
        while rest:
            self.settimeout(max(0.001, until - time.monotonic()))
            self._wait(self._read_event)
            passed = self._discard(rest)
            if not passed:
                raise ConnectionError("the client left")
            rest -= passed
        return stays

    def _discard(self, most: int) -> int:
        """Let at most `most` received bytes pass, and return how many.

        Linux does not even copy them.
        """
        if not most:
            return 0
        with contextlib.suppress(BlockingIOError):
            most = min(most, len(_NOWHERE))
            return int(self._sock.recv_into(_NOWHERE, most, socket.MSG_TRUNC))
        return 0

    def expect_body(self) -> None:
        """Let what comes from now on keep pace, until `expect_head`."""
        self._began, self._came = time.monotonic(), 0

    def expect_head(self) -> None:
        """Let gunicorn alone see to the time that a head takes."""
        self._began = None

    def recv(self, size: int, *args: Any) -> bytes:
        """Receive. Raises `SlowBodyError` where a body falls behind its pace."""
        if self._held:
            piece, self._held = self._held[:size], self._held[size:]
            return piece
        left_s = None
        if self._began is not None:
            due = self._began + _GRACE_S + self._came / _LEAST_BYTES_PER_S
            left_s = max(0.001, due - time.monotonic())
        self.settimeout(left_s)
        try:
            piece = super().recv(size, *args)
        except TimeoutError as error:  # to the application, a client that left
            raise SlowBodyError("the body fell behind its pace") from error
        finally:
            self.settimeout(_GRACE_S)
        self._came += len(piece)
        return piece

    def sendall(self, data: bytes, flags: int = 0) -> None:  # type: ignore[override]
        """Send; a response's header, which gunicorn sends apart, waits for what follows it.

        Raises `BrokenPipeError` where the client takes it too slowly.
        """
        if data.startswith(b"HTTP/") and data.endswith(b"\r\n\r\n"):
            flags |= socket.MSG_MORE
        rest = memoryview(data)
        with contextlib.suppress(BlockingIOError):  # nearly always it is all sent at once
            rest = rest[self._sock.send(rest, flags) :]
        if rest:
            self._send_at_pace(rest, flags)

    def _send_at_pace(self, rest: memoryview, flags: int) -> None:
        until, most = 0.0, float("inf")  # no more may be left then
        try:
            while rest:
                now = time.monotonic()
                if now >= until:
                    left = len(rest) + self._untaken()
                    if left > most:
                        raise BrokenPipeError(errno.EPIPE, "the client takes too little")
                    until, most = now + _GRACE_S, left - _GRACE_S * _LEAST_BYTES_PER_S
                self.settimeout(max(0.001, until - now))
                with contextlib.suppress(TimeoutError):
                    rest = rest[self.send(rest, flags) :]
        finally:
            self.settimeout(_GRACE_S)

    def _untaken(self) -> int:
        """Return how many bytes the kernel holds that the client has not taken."""
        count = fcntl.ioctl(self.fileno(), termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(count, sys.byteorder)

    def flush(self) -> None:
        """Send a header that nothing followed."""
        with contextlib.suppress(OSError):  # closed by now
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
