"""The whole service under many users: real processes, real Redis, real photos, real networks."""

from __future__ import annotations

import io
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import psutil
import pytest
import requests
from PIL import Image

from shared.images import Point
from shared.manifest import read_model
from shared.preparation import prepare
from shared.settings import Settings
from tests.service import ROOT, Service
from worker.engines import load_engine
from worker.results import to_items

pytestmark = pytest.mark.service

CLIENTS = 64


@dataclass(frozen=True)
class Case:
    """A photo, a point on it, and what the engine says of it alone."""

    photo: bytes
    point: Point
    item: dict[str, list[dict[str, Any]]]

    def ask(self, url: str) -> requests.Response:
        """Post the photo and the point."""
        fields = {"x": str(int(self.point.x)), "y": str(int(self.point.y))}
        files = {"image": ("photo.jpg", self.photo)}
        return requests.post(f"{url}/predict", data=fields, files=files, timeout=40)

    def check(self, answer: dict[str, Any]) -> None:
        """Fail unless `answer` is what the engine says alone, in label and probability."""
        for name, alone in self.item.items():
            expected = {entry["label"]: entry["probability"] for entry in alone}
            got = {entry["label"]: entry["probability"] for entry in answer[name]}
            # A batch sums in another order than a single image: the last digits may differ.
            assert got[alone[0]["label"]] == pytest.approx(alone[0]["probability"], abs=1e-3)
            assert len(set(got) & set(expected)) >= 4
            for label in set(got) & set(expected):
                assert got[label] == pytest.approx(expected[label], abs=1e-3)
        assert answer["point"] == {"x": self.point.x, "y": self.point.y}


@pytest.fixture(scope="module")
def engine(service: Service) -> str:
    """The engine that the service chose on this machine."""
    return str(service.workers()[0]["engine"])


@pytest.fixture(scope="module")
def cases(photos: dict[str, bytes], engine: str) -> list[Case]:
    return make_cases(photos, engine)


def make_cases(photos: dict[str, bytes], engine: str) -> list[Case]:
    """Return twenty-four photos and points, and what the engine says of each alone."""
    model = read_model(ROOT / "models" / "tags")
    alone = load_engine(engine, model, 1)
    chance = random.Random(7)
    cases = []
    for photo in photos.values():
        for _ in range(4):
            wanted = [Point(chance.randrange(400), chance.randrange(290))]
            (point,), tensors = prepare(model, photo, wanted, Settings().max_pixels)
            (item,) = to_items(model.classifiers, alone.run(tensors))
            cases.append(Case(photo, point, item))
    tops = {(case.item["themes"][0]["probability"], case.photo) for case in cases}
    assert len(tops) > 12, "answers that are all alike could not tell a swap"
    return cases


@pytest.fixture(scope="module")
def harmed_service(engine: str) -> Iterator[Service]:
    given = {"WORKERS": "2", "WEB_PROCESSES": "1", "RESULT_TTL_MS": "3000", "MAX_BATCH": "32"}
    with Service(ENGINE=engine, **given, QUEUE_MAX_ITEMS="70") as service:
        yield service


@pytest.fixture
def own_service(harmed_service: Service) -> Service:
    """A service that tests may harm, once it has recovered from the test before."""
    harmed_service.wait_for_workers(2)
    return harmed_service


def ask_all(url: str, cases: list[Case], times: int) -> list[dict[str, Any]]:
    """Let `CLIENTS` clients ask at once; check and return their answers."""

    def ask(number: int) -> dict[str, Any]:
        case = cases[number % len(cases)]
        response = case.ask(url)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        case.check(answer)
        return answer

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(ask, range(times)))


def test_sixty_four_clients_at_once_each_get_their_own_answer(
    service: Service, cases: list[Case]
) -> None:
    answers = ask_all(service.url, cases, 3 * CLIENTS)
    assert len({answer["request_id"] for answer in answers}) == 3 * CLIENTS
    assert max(answer["batch_size"] for answer in answers) > 1
    for answer in answers:
        parts = answer["timing_ms"]
        assert set(parts) == {"decode", "queue", "batch_wait", "inference", "total"}
        assert all(took >= 0 for took in parts.values())


def test_so_do_they_from_the_session(photos: dict[str, bytes]) -> None:
    with Service(WORKERS="2", WEB_PROCESSES="1", ENGINE="session") as service:
        assert {worker["engine"] for worker in service.workers()} == {"session"}
        answers = ask_all(service.url, make_cases(photos, "session"), 2 * CLIENTS)
    assert max(answer["batch_size"] for answer in answers) > 1


def test_every_worker_was_warm_within_20_s(service: Service) -> None:
    models = requests.get(f"{service.url}/models", timeout=10).json()["models"]
    workers = [worker for model in models for worker in model["workers"]]
    assert len(workers) > 1
    assert all(worker["load_ms"] + worker["warm_up_ms"] < 20_000 for worker in workers), workers


def test_nothing_is_left_in_redis_afterwards(service: Service, cases: list[Case]) -> None:
    ask_all(service.url, cases, CLIENTS)
    census = service.queue().census()
    assert (census.items, census.bytes, census.leased) == (0, 0, 0)
    time.sleep(5.2)  # RESULT_TTL_MS of the fixture
    keys = cast("list[bytes]", service.client.keys("*"))
    names = {key.rpartition(b"}:")[2].split(b":")[0] for key in keys}
    assert names <= {b"workers", b"worker", b"sent", b"since", b"drained"}


