"""Model `tags` behind Ray Serve: replicas of one thread, `@serve.batch`."""

from __future__ import annotations

import threading
from typing import Any

import ray  # type: ignore[import-not-found]  # only in its environment
from ray import serve
from starlette.requests import Request  # type: ignore[import-not-found]  # as above
from starlette.responses import JSONResponse  # type: ignore[import-not-found]  # as above

from bench.compare.peers.setting import BATCH, DECODE, ENGINE, PORT, TIMEOUT_S, WAIT_MS, WORKERS
from bench.compare.tagger import Tagger


@serve.deployment(num_replicas=WORKERS, max_ongoing_requests=256, ray_actor_options={"num_cpus": 1})
class Tags:
    """One replica."""

    def __init__(self) -> None:
        self.tagger = Tagger(ENGINE, DECODE)

    @serve.batch(  # type: ignore[untyped-decorator]
        max_batch_size=BATCH, batch_wait_timeout_s=WAIT_MS / 1000
    )
    async def tag(self, asked: list[tuple[bytes, int, int]]) -> list[Any]:
        """Decode, cut and answer a batch."""
        return list(self.tagger.tag([self.tagger.cut(*one) for one in asked]))

    async def __call__(self, request: Request) -> JSONResponse:
        """Take one request."""
        query = request.query_params
        answer = await self.tag((await request.body(), int(query["x"]), int(query["y"])))
        return JSONResponse(answer)


if __name__ == "__main__":
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": PORT, "request_timeout_s": TIMEOUT_S})
    application = Tags.bind()  # type: ignore[attr-defined]  # a deployment, not the class
    serve.run(application, route_prefix="/predict")
    threading.Event().wait()
