"""`POST /feedback`, with two web processes that write one file, and switched off."""

from __future__ import annotations

import base64
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from shared.feedback import FILE, Choice, Feedback
from tests.service import Service
from tests.web.bodies import answer, form, post, problem

pytestmark = pytest.mark.service

OWN = "that of a prediction which is kept"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("feedback")


@pytest.fixture(scope="module")
def keeper(folder: Path) -> Iterator[Service]:
    """A service that keeps what users choose."""
    with Service(WORKERS="1", WEB_PROCESSES="2", FEEDBACK_FOLDER=str(folder)) as service:
        yield service


def choose(service: Service, **body: Any) -> requests.Response:
    return requests.post(f"{service.url}/feedback", json=body, timeout=30)


def kept(folder: Path, request_id: str) -> list[Choice]:
    feedback = Feedback(folder, 1 << 30, 90)
    try:
        choices = list(feedback.choices(images=True))
        return [choice for choice in choices if choice.prediction.request_id == request_id]
    finally:
        feedback.close()


def test_a_choice_is_kept_with_the_photo_the_point_and_the_answer(
    keeper: Service, folder: Path, cat: bytes
) -> None:
    content = answer(post(keeper.url, form(cat, x=30, y=40)))
    chosen = {"themes": "Wildlife", "colors": None}
    response = choose(keeper, request_id=content["request_id"], chosen=chosen)
    assert response.status_code == 200
    assert response.json() == {"request_id": content["request_id"], "success": True}
    (choice,) = kept(folder, content["request_id"])
    assert choice.chosen == chosen
    assert choice.prediction.image == cat
    assert (choice.prediction.model, choice.prediction.version) == ("tags", "1")
    assert choice.item["point"] == [30, 40]
    assert choice.item["themes"] == content["themes"]
    assert choice.item["colors"] == content["colors"]


def test_each_of_several_points_has_a_choice_of_its_own(
    keeper: Service, folder: Path, cat: bytes
) -> None:
    content = answer(post(keeper.url, form(cat, points=[[1, 2], [3, 4]])))
    for place, label in ((1, "red"), (0, "blue")):
        chosen = {"colors": label}
        assert choose(keeper, request_id=content["request_id"], place=place, chosen=chosen).ok
    found = {choice.place: choice for choice in kept(folder, content["request_id"])}
    assert {place: choice.chosen["colors"] for place, choice in found.items()} == {
        0: "blue",
        1: "red",
    }
    assert found[1].item["point"] == [3, 4]


def wait_and_choose(service: Service, request_id: str, chosen: dict[str, str]) -> None:
    """Choose as soon as the prediction is kept: it is written beside the answer."""
    until = time.monotonic() + 10
    while (response := choose(service, request_id=request_id, chosen=chosen)).status_code == 404:
        assert time.monotonic() < until, response.text
    assert response.status_code == 200, response.text


def test_an_answer_that_is_fetched_later_is_kept(keeper: Service, folder: Path, cat: bytes) -> None:
    body = form(cat, x=30, y=40)
    accepted = post(keeper.url, {**body, "headers": {"Prefer": "respond-async"}})
    assert accepted.status_code == 202
    request_id = accepted.json()["request_id"]
    wait_and_choose(keeper, request_id, {"themes": "Wildlife"})
    (choice,) = kept(folder, request_id)
    assert choice.prediction.image == cat
    fetched = requests.get(f"{keeper.url}/results/{request_id}", timeout=10).json()
    assert choice.item["point"] == [30, 40]
    assert choice.item["themes"] == fetched["themes"]


def b64(photo: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(photo).decode()}


def test_each_photo_that_came_by_another_protocol_is_kept(
    keeper: Service, folder: Path, cat: bytes, photos: dict[str, bytes]
) -> None:
    coffee = photos["coffee"]
    url = f"{keeper.url}/v1/models/tags:predict"
    answered = requests.post(url, json={"instances": [b64(cat), b64(coffee)]}, timeout=30)
    assert answered.status_code == 200
    request_id = answered.headers["X-Request-Id"]
    for number, photo in enumerate((cat, coffee)):
        wait_and_choose(keeper, f"{request_id}.{number}", {"themes": "Cats"})
        (choice,) = kept(folder, f"{request_id}.{number}")
        assert choice.prediction.image == photo
        own = answer(post(keeper.url, form(photo)))
        assert choice.item["point"] == [own["point"]["x"], own["point"]["y"]]
        labels = [entry["label"] for entry in choice.item["themes"]]
        assert labels[0] == own["themes"][0]["label"]
        assert len(labels) == 5


