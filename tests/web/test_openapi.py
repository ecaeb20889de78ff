"""`/openapi.json` says what the service does, no more and no less."""

from __future__ import annotations

import base64
import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import requests
from flask import Flask
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.test import TestResponse

from shared.folder import ModelsFolder
from shared.images import ImageTooLargeError
from shared.manifest import Model
from shared.queue import Queue
from shared.settings import Settings
from tests.service import ROOT, Service
from web import bodies, errors, tickets
from web.app import create_app
from web.catalog import Catalog, Served
from web.decoding import Decoder
from web.dispatch import Dispatcher
from web.gate import Gate
from web.prediction import Predictor

DOCUMENT: dict[str, Any] = json.loads((ROOT / "web" / "openapi.json").read_text("utf-8"))
PREFIX = "urn:batchpoint:problem:"
PHOTO = (ROOT / "examples" / "photos" / "cat.jpg").read_bytes()
B64 = {"b64": base64.b64encode(PHOTO).decode()}
IMAGE = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [B64["b64"]]}


def look_up(node: dict[str, Any]) -> dict[str, Any]:
    """Return what a `$ref` stands for, or the node itself."""
    while "$ref" in node:
        target: Any = DOCUMENT
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """Return what validates by a schema of the document, whose references it resolves."""
    return Draft202012Validator({"components": DOCUMENT["components"], **schema})


def check_schema(schema: dict[str, Any], value: object) -> None:
    """Raise where `value` is not what the document's `schema` says."""
    validator(schema).validate(value)


def check(described: dict[str, Any], response: requests.Response) -> None:
    """Raise where a live answer is not what the document says of it."""
    described = look_up(described)
    for name, header in described.get("headers", {}).items():
        header = look_up(header)
        if header.get("required"):
            assert name in response.headers, f"{name} is missing"
        if name in response.headers:
            value: object = response.headers[name]
            whole = header["schema"].get("type") == "integer"
            check_schema(header["schema"], int(str(value)) if whole else value)
    declared = response.headers["Content-Type"].split(";")[0]
    content = described["content"]
    assert declared in content or "*/*" in content
    if declared.endswith("json"):
        check_schema(content[declared]["schema"], response.json())


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and operation."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield path, method.upper(), operation


def received(got: TestResponse) -> requests.Response:
    """Return an answer of the application as one that came over the network."""
    response = requests.Response()
    response.status_code, response._content = got.status_code, got.data
    response.headers.update(dict(got.headers))
    return response


@pytest.fixture(scope="module")
def app() -> Flask:
    """The application with its real collaborators, and a Redis that is not there."""
    settings = Settings()

    def serve(model: Model) -> Served:
        queue = Queue(redis.Redis.from_url("unix:///nowhere"), model.queue, settings)
        return Served(model, queue, Dispatcher(queue, queue, 1.0, 2.0), Gate())

    catalog = Catalog(ModelsFolder(ROOT / settings.models_folder), settings.model, serve, 60.0)
    return create_app(settings, catalog, Predictor(Decoder(1, settings.max_pixels)))


# --- the document itself


def test_the_document_is_valid() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_its_version_is_the_project_s() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert DOCUMENT["info"]["version"] == project["version"]
    assert DOCUMENT["info"]["license"]["identifier"] == project["license"]


def test_every_component_is_used_and_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT)))
    for reference in references:
        assert look_up({"$ref": f"#/{reference}"})
    components = {
        f"components/{kind}/{name}"
        for kind, named in DOCUMENT["components"].items()
        for name in named
        if kind != "securitySchemes"  # they go by their names
    }
    assert components - references == {"components/responses/MethodNotAllowed"}, (
        "what is left over; a 405 belongs to the methods that are not here"
    )


def test_every_example_is_what_its_schema_says() -> None:
    checked = 0
    parts = [*DOCUMENT["components"]["responses"].values()]
    parts += DOCUMENT["components"]["requestBodies"].values()
    parts += [
        look_up(answer) for _, _, item in operations() for answer in item["responses"].values()
    ]
    for part in parts:
        for media in part.get("content", {}).values():
            examples = [entry["value"] for entry in media.get("examples", {}).values()]
            examples += [media["example"]] if "example" in media else []
            for example in examples:
                check_schema(media["schema"], example)
                checked += 1
    assert checked > 20


def test_every_answer_has_a_request_id_in_the_document() -> None:
    for path, method, operation in operations():
        for status, described in operation["responses"].items():
            header = look_up(described)["headers"]["X-Request-Id"]
            assert look_up(header)["required"], f"{method} {path} {status}"


