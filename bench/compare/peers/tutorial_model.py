"""The known tutorial's model server: LRANGE, infer, LTRIM, sleep 0.25 s.

Two of them do the same work and trim each other's, as it is written there.
"""

from __future__ import annotations

import base64
import json
import os
import time

import numpy as np
import redis

from bench.compare.peers.setting import ENGINE
from bench.compare.tagger import Tagger

BATCH = 32
SLEEP_S = 0.25


def main() -> None:
    """Answer whatever is queued, for ever."""
    store = redis.Redis.from_url(os.environ["REDIS_URL"])
    tagger = Tagger(ENGINE, "usual")
    shapes = [(1, c.crop.height, c.crop.width, 3) for c in tagger.model.classifiers]
    while True:
        queued = [json.loads(entry) for entry in store.lrange("image_queue", 0, BATCH - 1)]
        if queued:
            cuts = [
                [
                    np.frombuffer(base64.b64decode(image), np.uint8).reshape(shape)
                    for image, shape in zip(entry["images"], shapes, strict=True)
                ]
                for entry in queued
            ]
            for entry, answer in zip(queued, tagger.tag(cuts), strict=True):
                store.set(entry["id"], json.dumps(answer))
            store.ltrim("image_queue", len(queued), -1)
        time.sleep(SLEEP_S)


if __name__ == "__main__":
    main()
