"""How large answers are written: beside the event loop, and as any other."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import gevent
import numpy as np
import pytest
from flask import Flask, g, request
from werkzeug.test import TestResponse

from shared.manifest import read_model
from shared.messages import Result
from shared.settings import Settings
from tests.service import ROOT
from web.answers import to_json
from web.api import inference, tfserving

MODEL = read_model(ROOT / "models" / "imagenet")
LABELS = MODEL.classifiers[0].labels
B64 = base64.b64encode(b"photo").decode()
INPUT = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [B64]}
CLASSES = {"parameters": {"classification": 1000}}


def softmax_of(items: int) -> Any:
    rows = np.random.default_rng(1).random((items, len(LABELS)), np.float32)
    return (rows / rows.sum(axis=1, keepdims=True)).astype("<f4")


@pytest.fixture
def app() -> Flask:
    """Two doors, behind which every request is one of 256 photos for model `imagenet`."""
    app = Flask(__name__)
    app.testing = True
    coded = base64.b64encode(softmax_of(256).tobytes()).decode()
    result = Result("id", softmax={"predictions": coded}, version="1")
    served = SimpleNamespace(model=MODEL, refusal=lambda *_: None)
    catalog: Any = SimpleNamespace(find=lambda *_: served)
    predictor: Any = SimpleNamespace(predict=lambda *_: result)
    for door in (tfserving, inference):
        app.register_blueprint(door.blueprint(Settings(), catalog, predictor))

    @app.before_request
    def begin() -> None:
        g.request_id = "id"
        request.environ["batchpoint.held"] = None

    return app


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/models/imagenet:classify", {"examples": [{"image": {"b64": B64}}]}),
        ("/v1/models/imagenet:predict", {"instances": [{"b64": B64}]}),
        ("/v1/models/imagenet:predict", {"inputs": {"image": {"b64": B64}}}),
        ("/v2/models/imagenet/infer", {"inputs": [INPUT]}),
        ("/v2/models/imagenet/infer", {"inputs": [INPUT]} | CLASSES),
    ],
    ids=["classify", "rows", "columns", "v2", "classes"],
)
def test_the_event_loop_goes_on_while_a_large_answer_is_written(
    path: str, body: dict[str, Any], app: Flask
) -> None:
    def post() -> TestResponse:
        return app.test_client().post(path, json=body)

    assert post().json  # what is made once, is made
    writing = gevent.spawn(post)
    turns = 0
    while not writing.ready():
        turns += 1
        gevent.sleep(0.001)
    assert writing.get().status_code == 200
    assert writing.get().mimetype == "application/json"
    assert turns > 10


@pytest.mark.parametrize("items", [1, 30])
@pytest.mark.parametrize(
    "content",
    [
        {"a": list(range(2500)), 'b"': [[1.5, "ü"]] * 3, "c": []},
        {"a": [[("x", 0.5)] * 1001, []], "b": {"c": [{"d": None}], "e": {}}},
        [],
    ],
)
def test_what_is_written_in_pieces_is_the_same_json(content: Any, items: int) -> None:
    text = to_json({"predictions": softmax_of(items)}, lambda: content)
    assert text.decode() == json.dumps(content, separators=(",", ":"))
