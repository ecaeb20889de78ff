"""`/openapi.json` is true: what schemathesis makes of it is answered as it says."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from tests.photo_kinds import cat, encode
from tests.service import ROOT, Service

pytestmark = pytest.mark.service

PHOTO = encode(cat().resize((30, 20)))
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

schemathesis.openapi.media_type("image/*", st.just(PHOTO) | st.binary(max_size=50))
SCHEMA = schemathesis.openapi.from_path(ROOT / "web" / "openapi.json")
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)]
WITH_BODY = [operation for operation in OPERATIONS if operation.body]
bounded = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # a failure that is not made small is enough
)


def test_every_operation_is_tried() -> None:
    document = json.loads((ROOT / "web" / "openapi.json").read_text("utf-8"))
    described = {(path, method) for path, item in document["paths"].items() for method in item}
    assert {(operation.path, operation.method) for operation in OPERATIONS} == described


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_what_the_document_allows_is_answered_as_it_says(operation: Any, service: Service) -> None:
    statuses = set()

    @seed(1)  # what CI says does not depend on chance
    @settings(bounded, max_examples=_examples(operation))
    @given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def check(case: Any) -> None:
        if isinstance(case.body, dict) and "image" in case.body:
            is_json = case.media_type == "application/json"
            case.body["image"] = base64.b64encode(PHOTO).decode() if is_json else PHOTO
        statuses.add(send(case, service))

    check()
    assert operation.path != "/predict" or {200, 202} & statuses, "not all of it was refused"


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: operation.label)
def test_what_the_document_does_not_allow_is_answered_as_it_says(
    operation: Any, service: Service
) -> None:
    @seed(1)
    @settings(bounded, max_examples=_examples(operation))
    @given(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def check(case: Any) -> None:
        send(case, service)

    check()


def _examples(operation: Any) -> int:
    return 60 if operation.path == "/predict" else 20 if operation.body else 5


def send(case: Any, service: Service) -> int:
    """Send what was made up, hold the answer against the document and return its status."""
    response = case.call(base_url=service.url)
    assert response.status_code != 500, response.content
    if "x-request-id" not in response.headers:  # the front's own: a line that is too long
        assert response.status_code in (400, 414, 431)
        return int(response.status_code)
    case.validate_response(response, checks=CHECKS)
    return int(response.status_code)
