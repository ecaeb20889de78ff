"""Fixtures: a real Redis, and the whole service."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import skimage
import sklearn
from PIL import Image

from deploy import redis_server
from shared.processes import stop_all
from shared.queue import Queue
from shared.settings import Settings
from tests.clock import Clock
from tests.service import ROOT, Service


@pytest.fixture(autouse=True)
def pillows_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give Pillow its own limit back, which the service sets with every image that it reads."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Redis for this test run."""
    process, url = redis_server.start(tmp_path_factory.mktemp("redis"))
    yield url
    stop_all([process], patience_s=5)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of an empty Redis."""
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def queue(client: redis.Redis) -> Queue:
    """The queue of a model, with one live worker named `w`."""
    queue = Queue(client, "tags", Settings())
    queue.beat("w", {})
    return queue


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """The whole service with two workers, and every model; results are kept for 5 s."""
    given = {"WORKERS": "2", "WEB_PROCESSES": "2", "RESULT_TTL_MS": "5000", "MODELS": "*"}
    with Service(MAX_BATCH="32", **given) as service:
        for path in sorted((ROOT / "models").glob("*/model.toml")):
            service.wait_for_model(path.parent.name)  # to start, they take processor time
        yield service


@pytest.fixture(scope="session")
def photos() -> dict[str, bytes]:
    """Real photos from packages, as JPEG, by name."""
    folders = (
        Path(sklearn.__file__).parent / "datasets" / "images",
        Path(skimage.__file__).parent / "data",
    )
    names = ("china.jpg", "flower.jpg", "astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
    photos = {}
    for name in names:
        (path,) = [folder / name for folder in folders if (folder / name).exists()]
        buffer = io.BytesIO()
        Image.open(path).convert("RGB").save(buffer, "JPEG", quality=92)
        photos[path.stem] = buffer.getvalue()
    return photos


@pytest.fixture
def clock() -> Clock:
    return Clock()
