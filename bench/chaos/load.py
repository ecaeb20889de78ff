"""Clients in an open loop: each posts at its fixed times, whatever became of what it sent before.

They share one event loop in a thread of this process. Every request has a connection of its own,
so that a server that ends is seen by those alone whom it had let in.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from bench.chaos.photos import Photo
from bench.chaos.tally import Tally

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
    ) -> None:
        """Let each of `clients` post a photo every `every_s`, at a moment of its own in it."""
        self.outcomes: list[Outcome] = []
        self._port = port
        self._photo = photo
        self._clients = clients
        self._every_s = every_s
        self._deadline_ms = deadline_ms
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

    async def _client(self, due: float) -> None:
        while not self._stop.is_set():
            wait_s = due - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(min(wait_s, 0.1))
                continue
            outcome = Outcome(self._photo(), due, self._deadline_ms / 1000)
            self.outcomes.append(outcome)
            self._asked.append(asyncio.create_task(ask(self._port, outcome)))
            due += self._every_s


def ask_all(port: int, photos: list[Photo], deadline_ms: int = 5000) -> list[Outcome]:
    """Post all at once; return what became of each, in this order."""

    async def run() -> list[Outcome]:
        now = time.monotonic()
        outcomes = [Outcome(photo, now, deadline_ms / 1000) for photo in photos]
        await asyncio.gather(*(ask(port, outcome) for outcome in outcomes))
        return outcomes

    return asyncio.run(run())


def request(photo: Photo, deadline_s: float, keep: bool) -> bytes:
    """Return the bytes of a request that posts a photo, and whether to `keep` its connection."""
    head = (
        f"POST /predict?{photo.query} HTTP/1.1\r\nHost: chaos\r\n"
        f"X-Request-Timeout-Ms: {deadline_s * 1000:.0f}\r\n"
        f"Content-Length: {len(photo.data)}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
    )
    return head.encode() + photo.data


async def ask(port: int, outcome: Outcome) -> None:
    """Post a photo and take note of what comes back, or that nothing does."""
    try:
        async with asyncio.timeout(outcome.deadline_s + _PATIENCE_S):
            reply = await _exchange(port, outcome)
        note(outcome, reply)
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


async def _exchange(port: int, outcome: Outcome) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request(outcome.photo, outcome.deadline_s, keep=False))
        outcome.sent = time.monotonic()
        return await reader.read(-1)
    finally:
        writer.close()


def note(outcome: Outcome, reply: bytes) -> None:
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
