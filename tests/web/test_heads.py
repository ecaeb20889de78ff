"""The pattern of a plain request: it must never read one differently from gunicorn."""

from __future__ import annotations

import pytest
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader
from hypothesis import given
from hypothesis import strategies as st

from bench.servers.messages import CLOSE, REFUSED
from shared.settings import Settings
from web.heads import Head, read_head
from web.server import Server

CFG = Server(Settings(), 1, lambda: lambda *_: ()).cfg
LINE = b"POST /predict?x=1&y=2 HTTP/1.1\r\n"
HOST, LENGTH = b"Host: a\r\n", b"Content-Length: 5\r\n"


def test_what_a_refusal_needs_is_read() -> None:
    data = (
        b"POST /predict/tags-2.b?x=1&y=2 HTTP/1.1\r\nhost: a:8000\r\nContent-Type: image/jpeg\r\n"
        b"X-Request-Timeout-Ms:  800 \r\ncontent-length: 70000\r\nAccept:\r\n\r\n"
    )
    head = Head("/predict/tags-2.b", "x=1&y=2", "800", False, len(data), 70000)
    assert read_head(data + b"photo") == head


@pytest.mark.parametrize(("value", "closes"), [(b"keep-alive", False), (b"Close", True)])
def test_a_client_may_want_to_close(value: bytes, closes: bool) -> None:
    head = read_head(LINE + HOST + LENGTH + b"Connection: " + value + b"\r\n\r\n")
    assert head
    assert head.closes is closes


UNUSUAL = {
    "no Host": LINE + LENGTH + b"Accept: a\r\n\r\n",
    "two Host": LINE + HOST + HOST + LENGTH + b"\r\n",
    "no length": LINE + HOST + b"Accept: a\r\n\r\n",
    "the same length twice": LINE + HOST + LENGTH + LENGTH + b"\r\n",
    "an empty length": LINE + HOST + b"Content-Length:\r\n\r\n",
    "a length without end": LINE + HOST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "chunks": LINE + HOST + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n",
    "an expectation": LINE + HOST + LENGTH + b"Expect: 100-continue\r\n\r\n",
    "a browser's page": LINE + HOST + LENGTH + b"Origin: http://a\r\n\r\n",
    "an upgrade": LINE + HOST + LENGTH + b"Upgrade: h2c\r\n\r\n",
    "an upgrade's connection": LINE + HOST + LENGTH + b"Connection: upgrade\r\n\r\n",
    "an underscore": LINE + HOST + LENGTH + b"Content_Length: 6\r\n\r\n",
    "a byte that is no ASCII": LINE + HOST + LENGTH + b"X-A: \xe9\r\n\r\n",
    "a head that is not whole": LINE + HOST + LENGTH,
    "HTTP/1.0": LINE.replace(b"1.1", b"1.0") + HOST + LENGTH + b"\r\n",
    "a GET": LINE.replace(b"POST", b"GET") + HOST + LENGTH + b"\r\n",
    "another path": LINE.replace(b"predict", b"v1/models") + HOST + LENGTH + b"\r\n",
    "an escaped path": LINE.replace(b"predict", b"predict/%74ags") + HOST + LENGTH + b"\r\n",
    "a fragment": LINE.replace(b"y=2", b"y=2#a") + HOST + LENGTH + b"\r\n",
    "an empty line first": b"\r\n" + LINE + HOST + LENGTH + b"\r\n",
    "bare line feeds": (LINE + HOST + LENGTH + b"\r\n").replace(b"\r\n", b"\n"),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_unusual_is_left_to_gunicorn(name: str) -> None:
    assert read_head(LINE + HOST + LENGTH + b"\r\n") is not None
    assert read_head(UNUSUAL[name]) is None


@pytest.mark.parametrize("name", REFUSED)
def test_what_gunicorn_refuses_is_left_to_it(name: str) -> None:
    assert read_head(REFUSED[name].replace(CLOSE, b"")) is None


_NAMES = ["Host", "Content-Length", "X-Request-Timeout-Ms", "Connection", "Accept", "X-A", "Host "]
_VALUES = ["a", "5", " 5", "5 ", "05", "+5", "", "keep-alive", "CLOSE", "close, x", "\t800", "\x7f"]
_fields = st.lists(
    st.tuples(
        st.sampled_from(_NAMES) | st.text("aZ-_:\r\n ", max_size=4),
        st.sampled_from([":", ": ", ":\t", " : "]),
        st.sampled_from(_VALUES) | st.text("a1 \t\r\n\0\x80", max_size=6),
        st.sampled_from(["\r\n"] * 9 + ["\n", "\r", "\r\n "]),
    ).map("".join),
    max_size=5,
).map("".join)
_heads = st.builds(
    "{} {} {}\r\n{}{}\r\n{}".format,
    st.sampled_from(["POST", "POST ", "post", "GET"]),
    st.sampled_from(["/predict", "/predict?", "/predict/a?x=1&y=%20", "/predict/a/b"])
    | st.text("/predict?#%&=a \x80", max_size=9).map("/predict".__add__),
    st.sampled_from(["HTTP/1.1"] * 5 + ["HTTP/1.0", "HTTP/2.0"]),
    st.sampled_from(["Host: a\r\nContent-Length: 5\r\n"] * 5 + ["Host: a\r\n", ""]),
    _fields,
    st.sampled_from(["", "abcde", "abcdeGET"]),
)


@given(_heads)
def test_a_head_that_is_read_is_read_as_gunicorn_reads_it(text: str) -> None:
    data = text.encode("latin-1")
    head = read_head(data)
    if head is None:
        return
    request = Request(CFG, IterUnreader([data]), ("127.0.0.1", 1))  # raises what it refuses
    fields = dict(request.headers)
    assert (request.method, request.path, request.query) == ("POST", head.path, head.query)
    assert request.version == (1, 1)
    assert "HOST" in fields
    assert fields.get("X-REQUEST-TIMEOUT-MS", "") == head.timeout_ms
    assert request.should_close() == head.closes
    assert request.body.reader.length == head.body_bytes
    assert request.unreader.take_buffered() == data[head.size :]
