"""The Python client against the real service, while that fails."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from bench.chaos.proxy import Harm, Proxy
from client import Answer, Client, RefusedError, UnavailableError
from shared.processes import stop_all
from tests.client.cutting import CuttingProxy
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


class Asking:
    """Two threads that ask, one photo after the other; `seen` are whether each was right."""

    def __init__(self, client: Client, cat: bytes) -> None:
        self._client, self._cat = client, cat
        self.seen: list[bool] = []

    @contextmanager
    def throughout(self) -> Iterator[None]:
        """Ask during the block, and after it until there are answers of that time, too."""
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                self.seen.append(is_cat(self._client.predict(self._cat)))

        with ThreadPoolExecutor(2) as pool:
            asking = [pool.submit(ask) for _ in range(2)]
            try:
                self._wait(len(self.seen) + 2, asking)
                yield
                self._wait(len(self.seen) + 4, asking)
            finally:
                stop.set()
            for each in asking:
                each.result(40)

    def _wait(self, count: int, asking: list[Future[None]]) -> None:
        until = time.monotonic() + 40
        while len(self.seen) < count:
            assert time.monotonic() < until, "no answers any more"
            for each in asking:
                if each.done():
                    each.result()  # that is, raise what it was
            time.sleep(0.02)


@pytest.fixture
def asking(client: Client, cat: bytes) -> Asking:
    return Asking(client, cat)


def test_redis_killed_and_back_is_not_seen(asking: Asking, failing: Service) -> None:
    with asking.throughout():
        failing.restart_redis(pause_s=1)
    assert all(asking.seen)


def test_redis_that_stands_still_is_not_seen(asking: Asking, failing: Service) -> None:
    pid = failing.client.info("server")["process_id"]
    with asking.throughout():
        os.kill(pid, signal.SIGSTOP)
        before = len(asking.seen)
        time.sleep(2)  # it is what is promised; nothing waits for the end of it
        os.kill(pid, signal.SIGCONT)
        assert len(asking.seen) <= before + 2, "it stood still"
    assert all(asking.seen)


def kill_one_that_holds_a_request(service: Service) -> None:
    """Kill a worker with -9 while it holds a request, in the middle of its batch."""
    (worker,) = service.workers()
    until = time.monotonic() + 30
    while True:
        assert time.monotonic() < until, "it never held a request"
        os.kill(worker["pid"], signal.SIGSTOP)
        if service.queue().census().leased:
            os.kill(worker["pid"], signal.SIGKILL)
            return
        os.kill(worker["pid"], signal.SIGCONT)
        time.sleep(0.003)


def test_a_worker_killed_in_the_middle_of_a_batch_is_not_seen(
    asking: Asking, failing: Service
) -> None:
    with asking.throughout():
        kill_one_that_holds_a_request(failing)
    assert all(asking.seen)


@contextmanager
def one_more_web(service: Service, **settings: str) -> Iterator[str]:
    """Start a web process with settings of its own; give its address."""
    port = free_port()
    given = {"PORT": str(port), "HEADER_TIMEOUT_S": "1", **settings}  # else its end takes long
    web = service.start("run_web.py", "--processes", "1", **given)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stop_all([web], patience_s=30)


def test_replies_of_redis_that_are_cut_off_are_not_seen(failing: Service, cat: bytes) -> None:
    proxy = Proxy()
    with (
        proxy.between(failing.redis_url) as url,
        one_more_web(failing, REDIS_URL=url) as address,
        Client(address, timeout_s=30, tries=100) as client,
    ):
        assert is_cat(client.predict(cat)), "it was waited for while it started"
        proxy.harm(Harm.CUT, 0.2)
        assert all(is_cat(client.predict(cat)) for _ in range(12))
    assert proxy.harmed


def test_an_answer_that_is_cut_off_on_its_way_is_fetched_and_not_made_again(
    failing: Service, cat: bytes
) -> None:
    failing.wait_for_workers(1)
    with CuttingProxy(failing.url) as proxy, Client(proxy.url, timeout_s=30) as client:
        proxy.cuts = 2
        answer = client.predict(cat)
    assert is_cat(answer)
    assert len(proxy.keys) == 3
    assert len(set(proxy.keys)) == 1
    for lost in proxy.answers:  # a second run would have taken another time
        assert lost["request_id"] == answer.request_id
        assert lost["timing_ms"]["inference"] == answer.timing_ms["inference"]


def count_of(metric: str, url: str) -> float:
    """Return what a metric, named with its labels, has counted so far."""
    text = requests.get(f"{url}/metrics", timeout=10).text
    return sum(map(float, re.findall(rf"{re.escape(metric)} (\S+)", text)))


def test_who_is_over_its_rate_comes_again_when_it_was_told(failing: Service, cat: bytes) -> None:
    with one_more_web(failing, RATE_PER_S="1", RATE_BURST="1") as address:
        with Client(address, timeout_s=30, tries=100) as client:
            assert is_cat(client.predict(cat)), "it was waited for while it started"
            started = time.monotonic()
            assert all(is_cat(client.predict(cat)) for _ in range(3))
            assert time.monotonic() - started > 1.9, "it may once a second"
        time.sleep(1)  # to be let in
        kept_out = count_of('batchpoint_kept_out_total{status="429"}', address)
    assert 1 <= kept_out <= 4, "who comes when it was told is let in"


def test_a_service_of_shorter_deadlines_takes_the_client_s(failing: Service, cat: bytes) -> None:
    given = {"MAX_DEADLINE_MS": "6000"}
    with one_more_web(failing, **given) as address, Client(address, timeout_s=60) as client:
        assert is_cat(client.predict(cat))


def refused(service: Service) -> float:
    """Return how many predictions were refused with a 503 so far."""
    return count_of('batchpoint_requests_total{model="tags",status="503"}', service.url)


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
    given = {"PORT": str(port), "HEADER_TIMEOUT_S": "1"}  # else its end takes long
    web = failing.start("run_web.py", **given)
    try:
        with Client(f"http://127.0.0.1:{port}", timeout_s=30, tries=100) as client:
            assert is_cat(client.predict(cat)), "it was waited for while it started"
            stop_all([web], patience_s=30)
            assert client.predict(cat, timeout_s=0.5, default=None) is None
            web = failing.start("run_web.py", **given)
            assert is_cat(client.predict(cat)), "the connection of before is gone"
    finally:
        stop_all([web], patience_s=30)


def test_the_readme_s_lines_work(failing: Service, tmp_path: Path, cat: bytes) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(cat)
    with Client(failing.url) as service:
        assert service.predict(photo, (220, 120))["themes"][0].label == "Cats"
