"""What the bench tells a peer's server, by its environment."""

from __future__ import annotations

import os

ENGINE = os.environ.get("BENCH_ENGINE", "session")
DECODE = os.environ.get("BENCH_DECODE", "usual")
# What `bare` runs best; not 1, which turns batching off in mosec and LitServe: their hooks would
# get an item where they expect a list.
BATCH = max(2, int(os.environ.get("BENCH_BATCH", "4")))
PORT = int(os.environ.get("BENCH_PORT", "8000"))
WORKERS = int(os.environ.get("BENCH_WORKERS", "2"))  # of one thread each
TIMEOUT_S = float(os.environ.get("BENCH_TIMEOUT_S", "15"))
WAIT_MS = 10  # for a batch to fill: mosec's default, within what the others' documents use