def test_a_decode_does_not_stop_the_other_requests_of_its_process(own_service: Service) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((600, 500), 60).convert("RGB").resize((6000, 5000)).save(buffer, "JPEG")
    photo = buffer.getvalue()
    with ThreadPoolExecutor(1) as pool:
        files = {"image": ("large.jpg", photo)}
        slow = pool.submit(requests.post, f"{own_service.url}/predict", files=files, timeout=40)
        waits = []
        while not slow.done():
            started = time.monotonic()
            requests.get(f"{own_service.url}/livez", timeout=10)
            waits.append(time.monotonic() - started)
        answer = slow.result().json()
    assert answer["timing_ms"]["decode"] > 150
    assert max(waits) * 1000 < answer["timing_ms"]["decode"] / 2


def test_a_worker_killed_in_mid_batch_costs_nobody_an_answer(
    own_service: Service, cases: list[Case]
) -> None:
    killed: list[int] = []

    def kill_one_that_holds_a_lease() -> None:
        owners_key = "batchpoint:{tags:1}:owners"
        until = time.monotonic() + 20
        while not killed and time.monotonic() < until:
            held = set(own_service.client.hvals(owners_key))
            for worker in own_service.workers():
                if worker["token"].encode() not in held:
                    continue
                os.kill(worker["pid"], signal.SIGSTOP)
                if worker["token"].encode() in own_service.client.hvals(owners_key):
                    os.kill(worker["pid"], signal.SIGKILL)
                    killed.append(worker["pid"])
                    return
                os.kill(worker["pid"], signal.SIGCONT)

    killer = threading.Timer(0.5, kill_one_that_holds_a_lease)
    killer.start()
    ask_all(own_service.url, cases, 4 * CLIENTS)
    killer.join()
    assert killed, "no worker was caught with a lease"
    until = time.monotonic() + 60
    while len(own_service.workers()) < 2 and time.monotonic() < until:
        time.sleep(0.2)
    pids = {worker["pid"] for worker in own_service.workers()}
    assert len(pids) == 2, "the parent started another"
    assert killed[0] not in pids


def test_a_worker_added_under_load_takes_its_share(own_service: Service, cases: list[Case]) -> None:
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            ask_all(own_service.url, cases, CLIENTS)

    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(keep_asking)
        before = {worker["token"] for worker in own_service.workers()}
        added = own_service.start("run_worker.py")
        try:
            until = time.monotonic() + 60
            while len(own_service.workers()) < 3 and time.monotonic() < until:
                time.sleep(0.2)
            start = {worker["token"]: worker["items"] for worker in own_service.workers()}
            time.sleep(6)
            end = {worker["token"]: worker["items"] for worker in own_service.workers()}
        finally:
            stop.set()
            load.result()
            added.terminate()
        assert added.wait(30) == 0
    did = {token: end[token] - start[token] for token in start}
    (new,) = set(did) - before
    assert did[new] > 0.15 * sum(did.values()), did


def test_a_redis_that_restarts_empty_costs_nobody_an_answer(
    own_service: Service, cases: list[Case]
) -> None:
    stop = threading.Event()

    def keep_asking() -> int:
        answered = 0
        while not stop.is_set():
            with ThreadPoolExecutor(16) as pool:
                for case, response in pool.map(
                    lambda case: (case, case.ask(own_service.url)), cases
                ):
                    assert response.status_code == 200, response.text
                    case.check(response.json())
                    answered += 1
        return answered

    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(keep_asking)
        try:
            for _ in range(3):
                time.sleep(1)
                own_service.restart_redis(pause_s=0.3)
        finally:
            time.sleep(1)
            stop.set()
        assert load.result() > len(cases)


def test_a_web_process_that_ends_is_replaced_by_one_that_works(
    own_service: Service, cases: list[Case]
) -> None:
    (parent,) = [
        child
        for child in psutil.Process(own_service.pid).children()
        if "run_web.py" in child.cmdline()
    ]
    (old,) = parent.children()
    old.terminate()
    old.wait(40)
    own_service.wait_for_workers(2)
    for case in cases[:4]:
        case.check(case.ask(own_service.url).json())
    assert requests.get(f"{own_service.url}/metrics", timeout=5).status_code == 200


def test_without_workers_503_comes_at_once_and_the_next_worker_serves(
    own_service: Service, cases: list[Case]
) -> None:
    workers = [worker["pid"] for worker in own_service.workers()]
    parent = psutil.Process(workers[0]).parent()
    assert parent is not None
    parent.suspend()  # so that it starts no other
    try:
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        started = time.monotonic()
        while requests.get(f"{own_service.url}/readyz", timeout=5).status_code == 200:
            assert time.monotonic() - started < 2.5
            time.sleep(0.05)
        started = time.monotonic()
        response = cases[0].ask(own_service.url)
        assert time.monotonic() - started < 1
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0
        assert response.json()["type"].endswith("no-worker")
        assert requests.get(f"{own_service.url}/livez", timeout=5).status_code == 200
    finally:
        parent.resume()
    own_service.wait_for_workers(2)
    cases[0].check(cases[0].ask(own_service.url).json())


def test_a_full_queue_says_503_and_when_to_come_back(
    own_service: Service, cases: list[Case]
) -> None:
    points = str([[x, 100] for x in range(0, 160, 10)])  # 16 items a request
    with own_service.workers_asleep():
        responses = [
            requests.post(
                f"{own_service.url}/predict",
                files={"image": cases[0].photo},
                data={"points": points},
                headers={"Prefer": "respond-async"},
                timeout=10,
            )
            for _ in range(5)
        ]
    assert [response.status_code for response in responses] == [202, 202, 202, 202, 503]
    assert responses[-1].json()["type"].endswith("queue-full")
    assert int(responses[-1].headers["Retry-After"]) >= 1
    cases[0].check(cases[0].ask(own_service.url).json())
