"""The head of a plain request for a prediction, told by one pattern, before HTTP is parsed.

It is for refusing, which must cost next to nothing. What it knows is a part of what gunicorn takes,
so that the two never read a request differently: whatever is unusual is left to gunicorn to judge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEAD = re.compile(
    rb"POST (/predict(?:/[\w.-]{1,99})?)(?:\?([!-\"$-~]{0,999}))? HTTP/1\.1\r\n"
    rb"((?:[A-Za-z0-9-]{1,99}:[\t -~]{0,4000}\r\n){2,50})\r\n",
    re.ASCII,
)
# What changes how a request is read, or what is made of it. A browser sends `Origin`, and may need
# an answer with what its own rules ask for.
_UNUSUAL = {
    "expect",
    "origin",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-protocol",
    "x-forwarded-ssl",
}


@dataclass(frozen=True)
class Head:
    """What is known of a request before its body."""

    path: str
    query: str
    timeout_ms: str  # the field `X-Request-Timeout-Ms`; empty where it is not there
    closes: bool  # the client wants no further answer on this connection
    size: int  # of the head, in bytes
    body_bytes: int


def read_head(data: bytes) -> Head | None:
    """Return the head that `data` begins with; None where it is unusual or not whole."""
    found = _HEAD.match(data)
    if found is None:
        return None
    path, query, lines = found[1].decode(), (found[2] or b"").decode(), found[3].decode()
    fields: dict[str, str] = {}
    for line in lines.split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        name = name.lower()
        if name in fields or name in _UNUSUAL:
            return None
        fields[name] = value.strip(" \t")
    connection = fields.get("connection", "keep-alive").lower()
    length = fields.get("content-length", "")
    if (
        "host" not in fields
        or connection not in ("keep-alive", "close")
        or not length.isdecimal()
        or len(length) > 15
    ):
        return None
    timeout_ms = fields.get("x-request-timeout-ms", "")
    return Head(path, query, timeout_ms, connection == "close", found.end(), int(length))
