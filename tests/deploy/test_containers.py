"""The containers without Docker: each from its image's files and packages alone.

The files that an image gets are laid out in a folder of their own and run there by the commands
and health checks of the Dockerfile and the compose file. Of the packages installed here, only
those that the image locks can be imported there.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import redis
import requests

from shared.processes import spawn, stop_all
from shared.queue import Queue
from shared.settings import Settings
from tests.deploy.images import IMAGES, instructions, lay_out, refuse_foreign, service
from tests.service import ROOT, free_port


@dataclass(frozen=True)
class Container:
    """A process started as its container would start it."""

    name: str
    folder: Path
    environment: dict[str, str]
    ports: dict[str, str]  # of the container -> of this test

    def is_healthy(self) -> bool:
        """Run the compose file's health check."""
        command = service(self.name)["healthcheck"]["test"][1:]
        for inside, outside in self.ports.items():
            command = [word.replace(inside, outside) for word in command]
        if self.name == "redis":
            command[1:1] = ["-p", self.ports["6379"]]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, timeout=30
        )
        return done.returncode == 0


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Container]]:
    """Redis, web tier and one worker, each from its own files and by its own command."""
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    redis_port, web_port = str(free_port()), str(free_port())
    given = {"PATH": tools, "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0", "PORT": web_port}
    given |= {"WEB_PROCESSES": "1", "MAX_BATCH": "1", "HOST": "127.0.0.1"}
    ports = {"6379": redis_port, "8000": web_port}
    made, processes = {}, []
    try:
        for name in ("redis", *IMAGES):
            folder = tmp_path_factory.mktemp(name)
            if name == "redis":
                command = [*service(name)["command"], "--port", redis_port]
                command += ["--bind", "127.0.0.1", "--dir", str(folder)]
            else:
                command = json.loads(instructions(name, "CMD")[0])
                lay_out(name, folder)
            environment = dict(given)
            if name in IMAGES:
                site = refuse_foreign(name, tmp_path_factory.mktemp(f"{name}-site"))
                environment["PYTHONPATH"] = str(site)
            made[name] = Container(name, folder, environment, ports)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                for key, value in environment.items():
                    patch.setenv(key, value)
                processes.append(spawn(command))
            until = time.monotonic() + 90
            while not made[name].is_healthy():
                assert processes[-1].poll() is None, f"{name} ended"
                assert time.monotonic() < until, f"{name} does not get healthy"
                time.sleep(0.2)
        yield made
    finally:
        stop_all(list(reversed(processes)), patience_s=45)


@pytest.mark.service
def test_the_three_together_answer_a_request(containers: dict[str, Container]) -> None:
    photo = (ROOT / "examples/photos/cat.jpg").read_bytes()
    url = f"http://127.0.0.1:{containers['web'].ports['8000']}/predict"
    response = requests.post(url, data=photo, timeout=30)
    assert response.status_code == 200
    assert response.json()["success"] is True


@pytest.mark.service
def test_redis_runs_without_persistence(containers: dict[str, Container]) -> None:
    client = redis.Redis.from_url(containers["redis"].environment["REDIS_URL"])
    assert client.config_get("save") == {"save": ""}
    assert client.config_get("appendonly") == {"appendonly": "no"}
    client.close()


@pytest.mark.service
@pytest.mark.parametrize("name", ["redis", "web", "worker"])
def test_a_health_check_fails_where_nothing_runs(
    containers: dict[str, Container], name: str
) -> None:
    assert containers[name].is_healthy()
    nobody = str(free_port())
    elsewhere = {**containers[name].environment, "REDIS_URL": f"redis://127.0.0.1:{nobody}/0"}
    ports = {"6379": nobody, "8000": nobody}
    assert not replace(containers[name], environment=elsewhere, ports=ports).is_healthy()


@pytest.mark.parametrize(("host", "healthy"), [(socket.gethostname(), True), ("other", False)])
def test_a_worker_is_healthy_only_by_a_worker_of_its_own_host(
    client: redis.Redis, redis_url: str, host: str, healthy: bool
) -> None:
    Queue(client, "tags:1", Settings()).beat("w", {"host": host})
    here = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "REDIS_URL": redis_url}
    assert Container("worker", ROOT, here, {}).is_healthy() is healthy
