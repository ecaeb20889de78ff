"""What a server is told in one breath, byte by byte, and what it makes of it."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

PATIENCE_S = 4.0
POST = b"POST /predict HTTP/1.1\r\nHost: a\r\n"
CLOSE = b"Connection: close\r\n"
SENT_MOST = 64 * 1024 * 1024  # bytes


@dataclass(frozen=True)
class Outcome:
    """What was seen, in a few words, and whether it is what is wanted."""

    text: str
    good: bool


def connect(port: int) -> socket.socket:
    """Return a connection to the server."""
    return socket.create_connection(("127.0.0.1", port), PATIENCE_S)


def receive(client: socket.socket, seconds: float = PATIENCE_S) -> tuple[bytes, bool]:
    """Return what comes until the server closes or `seconds` pass, and whether it closed."""
    data, until = b"", time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        client.settimeout(left)
        try:
            piece = client.recv(65536)
        except TimeoutError:
            break
        except OSError:
            return data, True
        if not piece:
            return data, True
        data += piece
    return data, False


def statuses(data: bytes) -> list[int]:
    """Return the status of each answer in `data`, in order."""
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3})", data)]


def tell(port: int, message: bytes, half_close: bool = False) -> tuple[bytes, bool]:
    """Send `message` on a new connection; return what came back and whether it closed."""
    with connect(port) as client:
        try:
            client.sendall(message)
            if half_close:
                client.shutdown(socket.SHUT_WR)
        except OSError:  # refused before it was all sent: the answer may still be there
            pass
        return receive(client)


def refused(message: bytes) -> Callable[[int], Outcome]:
    """Return a check that `message` is answered with an error, or the connection closed."""

    def check(port: int) -> Outcome:
        data, closed = tell(port, message)
        codes = statuses(data)
        if codes:
            return Outcome(str(codes[0]), codes[0] >= 400)
        if data:
            return Outcome("served without a status line", False)
        return Outcome("closed" if closed else f"silent for {PATIENCE_S:.0f} s", closed)

    return check


def head(*lines: bytes) -> bytes:
    """Return the head of a POST with these header lines."""
    return POST + CLOSE + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


REFUSED: dict[str, bytes] = {
    "two Content-Length that differ": head(b"Content-Length: 5", b"Content-Length: 6") + b"abcdef",
    "Content-Length and chunked": head(b"Content-Length: 5", b"Transfer-Encoding: chunked")
    + b"0\r\n\r\n",
    "Content-Length: 0_5": head(b"Content-Length: 0_5") + b"abcde",
    "Content-Length: +5": head(b"Content-Length: +5") + b"abcde",
    "Content-Length: -1": head(b"Content-Length: -1") + b"abcde",
    "Transfer-Encoding: xchunked": head(b"Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "HTTP/0.9": b"GET /livez\r\n\r\n",
    "HTTP/1.1 without Host": b"POST /predict HTTP/1.1\r\n" + CLOSE + b"Content-Length: 0\r\n\r\n",
    "two Host": head(b"Host: b", b"Content-Length: 0"),
    "space before the colon": head(b"Content-Length : 5") + b"abcde",
    "bare LF line ends": head(b"Content-Length: 5").replace(b"\r\n", b"\n") + b"abcde",
    "folded header": head(b"X-A: b\r\n c", b"Content-Length: 0"),
    "NUL in a value": head(b"X-A: b\x00c", b"Content-Length: 0"),
    "header of 64 KB": head(b"X-A: " + b"b" * 65536, b"Content-Length: 0"),
    "10,000 headers": head(*(b"X-%d: b" % n for n in range(10_000)), b"Content-Length: 0"),
    "chunk size 0x5": head(b"Transfer-Encoding: chunked") + b"0x5\r\nabcde\r\n0\r\n\r\n",
    "chunk size -5": head(b"Transfer-Encoding: chunked") + b"-5\r\nabcde\r\n0\r\n\r\n",
    "chunk longer than said": head(b"Transfer-Encoding: chunked") + b"2\r\nabcde\r\n0\r\n\r\n",
}


def pipelined(port: int) -> Outcome:
    """Three requests in one segment: three answers, in order."""
    one = POST + b"Content-Length: 5\r\n\r\nabcde"
    last = POST + CLOSE + b"Content-Length: 7\r\n\r\nabcdefg"
    data, _ = tell(port, one + one + last)
    codes = statuses(data)
    return Outcome(" ".join(map(str, codes)) or "nothing", codes == [200, 200, 200])


def expect(port: int) -> Outcome:
    """`Expect: 100-continue`: 100, then the answer."""
    with connect(port) as client:
        client.sendall(head(b"Content-Length: 5", b"Expect: 100-continue"))
        first, _ = receive(client, 1.0)
        client.sendall(b"abcde")
        data, _ = receive(client)
    codes = statuses(first + data)
    return Outcome(" ".join(map(str, codes)) or "nothing", codes == [100, 200])


def expect_too_long(port: int) -> Outcome:
    """`Expect: 100-continue` with a body over the limit: 413, and never 100."""
    data, _ = tell(port, head(b"Content-Length: 3000000000", b"Expect: 100-continue"))
    codes = statuses(data)
    return Outcome(" ".join(map(str, codes)) or "nothing", codes == [413])


def truncated(port: int) -> Outcome:
    """50 of 100 bytes, then the client's end: not to be served as if it were whole."""
    data, closed = tell(port, head(b"Content-Length: 100") + b"x" * 50, half_close=True)
    codes = statuses(data)
    if codes == [200]:
        return Outcome("the application gets 50 bytes", False)
    if not codes and not closed:
        return Outcome(f"silent for {PATIENCE_S:.0f} s", False)
    return Outcome(str(codes[0]) if codes else "closed", True)


def goes_on(port: int) -> Outcome:
    """3 GB announced, sent without a pause, at most 64 MB of it: 413, and soon an end."""
    sent, data, start = 0, b"", time.monotonic()
    with connect(port) as client:
        client.sendall(head(b"Content-Length: 3000000000").replace(CLOSE, b""))
        client.setblocking(False)
        poll = select.poll()
        poll.register(client, select.POLLIN | select.POLLOUT)
        with contextlib.suppress(OSError):
            while sent < SENT_MOST and time.monotonic() - start < 8:
                for _, event in poll.poll(1000):
                    if event & ~select.POLLOUT:
                        piece = client.recv(65536)
                        if not piece:
                            raise ConnectionError("the server has closed")
                        data += piece
                    if event & select.POLLOUT:
                        sent += client.send(b"x" * 65536)
    codes = statuses(data)
    text = f"{codes[0] if codes else 'no answer'}, took {sent / 2**20:.0f} MB"
    return Outcome(text, codes == [413] and sent < SENT_MOST)


def a_little_over(port: int) -> Outcome:
    """17 MiB, all sent before the client looks for an answer: it still finds 413."""
    length = 17 * 1024 * 1024
    data, _ = tell(port, head(b"Content-Length: %d" % length) + b"x" * length)
    codes = statuses(data)
    return Outcome(str(codes[0]) if codes else "reset, no answer", codes == [413])


CHECKS: dict[str, Callable[[int], Outcome]] = {
    **{name: refused(message) for name, message in REFUSED.items()},
    "body of 50 bytes for 100": truncated,
    "three requests at once": pipelined,
    "Expect: 100-continue": expect,
    "Expect with 3 GB": expect_too_long,
    "17 MiB, read afterwards": a_little_over,
}
