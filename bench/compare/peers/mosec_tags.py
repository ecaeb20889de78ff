"""Model `tags` behind mosec: one stage that decodes and infers, a batch at a time.

A stage of its own for decoding would move the crops between processes and, on two cores, gain
nothing. Its own documents: `append_worker(Inference, num=…, max_batch_size=…, max_wait_time=…)`.
"""

from __future__ import annotations

from typing import Any

from mosec import Server, Worker  # type: ignore[import-not-found]  # only in its environment

from bench.compare.peers.setting import BATCH, DECODE, ENGINE, WAIT_MS, WORKERS
from bench.compare.requests import decode_point
from bench.compare.tagger import Tagger


class Inference(Worker):  # type: ignore[misc]
    """One thread."""

    def __init__(self) -> None:
        super().__init__()
        self.tagger = Tagger(ENGINE, DECODE)

    def deserialize(self, data: bytes) -> list[Any]:
        """Decode and cut one photo."""
        return self.tagger.cut(*decode_point(data))

    def forward(self, data: list[list[Any]]) -> list[Any]:
        """Answer a batch."""
        return list(self.tagger.tag(data))


if __name__ == "__main__":
    server = Server()
    server.append_worker(Inference, num=WORKERS, max_batch_size=BATCH, max_wait_time=WAIT_MS)
    server.run()
