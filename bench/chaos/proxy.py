"""A proxy in front of Redis that forwards everything, and harms replies when it is told to."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from typing import Any

_PIECE = 65536  # bytes


class Harm(Enum):
    """What can be done to a reply; its command has run all the same."""

    DROP = 1  # it never comes, and its client waits in vain
    DELAY = 2
    CUT = 3  # it ends after its first byte or anywhere behind it, and so does the connection


class Proxy:
    """Stands between Redis and its clients, `Needs(through=Proxy().between)`."""

    def __init__(self) -> None:
        self.harmed = 0  # replies
        self._harm: Harm | None = None
        self._share = 0.0
        self._delay_s = 0.0
        self._chance = random.Random(3)

    def harm(self, harm: Harm, share: float, delay_s: float = 0.0) -> None:
        """Harm that share of the replies from now on; a delayed one comes after `delay_s`."""
        self._harm, self._share, self._delay_s = harm, share, delay_s

    def relent(self) -> None:
        """Only forward from now on."""
        self._harm = None

    @contextmanager
    def between(self, url: str) -> Iterator[str]:
        """Listen on the loopback for the Redis at `url`, `unix://...`; give the URL to use."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
        thread.start()

        def run(call: Coroutine[Any, Any, Any]) -> Any:
            return asyncio.run_coroutine_threadsafe(call, loop).result(10)

        path = url.removeprefix("unix://")
        server = run(asyncio.start_server(lambda *ends: self._serve(path, *ends), "127.0.0.1", 0))
        try:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        finally:
            run(_stop(server))
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _serve(
        self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Forward one connection until either end closes it."""
        with suppress(OSError):  # reset, or Redis is away
            from_redis, to_redis = await asyncio.open_unix_connection(path)
            try:
                asked = asyncio.Event()
                ways = [_forward(reader, to_redis, asked), self._reply(from_redis, writer, asked)]
                tasks = [asyncio.create_task(way) for way in ways]
                try:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
            finally:
                to_redis.close()
        writer.close()

    async def _reply(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event
    ) -> None:
        """Forward what Redis says, in pieces: one reply to all that was `asked` before it.

        A batch is a reply of twenty pieces; its harm is thrown for once, as for a short one.
        """
        harm = None
        while piece := await reader.read(_PIECE):
            first = asked.is_set()
            if first:
                asked.clear()
                harm = self._harm if self._chance.random() < self._share else None
                self.harmed += harm is not None
            if harm is Harm.DROP:
                continue
            if harm is Harm.CUT:
                writer.write(piece[: self._chance.randrange(1, max(2, len(piece)))])
                await writer.drain()
                return
            if harm is Harm.DELAY and first:
                await asyncio.sleep(self._delay_s)
            writer.write(piece)
            await writer.drain()


async def _forward(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event
) -> None:
    while piece := await reader.read(_PIECE):
        asked.set()
        writer.write(piece)
        await writer.drain()


async def _stop(server: asyncio.Server) -> None:
    """Stop listening, and forwarding."""
    server.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
