"""The overhead-only job behind mosec: a 28x28 PNG and a 784x10 product, in numpy."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from mosec import Server, Worker  # type: ignore[import-not-found]  # only in its environment
from PIL import Image

from bench.compare.peers.setting import WAIT_MS, WORKERS
from bench.compare.product import weights


class Product(Worker):  # type: ignore[misc]
    """One thread."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = weights()

    def deserialize(self, data: bytes) -> Any:
        """Decode one image."""
        return np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float32).reshape(784)

    def forward(self, data: list[Any]) -> list[Any]:
        """Answer a batch with the five likeliest."""
        values = np.exp(np.stack(data) / 255 @ self.weights)
        values /= values.sum(axis=1, keepdims=True)
        best = (-values).argsort(axis=1)[:, :5]
        return [
            {"digits": [{"label": str(at), "probability": float(row[at])} for at in order]}
            for row, order in zip(values, best.tolist(), strict=True)
        ]


if __name__ == "__main__":
    server = Server()
    server.append_worker(Product, num=WORKERS, max_batch_size=64, max_wait_time=WAIT_MS)
    server.run()
