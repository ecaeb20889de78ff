"""Clients in an open loop: each posts at its fixed times, whatever became of what it sent before.

They share one event loop in a thread of this process. Every request has a connection of its own,
so that a server that ends is seen by those alone whom it had let in; with `keep`, connections are
used again, as most clients do.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from bench.chaos.photos import Photo
from bench.chaos.tally import Tally

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Idle = list[Connection]

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_PATIENCE_S = 5.0  # after its deadline a request without an answer counts as lost


@dataclass
class Outcome:
    """One request: what was posted, when (monotonic seconds), and what came back."""

    photo: Photo
    due: float  # when it was to be sent
    deadline_s: float
    sent: float = 0.0  # when the connection stood and the request was written; 0: never
    done: float = 0.0
    status: int = 0  # 0: no HTTP answer came
    problem: str = ""  # the end of the problem's `type`, or what became of the connection
    retry_after: str = ""
    answer: dict[str, Any] | None = None  # the JSON of it

    @property
    def wrong(self) -> bool:
        """Whether it was answered, but not by what is right for this photo."""
        return self.status == 200 and not (self.answer and self.photo.is_right(self.answer))

    @property
    def took_s(self) -> float:
        """From when it was to be sent until its answer was there, so that no wait is hidden."""
        return self.done - self.due


class Load:
    """`with Load(...) as load:` keeps it up; at the block's end everybody has been answered."""

    def __init__(
        self,
        port: int,
        photo: Callable[[], Photo],
        clients: int = 100,
        every_s: float = 2.0,
        deadline_ms: int = 5000,
        keep: bool = False,
    ) -> None:
        """Let each of `clients` post a photo every `every_s`, at a moment of its own in it."""
        self.outcomes: list[Outcome] = []
        self._port = port
        self._photo = photo
        self._clients = clients
        self._every_s = every_s
        self._deadline_ms = deadline_ms
        self._idle: Idle | None = [] if keep else None
        self._stop = threading.Event()
        self._asked: list[asyncio.Task[None]] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more, and wait for the answers to what was sent."""
        self._stop.set()
        self._thread.join()

    def tally(self) -> Tally:
        """Return the sums over all that was sent."""
        return Tally(self.outcomes)

    async def _run(self) -> None:
        start, chance = time.monotonic(), random.Random(7)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._clients):
                group.create_task(self._client(start + chance.random() * self._every_s))
        await asyncio.gather(*self._asked)
        for _, writer in self._idle or ():
            writer.close()

    async def _client(self, due: float) -> None:
        while not self._stop.is_set():
            wait_s = due - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(min(wait_s, 0.1))
                continue
            outcome = Outcome(self._photo(), due, self._deadline_ms / 1000)
            self.outcomes.append(outcome)
            self._asked.append(asyncio.create_task(ask(self._port, outcome, self._idle)))
            due += self._every_s


def ask_all(port: int, photos: list[Photo], deadline_ms: int = 5000) -> list[Outcome]:
    """Post all at once; return what became of each, in this order."""

    async def run() -> list[Outcome]:
        now = time.monotonic()
        outcomes = [Outcome(photo, now, deadline_ms / 1000) for photo in photos]
        await asyncio.gather(*(ask(port, outcome) for outcome in outcomes))
        return outcomes

    return asyncio.run(run())


async def ask(port: int, outcome: Outcome, idle: Idle | None = None) -> None:
    """Post a photo and take note of what comes back, or that nothing does.

    On one of the connections of `idle`, where one is given, and then it is left there.
    """
    try:
        async with asyncio.timeout(outcome.deadline_s + _PATIENCE_S):
            reply = await _exchange(port, outcome, idle)
        _note(outcome, reply)
    except ConnectionRefusedError:
        outcome.problem = "refused"
    except (
        OSError,
        ValueError,
        EOFError,
        TimeoutError,
    ) as error:  # reset, cut off, no HTTP, silence
        outcome.problem = type(error).__name__
    outcome.done = time.monotonic()


async def _exchange(port: int, outcome: Outcome, idle: Idle | None) -> bytes:
    reader, writer = await _connect(port, idle)
    kept = False
    try:
        head = (
            f"POST /predict?{outcome.photo.query} HTTP/1.1\r\nHost: chaos\r\n"
            f"X-Request-Timeout-Ms: {outcome.deadline_s * 1000:.0f}\r\n"
            f"Content-Length: {len(outcome.photo.data)}\r\n"
            f"Connection: {'close' if idle is None else 'keep-alive'}\r\n\r\n"
        )
        writer.write(head.encode() + outcome.photo.data)
        outcome.sent = time.monotonic()
        if idle is None:
            return await reader.read(-1)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(answer)
        answer += await reader.readexactly(int(length[1]) if length else 0)
        kept = _CLOSES.search(answer) is None
        return answer
    finally:
        if kept and idle is not None:
            idle.append((reader, writer))
        else:
            writer.close()


async def _connect(port: int, idle: Idle | None) -> Connection:
    while idle:
        reader, writer = idle.pop()
        if not reader.at_eof():
            return reader, writer
        writer.close()
    return await asyncio.open_connection("127.0.0.1", port)


def _note(outcome: Outcome, reply: bytes) -> None:
    """Read an HTTP response into `outcome`. Raises `ValueError` where it is none, or cut off."""
    head, _, body = reply.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    if not first.startswith("HTTP/1.1 ") or int(headers["content-length"]) != len(body):
        raise ValueError("not a whole response")
    outcome.answer = json.loads(body)
    outcome.retry_after = headers.get("retry-after", "")
    outcome.problem = str((outcome.answer or {}).get("type", "")).rpartition(":")[2]
    outcome.status = int(first.split()[1])
