"""The images: what their Dockerfiles put in is there, is enough, and is no more than it should be.

No Docker engine is needed: the files that an image gets are laid out in a folder of their own and
run there by the commands and health checks of the Dockerfile and the compose file. Of the packages
installed here, only those that the image locks can be imported there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from shared.processes import spawn, stop_all
from shared.queue import Queue
from shared.settings import Settings
from tests.service import ROOT, free_port
from tests.test_architecture import imports

IMAGES = ("web", "worker")
FORBIDDEN = {
    "web": {"tensorflow", "keras", "worker"},
    "worker": {"flask", "gevent", "gunicorn", "web"},
}
PACKAGES = {"web": ("tensorflow", "keras"), "worker": ("flask", "gevent", "gunicorn")}


def instructions(image: str, name: str) -> list[str]:
    """Return what follows each `name` in the image's Dockerfile."""
    text = (ROOT / "deploy" / f"{image}.Dockerfile").read_text()
    return re.findall(rf"^{name} (.*)$", text, re.MULTILINE)


def sources(image: str) -> list[str]:
    copies = [line.split() for line in instructions(image, "COPY")]
    return [word for copy in copies for word in copy[:-1] if not word.startswith("--")]


def service(name: str) -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][name]
    return dict(loaded)


# Python runs this when it starts, before any code of ours.
REFUSE = """
import sys
class Refuse:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in FOREIGN:
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)
sys.meta_path.insert(0, Refuse)
"""


def locked(image: str) -> set[str]:
    """Return the packages that an image gets on a machine like this one."""
    text = (ROOT / "requirements" / f"{image}.txt").read_text()
    lines = re.findall(r"^(\w.*?)\s*\\?$", text, re.MULTILINE)
    found = [Requirement(line) for line in lines]
    return {
        canonicalize_name(item.name)
        for item in found
        if item.marker is None or item.marker.evaluate()
    }


def refuse_foreign(image: str, folder: Path) -> Path:
    """Put into `folder` what keeps Python from importing packages that the image lacks."""
    foreign = {
        module
        for module, owners in packages_distributions().items()
        if not {canonicalize_name(owner) for owner in owners} & locked(image)
    }
    assert "pytest" in foreign
    (folder / "sitecustomize.py").write_text(f"FOREIGN = {foreign!r}{REFUSE}")
    return folder


def lay_out(image: str, folder: Path) -> Path:
    """Copy the files of an image, and nothing else, below `folder`."""
    for source in sources(image):
        if (ROOT / source).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, folder / source, ignore=ignore)
        else:
            (folder / source).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, folder / source)
    return folder


@pytest.mark.parametrize("image", IMAGES)
def test_what_is_copied_exists_and_reaches_the_build(image: str) -> None:
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    assert let_through[1] == "*"
    assert len(sources(image)) == 5
    for source in sources(image):
        assert (ROOT / source).exists()
        assert f"!{source}" in let_through


@pytest.mark.parametrize("image", IMAGES)
def test_packages_are_locked_and_only_those_that_the_image_needs(image: str) -> None:
    (install,) = [line for line in instructions(image, "RUN") if line.startswith("pip")]
    assert "--require-hashes" in install
    assert install.endswith(f" -r requirements/{image}.txt")
    assert "redis" in locked(image)
    assert not [name for name in locked(image) if name.startswith(PACKAGES[image])]


@pytest.mark.parametrize("image", IMAGES)
def test_it_runs_as_an_ordinary_user(image: str) -> None:
    assert instructions(image, "USER") == ["10001:10001"]


@pytest.mark.parametrize("image", IMAGES)
def test_no_file_of_it_imports_the_other_wing(image: str, tmp_path: Path) -> None:
    files = list(lay_out(image, tmp_path).rglob("*.py"))
    assert len(files) > 15
    engines = {path for path in files if path.parent.name == "engines"}
    wrong = {str(path): imports(path) & FORBIDDEN[image] for path in files if path not in engines}
    assert not {path: names for path, names in wrong.items() if names}
    assert bool(engines) == (image == "worker")


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
    Queue(client, "tags", Settings()).beat("w", {"host": host})
    here = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "REDIS_URL": redis_url}
    assert Container("worker", ROOT, here, {}).is_healthy() is healthy