def test_every_limit_is_the_setting_s_default() -> None:
    settings = Settings()
    form = DOCUMENT["components"]["schemas"]["Form"]["properties"]
    assert form["points"]["maxItems"] == settings.max_points
    assert form["timeout_ms"]["default"] == settings.deadline_ms
    assert form["timeout_ms"]["maximum"] == settings.max_deadline_ms
    said = json.dumps(DOCUMENT["components"]["responses"])
    assert f"{settings.max_body_bytes // 2**20} MiB" in said
    assert f"{settings.max_pixels // 10**6} megapixels" in said
    assert f"kept for {settings.result_ttl_ms // 1000} s" in said
    assert f"within {settings.body_timeout_s} s" in said


# --- the document and the code


def test_its_paths_and_methods_are_the_application_s(app: Flask) -> None:
    routed = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routed == {(path, method) for path, method, _ in operations()}


def test_its_problems_are_those_of_the_table() -> None:
    kinds = [*errors.KINDS.values(), errors.UNKNOWN]
    described = set(DOCUMENT["components"]["schemas"]["Problem"]["properties"]["type"]["enum"])
    assert described == {PREFIX + kind.name for kind in kinds} | {"about:blank"}
    by_status = {
        (name, schema["properties"]["status"]["const"])
        for schema in DOCUMENT["components"]["schemas"].values()
        if schema.get("$ref", "").endswith("/Problem")
        for name in schema["properties"]["type"]["enum"]
    }
    assert by_status == {(PREFIX + kind.name, kind.status) for kind in kinds} | {
        ("about:blank", 416)
    }


