"""The layer that says who may come in: keys, scopes, rates, addresses."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import redis

from shared.rates import OverRateError, Rates
from shared.settings import Settings
from tests.service import ROOT
from tests.web.test_api_keys import make
from web.access import Access, client_address, scope_of
from web.api_keys import ApiKeys


class Body(io.BytesIO):
    """A body that must not be read."""

    def read(self, *_: Any) -> bytes:
        raise AssertionError("the body was read")


class Door:
    """The layer, and what stands behind it: that says who came."""

    items = 0  # that the request is found to have, where it is charged for them

    def __init__(self, client: redis.Redis, path: Path | None, **settings: Any) -> None:
        keys = ApiKeys(path) if path else None
        self.access = Access(self._app, Settings(**settings), keys, Rates(client))

    def _app(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        try:
            if self.items:
                environ["batchpoint.charge"](self.items)
            start("200 OK", [("Content-Type", "text/plain")])
        except OverRateError:
            start("429 Too Many Requests", [])
        return [environ.get("batchpoint.client", "nobody").encode()]

    def ask(
        self, path: str = "/predict", address: str = "192.0.2.1", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        seen: list[Any] = []
        environ = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "REMOTE_ADDR": address}
        environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        body = b"".join(self.access({**environ, "wsgi.input": Body()}, lambda *a: seen.extend(a)))
        return int(seen[0][:3]), dict(seen[1]), body

    def statuses(self, count: int, **asked: Any) -> list[int]:
        return [self.ask(**asked)[0] for _ in range(count)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def check_problem(answer: tuple[int, dict[str, str], bytes], status: int, kind: str) -> None:
    got, headers, body = answer
    problem = json.loads(body)
    assert (got, problem["status"]) == (status, status)
    assert problem["type"] == f"urn:batchpoint:problem:{kind}"
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["X-Request-Id"] == problem["request_id"]
    assert headers["Content-Length"] == str(len(body))
    assert headers["X-Content-Type-Options"] == "nosniff"


# --- keys


def test_without_a_key_it_is_401_and_says_how_to_bring_one(client: redis.Redis, path: Path) -> None:
    make(path)
    door = Door(client, path)
    for headers in (
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic YTpi"},
        {"x_api_key": "wrong"},
    ):
        answer = door.ask(**headers)
        check_problem(answer, 401, "no-key")
        assert answer[1]["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "BEARER  {} "])
def test_a_key_comes_as_bearer(header: str, client: redis.Redis, path: Path) -> None:
    secret = make(path)
    assert Door(client, path).ask(authorization=header.format(secret))[::2] == (200, b"shop")


def test_a_key_comes_as_x_api_key_whatever_else_a_proxy_is_told(
    client: redis.Redis, path: Path
) -> None:
    secret = make(path)
    door = Door(client, path)
    assert door.ask(x_api_key=secret)[::2] == (200, b"shop")
    assert door.ask(x_api_key=secret, authorization="Basic YTpi")[0] == 200
    assert door.ask(x_api_key=secret, authorization="Bearer wrong")[0] == 401


def test_a_key_in_the_address_is_none(client: redis.Redis, path: Path) -> None:
    secret = make(path)
    door = Door(client, path)
    assert door.ask(path=f"/predict?api_key={secret}")[0] == 401
    assert door.ask(query_string=f"api_key={secret}")[0] == 401


def test_where_no_keys_are_asked_for_the_client_has_no_name(client: redis.Redis) -> None:
    assert Door(client, None).ask(authorization="Bearer any")[::2] == (200, b"")


OPEN = ["/", "/livez", "/readyz", "/openapi.json", "/static/page.js", "/v2/health/live"]
SCOPES = {
    "/predict": "predict",
    "/predict/tags": "predict",
    "/recognize": "predict",
    "/results/0": "predict",
    "/models": "predict",
    "/v1/models/tags:predict": "predict",
    "/v2/models/tags/infer": "predict",
    "/metrics": "admin",
    "/metrics/": "admin",
    "/feedback": "feedback",
    "/feedback/0": "feedback",
    "//metrics": "predict",  # Flask sends it to /metrics
    "/static": "predict",
    "/predict/static/x": "predict",
    "/livez/": "predict",
    "/v2/health/live/x": "predict",
    "": "predict",
    "metrics": "admin",
    "*": "predict",
}


@pytest.mark.parametrize("path_info", OPEN)
def test_the_page_and_the_probes_are_open(path_info: str, client: redis.Redis, path: Path) -> None:
    make(path)
    door = Door(client, path, rate_per_s=1, rate_burst=1)
    assert door.statuses(9, path=path_info) == [200] * 9


def test_everything_else_needs_a_scope_even_what_is_not_there() -> None:
    assert {name: scope_of(name) for name in SCOPES} == SCOPES


@pytest.mark.parametrize("scope", ["predict", "feedback", "admin"])
def test_a_scope_opens_its_own_doors_and_no_other(
    scope: str, client: redis.Redis, path: Path
) -> None:
    secret = make(path, scope)
    door = Door(client, path)
    for name, needed in SCOPES.items():
        answer = door.ask(path=name, x_api_key=secret)
        if needed == scope:
            assert answer[0] == 200
        elif not name.startswith(("/v1/", "/v2/")):
            check_problem(answer, 403, "scope")
            assert f'scope="{needed}"' in answer[1]["WWW-Authenticate"]
            assert needed in json.loads(answer[2])["detail"]


@pytest.mark.parametrize("name", ["/v1/models/tags:predict", "/v2/models/tags/infer", "/v2/x"])
def test_the_doors_of_other_protocols_have_errors_in_their_own_form(
    name: str, client: redis.Redis, path: Path
) -> None:
    make(path)
    status, headers, body = Door(client, path).ask(path=name)
    assert status == 401
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Length"] == str(len(body))
    assert list(json.loads(body)) == ["error"]


def test_the_document_says_which_doors_need_a_key() -> None:
    document = json.loads((ROOT / "web" / "openapi.json").read_text("utf-8"))
    for path, item in document["paths"].items():
        for operation in item.values():
            told = set(operation["responses"])
            assert ("security" in operation) == bool(scope_of(path)), path
            if "default" not in told:  # as the doors of other protocols have it
                assert ({"401", "403", "429"} <= told) == bool(scope_of(path)), path


# --- rates


def test_who_is_over_the_rate_gets_429_and_when_to_come_again(client: redis.Redis) -> None:
    door = Door(client, None, rate_per_s=1, rate_burst=3)
    allowed = [door.ask() for _ in range(3)]
    assert [answer[0] for answer in allowed] == [200] * 3
    assert [answer[1]["RateLimit"] for answer in allowed] == [
        '"address";r=2;t=1',
        '"address";r=1;t=2',
        '"address";r=0;t=3',
    ]
    refused = door.ask()
    check_problem(refused, 429, "over-rate")
    assert refused[1]["RateLimit-Policy"] == '"address";q=3;w=3'
    assert refused[1]["RateLimit"].startswith('"address";r=0;')
    assert refused[1]["Retry-After"] == "1"


def test_items_are_counted_once_they_are_known(client: redis.Redis) -> None:
    door = Door(client, None, rate_per_s=1, rate_burst=4)
    door.items = 3
    status, headers, _ = door.ask()
    assert (status, headers["RateLimit"]) == (200, '"address";r=1;t=3')
    door.items = 256
    status, headers, _ = door.ask()
    assert (status, headers["RateLimit"]) == (200, '"address";r=0;t=259')
    assert "Retry-After" not in headers
    refused = door.ask()
    check_problem(refused, 429, "over-rate")
    assert refused[1]["Retry-After"] == "256"


def test_what_turns_out_too_much_is_refused_and_told_when_to_come(client: redis.Redis) -> None:
    class Slow(Door):
        """Another request of the same client is charged while this one's body is read."""

        def _app(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            environ["batchpoint.charge"](11)
            return super()._app(environ, start)

    door = Slow(client, None, rate_per_s=1, rate_burst=4)
    door.items = 2
    status, headers, _ = door.ask()
    assert status == 429
    assert headers["RateLimit"].startswith('"address";r=0;')
    assert headers["Retry-After"] == "8", "11 are to be paid off, but 3"


def test_each_address_has_its_own_rate(client: redis.Redis) -> None:
    door = Door(client, None, rate_per_s=1, rate_burst=2)
    assert door.statuses(3) == [200, 200, 429]
    assert door.statuses(3, address="192.0.2.2") == [200, 200, 429]
    assert door.statuses(1, address="2001:db8::1") == [200]
    assert door.statuses(2, address="2001:db8::ffff:2") == [200, 429]  # the same network


def test_a_key_has_its_own_rate_wherever_it_is(client: redis.Redis, path: Path) -> None:
    slow = make(path, name="slow", more="rate_per_s = 0.5\nrate_burst = 2\n")
    fast = make(path, name="fast")
    door = Door(client, path)
    addresses = [f"192.0.2.{number}" for number in range(3)]
    asked = [door.ask(address=address, x_api_key=slow) for address in addresses]
    assert [answer[0] for answer in asked] == [200, 200, 429]
    assert asked[2][1]["Retry-After"] == "2"
    assert asked[2][1]["RateLimit-Policy"] == '"key";q=2;w=4'
    assert door.statuses(50, x_api_key=fast) == [200] * 50


def test_a_key_without_a_rate_of_its_own_has_the_usual_one(client: redis.Redis, path: Path) -> None:
    secret = make(path)
    door = Door(client, path, rate_per_s=1, rate_burst=2)
    assert door.statuses(3, x_api_key=secret) == [200, 200, 429]
    assert door.ask()[0] == 401, "the address has sent nothing yet"


def test_keys_are_not_tried_faster_than_an_address_may_send(
    client: redis.Redis, path: Path
) -> None:
    secret = make(path)
    door = Door(client, path, rate_per_s=1, rate_burst=2)
    assert door.statuses(4, x_api_key="wrong") == [401, 401, 429, 429]
    assert door.ask(x_api_key=secret)[0] == 200


def test_two_processes_count_together(client: redis.Redis) -> None:
    doors = [Door(client, None, rate_per_s=1, rate_burst=4) for _ in range(2)]
    assert [doors[turn % 2].ask()[0] for turn in range(6)] == [200] * 4 + [429] * 2


def test_without_rates_redis_is_not_asked(path: Path) -> None:
    class Forbidden:
        def register_script(self, _: str) -> Any:
            return self.refuse

        def refuse(self, **_: Any) -> None:
            raise AssertionError("a round trip")

    secret = make(path)
    door = Door(Forbidden(), path)  # type: ignore[arg-type]
    assert [door.ask(x_api_key=secret)[0], door.ask()[0]] == [200, 401]


def test_the_wait_that_is_told_is_long_enough(client: redis.Redis) -> None:
    door = Door(client, None, rate_per_s=3, rate_burst=1)
    door.ask()
    headers = door.ask()[1]
    assert int(headers["Retry-After"]) == math.ceil(1 / 3)


# --- addresses


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "203.0.113.7", "192.0.2.1"),
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "10.0.0.1, 203.0.113.7", "203.0.113.7"),
        (1, " 203.0.113.7 ", "203.0.113.7"),
        (2, "10.0.0.1, 203.0.113.7, 198.51.100.1", "203.0.113.7"),
        (2, "203.0.113.7", "192.0.2.1"),  # it did not come by both
        (1, "", "192.0.2.1"),
        (1, "unknown", "192.0.2.1"),
        (1, "203.0.113.7:5000", "192.0.2.1"),
        (1, "::ffff:203.0.113.7", "203.0.113.7"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "fe80::1%eth0", "fe80::/64"),
        (1, "' or 1=1", "192.0.2.1"),
    ],
)
def test_only_what_a_trusted_proxy_has_written_is_the_address(
    proxies: int, forwarded: str, address: str
) -> None:
    environ = {"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": forwarded}
    assert client_address(environ, proxies) == address


def test_an_address_cannot_be_made_up(client: redis.Redis) -> None:
    door = Door(client, None, rate_per_s=1, rate_burst=1)
    answers = [door.ask(x_forwarded_for=f"203.0.113.{n}")[0] for n in range(3)]
    assert answers == [200, 429, 429]
