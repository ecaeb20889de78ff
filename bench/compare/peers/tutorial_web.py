"""The known tutorial's web server: base64 in a Redis list, a poll every 0.25 s.

Its model server is `tutorial_model.py`. As it stands there, but for what the job needs: a point,
the 80 % window and the 9x9 patch, and a pool of connections that 256 clients do not exhaust.
"""

from __future__ import annotations

import base64
import json
import os
import time
import uuid

import flask
import redis

from bench.compare.peers.setting import DECODE
from bench.compare.tagger import ROOT, usual
from shared.images import Point
from shared.manifest import read_model

POLL_S = 0.25

assert DECODE == "usual"
model = read_model(ROOT / "models" / "tags")
app = flask.Flask(__name__)
store = redis.Redis.from_url(os.environ["REDIS_URL"], max_connections=1000)


@app.post("/predict")
def predict() -> flask.Response:
    """Queue the crops and look for the answer every quarter of a second."""
    point = Point(flask.request.args.get("x", 0, int), flask.request.args.get("y", 0, int))
    crops = usual(model, flask.request.get_data(), point)
    request_id = str(uuid.uuid4())
    images = [base64.b64encode(crop.copy(order="C").tobytes()).decode() for crop in crops]
    store.rpush("image_queue", json.dumps({"id": request_id, "images": images}))
    while True:
        output = store.get(request_id)
        if output is not None:
            store.delete(request_id)
            return flask.jsonify(json.loads(output))
        time.sleep(POLL_S)
