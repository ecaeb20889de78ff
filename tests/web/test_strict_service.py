"""The rows of the table that a service without keys and limits never gives, and all it can say of
whoever comes: on a service with keys, rates and a queue for a single item.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.service import Service
from tests.web.bodies import answer, form, post, problem

pytestmark = pytest.mark.service

KEYS = {
    "shop": 'scopes = ["predict"]',
    "other": 'scopes = ["predict"]',
    "teller": 'scopes = ["feedback"]',
    "hasty": 'scopes = ["predict"]\nrate_per_s = 1\nrate_burst = 1',
}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that asks for keys and whose queue is full at once."""
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    path.write_text("".join(_table(name, about) for name, about in KEYS.items()))
    given = {"API_KEYS_FILE": str(path), "QUEUE_MAX_ITEMS": "1"}
    with Service(WORKERS="1", WEB_PROCESSES="2", **given) as service:
        yield service


def _table(name: str, about: str) -> str:
    digest = hashlib.sha256(f"{name}'s key".encode()).hexdigest()
    return f'[[key]]\nname = "{name}"\nsha256 = "{digest}"\n{about}\n'


def by(name: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    """Return `body` as who has the key of this name sends it."""
    return body | {"headers": {"Authorization": f"Bearer {name}'s key", **headers}}


ROWS: list[tuple[str, dict[str, Any], int, str]] = [
    ("", {}, 401, "no-key"),
    ("nobody", {}, 401, "no-key"),
    ("teller", {}, 403, "scope"),
    ("shop", {"points": [[1, 1], [2, 2]]}, 503, "queue-full"),
    ("shop", {"timeout_ms": 1}, 504, "deadline"),
]


@pytest.mark.parametrize(("name", "fields", "status", "kind"), ROWS, ids=lambda value: str(value))
def test_who_cannot_be_served_is_told_by_the_row_of_the_table(
    name: str, fields: dict[str, Any], status: int, kind: str, strict: Service, cat: bytes
) -> None:
    body = form(cat, **fields)
    response = post(strict.url, by(name, body) if name else body)
    problem(response, status, kind)
    assert ("Retry-After" in response.headers) == (status == 503)


def test_who_sends_too_often_is_told_when_to_come_again(strict: Service, cat: bytes) -> None:
    responses = [post(strict.url, by("hasty", form(cat))) for _ in range(6)]
    statuses = [response.status_code for response in responses]
    assert set(statuses) == {200, 429}
    refused = responses[statuses.index(429)]
    problem(refused, 429, "over-rate")
    assert int(refused.headers["Retry-After"]) == 1


def test_two_clients_may_use_the_same_idempotency_key(strict: Service, cat: bytes) -> None:
    def ask(name: str, **fields: Any) -> requests.Response:
        return post(strict.url, by(name, form(cat, **fields), **{"Idempotency-Key": "1"}))

    mine = answer(ask("shop"))
    assert answer(ask("other"))["request_id"] != mine["request_id"]
    assert answer(ask("shop"))["request_id"] == mine["request_id"]
    problem(ask("other", x=1, y=1), 409, "idempotency-conflict")
