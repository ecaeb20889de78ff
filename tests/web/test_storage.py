"""The writer of feedback: nothing that goes wrong ends it, and what it has in hand is bounded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from shared.feedback import Feedback
from shared.manifest import Model
from shared.messages import Result
from web.storage import Storage

MODEL = Model("tags", "1", "", ())
DAYS = 7


class Clock:
    """Time that a test turns."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Broken(Feedback):
    """Fails in a way that nobody thought of, as often as it is told."""

    failures = 0

    def keep(self, predictions: object) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("never thought of")
        super().keep(predictions)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> Clock:
    return Clock()


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
    storage.keep(MODEL, b"photo", made(1))
    until(lambda: not feedback.failures)
    storage.keep(MODEL, b"photo", made(2))
    until(lambda: storage.find(made(2).id))
    assert storage.find(made(1).id) is None
    writer.kill()


def test_what_grew_too_old_while_the_service_was_down_goes_at_its_start(
    storage: Storage, feedback: Broken, clock: Clock
) -> None:
    writer = gevent.spawn(storage.run)
    storage.keep(MODEL, b"photo", made(1))
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
        storage.keep(MODEL, image, Result(**{**vars(result), "id": f"{number:032x}"}))
    writer = gevent.spawn(storage.run)
    until(lambda: storage.find(f"{0:032x}"))
    written = sum(feedback.find(f"{number:032x}") is not None for number in range(100))
    assert 20 < written < 40, "32 MiB of them"
    storage.keep(MODEL, image, made(1000))
    until(lambda: storage.find(made(1000).id))
    writer.kill()
