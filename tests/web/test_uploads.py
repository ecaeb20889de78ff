"""The deadline that a request has: asked by a header or in the body, less what parsing took."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, g, request

from shared.manifest import read_model
from shared.settings import Settings
from tests.service import ROOT
from tests.web.bodies import as_json
from web import bodies
from web.api import inference, predict, recognize, tfserving
from web.prediction import Query
from web.tickets import DeadlineError
from web.uploads import ParameterError, read_query, read_timeout

SETTINGS = Settings(deadline_ms=3000, max_deadline_ms=4000)
PHOTO = as_json(b"photo")["json"]["image"]
PARSING_MS = 200

INPUT = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [PHOTO]}
DOORS: dict[str, Any] = {
    "/predict": {"image": PHOTO},
    "/recognize": {"image": PHOTO},
    "/v1/models/tags:predict": {"instances": [{"b64": PHOTO}]},
    "/v1/models/tags:classify": {"examples": [{"image": {"b64": PHOTO}}]},
    "/v2/models/tags/infer": {"inputs": [INPUT]},
}


class Asked(Exception):
    """Ends a request at the predictor."""

    def __init__(self, query: Query) -> None:
        super().__init__()
        self.query = query


@pytest.fixture
def post() -> Callable[..., Query]:
    """Post JSON to a path; what comes to the predictor is returned."""
    app = Flask(__name__)
    app.testing = True
    model = read_model(ROOT / "models" / "tags")
    served = SimpleNamespace(model=model, refusal=lambda *_: None)

    def ask(served: Any, query: Query, *_: Any) -> None:
        raise Asked(query)

    catalog: Any = SimpleNamespace(find=lambda *_: served)
    predictor: Any = SimpleNamespace(predict=ask)
    for door in (predict, recognize, tfserving, inference):
        app.register_blueprint(door.blueprint(SETTINGS, catalog, predictor))

    @app.before_request
    def begin() -> None:
        g.request_id = "id"
        request.environ["batchpoint.held"] = None

    def post(path: str, body: Any, **headers: str) -> Query:
        with pytest.raises(Asked) as asked:
            app.test_client().post(path, data=json.dumps(body), headers=headers)
        return asked.value.query

    return post


@pytest.mark.parametrize("path", DOORS)
def test_at_every_door_parsing_is_part_of_the_deadline(
    path: str, post: Callable[..., Query], monkeypatch: pytest.MonkeyPatch
) -> None:
    parse = bodies.parse_json

    def slowly(text: bytes) -> Any:
        time.sleep(PARSING_MS / 1000)
        return parse(text)

    monkeypatch.setattr(bodies, "parse_json", slowly)
    assert 0 < post(path, DOORS[path]).timeout_ms <= SETTINGS.deadline_ms - PARSING_MS
    headers, body = {"X-Request-Timeout-Ms": f"{PARSING_MS}"}, DOORS[path]
    if path.startswith("/v2"):
        headers, body = {}, body | {"parameters": {"timeout": PARSING_MS * 1000}}
    with pytest.raises(DeadlineError):
        post(path, body, **headers)


def test_a_header_that_asks_for_more_than_is_allowed_gets_what_is() -> None:
    def read(header: dict[str, str], query: str = "") -> int:
        with Flask(__name__).test_request_context(
            f"/predict?{query}", method="POST", data=b"photo", headers=header
        ):
            return read_query(request, SETTINGS).timeout_ms

    assert 3900 < read({"X-Request-Timeout-Ms": "9500"}) <= 4000
    assert 900 < read({"X-Request-Timeout-Ms": "1000"}, "timeout_ms=5") <= 1000
    assert 900 < read({}, "timeout_ms=1000") <= 1000
    for header, query in (({"X-Request-Timeout-Ms": "0"}, ""), ({}, "timeout_ms=9500")):
        with pytest.raises(ParameterError):
            read(header, query)


def test_it_is_the_same_where_the_header_is_all_there_is() -> None:
    for header, expected in (("9500", 4000), ("1000", 1000)):
        headers = {"X-Request-Timeout-Ms": header}
        with Flask(__name__).test_request_context("/", headers=headers):
            assert read_timeout(request, SETTINGS) == expected
