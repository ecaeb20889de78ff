"""TLS in front of a server that has none of its own, as the Redis of the wheel."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import trustme


class TlsProxy:
    """Listens on a port of this machine; `authority` is the file of who its clients trust."""

    def __init__(self, folder: Path, target: str) -> None:
        """Take where to put the files, and the Unix socket to forward to."""
        authority = trustme.CA()
        self.authority = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.authority)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self._context)
        self._target = target
        self.port = 0
        self.connections = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Forward until the block ends."""
        loop = asyncio.new_event_loop()
        begin = asyncio.start_server(self._forward, "localhost", 0, ssl=self._context)
        server = loop.run_until_complete(begin)
        self.port = server.sockets[0].getsockname()[1]
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            server.close()
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0.1))
            loop.close()

    async def _forward(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self.connections += 1
        server, there = await asyncio.open_unix_connection(self._target)
        await asyncio.gather(_copy(client, there), _copy(server, back))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(OSError):
            while piece := await source.read(65536):
                target.write(piece)
                await target.drain()
    finally:
        target.close()