@pytest.mark.parametrize(
    "error",
    [
        bodies.SlowBodyError("no whole body in time"),
        tickets.QueueFullError(2500),
        tickets.QueueFullError(10**9),
        tickets.OverloadedError(2500),
        tickets.IdempotencyConflictError(),
        tickets.NoWorkerError(),
        tickets.StoreAwayError(),
        tickets.DeadlineError("0" * 32),
        tickets.ClientLeftError(),
        tickets.InferenceError("failed"),
        ImageTooLargeError("too large"),
        RuntimeError("a bug"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failure_is_described_under_its_status(
    error: Exception, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Decoder, "prepare", fail)
    got = app.test_client().post("/predict", data=PHOTO)
    check(DOCUMENT["paths"]["/predict"]["post"]["responses"][str(got.status_code)], received(got))
    if isinstance(error, RuntimeError):
        assert "a bug" not in got.text, "what went wrong inside stays in the log"


@pytest.mark.parametrize("path", ["/readyz", "/models", "/results/0"])
def test_a_store_that_is_away_is_described(path: str, app: Flask) -> None:
    got = app.test_client().get(path)
    assert got.status_code == 503
    (described,) = [item for at, _, item in operations() if re.sub("{.*}", "0", at) == path]
    check(described["responses"]["503"], received(got))


# --- the document and the running service


@pytest.mark.service
@pytest.mark.parametrize(
    ("method", "path", "request_", "status"),
    [
        ("POST", "/predict", {"files": {"image": PHOTO}}, 200),
        ("POST", "/predict", {"files": {"image": PHOTO}, "data": {"points": "[[1,2],[3,4]]"}}, 200),
        ("POST", "/predict", {"data": PHOTO, "params": {"x": "3.5", "y": "4", "top_k": 42}}, 200),
        ("POST", "/predict", {"data": PHOTO, "headers": {"Prefer": "respond-async"}}, 202),
        ("POST", "/predict", {"data": "{}"}, 400),
        ("POST", "/predict", {"data": '{"image_path": "a.jpg"}'}, 404),
        ("POST", "/predict", {"data": bytes(17 * 1024 * 1024)}, 413),
        ("POST", "/predict", {"data": "text"}, 415),
        ("POST", "/predict", {"data": b""}, 422),
        ("POST", "/predict", {"data": PHOTO, "params": {"x": 1}}, 422),
        ("POST", "/predict", {"data": PHOTO, "params": {"x": 999, "y": 1}}, 422),
        ("POST", "/predict/{name}", {"data": PHOTO}, 200),
        ("POST", "/feedback", {"json": {"request_id": "0", "chosen": {"themes": None}}}, 501),
        ("GET", "/v1/models/{name}", {}, 200),
        ("GET", "/v1/models/{name}/versions/{version}/metadata", {}, 200),
        ("POST", "/v1/models/{name}:predict", {"json": {"instances": [B64]}}, 200),
        ("POST", "/v1/models/{name}:predict", {"json": {"inputs": {"image": [B64]}}}, 200),
        ("POST", "/v1/models/{name}:classify", {"json": {"examples": [{"image": B64}]}}, 200),
        ("GET", "/v2", {}, 200),
        ("GET", "/v2/health/live", {}, 200),
        ("GET", "/v2/health/ready", {}, 200),
        ("GET", "/v2/models/{name}", {}, 200),
        ("GET", "/v2/models/{name}/versions/{version}/ready", {}, 200),
        ("POST", "/v2/models/{name}/infer", {"json": {"inputs": [IMAGE]}}, 200),
        ("GET", "/results/{request_id}", {}, 404),
        ("GET", "/livez", {}, 200),
        ("GET", "/readyz", {}, 200),
        ("GET", "/metrics", {}, 200),
        ("GET", "/models", {}, 200),
        ("GET", "/openapi.json", {}, 200),
        ("GET", "/", {}, 200),
        ("GET", "/", {"headers": {"Range": "bytes=0-9"}}, 206),
        ("GET", "/", {"headers": {"Range": "bytes=999999-"}}, 416),
        ("GET", "/static/{filename}", {}, 200),
        ("GET", "/static/{filename}", {"headers": {"Range": "bytes=999999-"}}, 416),
    ],
)
def test_a_live_answer_is_what_the_document_says(
    method: str, path: str, request_: dict[str, Any], status: int, service: Service
) -> None:
    operation = DOCUMENT["paths"][path][method.lower()]
    url = service.url + path
    for parameter in operation.get("parameters", []):
        parameter = look_up(parameter)
        if parameter["in"] == "path":
            url = url.replace(f"{{{parameter['name']}}}", parameter["example"])
    response = requests.request(method, url, timeout=30, **request_)
    assert response.status_code == status, response.text[:500]
    check(operation["responses"][str(status)], response)


@pytest.mark.service
def test_a_result_is_what_the_document_says(service: Service) -> None:
    described = DOCUMENT["paths"]["/results/{request_id}"]["get"]["responses"]
    for fields in ({}, {"points": "[[1, 2], [3.5, 4]]"}):
        accepted = requests.post(
            f"{service.url}/predict",
            files={"image": PHOTO},
            data=fields,
            headers={"Prefer": "respond-async"},
            timeout=30,
        )
        response = accepted
        while response.status_code == 202:
            response = requests.get(service.url + accepted.headers["Location"], timeout=10)
            check(described[str(response.status_code)], response)
        assert response.status_code == 200
        assert ("points" in response.json()) == bool(fields)


@pytest.mark.service
def test_what_is_not_in_the_document_is_405_or_404_as_it_says(service: Service) -> None:
    responses = DOCUMENT["components"]["responses"]
    for path in DOCUMENT["paths"]:
        url = service.url + re.sub("{.*}", "x", path)
        refused = requests.delete(url, timeout=10)
        assert refused.status_code == 405
        door = path.startswith(("/v1/", "/v2"))
        check(responses["DoorFailure" if door else "MethodNotAllowed"], refused)
    lost = requests.get(f"{service.url}/nowhere", timeout=10)
    assert lost.status_code == 404
    check(responses["NotFound"], lost)


@pytest.mark.service
def test_it_is_served_as_it_is_in_the_repository(service: Service) -> None:
    assert requests.get(f"{service.url}/openapi.json", timeout=10).json() == DOCUMENT


@pytest.mark.service
def test_the_example_of_a_json_body_works(service: Service) -> None:
    body = DOCUMENT["components"]["requestBodies"]["Image"]["content"]["application/json"]
    answer = requests.post(f"{service.url}/predict", json=body["example"], timeout=30)
    assert answer.status_code == 200
    assert len(answer.json()["colors"]) == body["example"]["top_k"]


def test_a_closed_schema_refuses_what_it_does_not_name() -> None:
    answers = DOCUMENT["components"]["responses"]["Answer"]["content"]["application/json"]
    schema = answers["schema"]
    good = answers["examples"]["one_point"]["value"]
    check_schema(schema, good)
    for bad in (
        {**good, "extra": 1},
        {**good, "extra": good["themes"]},
        {**good, "success": False},
        {name: value for name, value in good.items() if name not in ("themes", "colors")},
        {**good, "timing_ms": {**good["timing_ms"], "extra": 1}},
        {**good, "colors": [{**good["colors"][0], "extra": 1}]},
    ):
        assert not validator(schema).is_valid(bad)
