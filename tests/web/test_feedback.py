"""`POST /feedback`, with two web processes that write one file, and switched off."""

from __future__ import annotations

import sqlite3
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
