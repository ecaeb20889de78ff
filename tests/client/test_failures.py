"""The Python client against the real service, while that fails."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from client import Answer, Client, RefusedError, UnavailableError
from shared.processes import stop_all
from tests.service import Service, free_port

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a short queue, that tests may harm."""
    folder = str(tmp_path_factory.mktemp("feedback"))
    with Service(
        WORKERS="1", WEB_PROCESSES="1", QUEUE_MAX_ITEMS="4", FEEDBACK_FOLDER=folder
    ) as service:
        yield service


@pytest.fixture
def client(failing: Service) -> Iterator[Client]:
    failing.wait_for_workers(1)
    with Client(failing.url, timeout_s=30, tries=100) as client:
        yield client


def is_cat(answer: Answer) -> bool:
    return answer["themes"][0].label == "Cats"


def test_it_asks_for_points_labels_and_models(client: Client, cat: bytes) -> None:
    answer = client.predict(cat, (30, 40), top_k=3, model="tags")
    assert is_cat(answer)
    assert len(answer["colors"]) == 3
    assert answer.items[0].point == (30, 40)
    assert [item.point for item in client.predict(cat, points=[(1, 2), (3.5, 4)]).items] == [
        (1, 2),
        (3.5, 4),
    ]
    client.choose(answer, {"themes": "Wildlife"})
    with pytest.raises(RefusedError, match="none of the labels"):
        client.choose(answer, {"themes": "nothing"})
    for wrong in ({"photo": b"no photo"}, {"photo": cat, "point": (-1, 0)}):
        with pytest.raises(RefusedError):
            client.predict(**wrong, default=None)
    with pytest.raises(RefusedError):
        client.predict(cat, model="nothing")


def test_without_a_worker_the_default_comes_and_later_the_answer(
    client: Client, failing: Service, cat: bytes
) -> None:
    with failing.workers_asleep():
        until = time.monotonic() + 10
        while requests.get(f"{failing.url}/readyz", timeout=5).status_code == 200:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert client.predict(cat, timeout_s=1, default=None) is None
        with pytest.raises(UnavailableError) as caught:
            client.predict(cat, timeout_s=1)
        assert caught.value.status == 503
        pool = ThreadPoolExecutor(1)
        waiting = pool.submit(client.predict, cat)
        time.sleep(0.5)
        assert not waiting.done()
    assert is_cat(waiting.result(30))
    pool.shutdown()


def test_redis_killed_and_back_is_not_seen(client: Client, failing: Service, cat: bytes) -> None:
    stop = threading.Event()

    def ask() -> list[bool]:
        seen = []
        while not stop.is_set():
            seen.append(is_cat(client.predict(cat)))
        return seen

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        time.sleep(0.5)
        failing.restart_redis(pause_s=1)
        time.sleep(4)
        stop.set()
        for each in asking:
            seen = each.result(40)
            assert len(seen) > 2
            assert all(seen)


def refused(service: Service) -> float:
    """Return how many predictions were refused with a 503 so far."""
    text = requests.get(f"{service.url}/metrics", timeout=10).text
    pattern = r'batchpoint_requests_total\{model="tags",status="503"\} (\S+)'
    return sum(float(count) for count in re.findall(pattern, text))


def test_a_crowd_that_is_refused_is_answered_in_the_end(
    client: Client, failing: Service, cat: bytes
) -> None:
    before = refused(failing)
    points = [(place, 1.0) for place in range(4)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: client.predict(cat, points=points), range(24)))
    assert all(map(is_cat, answers))
    assert len({answer.request_id for answer in answers}) == 24
    assert refused(failing) > before, "without a refusal this shows nothing"


def test_a_web_tier_that_restarts_is_waited_for(failing: Service, cat: bytes) -> None:
    port = free_port()
    web = failing.start("run_web.py", PORT=str(port))
    try:
        with Client(f"http://127.0.0.1:{port}", timeout_s=30, tries=100) as client:
            assert is_cat(client.predict(cat)), "it was waited for while it started"
            stop_all([web], patience_s=30)
            assert client.predict(cat, timeout_s=0.5, default=None) is None
            web = failing.start("run_web.py", PORT=str(port))
            assert is_cat(client.predict(cat)), "the connection of before is gone"
    finally:
        stop_all([web], patience_s=30)


def test_the_readme_s_lines_work(failing: Service, tmp_path: Path, cat: bytes) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(cat)
    with Client(failing.url) as service:
        assert service.predict(photo, (220, 120))["themes"][0].label == "Cats"