def v2(service: Service, **tensor: Any) -> str:
    """Return the id of an inference of one input by the Open Inference Protocol."""
    body = {"inputs": [tensor], "outputs": [{"name": "colors"}]}
    answered = requests.post(f"{service.url}/v2/models/tags/infer", json=body, timeout=30)
    assert answered.status_code == 200, answered.text
    return answered.headers["X-Request-Id"]


def test_of_a_photo_only_what_was_asked_is_kept_and_tensors_are_not(
    keeper: Service, folder: Path, cat: bytes
) -> None:
    data = [b64(cat)["b64"]]
    request_id = v2(keeper, name="image", shape=[1], datatype="BYTES", data=data)
    wait_and_choose(keeper, request_id, {"colors": "brown"})
    (choice,) = kept(folder, request_id)
    assert choice.prediction.image == cat
    assert choice.item.keys() == {"point", "colors"}
    rows = {"themes": [[[0] * 3] * 224] * 224, "colors": [[[0] * 3] * 9] * 9}
    url = f"{keeper.url}/v1/models/tags:predict"
    answered = requests.post(url, json={"instances": [rows]}, timeout=30)
    assert answered.status_code == 200
    chosen = {"colors": "black"}
    response = choose(keeper, request_id=answered.headers["X-Request-Id"], chosen=chosen)
    problem(response, 404, "not-found")


def test_many_at_once_are_all_kept_whichever_process_they_reach(
    keeper: Service, folder: Path, cat: bytes
) -> None:
    def ask(number: int) -> str:
        request_id: str = answer(post(keeper.url, form(cat, x=number, y=1)))["request_id"]
        response = choose(keeper, request_id=request_id, chosen={"themes": "Cats"})
        assert response.status_code == 200, response.text
        return request_id

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(ask, range(40)))
    assert all(len(kept(folder, request_id)) == 1 for request_id in ids[::8])


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"chosen": {"themes": "Cats"}}, 422, "bad-parameter"),
        ({"request_id": 7, "chosen": {"themes": "Cats"}}, 422, "bad-parameter"),
        ({"request_id": "\ud800", "chosen": {"themes": "Cats"}}, 422, "bad-parameter"),
        ({"request_id": "0" * 32, "chosen": {"themes": "Cats"}}, 404, "not-found"),
        ({"request_id": "'; --", "chosen": {"themes": "Cats"}}, 404, "not-found"),
        ({"request_id": OWN, "chosen": {}}, 422, "bad-parameter"),
        ({"request_id": OWN, "chosen": ["Cats"]}, 422, "bad-parameter"),
        ({"request_id": OWN, "chosen": {"point": "Cats"}}, 422, "bad-parameter"),
        ({"request_id": OWN, "chosen": {"themes": "no such theme"}}, 422, "bad-parameter"),
        ({"request_id": OWN, "chosen": {"themes": 3}}, 422, "bad-parameter"),
        ({"request_id": OWN, "chosen": {"themes": ""}}, 422, "bad-parameter"),
        ({"request_id": OWN, "place": 1, "chosen": {"themes": "Cats"}}, 422, "bad-parameter"),
        ({"request_id": OWN, "place": -1, "chosen": {"themes": "Cats"}}, 422, "bad-parameter"),
        ({"request_id": OWN, "place": False, "chosen": {"themes": "Cats"}}, 422, "bad-parameter"),
        ({"request_id": OWN, "place": "0", "chosen": {"themes": "Cats"}}, 422, "bad-parameter"),
    ],
)
def test_wrong_feedback_is_refused(
    body: dict[str, Any], status: int, kind: str, keeper: Service, cat: bytes
) -> None:
    if body.get("request_id") == OWN:
        body = {**body, "request_id": answer(post(keeper.url, form(cat)))["request_id"]}
    problem(choose(keeper, **body), status, kind)


def test_a_file_that_is_held_stops_no_prediction(keeper: Service, folder: Path, cat: bytes) -> None:
    holder = sqlite3.connect(folder / FILE)
    holder.execute("BEGIN IMMEDIATE")
    try:
        for _ in range(20):
            took_ms = answer(post(keeper.url, form(cat)))["timing_ms"]["total"]
            assert took_ms < 2000
    finally:
        holder.rollback()
        holder.close()


def test_it_is_off_unless_a_folder_is_named(service: Service) -> None:
    problem(choose(service, request_id="0" * 32, chosen={"themes": "Cats"}), 501, "feedback-off")


def test_what_was_written_is_there_after_a_restart(
    folder: Path, keeper: Service, cat: bytes
) -> None:
    request_id = answer(post(keeper.url, form(cat)))["request_id"]
    assert choose(keeper, request_id=request_id, chosen={"themes": "Cats"}).ok
    keeper.stop()
    assert len(kept(folder, request_id)) == 1
