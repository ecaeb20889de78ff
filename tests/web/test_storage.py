"""The writer of feedback: nothing that goes wrong ends it, and what it has in hand is bounded."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import numpy as np
import pytest

from shared.feedback import Feedback
from shared.images import Point
from shared.manifest import read_model
from shared.messages import Request, Result
from tests.clock import Clock
from tests.service import ROOT
from web import softmax
from web.storage import Storage
from web.tickets import NoWorkerError, Ticket

MODEL = read_model(ROOT / "models" / "digits")
POINT = [Point(0, 0)]
DAYS = 7


class Broken(Feedback):
    """Fails in a way that nobody thought of, as often as it is told."""

    failures = 0

    def keep(self, predictions: object) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("never thought of")
        super().keep(predictions)  # type: ignore[arg-type]


@pytest.fixture
def feedback(tmp_path: Path, clock: Clock) -> Iterator[Broken]:
    feedback = Broken(tmp_path, 1 << 30, DAYS, clock)
    yield feedback
    feedback.close()


@pytest.fixture
def storage(feedback: Broken) -> Storage:
    """One that writes nothing until it is started."""
    return Storage(feedback)


def made(number: int, labels: int = 1) -> Result:
    found = [{"label": str(place), "probability": 0.5} for place in range(labels)]
    context = json.dumps({"points": [[0, 0]], "many": False, "decode": 0})
    return Result(f"{number:032x}", items=[{"themes": found}], version="1", context=context)


def until(is_true: Callable[[], object]) -> None:
    with gevent.Timeout(5):
        while not is_true():
            gevent.sleep(0.01)


def test_an_error_of_any_kind_does_not_end_the_writing(storage: Storage, feedback: Broken) -> None:
    feedback.failures = 1
    writer = gevent.spawn(storage.run)
    storage.keep(MODEL, [b"photo"], POINT, made(1))
    until(lambda: not feedback.failures)
    storage.keep(MODEL, [b"photo"], POINT, made(2))
    until(lambda: storage.find(made(2).id))
    assert storage.find(made(1).id) is None
    writer.kill()


def test_what_grew_too_old_while_the_service_was_down_goes_at_its_start(
    storage: Storage, feedback: Broken, clock: Clock
) -> None:
    writer = gevent.spawn(storage.run)
    storage.keep(MODEL, [b"photo"], POINT, made(1))
    until(lambda: storage.find(made(1).id))
    writer.kill()
    clock.now += (DAYS + 1) * 86_400
    later = Storage(feedback)
    writer = gevent.spawn(later.run)
    until(lambda: feedback.find(made(1).id) is None)
    writer.kill()


@pytest.mark.parametrize(
    ("image", "labels"), [(b"x" * (1 << 20), 1), (b"", 3000)], ids=["photos", "labels"]
)
def test_what_waits_is_bounded(
    image: bytes, labels: int, storage: Storage, feedback: Broken
) -> None:
    result = made(1, labels)
    for number in range(100):
        storage.keep(MODEL, [image], POINT, Result(**{**vars(result), "id": f"{number:032x}"}))
    writer = gevent.spawn(storage.run)
    until(lambda: storage.find(f"{0:032x}"))
    written = sum(feedback.find(f"{number:032x}") is not None for number in range(100))
    assert 20 < written < 40, "32 MiB of them"
    storage.keep(MODEL, [image], POINT, made(1000))
    until(lambda: storage.find(made(1000).id))
    writer.kill()


def test_of_several_photos_each_is_kept_with_the_likeliest_of_its_softmax(
    storage: Storage, feedback: Broken
) -> None:
    numbers = np.linspace(0.1, 0.9, 20, dtype="<f4").reshape(2, 10)
    numbers[1] = numbers[1, ::-1]
    coded = {"predictions": base64.b64encode(numbers.tobytes()).decode()}
    result = Result("a", softmax=coded, version="1")
    storage.keep(MODEL, [b"one", b"two"], [Point(1, 2), Point(3, 4)], result)
    storage.keep(MODEL, [b"three"], POINT, Result("b", softmax=coded | one_row(numbers)))
    writer = gevent.spawn(storage.run)
    until(lambda: storage.find("b"))
    labels = MODEL.classifiers[0].labels
    for id_, point, expected in (("a.0", [1, 2], [9, 8, 7, 6, 5]), ("a.1", [3, 4], range(5))):
        (item,) = (storage.find(id_) or pytest.fail(id_)).items
        assert item["point"] == point
        assert [entry["label"] for entry in item["predictions"]] == [labels[n] for n in expected]
        assert storage.choose(id_, 0, {"predictions": labels[0]})
    assert [each.prediction.image for each in feedback.choices(images=True)] == [b"one", b"two"]
    assert storage.find("a") is None
    writer.kill()


def test_of_a_softmax_only_what_is_kept_is_listed_and_nothing_where_there_is_no_room(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[tuple[int, ...]] = []

    def to_numbers(numbers: np.ndarray) -> list[object]:
        listed.append(numbers.shape)
        return list(numbers.tolist())

    monkeypatch.setattr(softmax, "to_numbers", to_numbers)
    coded = one_row(np.linspace(0.1, 0.9, 20, dtype="<f4").reshape(2, 10))
    for number in range(40):
        storage.keep(MODEL, [b"x" * (1 << 20)], POINT, Result(f"{number:032x}", softmax=coded))
    assert set(listed) == {(1, 5)}
    assert 20 < len(listed) < 32


def one_row(numbers: np.ndarray) -> dict[str, str]:
    return {"predictions": base64.b64encode(numbers[:1].tobytes()).decode()}


def waiting(number: int, timeout_ms: int = 5000) -> Ticket:
    return Ticket(Request(f"{number:032x}", [np.zeros((1, 2), np.uint8)], timeout_ms))


def test_what_is_answered_later_is_kept_when_the_answer_comes(
    storage: Storage, feedback: Broken
) -> None:
    writer = gevent.spawn(storage.run)
    tickets = [waiting(number) for number in range(3)]
    for ticket in tickets:
        storage.keep_later(MODEL, [b"photo"], POINT, ticket)
    tickets[0].refuse(NoWorkerError())
    tickets[1].result.set(Result(tickets[1].id, error="failed"))
    tickets[2].result.set(made(2))
    until(lambda: storage.find(tickets[2].id))
    assert not any(feedback.find(ticket.id) for ticket in tickets[:2])
    writer.kill()


def test_photos_whose_answers_come_later_are_bounded_and_let_go_at_their_deadline(
    storage: Storage, feedback: Broken
) -> None:
    tickets = [waiting(number, 200) for number in range(100)]
    for ticket in tickets:
        storage.keep_later(MODEL, [b"x" * ((1 << 20) + 1)], POINT, ticket)
    for number in (0, 99):
        tickets[number].result.set(made(number))
    writer = gevent.spawn(storage.run)
    until(lambda: storage.find(tickets[0].id))
    assert storage.find(tickets[99].id) is None, "32 MiB were full"
    until(lambda: storage._later_bytes == 0)
    storage.keep(MODEL, [b"photo"], POINT, made(100))
    until(lambda: storage.find(made(100).id))
    writer.kill()
