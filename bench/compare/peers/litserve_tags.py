"""Model `tags` behind LitServe: its hooks decode, batch, predict, unbatch, encode.

FastAPI reads the types of `decode_request`, so annotations are not postponed here.
"""

from typing import Annotated, Any

import litserve  # type: ignore[import-not-found]  # only in its environment
from fastapi import Body  # type: ignore[import-not-found]  # as above

from bench.compare.peers.setting import BATCH, DECODE, ENGINE, PORT, TIMEOUT_S, WAIT_MS, WORKERS
from bench.compare.requests import decode_point
from bench.compare.tagger import Tagger

Bytes = Annotated[bytes, Body(media_type="application/octet-stream")]


class Tags(litserve.LitAPI):  # type: ignore[misc]
    """One thread."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self.tagger = Tagger(ENGINE, DECODE)

    def decode_request(self, request: Bytes) -> list[Any]:
        """Decode and cut one photo."""
        return self.tagger.cut(*decode_point(request))

    def batch(self, inputs: list[list[Any]]) -> list[list[Any]]:
        """Leave the joining to `predict`."""
        return inputs

    def predict(self, inputs: list[list[Any]]) -> list[Any]:
        """Answer a batch."""
        return list(self.tagger.tag(inputs))

    def unbatch(self, output: list[Any]) -> list[Any]:
        """It is a list already."""
        return output

    def encode_response(self, output: Any) -> Any:
        """It is a dictionary already."""
        return output


if __name__ == "__main__":
    api = Tags(max_batch_size=BATCH, batch_timeout=WAIT_MS / 1000)
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=WORKERS, timeout=TIMEOUT_S, fast_queue=True
    )
    server.run(host="127.0.0.1", port=PORT, generate_client_file=False, log_level="warning")
