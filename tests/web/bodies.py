"""The three bodies of a prediction, as arguments of `requests.post`, and what comes back."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import requests

SAME = 1e-4  # as `apart`: a batch of another size may round the last digits otherwise

Likelihoods = dict[str, dict[str, float]]


def form(photo: bytes, **fields: Any) -> dict[str, Any]:
    """Return a multipart form."""
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in fields.items()
    }
    return {"files": {"image": ("photo", photo)}, "data": texts}


def as_json(photo: bytes, **fields: Any) -> dict[str, Any]:
    """Return a JSON body."""
    return {"json": {"image": base64.b64encode(photo).decode(), **fields}}


def raw(photo: bytes, declared: str = "image/jpeg", /, **fields: Any) -> dict[str, Any]:
    """Return the photo itself as the body, the fields in the query."""
    query = form(photo, **fields)["data"]
    return {"data": photo, "headers": {"Content-Type": declared}, "params": query}


def text(content: str | bytes, declared: str = "application/json") -> dict[str, Any]:
    """Return a body as it is."""
    data = content.encode() if isinstance(content, str) else content
    return {"data": data, "headers": {"Content-Type": declared}}


def post(url: str, body: dict[str, Any], path: str = "/predict") -> requests.Response:
    """Post a body to the service at `url`."""
    return requests.post(url + path, timeout=30, **body)


def answer(response: requests.Response) -> dict[str, Any]:
    """Return the JSON of a prediction that must have worked."""
    assert response.status_code == 200, response.text
    content: dict[str, Any] = response.json()
    assert content["success"] is True
    assert response.headers["X-Request-Id"] == content["request_id"]
    return content


def problem(response: requests.Response, status: int, kind: str) -> dict[str, Any]:
    """Return the problem+json of a failure that must be of this status and kind."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    content: dict[str, Any] = response.json()
    assert content["type"] == f"urn:batchpoint:problem:{kind}", content
    assert content["status"] == status
    assert content["title"]
    assert content["detail"]
    assert content["success"] is False
    assert re.fullmatch("[0-9a-f]{32}", content["request_id"])
    assert response.headers["X-Request-Id"] == content["request_id"]
    return content


def likelihoods(item: dict[str, Any]) -> Likelihoods:
    """Return {classifier: {label: probability}} of an answer, or of one of its points."""
    return {
        name: {entry["label"]: entry["probability"] for entry in item[name]}
        for name in ("themes", "colors")
    }


def apart(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Return how far apart two answers over all labels are: the largest difference."""
    pairs = zip(likelihoods(one).values(), likelihoods(other).values(), strict=True)
    return max(abs(a[label] - b[label]) for a, b in pairs for label in a.keys() | b.keys())
