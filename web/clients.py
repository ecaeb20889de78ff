"""Which clients are still there: WSGI does not tell, their sockets do."""

from __future__ import annotations

import select
from collections.abc import Iterable, Mapping
from typing import Any

from gevent import monkey

# The original: gevent's own would make a watcher for every socket at every look.
_poll = monkey.get_original("select", "poll")


def left(sockets: Iterable[int]) -> list[int]:
    """Return those of the file descriptors whose other side has closed.

    One that closes only its sending side looks the same, and counts as one that left. A number
    under 0 stands for no socket, and never leaves.
    """
    poll = _poll()
    for socket in sockets:
        if socket >= 0:
            poll.register(socket, select.POLLRDHUP)
    return [socket for socket, _ in poll.poll(0)]


def socket_of(environ: Mapping[str, Any]) -> int:
    """Return the file descriptor of a request's client; under 0 where that is not known."""
    client = environ.get("gunicorn.socket")
    return client.fileno() if client else -1
