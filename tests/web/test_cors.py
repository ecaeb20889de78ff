"""Which pages of other origins a browser lets ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from shared.settings import SettingError, Settings
from web.cors import Cors

OURS = "https://app.example.org"


def ask(method: str = "POST", **headers: str) -> tuple[str, dict[str, str], bytes]:
    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"answer"]

    seen: list[Any] = []
    environ = {"REQUEST_METHOD": method} | {f"HTTP_{key}": value for key, value in headers.items()}

    def start_response(*given: Any) -> Any:
        seen.extend(given)

    body = b"".join(Cors(app, [OURS])(environ, start_response))
    return seen[0], dict(seen[1]), body


def preflight(origin: str) -> tuple[str, dict[str, str], bytes]:
    return ask("OPTIONS", ORIGIN=origin, ACCESS_CONTROL_REQUEST_METHOD="POST")


def test_a_page_of_a_named_origin_may_read_the_answer() -> None:
    status, headers, body = ask(ORIGIN=OURS)
    assert (status, body) == ("200 OK", b"answer")
    assert headers["Access-Control-Allow-Origin"] == OURS
    assert "Retry-After" in headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in headers
    assert headers["Vary"] == "Origin"


def test_its_preflight_is_answered_before_anybody_is_asked_for_a_key() -> None:
    status, headers, body = preflight(OURS)
    assert (status, body) == ("204 No Content", b"")
    assert headers["Access-Control-Allow-Methods"] == "GET, POST"
    for name in ("Authorization", "X-API-Key", "Content-Type", "Idempotency-Key"):
        assert name in headers["Access-Control-Allow-Headers"].split(", ")


@pytest.mark.parametrize(
    "origin", ["", "null", "https://evil.example", OURS + ".evil.example", "http://app.example.org"]
)
def test_no_other_origin_is_told_anything(origin: str) -> None:
    for status, headers, body in (ask(ORIGIN=origin), preflight(origin)):
        assert (status, body) == ("200 OK", b"answer")
        assert [name for name in headers if name.startswith("Access-Control")] == []
        assert headers["Vary"] == "Origin", "a cache must not give this answer to the other"


def test_an_options_that_is_no_preflight_passes() -> None:
    assert ask("OPTIONS", ORIGIN=OURS)[2] == b"answer"


@pytest.mark.parametrize(
    "origins", ["*", "app.example.org", "https://a.example/", "https://A.example", "https://a b"]
)
def test_a_setting_that_names_no_origin_is_an_error(origins: str) -> None:
    with pytest.raises(SettingError, match="CORS_ORIGINS"):
        Settings.from_environment({"CORS_ORIGINS": f"{OURS}, {origins}"})


def test_several_origins_can_be_named() -> None:
    settings = Settings.from_environment({"CORS_ORIGINS": f" {OURS} ,http://localhost:3000,"})
    assert settings.origins() == [OURS, "http://localhost:3000"]
